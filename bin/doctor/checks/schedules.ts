import { GetScheduleCommand, paginateListSchedules, UpdateScheduleCommand } from '@aws-sdk/client-scheduler';
import { type Check, type Finding, ofEach } from '../check.ts';
import type { ExaminedDeployment } from '../examined-deployment.ts';

/** Whether each schedule is switched on, and starts a job that there is. */
export const schedules: Check = {
  name: 'schedules',
  when: 'deployed',
  actions: ['scheduler:ListSchedules', 'scheduler:GetSchedule'],
  // UpdateSchedule names the role anew with which the schedule starts its target.
  fixes: ['scheduler:UpdateSchedule', 'iam:PassRole'],
  async run(deployment) {
    const group = `${deployment.name}-upkeep`;
    const names: string[] = [];
    const pages = paginateListSchedules({ client: deployment.clients.scheduler }, { GroupName: group });
    for await (const { Schedules: page = [] } of pages) names.push(...page.flatMap(({ Name }) => Name ?? []));
    if (names.length === 0)
      return [
        {
          status: 'failed',
          saw: `The schedule group ${group} has no schedule: no job starts by itself.`,
          mend: 'npx cdk deploy --all',
        },
      ];
    return ofEach(
      names,
      (name) => name,
      (name) => look(deployment, group, name),
    );
  },
};

async function look(
  { clients, upkeep }: ExaminedDeployment,
  GroupName: string,
  Name: string,
): Promise<Finding> {
  const schedule = await clients.scheduler.send(new GetScheduleCommand({ GroupName, Name }));
  const {
    State: state,
    ScheduleExpression: expression,
    ScheduleExpressionTimezone: timeZone,
    Target: target,
  } = schedule;
  const { job = '' } = JSON.parse(target?.Input ?? '{}') as { job?: string };
  if (!Object.hasOwn(upkeep.jobs, job))
    return {
      status: 'failed',
      saw: `It starts the job "${job}", which this deployment has not.`,
      mend: 'npx cdk deploy --all',
    };
  if (state !== 'ENABLED')
    return {
      status: 'failed',
      saw: `It is switched off: ${job} does not start by itself.`,
      mend: [
        `aws scheduler get-schedule --group-name ${GroupName} --name ${Name}`,
        `jq 'del(.Arn, .CreationDate, .LastModificationDate) | .State = "ENABLED"'`,
        'aws scheduler update-schedule --cli-input-json file:///dev/stdin',
      ].join(' | '),
      fix: () => {
        const { $metadata, Arn, CreationDate, LastModificationDate, ...asItIs } = schedule;
        const { ScheduleExpression, FlexibleTimeWindow, Target, ...others } = asItIs;
        // Every schedule has these.
        if (!ScheduleExpression || !FlexibleTimeWindow || !Target) throw new Error(`${Name} has no target.`);
        return clients.scheduler.send(
          new UpdateScheduleCommand({
            ...others,
            ...{ Name, ScheduleExpression, FlexibleTimeWindow, Target },
            State: 'ENABLED',
          }),
        );
      },
    };
  return { status: 'ok', saw: `${job}, ${expression} ${timeZone}.` };
}
