import type { Outcome, Problem } from '../run/report.ts';
import { type Discovery, type FoundContainer, taskIdOf } from './discover-containers.ts';
import type { EndedAndRead, Ran } from './run-in-each-container.ts';

/** More of a kind would make a report that nobody reads, and that EventBridge may not take. */
const MAXIMUM_PROBLEMS = 50;

/** What a report says of a container. */
export interface ContainerDetail {
  role: string;
  service: string;
  task: string;
  container: string;
  outcome: EndedAndRead<unknown>['outcome'];
  exitCode?: number;
  seconds: number;
  attempts: number;
}

/** Whether the command ended well in a container. */
export function isDone({ ended }: Ran<unknown>): boolean {
  return ended.outcome === 'exited' && ended.exitCode === 0;
}

/** Failed: everything but having ended well, and having gone away with its container. */
export function isFailed(ran: Ran<unknown>): boolean {
  return !isDone(ran) && ran.ended.outcome !== 'gone';
}

/** A container that went away is named, but no fault of the run. */
export function outcomeOf(discovery: Discovery, ran: Ran<unknown>[]): Outcome {
  if (!ran.some(isDone)) return 'failed';
  return ran.some(isFailed) || discovery.missing.length > 0 ? 'partial' : 'succeeded';
}

/** Figures that every job in containers has, the failed ones also by role: `containersFailedWebapp`. */
export function containerFigures(discovery: Discovery, ran: Ran<unknown>[]): Record<string, number> {
  const gone = ran.filter(({ ended }) => ended.outcome === 'gone');
  return {
    containersFailed: ran.filter(isFailed).length,
    containersGone: gone.length,
    tasksNotReady: discovery.notReady.length,
    ...byRole(ran, 'containersFailed', (ofRole) => ofRole.filter(isFailed).length),
  };
}

/** One figure for each role, its name made of the figure's and the role's. Undefined is left out. */
export function byRole<Read>(
  ran: Ran<Read>[],
  figure: string,
  of: (ran: Ran<Read>[]) => number | undefined,
): Record<string, number> {
  const roles = [...new Set(ran.map(({ container }) => container.role))];
  return Object.fromEntries(
    roles.flatMap((role) => {
      const value = of(ran.filter(({ container }) => container.role === role));
      return value === undefined ? [] : [[figure + pascalCased(role), value]];
    }),
  );
}

/** `web-app` as `WebApp`: the end of a metric's name. */
export function pascalCased(role: string): string {
  return role
    .split(/[^A-Za-z0-9]+/)
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
    .join('');
}

/** Of each container how it went; what the job itself knows is added by it. */
export function containerDetail({ container, ended, seconds, attempts }: Ran<unknown>): ContainerDetail {
  return {
    role: container.role,
    service: container.service,
    task: taskIdOf(container.taskArn),
    container: container.container,
    outcome: ended.outcome,
    ...(ended.outcome === 'exited' && { exitCode: ended.exitCode }),
    seconds,
    attempts,
  };
}

/** Characters of the list of containers: with all else, a report fits into an event of EventBridge. */
const MAXIMUM_DETAILS_LENGTH = 100_000;

/** The list of containers, those first in which it did not go well; of very many only so many as a report can hold. */
export function containerDetails<Read>(
  ran: Ran<Read>[],
  detailOf: (ran: Ran<Read>) => object,
): Record<string, unknown> {
  const containers: object[] = [];
  let length = 0;
  for (const each of [...ran.filter((each) => !isDone(each)), ...ran.filter(isDone)]) {
    const detail = detailOf(each);
    length += JSON.stringify(detail).length + 1;
    if (length > MAXIMUM_DETAILS_LENGTH) break;
    containers.push(detail);
  }
  const left = ran.length - containers.length;
  return { containers, ...(left > 0 && { containersNotListed: left }) };
}

/** Where a container is, for a problem. */
export function whereIs(
  deployment: string,
  { service, taskArn, container }: Pick<FoundContainer, 'service' | 'taskArn'> & { container?: string },
): string {
  return `${deployment}, service ${service}, task ${taskIdOf(taskArn)}${container ? `, container ${container}` : ''}`;
}

