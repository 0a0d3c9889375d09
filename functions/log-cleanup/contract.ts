import type { ContainerRole, ContainersSettings } from '../shared/containers/settings.ts';

/** log-cleanup's environment variable `UPKEEP_SETTINGS`, as JSON. Its event is start-run's `RunEvent`. */
export interface LogCleanupSettings extends ContainersSettings {
  roles: LogRole[];
  /** Where rotated logs are kept before they are cleaned. @default nowhere */
  keepIn?: KeepIn;
}

export interface KeepIn {
  bucket: string;
  /** Of the partition, such as `amazonaws.com`. */
  urlSuffix: string;
  /** A log file system with less than this free may lose what was not kept. */
  nearlyFullPercent: number;
}

/** A role, and what is known of its containers' logs. */
export interface LogRole extends ContainerRole, LogFolders {
  /** The script in the container that cleans up: an absolute path. */
  script: string;
}

export interface LogFolders {
  /** Absolute paths, each with what lies under it. */
  logs: string[];
  /** The folder of the rotated logs: an absolute path, which may lie under one of `logs`. */
  archive: string;
  /** What the client itself keeps to: see {@link RotationRules}. */
  rotation: RotationRules;
}

/** By which the container itself rotates its logs. */
export interface RotationRules {
  /** A log is rotated when it is larger than this. */
  maximumBytes: number;
  /** So many rotated files of each log are kept. */
  keptFiles: number;
}
