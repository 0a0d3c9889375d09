import type { Command } from '../shared/ecs-exec/wrapper.ts';

/** run-in-new-task's environment variable `UPKEEP_SETTINGS`, as JSON. Its event is start-run's `RunEvent`. */
export interface RunInNewTaskSettings {
  deployment: string;
  clusterArn: string;
  /** The name by which the report and the metrics call the task's container. */
  role: string;
  /** The ECS service whose task definition, network and capacity the task has. */
  service: string;
  /** In whose place the command runs. */
  container: string;
  /** Of the service's task definition: of no other may tasks be started. */
  family: string;
  command: Command;
  /** For the command, besides what the task definition gives it. @default none */
  environment?: Record<string, string>;
  /** Variables that hold secrets, by name, each as ECS fetches it (`valueFrom`): not the function. @default none */
  secrets?: Record<string, string>;
  /** From the container's start on. */
  timeoutSeconds: number;
  /** Whether a task in which the command failed is followed by a second one. */
  retryFailed: boolean;
  /** Whether the beginning and the end of the output stand in the report also where the command ended well. @default false */
  keepOutput?: boolean;
  /** The log group of the container's output, which may be read. @default it is not read */
  logGroup?: string;
}

/** The tag of each task that a job starts. Only tasks that have it, with the value of {@link taskTagValue}, may the job stop. */
export const TASK_TAG = 'upkeep:job';

/** The family of the task definitions that a job makes, of those of its service and what is secret besides. */
export function ownFamily({ deployment, job }: { deployment: string; job: string }): string {
  return `${deployment}-${job}`;
}

/** Names a deployment's job, as a tag and as `startedBy` of its tasks. */
export function taskTagValue({ deployment, job }: { deployment: string; job: string }): string {
  return `${deployment}/${job}`;
}
