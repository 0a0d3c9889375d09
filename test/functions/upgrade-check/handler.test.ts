// In one file though long: all of it is asked of one deployment on one database.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { GetDurableExecutionCommand, LambdaClient } from '@aws-sdk/client-lambda';
import type { RunReport } from '../../../functions/shared/run/report.ts';
import type { Finding } from '../../../functions/upgrade-check/criteria.ts';
import { ENDPOINT_SERVICES } from '../../../lib/whatsapp/endpoint-services.ts';
import { HOUR, MINUTE } from '../../rehearsal/aws/deploy.ts';
import {
  ALL_YES,
  answers,
  type Checked,
  type ClientDatabase,
  checkedDeployment,
  HOST,
  startClientDatabase,
  WINDOW,
} from './upgrade-check.ts';

const GIGABYTE = 1e9;

let database: ClientDatabase;
before(async () => {
  database = await startClientDatabase();
});
after(() => database.server.stop());

/** The sentence on a criterion. */
function sentence({ details }: RunReport, criterion: string): string {
  const { criteria } = details as { criteria: Finding[] };
  return criteria.find((finding) => finding.criterion === criterion)?.what ?? '';
}

/** Makes upgrade-check's calls of an operation fail for as long as the work takes. */
async function refusing(
  { aws }: Checked,
  operation: string,
  work: () => Promise<RunReport>,
): Promise<RunReport> {
  const stop = aws.onCall((call) =>
    call.operation === operation && call.caller.function?.name === 'shop-upgrade-check'
      ? Object.assign(new Error('out of order'), { name: 'ServiceException' })
      : undefined,
  );
  try {
    return await work();
  } finally {
    stop();
  }
}

/** What makes one criterion, and no other, something else than yes. */
interface Case {
  name: string;
  criterion: string;
  answer: 'no' | 'unknown';
  what: RegExp;
  /** What else is not yes then. @default nothing */
  others?: Record<string, Finding['answer']>;
  ask(checked: Checked): Promise<RunReport>;
  /** Makes all well again. */
  after?(checked: Checked): Promise<void>;
}

/** Asks while a run of the job goes on. */
function whileItGoesOn(job: string): Pick<Case, 'ask' | 'after'> {
  return {
    async ask({ start, check }) {
      await start(job);
      return check();
    },
    async after({ clock }) {
      await clock.runUntil(clock.now() + 15 * MINUTE);
    },
  };
}

const few = () => database.fill('messages', 1000);

