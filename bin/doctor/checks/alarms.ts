import { EnableAlarmActionsCommand } from '@aws-sdk/client-cloudwatch';
import { isOnlyShown } from '../../../functions/shared/run/only-shown.ts';
import type { Check } from '../check.ts';

/** Whether every alarm would tell somebody, but for those of which another one tells: it has an action, and actions are not switched off. */
export const alarms: Check = {
  name: 'alarms',
  when: 'deployed',
  actions: ['cloudwatch:DescribeAlarms'],
  fixes: ['cloudwatch:EnableAlarmActions'],
  async run(deployment) {
    const { name } = deployment;
    const found = await deployment.alarms();
    if (found.length === 0)
      return [
        {
          status: 'failed',
          saw: `There is no alarm whose name begins with ${name}-.`,
          mend: 'npx cdk deploy --all',
        },
      ];
    const silenced = found.filter(({ ActionsEnabled: enabled }) => enabled === false);
    const shown = found.filter(({ AlarmDescription: description }) => isOnlyShown(description));
    const mute = found.filter((alarm) => (alarm.AlarmActions ?? []).length === 0 && !shown.includes(alarm));
    return [
      ...silenced.map(({ AlarmName: of = '' }) => ({
        of,
        status: 'failed' as const,
        saw: 'Its actions are switched off: it rings, and nobody hears it.',
        mend: `aws cloudwatch enable-alarm-actions --alarm-names ${of}`,
        fix: () => deployment.clients.cloudWatch.send(new EnableAlarmActionsCommand({ AlarmNames: [of] })),
      })),
      ...mute.map(({ AlarmName: of = '' }) => ({
        of,
        status: 'failed' as const,
        saw: 'It has no action: it rings, and nobody hears it.',
        mend: 'npx cdk deploy --all, which gives it the topic again',
      })),
      ...(silenced.length + mute.length === 0
        ? [
            {
              status: 'ok' as const,
              saw: `${found.length} alarms, each with an action${shown.length > 0 ? ` but for ${shown.length} that are only shown` : ''}.`,
            },
          ]
        : []),
    ];
  },
};
