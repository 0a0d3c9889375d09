/** The jobs that init can configure, by their names in the configuration. */
export const JOBS = [
  'messageGc',
  'mediaGc',
  'logCleanup',
  'databaseSize',
  'credentialRotation',
  'applicationSettings',
] as const;
export type Job = (typeof JOBS)[number];