const CASES: Case[] = [
  {
    name: 'messages has too many rows, whatever the estimate is off by',
    criterion: 'rows of messages',
    answer: 'no',
    what: /^messages has at least 21,\d{3} rows by the server's estimate; 20,000 may be there for an upgrade\.$/,
    async ask({ check }) {
      await database.fill('messages', 26_000);
      return check();
    },
    after: few,
  },
  {
    name: 'the estimate of messages is too vague',
    criterion: 'rows of messages',
    answer: 'unknown',
    what: /^messages has between 17,\d{3} and 25,\d{3} rows .* too vague/,
    async ask({ check }) {
      await database.fill('messages', 21_000);
      return check();
    },
  },
  {
    name: 'the rows are to be counted, and the user may not',
    criterion: 'rows of messages',
    answer: 'unknown',
    what: /They were not counted: .* may not count the rows/,
    ask: ({ check }) => check({ exactCount: { timeLimitSeconds: 60 } }),
  },
  {
    name: 'the rows are counted and too many',
    criterion: 'rows of messages',
    answer: 'no',
    // Also where the estimate would settle it.
    what: /^messages has at least 26,000 rows; /,
    async ask({ check }) {
      await database.fill('messages', 26_000);
      await database.run('GRANT SELECT (id) ON messages TO size');
      return check({ exactCount: { timeLimitSeconds: 60 } });
    },
    async after() {
      await database.run('REVOKE SELECT (id) ON messages FROM size');
      await few();
    },
  },
  {
    name: 'the server has lost its counters of a table that it never looked at',
    criterion: 'rows of messages',
    answer: 'unknown',
    what: /^How many rows messages has is unknown: the table was never analyzed/,
    async ask({ check }) {
      await database.run(
        'DROP TABLE messages',
        'CREATE UNLOGGED TABLE messages (id bigint PRIMARY KEY)',
        'INSERT INTO messages SELECT generate_series(1, 10000)',
        'SELECT pg_stat_force_next_flush()',
        "SELECT pg_stat_reset_single_table_counters('messages'::regclass)",
      );
      return check();
    },
    after: few,
  },
  {
    name: 'media has too many rows',
    criterion: 'rows of media',
    answer: 'no',
    what: /^media has at least 21,\d{3} rows/,
    async ask({ check }) {
      await database.fill('media', 26_000);
      return check();
    },
  },
  {
    name: 'there is no table media where it is looked for',
    criterion: 'rows of media',
    answer: 'unknown',
    what: /^How many rows media has is unknown: .* has no table media/,
    async ask({ check }) {
      await database.run('ALTER TABLE media RENAME TO elsewhere');
      return check();
    },
    async after() {
      await database.run('ALTER TABLE elsewhere RENAME TO media', 'TRUNCATE media', 'ANALYZE media');
    },
  },
  {
    name: 'the last garbage collection is older than a day',
    criterion: 'last garbage collection',
    answer: 'no',
    what: /^No run of message-gc has succeeded in the last 24 hours\. None has ended\.$/,
    async ask({ clock, freeSpace, check }) {
      // In the next night's window, in which the cases after this one collect garbage.
      await clock.runUntil(WINDOW + 24.5 * HOUR);
      freeSpace(5 * GIGABYTE);
      return check();
    },
  },
  {
    name: 'a count might go on after the end of the window',
    criterion: 'last garbage collection',
    answer: 'no',
    what: /^No run of message-gc has succeeded/,
    async ask({ clock, freeSpace, check }) {
      await clock.runUntil(WINDOW + 26.95 * HOUR);
      freeSpace(5 * GIGABYTE);
      const report = await check({ exactCount: { timeLimitSeconds: 300 } });
      assert.match(
        sentence(report, 'rows of messages'),
        /not counted: that might have gone on after the time by which this run must end\.$/,
      );
      return report;
    },
    async after({ clock }) {
      await clock.runUntil(WINDOW + 48.5 * HOUR);
    },
  },
  {
    name: 'the last garbage collection did not succeed',
    criterion: 'last garbage collection',
    answer: 'no',
    what: /The latest run, shop-message-gc-\S+, ended as partial\.$/,
    async ask({ collect, check }) {
      await database.run("UPDATE garbage SET outcome = 'partial'");
      await collect();
      return check();
    },
    async after({ collect }) {
      await database.run("UPDATE garbage SET outcome = 'succeeded'");
      await collect();
    },
  },
  {
    name: 'media garbage collection goes on',
    criterion: 'other runs',
    answer: 'no',
    what: /^shop-media-gc-\S+ goes on: an upgrade would cut it off\.$/,
    ...whileItGoesOn('media-gc'),
  },
  {
    name: 'a job of which it was not told goes on',
    criterion: 'other runs',
    answer: 'no',
    what: /^shop-nightly-export-\S+ goes on: an upgrade would cut it off\.$/,
    ...whileItGoesOn('nightly-export'),
  },
  {
    name: 'start-run does not tell of the runs',
    criterion: 'other runs',
    answer: 'unknown',
    what: /^Whether another run goes on is unknown: .*out of order/,
    ask: (checked) => refusing(checked, 'Invoke', () => checked.check()),
  },
  {
    name: 'Lambda does not tell of the runs',
    criterion: 'last garbage collection',
    answer: 'unknown',
    what: /^When message-gc last succeeded is unknown: out of order/,
    others: { 'other runs': 'unknown' },
    ask: (checked) => refusing(checked, 'ListDurableExecutionsByFunction', () => checked.check()),
  },
  {
    name: 'a deployment of a service goes on',
    criterion: 'services',
    answer: 'no',
    what: /^Not every service is steady: web has 2 deployments at once\.$/,
    ask({ service, check }) {
      service.deploy();
      return check();
    },
    async after({ clock }) {
      await clock.runUntil(clock.now() + 10 * MINUTE);
    },
  },
  {
    name: 'ECS does not tell of the services',
    criterion: 'services',
    answer: 'unknown',
    what: /^Whether the services are steady is unknown: out of order/,
    ask: (checked) => refusing(checked, 'DescribeServices', () => checked.check()),
  },
  {
    name: 'a copy of the largest table has no room',
    criterion: 'free space',
    answer: 'no',
    what: /^The largest table, \w+ in wa1_messageStore, takes .* kB with its indexes; a copy needs 1\.00 GB on the instance's volume, which has 1\.00 kB free \(20.*Z\)\.$/,
    ask({ freeSpace, check }) {
      freeSpace(1000);
      return check();
    },
  },
  {
    name: 'CloudWatch does not tell of the free space',
    criterion: 'free space',
    answer: 'unknown',
    what: /^Whether a copy of the largest table has room is unknown: out of order/,
    ask: (checked) => refusing(checked, 'GetMetricData', () => checked.check()),
  },
  {
    name: 'CloudWatch has no number of the last hours',
    criterion: 'free space',
    answer: 'unknown',
    what: /CloudWatch has no FreeStorageSpace of the last hours\.$/,
    async ask({ clock, check }) {
      await clock.runUntil(clock.now() + 4 * HOUR);
      return check();
    },
  },
];

