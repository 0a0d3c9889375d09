import type { ContainersSettings } from '../shared/containers/settings.ts';
import type { Command } from '../shared/ecs-exec/wrapper.ts';

/** run-in-containers' environment variable `UPKEEP_SETTINGS`, as JSON. Its event is start-run's `RunEvent`. */
export interface RunInContainersSettings extends ContainersSettings {
  command: Command;
  /** @default in every container */
  in?: 'one-container';
  /** The report has the end of the output of those too in which the command ended well. @default false */
  keepOutput?: boolean;
}
