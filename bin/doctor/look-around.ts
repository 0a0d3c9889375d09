import { randomUUID } from 'node:crypto';
import type { ContainerDefinition, Task, TaskDefinition, Volume } from '@aws-sdk/client-ecs';
import PQueue from 'p-queue';
import { measuringScript } from '../../functions/log-cleanup/cleanup-script.ts';
import type { LogFolders } from '../../functions/log-cleanup/contract.ts';
import { type Measurement, readMeasurements } from '../../functions/log-cleanup/measurements.ts';
import {
  type CommandResult,
  EcsExecError,
  executeCommand,
  outputText,
} from '../../functions/shared/ecs-exec/index.ts';
import type { Finding } from './check.ts';
import type { ExaminedDeployment } from './examined-deployment.ts';
import {
  definitionOf,
  type ExecContainer,
  lastPart,
  tasksOf,
  type UsedPlace,
  type UsedService,
} from './used-services.ts';

/** A session that opens at all does so in seconds; a KMS handshake has 15, and logs are measured for a minute at most. */
const PATIENCE_MS = 120_000;
/** Containers in which a command runs at once, of a whole deployment. */
const AT_ONCE = 10;
/** A file system that answers does so at once. */
const MOUNT_SECONDS = 10;

/**
 * One command, for a container takes two sessions at once: says the time, then which of the paths are not there, then how each
 * of the volumes answers, one a line; changes nothing. What waits for a volume holds no terminal open.
 */
const LOOK_AROUND = `date -u +%s
paths=$1; shift
while [ "$paths" -gt 0 ]; do
[ -e "$1" ] || echo "lacks $1"
shift; paths=$((paths - 1))
done
number=0
for mount; do
number=$((number + 1))
path=\${mount#*:}
{ [ -d "$path" ] || exit 1; ! command -v df || df -P "$path" || exit 2; [ "\${mount%%:*}" = ro ] || [ -w "$path" ] || exit 3; } </dev/null >/dev/null 2>&1 &
looking=$!
{ sleep ${MOUNT_SECONDS} && kill -9 $looking; } </dev/null >/dev/null 2>&1 &
watching=$!
wait $looking
echo "mount $? $number"
kill $watching
done 2>/dev/null`;

/** What a volume answered. */
export interface LookedMount {
  path: string;
  /** `gone`: no such folder. `silent`: not within ten seconds. `refused`: it tells nothing of its space. */
  answer: 'well' | 'gone' | 'silent' | 'refused' | 'read-only';
  volume: Volume | undefined;
}

/** What was seen in a container. */
export interface LookedAround {
  task: Task;
  /** Epoch seconds: what its clock said, and this machine's; NaN where it has no `date`. */
  time: number;
  here: number;
  lacks: string[];
  mounts: LookedMount[];
  /** Of a container whose logs a job looks after. */
  logs: { folders: LogFolders; measured: Measurement | undefined } | undefined;
}

/** The command that was to look did not come to its end. */
export type NotLooked = { task: Task; result: Exclude<CommandResult, { outcome: 'exited' }> };

const QUEUES = new WeakMap<ExaminedDeployment, PQueue>();

/** Looks around in one container, once for all checks. @throws EcsExecError where it takes no command */
export function lookAround(
  deployment: ExaminedDeployment,
  service: UsedService,
  task: Task,
  { container, paths, logs }: ExecContainer,
): Promise<LookedAround | NotLooked> {
  return deployment.once(`look around ${task.taskArn}/${container}`, async () => {
    const queue = QUEUES.get(deployment) ?? new PQueue({ concurrency: AT_ONCE });
    QUEUES.set(deployment, queue);
    const mounts = mountsOf(await definitionOf(deployment, service), container);
    const marker = `doctor-${randomUUID()}`;
    const script = logs ? `${LOOK_AROUND}\nUPKEEP_MARKER=${marker}\n${measuringScript(logs)}` : LOOK_AROUND;
    return queue.add(async () => {
      const startedAt = Date.now();
      const result = await executeCommand({
        clients: deployment.clients.exec,
        ...{ cluster: service.clusterArn, task: task.taskArn ?? '', container },
        runId: `doctor-${randomUUID()}`,
        command: [
          'sh',
          '-c',
          script,
          'doctor',
          String(paths.length),
          ...paths,
          ...mounts.map(({ path, isReadOnly }) => `${isReadOnly ? 'ro' : 'rw'}:${path}`),
        ],
        deadline: new Date(startedAt + PATIENCE_MS),
      });
      if (result.outcome !== 'exited') return { task, result };
      const output = outputText(result.output);
      const lines = output.trim().split(/\s*\n/);
      return {
        task,
        time: Number(lines[0]),
        here: (startedAt + Date.now()) / 2000,
        lacks: lines.flatMap((line) => (line.startsWith('lacks ') ? [line.slice('lacks '.length)] : [])),
        mounts: mounts.flatMap(({ path, volume }, index) => {
          const told = new RegExp(`^mount (\\d+) ${index + 1}$`);
          const [, status] = lines.flatMap((line) => told.exec(line) ?? []);
          return status === undefined ? [] : [{ path, volume, answer: ANSWERS[status] ?? 'silent' }];
        }),
        logs: logs && { folders: logs, measured: readMeasurements(output, marker).before },
      };
    });
  });
}

const ANSWERS: Record<string, LookedMount['answer'] | undefined> = {
  '0': 'well',
  '1': 'gone',
  '2': 'refused',
  '3': 'read-only',
};

/**
 * What is wrong in the containers of a place, each looked into; where nothing is, that all is well in so many. Those in which a look
 * did not come to its end are left out: the check of commands tells of them.
 */
export async function lookIntoEach(
  deployment: ExaminedDeployment,
  { service, exec }: UsedPlace,
  wrongIn: (looked: LookedAround, task: string) => Finding[] | undefined,
  whereWell: (containers: number) => string,
): Promise<Finding[]> {
  const tasks = await runningTasks(deployment, service, exec.container);
  const found = await Promise.all(
    tasks.map(async (task): Promise<Finding[] | undefined> => {
      try {
        const looked = await lookAround(deployment, service, task, exec);
        return 'result' in looked ? undefined : wrongIn(looked, lastPart(task.taskArn ?? ''));
      } catch (error) {
        if (!(error instanceof EcsExecError) || error.code === 'ACCESS_DENIED') throw error;
        return undefined;
      }
    }),
  );
  const looked = found.filter((findings) => findings !== undefined);
  const wrong = looked.flat();
  if (wrong.length > 0 || looked.length === 0) return wrong;
  return [{ status: 'ok', saw: whereWell(looked.length) }];
}

/** The tasks of a service in which a container runs. */
export async function runningTasks(
  deployment: ExaminedDeployment,
  service: UsedService,
  container: string,
): Promise<Task[]> {
  return (await tasksOf(deployment, service)).filter(
    ({ lastStatus, containers = [] }) =>
      lastStatus === 'RUNNING' && containers.some((each) => each.name === container),
  );
}

/** Where volumes are mounted in a container. */
export function mountsOf(
  definition: TaskDefinition | undefined,
  container: string,
): { path: string; isReadOnly: boolean; volume: Volume | undefined }[] {
  const found: ContainerDefinition | undefined = definition?.containerDefinitions?.find(
    ({ name }) => name === container,
  );
  return (found?.mountPoints ?? []).flatMap(({ containerPath: path, readOnly, sourceVolume }) =>
    path === undefined
      ? []
      : [
          {
            path,
            isReadOnly: readOnly === true,
            volume: definition?.volumes?.find(({ name }) => name === sourceVolume),
          },
        ],
  );
}
