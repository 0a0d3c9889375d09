import type { Cloud } from './cloud.ts';

/** Milliseconds, so that losses are noticed soon. */
export const timing = {
  watchAfter: 100,
  lostAfter: 1_000,
  lostAfterResuming: 1_000,
  firstPause: 20,
  longestStart: 2_000,
  longestConnect: 300,
};

/** What each call says of the container, the run and the client. */
export function base(cloud: Cloud) {
  return { ...cloud.target, clients: cloud.clients, runId: 'run-1', timing };
}
