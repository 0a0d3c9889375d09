import * as v from 'valibot';

/** What a job that works in containers needs to know of them. A part of its `UPKEEP_SETTINGS`. */
export interface ContainersSettings {
  deployment: string;
  clusterArn: string;
  roles: ContainerRole[];
  reach: 'ecs-exec' | 'run-command';
  /** In how many containers, over all, work goes on at once. At least one for each role. */
  concurrency: number;
  /** How long the command may take in one container. */
  timeoutSeconds: number;
  /** Whether a container in which the command failed is tried once more at the end. */
  retryFailed: boolean;
}

/** Containers that do the same, and can stand in for each other while one is busy. */
export interface ContainerRole {
  name: string;
  /** Names of ECS services. */
  services: string[];
  /** The container's name in the services' task definitions. */
  container: string;
  /** With `run-command`: the SSM document that runs the command in a container of this role. */
  documentName?: string;
}

export const containersSettings = {
  deployment: v.string(),
  clusterArn: v.string(),
  reach: v.picklist(['ecs-exec', 'run-command']),
  concurrency: v.number(),
  timeoutSeconds: v.number(),
  retryFailed: v.boolean(),
};

export const containerRole = {
  name: v.string(),
  services: v.array(v.string()),
  container: v.string(),
  documentName: v.exactOptional(v.string()),
};
