import assert from 'node:assert/strict';
import { RotateSecretCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { identityOf } from '../../../functions/shared/run/identity.ts';
import type { Aws } from '../../../rehearsal/aws/server.ts';
import type { Template } from '../../../rehearsal/aws/template/assembly.ts';
import type { Scale } from '../../../rehearsal/clients.ts';
import { type Fault, once, SUNDAY } from '../../../rehearsal/faults/fault.ts';
import type { NightOptions } from '../../../rehearsal/night.ts';
import { startRun, stopRuns } from '../../../rehearsal/operator.ts';
import { MALFORMED_NOTIFICATIONS } from '../../../rehearsal/whatsapp/webhook.ts';
import type { World } from '../../../rehearsal/world.ts';

/** A night that needs permissions which others do not. */
export interface TriedNight extends Pick<NightOptions, 'jobs' | 'change'> {
  faults: Fault[];
  /** Whether all deployments take part. @default only the faults' */
  everywhere?: boolean;
  scale?: Partial<Scale>;
}

const HOUR = 3600 * 1000;
const WITH_CONTAINERS: Partial<Scale> = { containers: 'few', rotation: true };
/** Until the rotation is over, and before the sizes are due. */
const ROTATION_LASTS = 5 * HOUR;
/** In the window, before any job is due. */
const BY_HAND = Date.parse('2026-11-24T22:35:00Z');
/** Likewise, from the evening on. */
const BY_HAND_AFTER = 95 * 60_000;

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
  async strike(_target, { aws, clock, deployments }) {
    // Every run's state is longer than what an invocation begins with, as it is with many sets, containers and calls.
    aws.lambda.durable.page = 2;
    // As the older of AWS's texts has it: then runs are looked for version by version.
    aws.lambda.durable.unqualifiedList = '$LATEST';
    aws.sessions.faults.link = linkThatBreaks();
    // Of the advanced tier, as a client's own stack may have it.
    deployments.apac?.credential?.useAdvancedTier();
    for (const name of ['latam', 'emea']) {
      const { webApp, webhook } = deployments[name] ?? {};
      assert.ok(webApp && webhook);
      webApp.faults.failingRequests = 2;
      for (const detail of MALFORMED_NOTIFICATIONS) await webhook.put(detail);
    }
    const service = deployments.emea?.containers?.services.webapp;
    assert.ok(service);
    service.options.strategy = 'BLUE_GREEN';
    for (const job of ['database-size', 'log-cleanup', 'application-settings'])
      killAtItsEnd(aws, `emea-${job}`);
    // So that the night's own run looks up what an earlier one awaits.
    clock.at(SUNDAY + BY_HAND_AFTER, () => startRun(aws, 'emea', 'media-gc'));
    clock.at(SUNDAY + 1.9 * HOUR, () => startRun(aws, 'emea', 'application-settings'));
    clock.at(SUNDAY + 8 * HOUR, () => letterOfBegunRun(aws, 'emea'));
  },
  expected: {
    outcomes: {
      'media-gc': ['succeeded', 'succeeded'],
      'application-settings': ['succeeded', 'succeeded'],
    },
    alarms: [
      'emea-gc-notifications-dead-letters',
      'latam-gc-notifications-dead-letters',
      'emea-start-run-dead-letters',
    ],
  },
};

/** As of a start-run that had begun a run, and failed after that each time: its letter is taken, and no run is said to have failed. */
function letterOfBegunRun(aws: Aws, deployment: string): void {
  const named = (type: string, name: string) => {
    const found = aws.deployed.ofType(type).find((each) => each.name === `${deployment}-${name}`);
    assert.ok(found);
    return found;
  };
  const startRun = named('AWS::Lambda::Function', 'start-run');
  const [begun] = aws.lambda.durable.list().flatMap(({ name }) => {
    const identity = identityOf(name, deployment);
    return identity?.scheduledFor ? [identity] : [];
  });
  assert.ok(begun);
  const letter = {
    requestContext: { condition: 'RetriesExhausted' },
    requestPayload: { ...begun, deployment },
  };
  const role = aws.access.session(startRun.properties.text('Role'), startRun.name);
  const queue = named('AWS::SQS::Queue', 'start-run-dead-letters');
  assert.equal(aws.sqs.deliver(role, queue.arn, JSON.stringify(letter), {}, {}), undefined);
}

