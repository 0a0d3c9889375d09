import assert from 'node:assert/strict';
import { RotateSecretCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import type { DatabaseSizeSettings } from '../../../functions/database-size/contract.ts';
import type { Aws } from '../../../rehearsal/aws/server.ts';
import type { Template } from '../../../rehearsal/aws/template/assembly.ts';
import { type Fault, once, SUNDAY } from '../../../rehearsal/faults/fault.ts';
import type { NightOptions, Scale } from '../../../rehearsal/night.ts';
import { startRun, stopRuns } from '../../../rehearsal/operator.ts';
import { MALFORMED_NOTIFICATIONS } from '../../../rehearsal/whatsapp/webhook.ts';

/** A night that needs permissions which others do not. */
export interface TriedNight extends Pick<NightOptions, 'jobs' | 'change'> {
  fault: Fault;
  /** Whether all deployments take part. @default only the fault's */
  everywhere?: boolean;
  scale?: Partial<Scale>;
}

const HOUR = 3600 * 1000;
const WITH_CONTAINERS: Partial<Scale> = { containers: 'few', rotation: true };
/** Until the rotation is over, and before the sizes are due. */
const ROTATION_LASTS = 5 * HOUR;
/** In the window, before any job is due. */
const BY_HAND = Date.parse('2026-11-24T22:35:00Z');
const SIZE = 'emea-database-size';

/**
 * Several calls, so that the run's state needs a second page, notifications that are given back, a function that is killed
 * when all but its report is done, a service that is deployed with a second fleet of tasks.
 */
const busy: Fault = {
  description: 'A good night that needs nearly every permission',
  deployment: 'emea',
  containers: true,
  rotation: true,
  starts: SUNDAY,
  async strike(_target, { aws, deployments }) {
    for (const name of ['latam', 'emea']) {
      const { webApp, webhook } = deployments[name] ?? {};
      assert.ok(webApp && webhook);
      webApp.faults.failingRequests = 2;
      for (const detail of MALFORMED_NOTIFICATIONS) await webhook.put(detail);
    }
    const service = deployments.emea?.containers?.services.webapp;
    assert.ok(service);
    service.options.strategy = 'BLUE_GREEN';
    const stop = aws.onCall(({ caller, service }) => {
      if (caller.function?.name !== SIZE || service !== 'events') return undefined;
      stop();
      aws.killFunction(SIZE);
      return 'drop';
    });
  },
  expected: {
    outcomes: {},
    alarms: ['emea-gc-notifications-dead-letters', 'latam-gc-notifications-dead-letters'],
  },
};

const stoppedAlarms = (name: string) => ['failed', 'lost', 'dead-letters'].map((what) => `${name}-${what}`);

/** Lambda puts the event of a stopped run into the dead-letter queue. */
const stopped = (deployment: 'latam' | 'emea' | 'apac', jobs: string[], starts?: number): Fault => ({
  description: `The runs of ${deployment} are stopped`,
  deployment,
  containers: true,
  rotation: true,
  ...(starts && { starts }),
  strike(_target, { aws, clock }, hooks) {
    for (const kind of ['message', 'media'])
      if (jobs.includes(`${kind}-gc`)) {
        const before = hooks.onCollection ?? (() => {});
        const stop = once<{ kind: string }>(
          (collection) => collection.kind === kind,
          () => stopRuns(aws, `${deployment}-${kind}-gc`),
        );
        hooks.onCollection = (collection) => {
          before(collection);
          stop(collection);
        };
      }
    for (const [job, operation] of Object.entries(STOPPED_AT)) {
      const name = `${deployment}-${job}`;
      if (!jobs.includes(job)) continue;
      const stop = aws.onCall((call) => {
        if (call.caller.function?.name !== name || call.operation !== operation) return undefined;
        stop();
        clock.at(clock.now() + 1000, () => stopRuns(aws, name));
        return undefined;
      });
    }
    if (jobs.includes('database-size')) stopSize(deployment, aws, clock);
    // Outside the window: start-run itself reports that the run was skipped.
    clock.at(clock.now() + 60_000, () => startRun(aws, deployment, jobs[0] ?? ''));
  },
  expected: {
    outcomes: Object.fromEntries(
      jobs.map((job, index) => [
        job,
        index === 0 ? ['skipped' as const, 'failed' as const] : ['failed' as const],
      ]),
    ),
    alarms: jobs.flatMap((job) => stoppedAlarms(`${deployment}-${job}`)),
  },
});

/** Where a run is stopped that waits for no callback. */
const STOPPED_AT = { 'log-cleanup': 'DescribeTasks', 'credential-rotation': 'UpdateService' };

/** It is stopped while it waits for the database, which nobody can reach meanwhile. */
function stopSize(deployment: string, aws: Aws, clock: Aws['clock']): void {
  const name = `${deployment}-database-size`;
  const stop = aws.onInvoke(({ functionName }) => {
    if (functionName !== name) return undefined;
    stop();
    const hosts = Object.entries(aws.hosts).filter(([host]) => host.startsWith(`database.${deployment}.`));
    for (const [host] of hosts) aws.hosts[host] = '127.0.0.1:1';
    clock.at(clock.now() + 10_000, async () => {
      await stopRuns(aws, name);
      for (const [host, address] of hosts) aws.hosts[host] = address;
    });
    return undefined;
  });
}

const UPGRADE_CHECK = 'emea-upgrade-check';

/** On a weekday, when message-gc finds the notifications first; then somebody asks whether the client may be upgraded. */
const upgrade: Fault = {
  description: 'An upgrade is prepared, and asked for again by somebody who stops it',
  deployment: 'emea',
  containers: true,
  async strike({ webApp, webhook }, { aws, clock }) {
    webApp.faults.failingRequests = 2;
    for (const detail of MALFORMED_NOTIFICATIONS) await webhook.put(detail);
    const place = { account: '222222222222', region: 'eu-central-1' };
    aws.cloudWatch.put(place, 'AWS/RDS', 'FreeStorageSpace', { DBInstanceIdentifier: 'whatsapp-emea' }, 5e9);
    clock.at(Date.parse('2026-11-25T01:00:00Z'), () =>
      startRun(aws, 'emea', 'upgrade-check', { prepare: true }),
    );
    clock.at(Date.parse('2026-11-25T02:00:00Z'), () => {
      const stop = aws.onCall(({ caller, operation }) => {
        if (caller.function?.name !== UPGRADE_CHECK || operation !== 'DescribeServices') return undefined;
        stop();
        clock.at(clock.now() + 1000, () => stopRuns(aws, UPGRADE_CHECK));
        return 'drop';
      });
      return startRun(aws, 'emea', 'upgrade-check');
    });
  },
  expected: {
    outcomes: { 'message-gc': ['succeeded', 'succeeded'] },
    alarms: ['emea-gc-notifications-dead-letters', ...stoppedAlarms(UPGRADE_CHECK)],
  },
};

/** Somebody rotates by hand, so that rotate-secret starts the run that delivers. */
const byHand: Fault = {
  description: 'A rotation is started in the console',
  deployment: 'emea',
  containers: true,
  rotation: true,
  lasts: ROTATION_LASTS,
  strike(_target, { aws, clock }) {
    clock.at(BY_HAND, () => rotateByHand(aws));
  },
  expected: { outcomes: { 'credential-rotation': ['succeeded', 'succeeded'] }, alarms: [] },
};

const abandoned: Fault = {
  description: 'A rotation that was started in the console cannot be done',
  deployment: 'emea',
  containers: true,
  rotation: true,
  lasts: ROTATION_LASTS,
  strike(_target, { aws, clock }) {
    const stop = aws.onInvoke(({ functionName }) =>
      functionName === 'emea-rotate-secret' ? new Error('It is not to be') : undefined,
    );
    clock.at(BY_HAND, () => rotateByHand(aws));
    // After the last time that Secrets Manager tries again.
    clock.at(BY_HAND + 20 * 60_000, stop);
  },
  expected: { outcomes: {}, alarms: ['emea-rotate-secret-failed'] },
};

async function rotateByHand(aws: Aws): Promise<void> {
  const rotation = aws.deployed
    .ofType('AWS::SecretsManager::RotationSchedule')
    .find(({ properties }) => properties.text('RotationLambdaARN').endsWith(':emea-rotate-secret'));
  assert.ok(rotation);
  const { account, region, properties } = rotation;
  const client = new SecretsManagerClient({
    region,
    endpoint: aws.endpoint,
    credentials: aws.credentialsFor({
      arn: `arn:aws:sts::${account}:assumed-role/operator/somebody`,
      policy: {
        Version: '2012-10-17',
        Statement: [
          {
            Effect: 'Allow',
            Action: ['secretsmanager:RotateSecret', 'lambda:InvokeFunction'],
            Resource: '*',
          },
        ],
      },
    }),
  });
  await client.send(new RotateSecretCommand({ SecretId: properties.text('SecretId') }));
  client.destroy();
}

/** Tables enough that the state of a run is longer than what an invocation begins with, as it is with many sets. */
function watchManyTables(template: Template): void {
  const { Variables: variables } = functionOf(template, 'database-size').Environment as {
    Variables: { UPKEEP_SETTINGS: { 'Fn::Join': [string, unknown[]] } };
  };
  // The volume's ARN is not known before deployment: it stands between two texts.
  const [, parts] = variables.UPKEEP_SETTINGS['Fn::Join'];
  const text = parts.map((part, index) => (typeof part === 'string' ? part : `@${index}@`)).join('');
  const settings = JSON.parse(text) as DatabaseSizeSettings;
  for (const { tables } of settings.sets) {
    const [table] = tables;
    assert.ok(table?.limit);
    for (let number = 1; number <= 8; number++)
      tables.push({
        ...table,
        figure: `rows${number}`,
        limit: { rows: table.limit.rows, figure: `days${number}` },
      });
  }
  const changed = JSON.stringify(settings).split(/@(\d+)@/);
  variables.UPKEEP_SETTINGS['Fn::Join'] = [
    '',
    changed.map((part, index) => (index % 2 === 0 ? part : parts[Number(part)])),
  ];
}

export function functionOf({ Resources: resources }: Template, job: string): Record<string, unknown> {
  const found = Object.values(resources).find(({ Properties: properties }) =>
    String(properties?.FunctionName).endsWith(`-${job}`),
  )?.Properties;
  assert.ok(found);
  return found;
}

export const NIGHTS: TriedNight[] = [
  {
    fault: busy,
    everywhere: true,
    scale: WITH_CONTAINERS,
    change: (templates) => watchManyTables(templateOf(templates, 'emea')),
  },
  { fault: stopped('latam', ['message-gc', 'log-cleanup']), scale: { containers: 'few' } },
  {
    fault: stopped(
      'emea',
      ['message-gc', 'media-gc', 'log-cleanup', 'credential-rotation', 'database-size'],
      SUNDAY,
    ),
    scale: WITH_CONTAINERS,
  },
  { fault: stopped('apac', ['credential-rotation', 'database-size']), scale: WITH_CONTAINERS },
  { fault: upgrade, jobs: ['message-gc'], scale: { containers: 'few' } },
  { fault: byHand, jobs: ['credential-rotation'], scale: WITH_CONTAINERS },
  { fault: abandoned, jobs: ['credential-rotation'], scale: WITH_CONTAINERS },
];

export function templateOf(templates: Record<string, Template>, deployment: string): Template {
  const template = templates[`upkeep-${deployment}`];
  assert.ok(template);
  return template;
}
