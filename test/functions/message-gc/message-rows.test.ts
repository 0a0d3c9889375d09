import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Duration, type Stack } from 'aws-cdk-lib';
import type { RunReport } from '../../../functions/shared/run/report.ts';
import { Upkeep } from '../../../lib/upkeep.ts';
import { CallbacksBus } from '../../../lib/whatsapp/callbacks-bus.ts';
import { MessageGc } from '../../../lib/whatsapp/message-gc.ts';
import type { AwsOptions } from '../../../rehearsal/aws/server.ts';
import { type Postgres, startPostgres } from '../../../rehearsal/databases/postgres.ts';
import { serverCertificate, type TlsCertificate } from '../../../rehearsal/databases/tls-certificate.ts';
import { reportsOf } from '../../../rehearsal/run-reports.ts';
import { type Certificate, createCertificate } from '../../../rehearsal/whatsapp/certificate.ts';
import { type MessageStore, openMessageStore } from '../../../rehearsal/whatsapp/message-store.ts';
import { startWebApp, type WebApp } from '../../../rehearsal/whatsapp/web-app.ts';
import { startWebhook, type Webhook } from '../../../rehearsal/whatsapp/webhook.ts';
import { networkIn } from '../../lib/network.ts';
import {
  ACCOUNT,
  type Deployment,
  deploy,
  HOUR,
  REGION,
  START,
  without,
} from '../../rehearsal/aws/deploy.ts';

const DAY = 24 * HOUR;
const WEBAPP = 'webapp.internal';
const DATABASE = 'database.internal';
const PORT = 5432;
const API_SECRET = `arn:aws:secretsmanager:${REGION}:${ACCOUNT}:secret:api-user-a1B2c3`;
const SIZE_SECRET = `arn:aws:secretsmanager:${REGION}:${ACCOUNT}:secret:database-size-a1B2c3`;
const USER = { username: 'upkeep', password: 'Sehr-Geheim-17' };
const SIZE_USER = { username: 'size', password: crypto.randomUUID() };

/** The client of a test, and the nights that go by. */
interface Client {
  deployment: Deployment;
  store: MessageStore;
  webApp: WebApp;
  webhook: Webhook;
  /** Whether garbage collection says that it is complete, and deletes nothing. */
  doesNothing: boolean;
  /** Likewise, and says that it deleted so many, in each call. */
  claims: number;
  /** Plays until after the run of the next night, and returns its report. */
  night(): Promise<RunReport>;
}