describe('whether a deployment may be upgraded now, on a real PostgreSQL', () => {
  it('is no or unknown for each single reason, with a sentence, and yes when all is well', () =>
    checkedDeployment(database, async (checked) => {
      const { aws, clock, check, collect, freeSpace, client } = checked;
      await few();
      await database.fill('media', 10);
      await clock.runUntil(WINDOW + 5 * MINUTE);
      await collect();

      freeSpace(5 * GIGABYTE);
      const started = await checked.start('upgrade-check');
      const good = await checked.report(started.runId);
      assert.deepEqual(answers(good), ALL_YES);
      assert.equal(good.outcome, 'succeeded');
      assert.deepEqual(good.problems, []);
      for (const seen of (good.details as { criteria: (Finding & { seenAt: string })[] }).criteria) {
        assert.ok(seen.what.length > 20 && seen.source.length > 2, JSON.stringify(seen));
        assert.ok(seen.seenAt >= good.startedAt && seen.seenAt <= good.endedAt, JSON.stringify(seen));
      }
      assert.equal(good.figures.mayBeUpgraded, 1);
      assert.equal(good.figures.messageRowsAtMost, 1000 * 1.2 + 291);
      // The answer is the result of the durable execution that start-run named.
      const lambda = new LambdaClient(client());
      assert.ok(started.outcome === 'started');
      const { Result: result = '' } = await lambda.send(
        new GetDurableExecutionCommand({
          DurableExecutionArn: started.durableExecutionArn,
          IncludeExecutionData: true,
        }),
      );
      lambda.destroy();
      assert.equal(JSON.parse(result).details.answer, 'yes');
      assert.deepEqual([...(aws.servicesFromVpc.get('shop-upgrade-check') ?? [])].sort(), [
        ...ENDPOINT_SERVICES['upgrade-check'],
      ]);

      for (const { name, criterion, answer, what, others = {}, ask, after } of CASES) {
        // Anew in each minute, as CloudWatch has it.
        freeSpace(5 * GIGABYTE);
        await clock.runUntil(clock.now() + 2 * MINUTE);
        const report = await ask(checked);
        assert.deepEqual(answers(report), { ...ALL_YES, ...others, [criterion]: answer }, name);
        assert.match(sentence(report, criterion), what, name);
        assert.equal(report.figures.mayBeUpgraded, 0, name);
        assert.equal(report.details?.answer, answer, name);
        assert.equal(report.outcome, 'succeeded', name);
        assert.equal(report.problems.length, 1 + Object.keys(others).length, name);
        await after?.(checked);
      }
      freeSpace(5 * GIGABYTE);
      await clock.runUntil(clock.now() + 10 * MINUTE);
      assert.equal((await check()).details?.answer, 'yes');
      assert.deepEqual(aws.denials, []);
      assert.ok(
        !aws.alarms.some(({ alarm, to }) => to === 'ALARM' && alarm.startsWith('shop-upgrade-check')),
      );
      assert.doesNotMatch(JSON.stringify(aws.logs), new RegExp(database.password));
    }));

  it('is unknown where nothing is configured to look at, and where ECS cannot tell of a rollout', async () => {
    await few();
    await database.fill('media', 10);
    await checkedDeployment(
      database,
      async ({ check }) => {
        const report = await check();
        assert.deepEqual(answers(report), {
          'rows of messages': 'yes',
          'last garbage collection': 'unknown',
          'other runs': 'yes',
          services: 'unknown',
          'free space': 'unknown',
        });
        assert.equal(report.details?.answer, 'unknown');
        assert.equal(report.figures.mayBeUpgraded, 0);
        assert.match(sentence(report, 'services'), /ECS does not tell whether web's deployment is over/);
        // Whoever asks to prepare is told that garbage collection does not mend this.
        const prepared = await check({ prepare: true });
        assert.equal(prepared.outcome, 'partial');
        assert.match(
          prepared.problems[0]?.what ?? '',
          /not mended by garbage collection: last garbage collection, services, free space/,
        );
      },
      {
        props: () => ({
          messageGc: undefined,
          storage: [],
          sets: [
            {
              prefix: 'wa1_',
              mediaDatabases: [],
              database: {
                engine: 'postgres',
                host: HOST,
                port: 5432,
                certificateAuthority: database.authority,
              },
              secretArn: `arn:aws:secretsmanager:eu-central-1:123456789012:secret:database/size-a1B2c3`,
            },
          ],
        }),
        service: { strategy: 'BLUE_GREEN' },
      },
    );
  });

  it('asks, of Aurora, for the disk of the writing instance', () =>
    checkedDeployment(
      database,
      async ({ aws, check }) => {
        await database.run('TRUNCATE media');
        aws.cloudWatch.put(
          { account: '123456789012', region: 'eu-central-1' },
          'AWS/RDS',
          'FreeLocalStorage',
          { DBClusterIdentifier: 'shop-db', Role: 'WRITER' },
          GIGABYTE,
        );
        const report = await check();
        assert.equal(answers(report)['free space'], 'yes');
        assert.match(sentence(report, 'free space'), /the writing instance's own disk, and 1\.00 GB free/);
        assert.equal(answers(report).services, 'unknown');
      },
      { engine: 'aurora-postgresql', props: () => ({ services: undefined }) },
    ));

  // Without two of them the same criterion is unknown, and without the secret the free space too.
  for (const rights of [
    {
      'lambda:ListDurableExecutionsByFunction': 'last garbage collection',
      'ecs:DescribeServices': 'services',
      'cloudwatch:GetMetricData': 'free space',
    },
    {
      'secretsmanager:GetSecretValue': 'rows of messages',
      'lambda:GetDurableExecution': 'last garbage collection',
    },
  ])
    it(`is unknown without the rights to ${Object.keys(rights).join(', ')}, which the sentences name`, () =>
      checkedDeployment(
        database,
        async ({ clock, collect, freeSpace, check }) => {
          await clock.runUntil(WINDOW + 5 * MINUTE);
          await collect();
          freeSpace(5 * GIGABYTE);
          const report = await check();
          for (const [action, criterion] of Object.entries(rights)) {
            assert.equal(answers(report)[criterion], 'unknown');
            assert.match(sentence(report, criterion), new RegExp(`not authorized to perform: ${action}`));
          }
          assert.equal(report.figures.mayBeUpgraded, 0);
        },
        { without: Object.keys(rights) },
      ));

  it('finds the last of several good nights, whichever of its texts Lambda lists by; is unknown of services that are scaled to nothing; and fails for an option that it does not know', (t) =>
    checkedDeployment(
      database,
      async ({ aws, clock, collect, freeSpace, check }) => {
        await t.test('an option that it does not know', async () => {
          const report = await check({ prepair: true });
          assert.equal(report.outcome, 'failed');
          assert.match(
            report.problems[0]?.what ?? '',
            /The options of this run has a wrong value at "prepair"/,
          );
        });
        for (const night of [0, 1, 2]) {
          await clock.runUntil(WINDOW + 5 * MINUTE + night * 24 * HOUR);
          await collect();
        }
        for (const [order, list] of [
          ['newest first', 'all versions'],
          ['oldest first', '$LATEST'],
        ] as const)
          await t.test(`several good nights, listed ${order} and of ${list}`, async () => {
            aws.lambda.durable.listOrder = order;
            aws.lambda.durable.unqualifiedList = list;
            freeSpace(5 * GIGABYTE);
            const report = await check();
            assert.equal(answers(report)['last garbage collection'], 'yes', order);
            assert.match(sentence(report, 'last garbage collection'), /succeeded 0\.\d hours ago/);
            // Of which nothing shows that they work.
            assert.equal(answers(report).services, 'unknown');
            assert.match(sentence(report, 'services'), /web is scaled to nothing \(it wants 0 tasks\)/);
            await clock.runUntil(clock.now() + 2 * MINUTE);
          });
      },
      { service: { desiredCount: 0 } },
    ));
});
