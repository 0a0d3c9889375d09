import { truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { InvokeCommand, LambdaClient, StopDurableExecutionCommand } from '@aws-sdk/client-lambda';
import { AwsError } from './aws/aws-error.ts';
import type { Aws } from './aws/server.ts';
import type { Expectation } from './night.ts';
import { createCertificate } from './whatsapp/certificate.ts';
import { type ClientFilesOptions, writeClientFiles } from './whatsapp/client-files.ts';
import type { ClientContainer } from './whatsapp/client-tasks.ts';
import { MEDIA_UNUSED_MS, type MediaEntry } from './whatsapp/message-store.ts';
import { MALFORMED_NOTIFICATIONS } from './whatsapp/webhook.ts';
import type { ClientScript, PlayedDeployment, World } from './world.ts';

const HOUR = 3600 * 1000;
const GIBIBYTE = 1024 ** 3;
/** More than there are of anything here. */
const MANY = 1_000_000;

/** The evening of a Sunday, on which media-gc is due. */
const SUNDAY = Date.parse('2026-11-29T21:00:00Z');

/** Something that goes wrong in a night, and what must then come of it. */
export interface Fault {
  description: string;
  /** The deployment that it strikes; the other one has a good night. */
  deployment: 'latam' | 'emea' | 'apac';
  /** Whether it needs the client's containers, which other nights do without. */
  containers?: true;
  /** Whether it is about the rotation of the database's password, which other nights do without. Needs containers. */
  rotation?: true;
  /** Before the night begins. What is to happen in the middle of it is put into the hooks or on the clock. */
  strike(target: PlayedDeployment, world: World, hooks: Hooks): void | Promise<void>;
  /** Outcomes of the runs of the deployment that is struck, and the alarms that ring. */
  expected: Expectation;
  /** When the night begins, in epoch milliseconds. @default the evening of a Tuesday, of which no weekly job is due */
  starts?: number;
  /** How long to play, in milliseconds. @default one night */
  lasts?: number;
}

/** Called at what happens in the client that is struck. */
export type Hooks = Pick<ClientScript, 'onRequest' | 'onCollection'>;

const GOOD: Expectation = { outcomes: {}, alarms: [] };

/** By the name that `npm start -- --fault` takes. */
export const FAULTS: Record<string, Fault> = {
  'callback-never-comes': {
    description: 'GC is done, but no callback ever comes',
    deployment: 'latam',
    strike({ webApp }) {
      webApp.faults.callback = 'never';
    },
    expected: { outcomes: { 'message-gc': ['failed'] }, alarms: ['latam-message-gc-failed'] },
  },
  'callback-twice': {
    description: 'Each callback comes twice',
    deployment: 'emea',
    strike({ webApp }) {
      webApp.faults.callback = 'twice';
    },
    expected: GOOD,
  },
  'callback-of-unknown-node': {
    description: 'Callbacks come of a node that was never asked, too',
    deployment: 'emea',
    strike({ webApp }) {
      webApp.faults.callback = 'also-unknown-node';
    },
    expected: GOOD,
  },
  'callback-failed-then-success': {
    description: 'The first GC ends with errors, the next one does not',
    deployment: 'latam',
    strike({ webApp }) {
      webApp.faults.failingRequests = 1;
    },
    expected: GOOD,
  },
  'webapp-down': {
    description: 'WebApp is down all night',
    deployment: 'latam',
    async strike({ webApp }) {
      await webApp.goDown();
    },
    expected: { outcomes: { 'message-gc': ['failed'] }, alarms: ['latam-message-gc-failed'] },
  },
  'webapp-restarts': {
    description: 'WebApp is down when the run begins, and back some minutes later',
    deployment: 'emea',
    async strike({ webApp }, { clock }) {
      await webApp.goDown();
      // emea's run begins between 23:15 and 23:30 UTC.
      clock.at(Date.parse('2026-11-24T23:40:00Z'), () => webApp.comeBack());
    },
    expected: GOOD,
  },
  'coreapp-unreachable': {
    description: 'WebApp cannot reach CoreApp at first: error 1014',
    deployment: 'latam',
    strike({ webApp }) {
      webApp.faults.unreachableCoreApp = 2;
    },
    expected: GOOD,
  },
  'token-expires': {
    description: "WebApp's token expires in the middle of the run",
    deployment: 'latam',
    strike({ webApp }, _world, hooks) {
      hooks.onRequest = once(isGcRequest, () => webApp.revokeTokens());
    },
    expected: GOOD,
  },
  'node-replaced': {
    description: "A CoreApp's task is replaced while it collects: its callback never comes",
    deployment: 'emea',
    strike({ webApp }, { clock }, hooks) {
      hooks.onRequest = once(isGcRequest, () => {
        clock.at(clock.now() + 2000, () => {
          webApp.replaceNode(webApp.nodes()[0] ?? '');
        });
      });
    },
    expected: GOOD,
  },
  'wrong-password': {
    description: "The API user's password was changed in WebApp only",
    deployment: 'latam',
    strike({ webApp }) {
      webApp.setPassword('upkeep', 'Somebody-changed-1t');
    },
    expected: { outcomes: { 'message-gc': ['failed'] }, alarms: ['latam-message-gc-failed'] },
  },
  'wrong-certificate': {
    description: 'WebApp shows a certificate that is not the pinned one',
    deployment: 'emea',
    async strike({ webAppUrl, webApp }) {
      webApp.useCertificate(await createCertificate(new URL(webAppUrl).hostname));
    },
    expected: { outcomes: { 'message-gc': ['failed'] }, alarms: ['emea-message-gc-failed'] },
  },
  'scheduled-twice': {
    description: 'EventBridge Scheduler delivers the same schedule twice',
    deployment: 'latam',
    strike(_target, { aws }) {
      aws.scheduler.fault('latam-message-gc', { kind: 'doubled' });
    },
    expected: GOOD,
  },
  'delivered-late': {
    description: 'The schedule is delivered after the downtime window ended; the next night is good',
    deployment: 'latam',
    strike(_target, { aws, clock }) {
      aws.scheduler.fault('latam-message-gc', { kind: 'delayed', milliseconds: 4 * HOUR });
      clock.at(clock.now() + 18 * HOUR, () => {
        aws.scheduler.fault('latam-message-gc', undefined);
      });
    },
    // A skipped night is a night without a success.
    expected: { outcomes: { 'message-gc': ['skipped', 'succeeded'] }, alarms: ['latam-message-gc-missed'] },
    lasts: 36 * HOUR,
  },
  'malformed-notification': {
    description: 'Notifications that the client never sends come over the bus',
    deployment: 'latam',
    async strike({ webhook }) {
      for (const detail of MALFORMED_NOTIFICATIONS) await webhook.put(detail);
    },
    expected: { outcomes: {}, alarms: ['latam-gc-notifications-dead-letters'] },
  },
  'relay-without-bus': {
    description:
      'EventBridge refuses what the relay puts on the bus; the webhook gets every callback nonetheless',
    deployment: 'emea',
    strike(_target, { aws }) {
      aws.onCall(({ service, caller }) =>
        service === 'events' && caller.function?.name === 'emea-callback-relay'
          ? new AwsError('InternalFailure', 'EventBridge is down')
          : undefined,
      );
    },
    expected: {
      outcomes: { 'message-gc': ['failed'] },
      alarms: ['emea-callback-relay-not-on-bus', 'emea-message-gc-failed'],
    },
  },
  'webhook-down-behind-relay': {
    description: 'The webhook behind the relay is down, and back some minutes later: the client sends again',
    deployment: 'emea',
    async strike({ webhook }, { clock }) {
      await webhook.goDown();
      clock.at(Date.parse('2026-11-24T23:40:00Z'), () => webhook.comeBack());
    },
    expected: GOOD,
  },
  'function-killed': {
    description: "The function's process is killed while it waits for callbacks, and the run replayed",
    deployment: 'emea',
    strike(_target, { aws }, hooks) {
      hooks.onCollection = once(
        () => true,
        () => aws.killFunction('emea-message-gc'),
      );
    },
    expected: GOOD,
  },
  'function-killed-while-asking': {
    description: 'The function is killed while WebApp answers its request for GC',
    deployment: 'latam',
    strike(_target, { aws }, hooks) {
      hooks.onRequest = once(isGcRequest, () => aws.killFunction('latam-message-gc'));
    },
    expected: GOOD,
  },
  'run-stopped': {
    description: 'Somebody stops the run before it can report',
    deployment: 'latam',
    strike(_target, { aws }, hooks) {
      hooks.onCollection = once(
        () => true,
        () => stopRuns(aws, 'latam-message-gc'),
      );
    },
    expected: {
      outcomes: { 'message-gc': ['failed'] },
      alarms: ['latam-message-gc-failed', 'latam-message-gc-lost', 'latam-message-gc-dead-letters'],
    },
  },
  'start-run-fails-at-first': {
    description: "start-run's first try fails, its second works",
    deployment: 'latam',
    strike(_target, { aws }) {
      aws.onInvoke(({ functionName, attempt }) =>
        functionName === 'latam-start-run' && attempt === 1 ? new Error('The first try fails') : undefined,
      );
    },
    expected: { outcomes: {}, alarms: ['latam-start-run-errors'] },
  },
  'start-run-fails': {
    description: 'start-run fails each time it is tried',
    deployment: 'latam',
    strike(_target, { aws }) {
      aws.onInvoke(({ functionName }) =>
        functionName === 'latam-start-run' ? new Error('Every try fails') : undefined,
      );
    },
    expected: {
      outcomes: { 'message-gc': [] },
      alarms: ['latam-start-run-errors', 'latam-start-run-dead-letters'],
    },
  },
  'media-needs-several-calls': {
    description: 'The first media GC ends with errors, the next one does not',
    deployment: 'emea',
    starts: SUNDAY,
    strike({ webApp }) {
      webApp.faults.failingRequests = 1;
    },
    expected: GOOD,
  },
  'media-undeletable': {
    description:
      'One unused media file cannot be deleted: each media GC deletes the others and ends with errors',
    deployment: 'emea',
    starts: SUNDAY,
    async strike(target, { clock }) {
      const [unused] = await unusedMedia(target, clock.now());
      if (unused) target.mediaVolume?.media.undeletable.add(unused.path);
    },
    expected: { outcomes: { 'media-gc': ['partial'] }, alarms: ['emea-media-gc-partial'] },
  },
  'media-volume-read-only': {
    description: 'No media file can be deleted: each media GC ends with errors, message GC does not',
    deployment: 'emea',
    starts: SUNDAY,
    async strike(target, { clock }) {
      for (const { path } of await unusedMedia(target, clock.now()))
        target.mediaVolume?.media.undeletable.add(path);
    },
    expected: { outcomes: { 'media-gc': ['failed'] }, alarms: ['emea-media-gc-failed'] },
  },
  'media-gc-beside-message-gc': {
    description: 'Somebody starts media GC by hand while message GC is at work: it is skipped',
    deployment: 'emea',
    strike(_target, { aws }, hooks) {
      hooks.onCollection = once(
        () => true,
        () => startRun(aws, 'emea', 'media-gc'),
      );
    },
    expected: { outcomes: { 'media-gc': ['skipped'] }, alarms: [] },
  },
  'weekly-schedule-never-fires': {
    description: 'The weekly schedule was disabled by hand: nothing fails, and nothing happens',
    deployment: 'emea',
    // Long enough before, that the alarm is no new one any more.
    starts: SUNDAY - 12 * HOUR,
    strike(_target, { aws }) {
      aws.scheduler.fault('emea-media-gc', { kind: 'disabled' });
    },
    expected: { outcomes: { 'media-gc': [] }, alarms: ['emea-media-gc-missed'] },
    lasts: 24 * HOUR,
  },
  'media-volume-too-large': {
    description:
      'Somebody puts 250 GiB beside the media: too much for the volume, which EFS tells hours later',
    deployment: 'emea',
    strike({ mediaVolume }) {
      if (!mediaVolume) throw new Error('There is no media volume.');
      const file = join(mediaVolume.folder, 'copy.tar');
      // A file with a hole, so it takes no room here.
      writeFileSync(file, '');
      truncateSync(file, 250 * GIBIBYTE);
    },
    expected: { outcomes: {}, alarms: ['emea-media-size'] },
  },
  'backup-too-old': {
    description: 'The last backup of the media volume is of three days ago',
    deployment: 'emea',
    strike({ mediaVolume }, { aws, clock }) {
      if (!mediaVolume) throw new Error('There is no media volume.');
      aws.backup.put(mediaVolume.fileSystem.arn, clock.now() - 72 * HOUR);
    },
    expected: { outcomes: {}, alarms: ['emea-media-backup'] },
  },
  'database-user-locked-out': {
    description: "The password of database-size's user was changed in the database only",
    deployment: 'emea',
    async strike({ store }) {
      await store?.pool.query(`ALTER ROLE emea_database_size PASSWORD 'Somebody-changed-1t'`);
    },
    expected: { outcomes: { 'database-size': ['failed'] }, alarms: ['emea-database-size-failed'] },
  },
  'too-many-messages': {
    description: 'Garbage collection succeeds, and leaves 2.5 million messages that are no garbage',
    deployment: 'emea',
    async strike({ store }, { clock }) {
      await store?.fill({ pending: 2_500_000, newest: clock.now() });
    },
    expected: { outcomes: {}, alarms: ['emea-database-size-wa1-large'] },
  },
  'gc-does-nothing': {
    description:
      'Each GC says that it is complete and deletes nothing: the third night notices it by the rows',
    deployment: 'emea',
    async strike({ store, webApp }, { clock }) {
      if (!store) return;
      webApp.faults.deletesNothing = true;
      // Of one size in large and small nights: no other alarm is to ring.
      await store.pool.query('TRUNCATE messages');
      await store.fill({ sent: 10_000, newest: clock.now() });
      // As the server itself does sooner or later.
      await store.pool.query('ANALYZE messages');
      for (const day of [1, 2])
        clock.at(clock.now() + day * 24 * HOUR, () => store.fill({ sent: 5_000, newest: clock.now() }));
    },
    expected: {
      outcomes: { 'message-gc': ['succeeded', 'succeeded', 'failed'] },
      alarms: ['emea-message-gc-failed'],
    },
    lasts: 54 * HOUR,
  },
  'schedule-never-fires': {
    description: 'The schedule was disabled by hand: nothing fails, and nothing happens',
    deployment: 'emea',
    strike(_target, { aws }) {
      aws.scheduler.fault('emea-message-gc', { kind: 'disabled' });
    },
    expected: { outcomes: { 'message-gc': [] }, alarms: ['emea-message-gc-missed'] },
    lasts: 36 * HOUR,
  },
  'coreapp-dies': {
    description: 'A CoreApp dies while its logs are cleaned up: named as gone, and no fault of the run',
    deployment: 'emea',
    containers: true,
    strike({ containers }, { aws }) {
      const dying = containers?.containers.find(({ role }) => role === 'coreapp');
      if (!dying) return;
      refill(dying, aws, 'script-hangs');
      aws.onCall(({ operation, input }) => {
        if (operation === 'ExecuteCommand' && input.task === dying.task.arn)
          setTimeout(() => void dying.container.kill(), 1500);
        return undefined;
      });
    },
    expected: GOOD,
  },
  'cleanup-fails': {
    description: "One container's clean-up script fails, the first time and the second",
    deployment: 'latam',
    containers: true,
    strike({ containers }, { aws }) {
      const [first] = containers?.containers ?? [];
      if (first) refill(first, aws, 'script-fails');
    },
    expected: { outcomes: { 'log-cleanup': ['partial'] }, alarms: ['latam-log-cleanup-partial'] },
  },
  'agent-stopped': {
    description: "ECS Exec's agent does not run in one container",
    deployment: 'emea',
    containers: true,
    strike({ containers }) {
      const [first] = containers?.containers ?? [];
      if (first) first.container.agentRunning = false;
    },
    expected: { outcomes: { 'log-cleanup': ['partial'] }, alarms: ['emea-log-cleanup-partial'] },
  },
  'websocket-cut': {
    description: 'The websocket of a session breaks in the middle of its output, three times',
    deployment: 'emea',
    containers: true,
    strike(_target, { aws }) {
      let cuts = 0;
      aws.sessions.faults.link = ({ to, index }) =>
        to === 'client' && index === 3 && cuts++ < 3 ? 'cut' : 'pass';
    },
    expected: GOOD,
  },
  'instance-unreachable': {
    description: 'The SSM agent of one container instance does not answer',
    deployment: 'latam',
    containers: true,
    strike({ containers }, { aws }) {
      const instance = aws.ssm.instances.get(containers?.hosts[0]?.instanceId ?? '');
      if (instance) instance.fault = 'unreachable';
    },
    expected: { outcomes: { 'log-cleanup': ['partial'] }, alarms: ['latam-log-cleanup-partial'] },
  },
  'service-never-steady': {
    description: 'CoreApps with the new password exit at once, until the next day: then the rotation goes on',
    deployment: 'emea',
    containers: true,
    rotation: true,
    strike({ containers }, { clock }) {
      const { coreapp } = containers?.services ?? {};
      if (!coreapp) return;
      coreapp.fault = 'tasks-exit';
      clock.at(clock.now() + 18 * HOUR, () => {
        coreapp.fault = undefined;
      });
    },
    expected: {
      outcomes: { 'credential-rotation': ['failed', 'succeeded'] },
      alarms: ['emea-credential-rotation-failed', 'emea-credential-rotation-stopped-coreapp'],
    },
    lasts: 36 * HOUR,
  },
  'password-copy-overwritten': {
    description: "An update of the client's stack writes the old password back into its parameter",
    deployment: 'apac',
    containers: true,
    rotation: true,
    strike({ credential }, { clock }) {
      // Between the rotation, at the latest at 22:30 UTC, and database-size at 00:15.
      clock.at(Date.parse('2026-11-24T23:45:00Z'), () => {
        const old = credential?.login('AWSPREVIOUS');
        if (old) credential?.writeCopies(old);
      });
    },
    // The daily comparison tells it, the next rotation's preflight puts it right.
    expected: {
      outcomes: {
        'credential-rotation': ['succeeded', 'partial'],
        'database-size': ['partial', 'succeeded'],
      },
      alarms: [
        'apac-database-size-partial',
        'apac-database-size-password-copies',
        'apac-credential-rotation-partial',
        // Of two nights one had a success.
        'apac-credential-rotation-missed',
      ],
    },
    lasts: 36 * HOUR,
  },
  'database-away': {
    description: "The functions' way to the database is closed; the containers' is not",
    deployment: 'emea',
    containers: true,
    rotation: true,
    strike(_target, { aws, clock }) {
      // After the rotation function was tested, as at its deployment.
      clock.at(clock.now() + HOUR, () => {
        aws.hosts['database.emea.internal:5432'] = '127.0.0.1:9';
      });
    },
    expected: {
      outcomes: { 'credential-rotation': ['failed'], 'database-size': ['failed'] },
      alarms: ['emea-credential-rotation-failed', 'emea-database-size-failed'],
    },
  },
};

function refill(
  { role, container }: ClientContainer,
  { clock }: Aws,
  fault: ClientFilesOptions['fault'],
): void {
  writeClientFiles(container, { role, seed: container.name, now: clock.now(), ...(fault && { fault }) });
}

/** Stops a function's runs, as somebody would in the console. */
export async function stopRuns(aws: Aws, functionName: string): Promise<void> {
  const [gc] = aws.deployed.ofType('AWS::Lambda::Function').filter(({ name }) => name === functionName);
  if (!gc) throw new Error(`The templates have no function ${functionName}.`);
  const credentials = aws.credentialsFor({
    arn: `arn:aws:sts::${gc.account}:assumed-role/operator/somebody`,
    policy: {
      Version: '2012-10-17',
      Statement: [{ Effect: 'Allow', Action: 'lambda:StopDurableExecution', Resource: `${gc.arn}:*` }],
    },
  });
  const lambda = new LambdaClient({ region: gc.region, endpoint: aws.endpoint, credentials });
  for (const { arn, status } of aws.lambda.durable.list())
    if (status === 'RUNNING')
      await lambda.send(new StopDurableExecutionCommand({ DurableExecutionArn: arn }));
  lambda.destroy();
}

/** Starts a run by hand, as docs/operations.md says. */
async function startRun(aws: Aws, deployment: string, job: string): Promise<void> {
  const [startRun] = aws.deployed
    .ofType('AWS::Lambda::Function')
    .filter(({ name }) => name === `${deployment}-start-run`);
  if (!startRun) throw new Error(`The templates have no start-run of ${deployment}.`);
  const credentials = aws.credentialsFor({
    arn: `arn:aws:sts::${startRun.account}:assumed-role/operator/somebody`,
    policy: {
      Version: '2012-10-17',
      Statement: [{ Effect: 'Allow', Action: 'lambda:InvokeFunction', Resource: startRun.arn }],
    },
  });
  const lambda = new LambdaClient({ region: startRun.region, endpoint: aws.endpoint, credentials });
  await lambda.send(
    new InvokeCommand({ FunctionName: startRun.name, Payload: JSON.stringify({ job, deployment }) }),
  );
  lambda.destroy();
}

async function unusedMedia({ store }: PlayedDeployment, now: number): Promise<MediaEntry[]> {
  const unused = (await store?.unusedMedia(now - MEDIA_UNUSED_MS, '0', MANY)) ?? [];
  if (unused.length === 0) throw new Error('There are no unused media.');
  return unused;
}

function isGcRequest({ path }: { path: string }): boolean {
  return path === '/v1/services/message/gc';
}

function once<T>(applies: (value: T) => boolean, action: () => unknown): (value: T) => void {
  let done = false;
  return (value) => {
    if (done || !applies(value)) return;
    done = true;
    action();
  };
}