/**
 * What went wrong in finding and in working.
 * @param lastWords the end of the output, for a command that failed.
 * @param inOne whether it was for one of the containers, whichever it is, and not for each.
 */
export function containerProblems<Read>(
  deployment: string,
  discovery: Discovery,
  ran: Ran<Read>[],
  lastWords: (read: Read) => string,
  inOne = false,
): Problem[] {
  const nothing = ran.length === 0 && discovery.missing.length === 0;
  return [
    ...(nothing
      ? [
          {
            what: 'No running container was found, so nothing was done.',
            where: deployment,
            next: 'Look in ECS why the services run no tasks.',
          },
        ]
      : []),
    ...limited(
      discovery.missing.map(({ service, reason }) => ({
        what: reason,
        where: `${deployment}, service ${service}`,
        next: "Correct the job's services and container names, or see in ECS why the service runs nothing.",
      })),
    ),
    ...limited(
      discovery.notReady.map(({ status, ...task }) => ({
        what: `${inOne ? 'Not among those to choose from' : 'Left out'}: it was ${status} when the run looked for containers.`,
        where: whereIs(deployment, task),
        next: inOne
          ? 'Nothing, if the task was just being started or stopped. The next scheduled run chooses from those that run then.'
          : 'If it has come to run by then, the next scheduled run works in it.',
      })),
    ),
    ...limited(ran.flatMap((each) => problemOf(deployment, each, lastWords, inOne) ?? [])),
  ];
}

/** Of many problems of a kind, the first, and how many more there are. */
export function limited(problems: Problem[]): Problem[] {
  if (problems.length <= MAXIMUM_PROBLEMS) return problems;
  const [first] = problems;
  const left = problems.length - MAXIMUM_PROBLEMS;
  return [
    ...problems.slice(0, MAXIMUM_PROBLEMS),
    {
      what: `${left} more of the kind.`,
      where: first?.where.split(',')[0] ?? '',
      next: 'Mend those named: the cause is probably the same.',
    },
  ];
}

function problemOf<Read>(
  deployment: string,
  { container, ended, seconds }: Ran<Read>,
  lastWords: (read: Read) => string,
  inOne: boolean,
): Problem | undefined {
  const where = whereIs(deployment, container);
  const said = (read: Read) => {
    const words = lastWords(read).trim();
    return words ? ` It last said: ${words}` : ' It said nothing.';
  };
  switch (ended.outcome) {
    case 'exited':
      if (ended.exitCode === 0) return undefined;
      return {
        what: `The command ended with exit code ${ended.exitCode}.${said(ended.read)}`,
        where,
        next: exitCodeMeaning(ended.exitCode),
      };
    case 'timed-out':
      return {
        what: `The command was killed after ${Math.round(seconds)} seconds.${said(ended.read)}`,
        where,
        next: 'Raise the time that the command may take, or see in the container what holds it up.',
      };
    case 'gone':
      return {
        what: `The container went away meanwhile: ${ended.detail}`,
        where,
        next: inOne
          ? 'See in its log whether the command did its work, and in ECS why the task was replaced. The next scheduled run begins it in one of those that run then.'
          : 'The next scheduled run works in its successor. See in ECS why the task was replaced.',
      };
    case 'lost':
      return {
        what: `How the command ended could not be learned: ${ended.detail}`,
        where,
        next: 'Look in the container whether it did its work. The next scheduled run starts it again.',
      };
    case 'not-started':
      return {
        what: `The command was not started: ${ended.detail}`,
        where,
        next: 'Mend this, then start the job by hand.',
      };
  }
}

/** What to do about an exit code: what shells mean by those that they set themselves. */
export function exitCodeMeaning(exitCode: number): string {
  switch (exitCode) {
    case 126:
      return 'The program is there but could not be executed: see its permissions.';
    case 127:
      return 'There is no such program in the container: correct its path.';
    case 137:
      return 'It was killed, perhaps for want of memory: see the task in ECS.';
    default:
      return 'Run the command by hand in that container to see what it lacks.';
  }
}
