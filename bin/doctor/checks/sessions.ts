import { paginateDescribeSessions, type Session } from '@aws-sdk/client-ssm';
import type { Check, Finding } from '../check.ts';
import type { ExaminedDeployment } from '../examined-deployment.ts';
import { runningTasks } from '../look-around.ts';
import { atEachPlace, LOOK_AT_TASKS, lastPart, type UsedPlace } from '../used-services.ts';

/** A container takes so many sessions at once (Developer Guide of ECS, "Using ECS Exec"). */
const SESSIONS = 2;

/** Whether sessions that somebody left open leave room for one in each container: a job waits for it in vain. */
export const sessions: Check = {
  name: 'sessions of ECS Exec',
  actions: [...LOOK_AT_TASKS, 'ssm:DescribeSessions'],
  run: (deployment) => atEachPlace(deployment, look),
};

async function look(deployment: ExaminedDeployment, { service, exec }: UsedPlace): Promise<Finding[]> {
  const tasks = await runningTasks(deployment, service, exec.container);
  if (tasks.length === 0) return [];
  const open = await openSessions(deployment);
  const full = tasks.flatMap(({ taskArn = '', containers = [] }): Finding[] => {
    const runtimeId = containers.find(({ name }) => name === exec.container)?.runtimeId;
    const target = `ecs:${lastPart(service.clusterArn)}_${lastPart(taskArn)}_${runtimeId}`;
    const own = open.filter(({ Target: its }) => its === target);
    if (own.length < SESSIONS) return [];
    return [
      {
        status: 'warning',
        saw: `The container ${exec.container} of the task ${lastPart(taskArn)} has ${own.length} sessions open, of ${[...new Set(own.map(({ Owner: owner = 'somebody' }) => owner))].join(', ')}, and takes no more.`,
        mend: own
          .slice(0, own.length - SESSIONS + 1)
          .map(({ SessionId: id }) => `aws ssm terminate-session --session-id ${id}   # its command ends`)
          .join('\n'),
      },
    ];
  });
  return full.length > 0
    ? full
    : [{ status: 'ok', saw: `There is room for a session in ${tasks.length} containers.` }];
}

/** Those that were open before doctor began, which opens some itself. The oldest first. */
function openSessions(deployment: ExaminedDeployment): Promise<Session[]> {
  return deployment.once('sessions', async () => {
    const { ssm } = deployment.clients;
    const found: Session[] = [];
    for await (const { Sessions: page = [] } of paginateDescribeSessions(
      { client: ssm },
      { State: 'Active' },
    ))
      found.push(...page);
    const startOf = ({ StartDate: start }: Session) => start?.getTime() ?? 0;
    return found
      .filter((session) => startOf(session) < deployment.begunAt)
      .sort((one, other) => startOf(one) - startOf(other));
  });
}
