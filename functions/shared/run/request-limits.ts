/**
 * Of an SDK client for what a run can do without, in milliseconds: where there is no way to the service from the VPC, the
 * run has better to do than to wait for one.
 */
export const REQUEST_LIMITS = {
  connectionTimeout: 5_000,
  requestTimeout: 20_000,
  throwOnRequestTimeout: true,
} as const;