describe('the rows of messages in the nights of message-gc, on a real PostgreSQL', () => {
  let server: Postgres;
  let databaseTls: TlsCertificate;
  let webAppTls: Certificate;
  let prefixes = 0;

  before(async () => {
    databaseTls = await serverCertificate(DATABASE);
    webAppTls = await createCertificate(WEBAPP);
    server = await startPostgres({ tls: databaseTls, settings: { autovacuum: 'off' } });
  });
  after(() => server.stop());

  function define(stack: Stack, prefixes: string[]): void {
    const upkeep = new Upkeep(stack, 'Upkeep', {
      deployment: 'shop',
      timeZone: 'Etc/UTC',
      window: { from: '02:00', to: '05:00' },
    });
    new MessageGc(stack, 'MessageGc', {
      upkeep,
      callbacks: new CallbacksBus(stack, 'Callbacks', { deployment: 'shop', topic: upkeep.topic }),
      webApp: {
        url: `https://${WEBAPP}`,
        certificateAuthority: webAppTls.certificate,
        secretArn: API_SECRET,
      },
      network: networkIn(stack),
      schedule: { at: '03:00' },
      timeLimit: Duration.minutes(90),
      maximumCalls: 3,
      pause: Duration.minutes(1),
      callbackTimeout: Duration.minutes(16),
      sets: prefixes.map((prefix) => ({
        prefix,
        database: {
          engine: 'postgres' as const,
          host: DATABASE,
          port: PORT,
          certificateAuthority: databaseTls.authority,
        },
        secretArn: SIZE_SECRET,
      })),
    });
  }

  async function play(
    work: (client: Client) => Promise<void>,
    {
      change,
      otherSet,
      unnamed,
    }: { change?: AwsOptions['change']; otherSet?: string; unnamed?: boolean } = {},
  ): Promise<void> {
    prefixes += 1;
    const prefix = `night${prefixes}_`;
    const store = await openMessageStore(server, prefix);
    try {
      await store.pool.query(`DROP ROLE IF EXISTS ${SIZE_USER.username}`);
      await store.pool.query(`CREATE ROLE ${SIZE_USER.username} LOGIN PASSWORD '${SIZE_USER.password}'`);
      await deploy(
        (stack) => define(stack, [prefix, ...(otherSet ? [otherSet] : [])]),
        (deployment) => withClient(deployment, { store, unnamed: unnamed === true }, work),
        change && { change },
      );
    } finally {
      await store.drop();
    }
  }

  async function withClient(
    deployment: Deployment,
    { store, unnamed }: { store: MessageStore; unnamed: boolean },
    work: (client: Client) => Promise<void>,
  ): Promise<void> {
    const { aws, clock } = deployment;
    const webhook = await startWebhook({
      bus: 'shop-callbacks',
      ...(!unnamed && { deployment: 'shop' }),
      ...deployment.client(),
    });
    const client: Omit<Client, 'webApp'> = {
      deployment,
      store,
      webhook,
      doesNothing: false,
      claims: 0,
      async night() {
        const before = reportsOf(aws).length;
        await clock.runUntil(START + 17 * HOUR + before * DAY);
        const [report, ...more] = reportsOf(aws).slice(before);
        assert.ok(report && more.length === 0);
        return report;
      },
    };
    const webApp = await startWebApp({
      store: {
        ...store,
        deleteMessages: async (chunk) =>
          client.doesNothing
            ? { deleted: chunk.after === '0' ? client.claims : 0, last: '1' }
            : store.deleteMessages(chunk),
        hasGarbage: async (...where) => !client.doesNothing && store.hasGarbage(...where),
      },
      clock,
      certificate: webAppTls,
      users: [USER],
      callbackUrl: webhook.url,
      coreApps: 1,
    });
    try {
      aws.secrets.put(API_SECRET, JSON.stringify(USER));
      aws.secrets.put(SIZE_SECRET, JSON.stringify({ ...SIZE_USER, engine: 'postgres', host: DATABASE }));
      aws.hosts[`${WEBAPP}:443`] = `127.0.0.1:${webApp.port}`;
      aws.hosts[`${DATABASE}:${PORT}`] = `127.0.0.1:${server.port}`;
      await work(Object.assign(client, { webApp }));
      assert.doesNotMatch(
        JSON.stringify([aws.logs, reportsOf(aws), aws.lambda.durable.list()]),
        new RegExp(`${SIZE_USER.password}|${USER.password}`),
      );
    } finally {
      await webApp.close();
      await webhook.close();
    }
  }

  /** Messages that are garbage, and the server's look at the table that follows on its own. */
  async function arrive({ store, deployment: { clock } }: Client, sent: number): Promise<void> {
    await store.fill({ sent, newest: clock.now() });
    await store.pool.query('ANALYZE messages');
  }

  it('are told before and after, and three good nights are good', () =>
    play(async (client) => {
      for (const sent of [20_000, 30_000, 40_000]) {
        await arrive(client, sent);
        await client.store.fill({ pending: 1_000, newest: client.deployment.clock.now() });
        // After a look by hand that they came after, they could be counted twice.
        await client.store.pool.query('SELECT pg_stat_force_next_flush()');
        await client.store.pool.query('ANALYZE messages');
        const { messages } = await client.store.count();
        const { outcome, problems, figures, details } = await client.night();
        assert.deepEqual([outcome, problems], ['succeeded', []]);
        assert.equal(figures.messagesDeleted, sent);
        assert.equal(figures.messageRowsBefore, messages);
        assert.equal(figures.messageRowsAfter, messages - sent);
        const [set] = (details as { messageRows: Record<string, unknown>[] }).messageRows;
        assert.deepEqual(set?.before, {
          kind: 'estimate',
          rows: messages,
          atLeast: Math.floor(messages / 1.2) - 291,
          atMost: Math.ceil(messages * 1.2) + 291,
        });
      }
      const { aws } = client.deployment;
      assert.deepEqual(aws.cloudWatch.inState('ALARM'), []);
      // PostgreSQL's counters follow in ten seconds; MySQL's number, in a minute.
      const [{ operations } = { operations: [] }] = aws.lambda.durable.list();
      const settled = operations.find(({ Name: name }) => name === 'until the numbers have followed');
      const { ScheduledEndTimestamp: until } = settled?.WaitDetails ?? {};
      assert.equal(Number(until) - Number(settled?.StartTimestamp), 12_000);
      const calls = aws.servicesFromVpc.get('shop-message-gc') ?? new Set();
      assert.deepEqual([...calls].sort(), ['events', 'lambda', 'monitoring', 'secretsmanager', 'sqs']);
    }));

  it('that grow for three nights in which every callback says complete make the third one fail', () =>
    play(async (client) => {
      const { aws } = client.deployment;
      client.doesNothing = true;
      for (const outcome of ['succeeded', 'succeeded', 'failed', 'failed']) {
        await arrive(client, 10_000);
        const report = await client.night();
        assert.equal(report.outcome, outcome, JSON.stringify(report));
        assert.equal(report.figures.messagesDeleted, 0);
      }
      const { problems, figures } = reportsOf(aws)[2] ?? {};
      assert.equal(problems?.length, 1);
      assert.match(
        problems[0]?.what ?? '',
        /does nothing: in 3 runs since 2027-01-11T03:00:00\.000Z .* no message was deleted; .* grew from 10000 \(12291 at the most\) to 30000 \(24709 at the least\)\.$/,
      );
      assert.match(problems[0]?.where ?? '', /^shop, set night\d on database\.internal$/);
      assert.match(problems[0]?.next ?? '', /CoreApp's logs .* docs\/database-size\.md/);
      assert.equal(figures?.messageRowsAfter, 30_000);
      const rang = aws.alarms.filter(({ to }) => to === 'ALARM').map(({ alarm }) => alarm);
      assert.ok(rang.includes('shop-message-gc-failed'));

      client.doesNothing = false;
      const mended = await client.night();
      assert.deepEqual([mended.outcome, mended.figures.messagesDeleted], ['succeeded', 40_000]);
    }));

  it('make it fail too when the callbacks tell of deleted messages that are still there', () =>
    play(async (client) => {
      client.doesNothing = true;
      client.claims = 9_000;
      for (const outcome of ['succeeded', 'succeeded', 'failed']) {
        await arrive(client, 10_000);
        const report = await client.night();
        assert.equal(report.outcome, outcome, JSON.stringify(report));
      }
      const [, , third] = reportsOf(client.deployment.aws);
      assert.match(
        third?.problems[0]?.what ?? '',
        /27000 messages were deleted, by which the rows did not fall/,
      );
    }));

  it('that grow because more arrives than becomes garbage are no failure, and the report says so', () =>
    play(async (client) => {
      for (const pending of [10_000, 10_000, 10_000]) {
        await client.store.fill({ pending, newest: client.deployment.clock.now() });
        await arrive(client, 500);
        assert.equal((await client.night()).outcome, 'succeeded');
      }
      const [, , third] = reportsOf(client.deployment.aws);
      assert.match(JSON.stringify(third?.details), /"growth":\{"kind":"outpaced"/);
    }));

  it('are of no garbage collection that began on no node: that is asked again, and is no success', () =>
    play(async (client) => {
      await arrive(client, 1_000);
      client.webApp.faults.answers = [{}, { status: 'failed' }];
      const good = await client.night();
      assert.deepEqual([good.outcome, good.figures.calls], ['succeeded', 3]);
      assert.equal(good.figures.messagesDeleted, 1_000);
      client.webApp.faults.answers = Array.from({ length: 9 }, () => ({
        status: 'failed',
        errors: [{ code: 1014 }],
      }));
      const bad = await client.night();
      assert.deepEqual([bad.outcome, bad.problems.length], ['failed', 1]);
      assert.match(
        bad.problems[0]?.what ?? '',
        /did not start: WebApp answered "failed: 1014" for single instance/,
      );
      // Nobody was waited for.
      assert.ok(Date.parse(bad.endedAt) - Date.parse(bad.startedAt) < 10 * 60_000);
    }));

  it("are of no success where a callback names no deployment: it may be another one's", () =>
    play(
      async (client) => {
        await arrive(client, 1_000);
        const { outcome, problems, figures } = await client.night();
        assert.deepEqual([outcome, figures.calls, figures.messagesDeleted], ['partial', 1, 1_000]);
        assert.equal(problems.length, 1);
        assert.match(problems[0]?.what ?? '', /names nobody: .* cannot be told apart/);
        assert.match(problems[0]?.next ?? '', /Resources: \['shop'\]/);
      },
      { unnamed: true },
    ));

  it("are of no success by yesterday's late callback, and of one by tonight's as soon as the two are told apart", () =>
    play(async (client) => {
      const { clock } = client.deployment;
      const complete = { services: [{ message: { gc: { messages_deleted: 7, status: 'complete' } } }] };
      client.webApp.faults.callback = 'never';
      assert.equal((await client.night()).outcome, 'failed');

      clock.at(START + DAY + 15 * HOUR + 10_000, () => client.webhook.put(complete));
      const late = await client.night();
      assert.equal(late.outcome, 'partial', JSON.stringify(late));
      assert.match(late.problems[0]?.what ?? '', /No callback of this request came/);
      assert.deepEqual(late.details?.callbacksAwaited, ['single instance']);

      client.webApp.faults.callback = 'once';
      const { outcome, figures, details } = await client.night();
      assert.deepEqual([outcome, figures.calls, details?.callbacksAwaited], ['succeeded', 2, []]);
    }));

  it('stay unknown where the database does not answer, and GC is done all the same', () =>
    play(async (client) => {
      const { aws } = client.deployment;
      await arrive(client, 1_000);
      aws.hosts[`${DATABASE}:${PORT}`] = '127.0.0.1:1';
      const { outcome, problems, figures, details } = await client.night();
      assert.deepEqual([outcome, problems], ['succeeded', []]);
      assert.equal(figures.messagesDeleted, 1_000);
      assert.ok(!Object.keys(figures).some((name) => name.startsWith('messageRows')));
      const [set] = (details as { messageRows: { before: { error: string } }[] }).messageRows;
      assert.match(set?.before.error ?? '', /No trusted connection to database\.internal/);
    }));

  it('stay unknown as a sum where they are unknown of one set, and the report has the others', () =>
    play(
      async (client) => {
        await arrive(client, 1_000);
        const { outcome, figures, details } = await client.night();
        assert.equal(outcome, 'succeeded');
        assert.equal(figures.messageRowsBefore, undefined);
        const [known, unknown] = (details as { messageRows: { set: string; before: object }[] }).messageRows;
        assert.deepEqual(Object.keys(known?.before ?? {}), ['kind', 'rows', 'atLeast', 'atMost']);
        assert.match(JSON.stringify(unknown), /there are no such databases/);
      },
      { otherSet: 'nowhere_' },
    ));

  it('are told though CloudWatch does not tell of earlier nights', () =>
    play(
      async (client) => {
        await arrive(client, 1_000);
        const { outcome, figures, details } = await client.night();
        assert.equal(outcome, 'succeeded');
        assert.deepEqual([figures.messageRowsBefore, figures.messageRowsAfter], [1_000, 0]);
        const [set] = (details as { messageRows: { growth: { error: string } }[] }).messageRows;
        assert.match(set?.growth.error ?? '', /not authorized to perform: cloudwatch:GetMetricData/);
      },
      { change: without('cloudwatch:GetMetricData') },
    ));
});