/** A function is killed when all but its report is done, and looks up in its state what that was. */
function killAtItsEnd(aws: Aws, functionName: string): void {
  const stop = aws.onCall(({ caller, service }) => {
    if (caller.function?.name !== functionName || service !== 'events') return undefined;
    stop();
    aws.killFunction(functionName);
    return 'drop';
  });
}

/** The websocket of a session breaks in the middle of its output, three times. */
function linkThatBreaks() {
  let cuts = 0;
  return ({ to, index }: { to: string; index: number }) =>
    to === 'client' && index === 3 && cuts++ < 3 ? ('cut' as const) : ('pass' as const);
}

/** Lambda puts the event of a stopped run into the dead-letter queue, of which no alarm rings besides. */
const stopped = (deployment: 'latam' | 'emea' | 'apac', jobs: string[]): Fault => ({
  description: `The runs of ${deployment} are stopped`,
  deployment,
  containers: true,
  rotation: true,
  starts: SUNDAY,
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
    if (jobs.includes('database-size')) stopWithoutDatabase(deployment, 'database-size', { aws, clock });
    if (jobs.includes('application-settings'))
      stopWithout('webapp', deployment, 'application-settings', { aws, clock });
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
    alarms: jobs.map((job) => `${deployment}-${job}-lost`),
  },
});

/** Where a run is stopped that waits for no callback. */
const STOPPED_AT = { 'log-cleanup': 'DescribeTasks', 'credential-rotation': 'UpdateService' };

/** It is stopped while it waits for the database, which nobody can reach meanwhile. */
function stopWithoutDatabase(deployment: string, job: string, world: Pick<World, 'aws' | 'clock'>): void {
  stopWithout('database', deployment, job, world);
}

