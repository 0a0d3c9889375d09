import type { Check, Finding } from '../check.ts';
import { ofEach } from '../check.ts';
import type { ExaminedDeployment } from '../examined-deployment.ts';
import { eventHistory, type HistoryEvent, isRefused } from './event-history.ts';

const ACTIONS = ['cloudtrail:LookupEvents', 'lambda:GetFunctionConfiguration'];
/** Functions that no job is behind, by the ends of their names. Those that a deployment has not have no events. */
const OTHER_FUNCTIONS = ['start-run', 'report-lost-run', 'rotate-secret', 'callback-relay'];
const LATER = 'CloudTrail has nothing of it in the last 14 days: look again after the next night.';

function functionNames({ name, jobs }: ExaminedDeployment): string[] {
  return [...jobs, ...OTHER_FUNCTIONS].map((end) => `${name}-${end}`);
}

/** Whether AWS refused something that the deployment's functions asked: each condition of their roles is tried every night. */
export const refusals: Check = {
  name: 'permissions, in the event history',
  actions: ACTIONS,
  async run(deployment) {
    const found = await ofEach(
      functionNames(deployment),
      (functionName) => functionName,
      async (AttributeValue) =>
        // CloudTrail has the name of a role's session as user name, and Lambda names it after the function.
        told(await eventHistory(deployment, { AttributeKey: 'Username', AttributeValue })),
    );
    return found.length > 0 ? found : [{ status: 'could not look', saw: LATER }];
  },
};

function told(events: HistoryEvent[]): Finding[] {
  const [refused, ...others] = events.filter(isRefused);
  if (events.length === 0) return [];
  if (!refused) return [{ status: 'ok', saw: `AWS refused none of ${events.length} calls.` }];
  return [
    {
      status: 'failed',
      saw: `AWS refused ${others.length + 1} of ${events.length} calls, last ${refused.eventName} (${refused.eventTime}): ${refused.errorMessage}`,
      mend: 'npx cdk diff   # shows what was changed by hand; if nothing was, docs/security.md has the statement that does not hold on AWS',
    },
  ];
}

/** By which encryption context and service Lambda decrypts a function's environment, where a key of the deployment's own is on it. */
export const environmentKey: Check = {
  name: "Lambda's use of the key",
  actions: ACTIONS,
  async run(deployment) {
    const functions = await Promise.all(deployment.jobs.map((job) => deployment.functionOf(job)));
    const [keyArn] = functions.flatMap(({ KMSKeyArn: arn }) => arn ?? []);
    if (keyArn === undefined) return [];
    const names = functionNames(deployment);
    const uses = (await eventHistory(deployment, ofResource(keyArn))).filter(
      ({ eventName, userIdentity: { arn = '', invokedBy } }) =>
        eventName === 'Decrypt' &&
        invokedBy === 'lambda.amazonaws.com' &&
        names.some((name) => arn.endsWith(`/${name}`)),
    );
    const refused = uses.find(isRefused);
    if (uses.length === 0) return [{ status: 'could not look', saw: LATER }];
    if (refused)
      return [
        {
          status: 'failed',
          saw: `Lambda was refused: ${refused.errorMessage}`,
          mend: 'npx cdk deploy --all',
        },
      ];
    const contexts = uses.map(({ requestParameters: parameters }) =>
      Object.keys(parameters?.encryptionContext ?? {}),
    );
    const common = (contexts[0] ?? []).filter((key) => contexts.every((keys) => keys.includes(key)));
    return [
      {
        status: 'ok',
        saw:
          common.length > 0
            ? `Lambda decrypts by ${common.join(', ')}: kms:Decrypt of the roles could be limited to that (kms:EncryptionContext:${common[0]}).`
            : 'Lambda decrypts by no encryption context: kms:Decrypt of the roles cannot be limited by one.',
      },
    ];
  },
};

/** Whether EventBridge gets at the key by which the callbacks bus encrypts. */
export const busKey: Check = {
  name: "EventBridge's use of the key",
  actions: ACTIONS,
  async run(deployment) {
    const functions = await Promise.all(deployment.jobs.map((job) => deployment.functionOf(job)));
    const [keyArn] = functions.flatMap(({ KMSKeyArn: arn }) => arn ?? []);
    if (keyArn === undefined) return [];
    const uses = (await eventHistory(deployment, ofResource(keyArn))).filter(
      // What it does when the bus is deployed says nothing of its use.
      ({ eventName, userIdentity: { invokedBy } }) =>
        invokedBy === 'events.amazonaws.com' && eventName !== 'DescribeKey',
    );
    const refused = uses.find(isRefused);
    if (uses.length === 0) return [{ status: 'could not look', saw: LATER }];
    if (!refused) return [{ status: 'ok', saw: `EventBridge was refused none of ${uses.length} uses.` }];
    return [
      {
        status: 'failed',
        saw: `EventBridge is shut out, and callbacks go to ${deployment.name}-callbacks-dead-letters: ${refused.errorMessage}`,
        mend: 'npx cdk deploy --all',
      },
    ];
  },
};

const ofResource = (AttributeValue: string) => ({ AttributeKey: 'ResourceName', AttributeValue }) as const;
