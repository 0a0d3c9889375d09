import { chmodSync, existsSync, type FSWatcher, readFileSync, watch, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Container } from '../aws/containers/container.ts';
import type { ManagedService } from '../aws/ecs/service.ts';
import type { Aws } from '../aws/server.ts';
import { CATALOGUE, PLACE, SECRETS } from './names.ts';

/** One more than the one in which a command runs. */
const TASKS = 2;

/** What the two commands do: each says what it was given, and leaves a line in its container. */
const PROGRAMS = {
  reindex: `while read -r shelf; do echo "$shelf $* $LOCK_TIMEOUT" | tee -a "$(dirname "$0")/reindexed"; done`,
  'close-carts': `[ "$CATALOGUE_TOKEN" ] || exit 3
while read -r shelf; do echo "$shelf $* $LOCK_TIMEOUT" | tee -a "$(dirname "$0")/closed"; done`,
};

/** The service of the shop in which commands run: in one of its containers, and in new tasks made as its own. */
export interface PlayedCatalogue {
  service: ManagedService;
  /** What the commands have left in all containers that there were, a line for each line of their input. */
  lines(file: 'reindexed' | 'closed'): string[];
  /** Puts another program in the place of one, in the containers that run and in those to come. */
  replace(program: keyof typeof PROGRAMS, script: string): void;
  /** Acts when one of the containers that run has begun the program that {@link replace} put there: it leaves a file `begun`. */
  whenBegun(act: (container: Container) => unknown): void;
  close(): Promise<void>;
}

/** Starts the tasks of the service. What is secret is put into `secrets`. */
export async function startCatalogue(
  aws: Aws,
  { folder, secrets }: { folder: string; secrets: string[] },
): Promise<PlayedCatalogue> {
  const containers: Container[] = [];
  const watchers: FSWatcher[] = [];
  const programs: Record<string, string> = { ...PROGRAMS };
  const write = (container: Container, program: string) => {
    const path = container.path(`/srv/${program}`);
    writeFileSync(path, `#!/bin/sh\n${programs[program]}\n`);
    chmodSync(path, 0o755);
  };
  const start = async (): Promise<Container[]> => {
    const container = await Container.start({
      name: CATALOGUE.service,
      folder: join(folder, `shop-${CATALOGUE.service}-${containers.length}`),
    });
    containers.push(container);
    for (const program of Object.keys(programs)) write(container, program);
    return [container];
  };
  const token = `Token-${crypto.randomUUID()}`;
  secrets.push(token);
  aws.secrets.put(SECRETS.catalogueToken, JSON.stringify({ token }));
  const running: Container[][] = [];
  for (let task = 0; task < TASKS; task++) running.push(await start());
  const { taskRoleArn, executionRoleArn, logGroup } = CATALOGUE;
  const options = {
    'awslogs-group': logGroup,
    'awslogs-region': PLACE.region,
    'awslogs-stream-prefix': 'catalogue',
  };
  const service = aws.ecs.manageService({
    ...PLACE,
    cluster: 'shop',
    service: CATALOGUE.service,
    desiredCount: TASKS,
    start,
    running,
    capacity: {
      launchType: 'FARGATE',
      networkConfiguration: { awsvpcConfiguration: { subnets: ['subnet-1'], securityGroups: ['sg-1'] } },
    },
    definition: {
      networkMode: 'awsvpc',
      taskRoleArn,
      executionRoleArn,
      container: { logConfiguration: { logDriver: 'awslogs', options } },
    },
  });
  return {
    service,
    lines: (file) =>
      containers.flatMap((container) => {
        const path = container.path(`/srv/${file}`);
        return existsSync(path) ? readFileSync(path, 'utf8').trimEnd().split('\n') : [];
      }),
    replace(program, script) {
      programs[program] = script;
      for (const container of containers) write(container, program);
    },
    whenBegun(act) {
      for (const container of containers) {
        const file = container.path('/srv/begun');
        const watcher = watch(dirname(file), { persistent: false }, () => {
          if (existsSync(file)) act(container);
        });
        watchers.push(watcher);
      }
    },
    close: async () => {
      for (const watcher of watchers) watcher.close();
      await Promise.all(containers.map((container) => container.remove()));
    },
  };
}