/** Likewise for another host. */
function stopWithout(
  what: string,
  deployment: string,
  job: string,
  { aws, clock }: Pick<World, 'aws' | 'clock'>,
): void {
  const name = `${deployment}-${job}`;
  const stop = aws.onInvoke(({ functionName }) => {
    if (functionName !== name) return undefined;
    stop();
    const hosts = Object.entries(aws.hosts).filter(([host]) => host.startsWith(`${what}.${deployment}.`));
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
  description:
    'An upgrade is prepared, and asked for again by somebody who stops it; a session is lost for good',
  deployment: 'emea',
  containers: true,
  rotation: true,
  async strike({ webApp, webhook }, { aws, clock }) {
    webApp.faults.failingRequests = 2;
    for (const detail of MALFORMED_NOTIFICATIONS) await webhook.put(detail);
    let isCut = false;
    aws.sessions.faults.neverResume = true;
    aws.sessions.faults.link = ({ to, index }) => {
      if (to !== 'client' || index !== 3 || isCut) return 'pass';
      isCut = true;
      return 'cut';
    };
    const place = { account: '222222222222', region: 'eu-central-1' };
    aws.cloudWatch.put(place, 'AWS/RDS', 'FreeStorageSpace', { DBInstanceIdentifier: 'whatsapp-emea' }, 5e9);
    aws.lambda.durable.page = 2;
    killAtItsEnd(aws, UPGRADE_CHECK);
    // Before the night's own garbage collection, so that one is needed.
    clock.at(BY_HAND, () => startRun(aws, 'emea', 'upgrade-check', { prepare: true }));
    clock.at(Date.parse('2026-11-25T02:00:00Z'), () => {
      stopWithoutDatabase('emea', 'upgrade-check', { aws, clock });
      return startRun(aws, 'emea', 'upgrade-check');
    });
  },
  expected: {
    outcomes: { 'message-gc': ['succeeded', 'succeeded'] },
    alarms: ['emea-gc-notifications-dead-letters', `${UPGRADE_CHECK}-lost`],
  },
};

/** Nothing of what AWS is to hand over arrives, however often it tries. */
const undelivered: Fault = {
  description: 'What is to be handed over ends in the dead-letter queues',
  deployment: 'emea',
  containers: true,
  async strike({ webhook }, { aws, clock }) {
    const never = { kind: 'throttled', attempts: Number.POSITIVE_INFINITY } as const;
    aws.scheduler.fault('emea-log-cleanup', never);
    aws.onInvoke(({ functionName, payload }) =>
      functionName === 'emea-report-lost-run' ||
      (functionName === 'emea-start-run' && payload.includes('"message-gc"'))
        ? new Error('Every try fails')
        : undefined,
    );
    // The event of the first run that is stopped does not reach report-lost-run, that of the second one does.
    const reporter = aws.deployed
      .ofType('AWS::Lambda::Function')
      .find(({ name }) => name === 'emea-report-lost-run');
    assert.ok(reporter);
    aws.events.unreachable.add(reporter.arn);
    stopWithoutDatabase('emea', 'database-size', { aws, clock });
    clock.at(Date.parse('2026-11-25T03:10:00Z'), () => {
      aws.events.unreachable.delete(reporter.arn);
      stopWithoutDatabase('emea', 'database-size', { aws, clock });
      return startRun(aws, 'emea', 'database-size');
    });
    const queue = aws.deployed.ofType('AWS::SQS::Queue').find(({ name }) => name === 'emea-gc-notifications');
    assert.ok(queue);
    aws.events.unreachable.add(queue.arn);
    for (const detail of MALFORMED_NOTIFICATIONS) await webhook.put(detail);
    // What the bus cannot encrypt.
    const key = aws.deployed.ofType('AWS::KMS::Key').find(({ stack }) => stack === 'upkeep-emea');
    assert.ok(key);
    const putBack = aws.access.withdraw(key.arn, 'BusEncrypts');
    await webhook.put({ services: [{ media: { gc: { items_deleted: 1, status: 'complete' } } }] });
    putBack();
  },
  expected: {
    refusals: /^Service: events\.amazonaws\.com is not authorized to perform: kms:Decrypt /,
    outcomes: { 'message-gc': [], 'log-cleanup': [], 'database-size': [] },
    alarms: [
      'emea-callbacks-dead-letters',
      // Nothing has told of the runs that were stopped: their letters stay.
      'emea-database-size-dead-letters',
      // It can report neither the start that failed nor, hours later, the run that was stopped.
      'emea-report-lost-run-dead-letters',
      'emea-report-lost-run-dead-letters',
      'emea-schedules-dead-letters',
      'emea-start-run-dead-letters',
    ],
    onlyShown: ['emea-report-lost-run-errors', 'emea-start-run-errors'],
  },
};

/** Somebody rotates by hand, so that rotate-secret starts the run that delivers; and once more, which fails. */
const byHand: Fault = {
  description: 'A rotation is started in the console, and then one that cannot be done',
  deployment: 'emea',
  containers: true,
  rotation: true,
  lasts: ROTATION_LASTS,
  strike(_target, { aws, clock }) {
    clock.at(BY_HAND, () => rotateByHand(aws));
    clock.at(BY_HAND + HOUR, () => {
      const stop = aws.onInvoke(({ functionName }) =>
        functionName === 'emea-rotate-secret' ? new Error('It is not to be') : undefined,
      );
      // After the last time that Secrets Manager tries again.
      clock.at(BY_HAND + HOUR + 20 * 60_000, stop);
      return rotateByHand(aws);
    });
  },
  expected: {
    outcomes: { 'credential-rotation': ['succeeded', 'succeeded'] },
    alarms: ['emea-rotate-secret-failed'],
  },
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

export function functionOf({ Resources: resources }: Template, job: string): Record<string, unknown> {
  const found = Object.values(resources).find(({ Properties: properties }) =>
    String(properties?.FunctionName).endsWith(`-${job}`),
  )?.Properties;
  assert.ok(found);
  return found;
}

export const NIGHTS: TriedNight[] = [
  { faults: [busy], everywhere: true, scale: WITH_CONTAINERS },
  {
    faults: [
      stopped('latam', ['message-gc', 'log-cleanup']),
      stopped('emea', [
        'message-gc',
        'media-gc',
        'log-cleanup',
        'credential-rotation',
        'database-size',
        'application-settings',
      ]),
      stopped('apac', ['credential-rotation', 'database-size']),
    ],
    scale: WITH_CONTAINERS,
  },
  { faults: [upgrade], jobs: ['message-gc', 'log-cleanup'], scale: WITH_CONTAINERS },
  {
    faults: [undelivered],
    jobs: ['message-gc', 'log-cleanup', 'database-size'],
    scale: { containers: 'few' },
  },
  { faults: [byHand], jobs: ['credential-rotation'], scale: WITH_CONTAINERS },
];

export function templateOf(templates: Record<string, Template>, deployment: string): Template {
  const template = templates[`upkeep-${deployment}`];
  assert.ok(template);
  return template;
}
