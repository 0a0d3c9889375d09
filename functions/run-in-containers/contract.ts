import type { ContainersSettings } from '../shared/containers/settings.ts';
import type { Command } from '../shared/ecs-exec/wrapper.ts';

/** run-in-containers' environment variable `UPKEEP_SETTINGS`, as JSON. Its event is start-run's `RunEvent`. */
export interface RunInContainersSettings extends ContainersSettings {
  command: Command;
  /** Variables of the command's environment that hold secrets, by name, in the order in which the command reads them. @default none */
  secrets?: Record<string, CommandSecret>;
  /** The command's standard input. @default none */
  stdin?: string | CommandSecret;
  /** @default in every container */
  in?: 'one-container';
  /** The report has the end of the output of those too in which the command ended well. @default false */
  keepOutput?: boolean;
}

/** A secret that a command gets. */
export interface CommandSecret {
  /** The whole ARN. */
  secretArn: string;
  /** Of a JSON object: the field. @default all of its text */
  key?: string;
}
