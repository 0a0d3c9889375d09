import type { RolledService } from '../shared/roll/rolled-service.ts';

/** reload-on-change's environment variable `UPKEEP_SETTINGS`, as JSON. Its event is start-run's `RunEvent`. */
export interface ReloadOnChangeSettings {
  /** Whose services they are. */
  deployment: string;
  /** The job's name. */
  job: string;
  /** What others change, at most twenty. */
  watched: Watched[];
  /** The name of the parameter in which a run notes which versions it has seen. */
  seenParameter: string;
  /** Of the cluster of those services that name none. */
  clusterArn: string;
  /** Whose containers read it at their start, in the order in which they are replaced. */
  services: ReloadedService[];
  /** How long a service may take to be steady: at the beginning, and after each change. */
  steadyTimeoutSeconds: number;
  /** How long the new tasks of a service must stay up before the next service is touched. */
  settleSeconds: number;
}

/** A secret of Secrets Manager, or a parameter of Parameter Store. */
export type Watched = {
  /** Its alarm, its metric and the report call it so. */
  name: string;
} & ({ secretArn: string } | { parameter: string });

export interface ReloadedService extends RolledService {
  /**
   * What its application reads by itself, besides what its task definition gives to the containers: names of what is watched.
   * @default what the task definition gives; where that gives none of it, all
   */
  reads?: string[];
}

/** The metric of what is watched: for how many hours a version of it has been in use that not all tasks have. */
export const STALE_HOURS_METRIC = 'StaleHours';

/** The dimension of {@link STALE_HOURS_METRIC}, besides the run's own `deployment` and `job`. */
export const WATCHED_DIMENSION = 'watched';
