import {
  ListRulesCommand,
  ListTargetsByRuleCommand,
  ResourceNotFoundException,
  type Rule,
} from '@aws-sdk/client-eventbridge';
import * as v from 'valibot';
import { type Check, type Finding, ofEach } from '../check.ts';
import type { ExaminedDeployment } from '../examined-deployment.ts';

/** Settings of a job that waits for callbacks. */
export const waitsForCallbacks = v.object({ notificationsQueueUrl: v.string() });

/** Whether each rule of the callbacks bus is switched on and has somewhere to send to. */
export const eventRules: Check = {
  name: 'rules of the callbacks bus',
  when: 'deployed',
  actions: ['lambda:GetFunctionConfiguration', 'events:ListRules', 'events:ListTargetsByRule'],
  async run(deployment) {
    if ((await deployment.settingsOf(waitsForCallbacks)).length === 0) return [];
    const { events } = deployment.clients;
    const EventBusName = `${deployment.name}-callbacks`;
    const rules = await rulesOf(deployment);
    if (rules.length === 0)
      return [
        {
          of: EventBusName,
          status: 'failed',
          saw: 'There is no such bus, or it has no rule: no callback reaches the run that waits for it.',
          mend: 'npx cdk deploy --all',
        },
      ];
    return ofEach(
      rules,
      ({ Name = '' }) => Name,
      async ({ Name = '', State: state }): Promise<Finding> => {
        if (state === 'DISABLED')
          return {
            status: 'failed',
            saw: 'It is switched off: what the client tells does not reach its queue.',
            mend: `aws events enable-rule --event-bus-name ${EventBusName} --name ${Name}`,
          };
        const { Targets: targets = [] } = await events.send(
          new ListTargetsByRuleCommand({ EventBusName, Rule: Name }),
        );
        // It only counts what comes, for the window by traffic.
        if (targets.length === 0 && Name === EventBusName)
          return { status: 'ok', saw: 'On, and counts what comes.' };
        if (targets.length === 0)
          return { status: 'failed', saw: 'It has no target.', mend: 'npx cdk deploy --all' };
        return {
          status: 'ok',
          saw: `On, to ${targets.map(({ Arn: arn = '' }) => arn.slice(arn.lastIndexOf(':') + 1)).join(', ')}.`,
        };
      },
    );
  },
};

/** Of the callbacks bus. None, where there is no such bus. */
export function rulesOf(deployment: ExaminedDeployment): Promise<Rule[]> {
  const {
    clients: { events },
    name,
  } = deployment;
  return deployment.once('rules', async () => {
    const rules: Rule[] = [];
    try {
      let NextToken: string | undefined;
      do {
        const page = await events.send(
          new ListRulesCommand({
            EventBusName: `${name}-callbacks`,
            ...(NextToken !== undefined && { NextToken }),
          }),
        );
        rules.push(...(page.Rules ?? []));
        ({ NextToken } = page);
      } while (NextToken !== undefined);
    } catch (error) {
      if (!(error instanceof ResourceNotFoundException)) throw error;
    }
    return rules;
  });
}
