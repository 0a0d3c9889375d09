/**
 * Of an SDK client in a run, in milliseconds: where there is no way to the service from the VPC, or an answer is lost, the run
 * has better to do than to wait for it until its invocation is over.
 */
export const REQUEST_LIMITS = {
  connectionTimeout: 5_000,
  requestTimeout: 20_000,
  throwOnRequestTimeout: true,
} as const;
