/** Where each job stands in the stack: what is on record of one lies there too, whether it is configured or not. */
export const JOB_PATHS: Record<string, [string, ...string[]]> = {
  'message-gc': ['MessageGc', 'Job'],
  'media-gc': ['MediaGc', 'Job'],
  'log-cleanup': ['LogCleanup', 'Containers', 'Job'],
  'credential-rotation': ['CredentialRotation', 'Rotation', 'Job'],
  'database-size': ['DatabaseSize', 'Job'],
  'application-settings': ['ApplicationSettings', 'Job'],
  'upgrade-check': ['UpgradeCheck', 'Job'],
};

/** The functions beside the jobs that a configuration can be without. */
export const OTHER_LOG_PATHS: Record<string, readonly string[]> = {
  'rotate-secret': ['CredentialRotation', 'Rotation', 'RotateSecret'],
  'callback-relay': ['CallbackRelay', 'Function'],
};
