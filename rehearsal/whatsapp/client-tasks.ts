import { join } from 'node:path';
import type { Where } from '../aws/access.ts';
import type { EcsTask } from '../aws/ecs.ts';
import type { Aws } from '../aws/server.ts';
import { Container } from '../containers/container.ts';
import { DockerHost } from '../containers/docker-host.ts';
import { type ClientFilesOptions, type ClientRole, clientFiles, writeClientFiles } from './client-files.ts';

export interface ClientTasksOptions extends Where {
  aws: Aws;
  cluster: string;
  /** Where the containers' files go. */
  folder: string;
  roles: Partial<Record<ClientRole, { service: string; container: string; tasks: number }>>;
  /** Makes the tasks run on so many EC2 instances with this tag, under Run Command. @default Fargate with ECS Exec */
  hosts?: { count: number; tag: { key: string; value: string } };
  /** By role and number, from 0. */
  faultOf?: (role: ClientRole, number: number) => ClientFilesOptions['fault'];
}

/** A container of the client, running. */
export interface ClientContainer {
  role: ClientRole;
  task: EcsTask;
  container: Container;
}

/** The tasks of one client, with real files in real containers. */
export interface ClientTasks {
  containers: ClientContainer[];
  hosts: DockerHost[];
  /** Of the logs and archives in all containers. */
  files(): { files: number; bytes: number };
  close(): Promise<void>;
}

/** Starts the tasks of a client. */
export async function startClientTasks(options: ClientTasksOptions): Promise<ClientTasks> {
  const { aws, cluster, account, region, folder, roles, hosts: wanted, faultOf } = options;
  const hosts = Array.from({ length: wanted?.count ?? 0 }, (_, number) => {
    const host = new DockerHost({
      instanceId: `i-${(number + 1).toString(16).padStart(17, '0')}`,
      folder: join(folder, `host-${number}`),
      ...(wanted && { tags: { [wanted.tag.key]: wanted.tag.value } }),
    });
    aws.ssm.manage(host, { account, region });
    return host;
  });
  const containers: ClientContainer[] = [];
  for (const [role, { service, container: name, tasks }] of Object.entries(roles) as [
    ClientRole,
    { service: string; container: string; tasks: number },
  ][])
    for (let number = 0; number < tasks; number++) {
      const container = await Container.start({ name, folder: join(folder, `${role}-${number}`) });
      const fault = faultOf?.(role, number);
      writeClientFiles(container, {
        role,
        seed: `${cluster} ${role} ${number}`,
        now: aws.clock.now(),
        ...(fault && { fault }),
      });
      const host = hosts[containers.length % Math.max(1, hosts.length)];
      const task = aws.ecs.addTask({
        account,
        region,
        cluster,
        service,
        containers: [container],
        ...(host && { host }),
      });
      containers.push({ role, task, container });
    }
  return {
    containers,
    hosts,
    files() {
      const each = containers.map(({ container }) => clientFiles(container));
      return {
        files: each.reduce((sum, { files }) => sum + files, 0),
        bytes: each.reduce((sum, { bytes }) => sum + bytes, 0),
      };
    },
    async close() {
      await Promise.all(containers.map(({ container }) => container.remove()));
    },
  };
}
