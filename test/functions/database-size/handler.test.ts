import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { InvokeCommand, LambdaClient } from '@aws-sdk/client-lambda';
import { reportsOf } from '../../../rehearsal/run-reports.ts';
import { ACCOUNT, HOUR, MINUTE, REGION, START, without } from '../../rehearsal/aws/deploy.ts';
import {
  CREDENTIAL,
  DAY,
  EXPORTER,
  FILE_SYSTEM,
  FILE_SYSTEM_ARN,
  HOST,
  PARAMETER,
  PORT,
  putMessageRows,
  ROWS,
  rang,
  ringing,
  SECRET,
  type Stage,
  startStage,
} from './stage.ts';

describe('the nights of database-size, on a real PostgreSQL', () => {
  let stage: Stage;

  before(async () => {
    stage = await startStage();
  });
  after(() => stage.stop());

  it('tells the sizes, rings for what is too large, and keeps ringing while a size is unknown', () =>
    stage.atNight(async (deployment) => {
      const { aws, clock } = deployment;
      await clock.runUntil(START + 17 * HOUR);
      const [first] = reportsOf(aws);
      assert.deepEqual(first?.problems, []);
      assert.equal(first?.outcome, 'succeeded');
      const { messageRows, mediaRows, unknownSizes, daysUntilTenMillion, tableBytes } = first.figures;
      assert.equal(messageRows, ROWS + 10);
      assert.equal(mediaRows, 14);
      assert.equal(unknownSizes, 0);
      assert.ok((tableBytes ?? 0) > ROWS * 50);
      // Of the one set only: the other has no history, so there is nothing to tell of both.
      assert.equal(daysUntilTenMillion, undefined);
      const details = first.details as { sets: { tables: { daysLeft: number }[] }[] };
      assert.equal(details.sets[0]?.tables[0]?.daysLeft, 9.3);
      assert.deepEqual(rang(deployment).sort(), ['wa1-growth', 'wa1-large']);

      await stage.run('wa1_messageStore', "SELECT pg_stat_reset_single_table_counters('messages'::regclass)");
      await clock.runUntil(START + 41 * HOUR);
      const second = reportsOf(aws)[1];
      assert.equal(second?.outcome, 'partial');
      assert.match(
        second?.problems[0]?.what ?? '',
        /messages in wa1_messageStore has is unknown: .* counters/,
      );
      assert.equal(second?.figures.messageRows, undefined);
      assert.equal(second?.figures.unknownSizes, 1);
      assert.deepEqual(rang(deployment).sort(), ['partial', 'wa1-growth', 'wa1-large']);
      assert.deepEqual(ringing(deployment).sort(), ['wa1-growth', 'wa1-large']);
      const calls = aws.servicesFromVpc.get('shop-database-size') ?? new Set();
      assert.deepEqual([...calls].sort(), ['events', 'lambda', 'monitoring', 'secretsmanager']);
    }));

  it("tells the age of the media volume's last backup, rings while there is none, and tells the sizes though there is no way to AWS Backup", () =>
    stage.atNight(
      async (deployment) => {
        const { aws, clock } = deployment;
        await stage.run('wa1_messageStore', 'ANALYZE messages');
        await clock.runUntil(START + 17 * HOUR);
        assert.equal(reportsOf(aws)[0]?.outcome, 'succeeded');
        assert.equal(reportsOf(aws)[0]?.figures.lastBackupAgeHours, 87_600);
        assert.ok(ringing(deployment).includes('shop-media-backup'));

        aws.backup.put(FILE_SYSTEM_ARN, START + 27 * HOUR);
        await clock.runUntil(START + 41 * HOUR);
        const [, second] = reportsOf(aws);
        assert.ok(second);
        assert.equal(second.outcome, 'succeeded');
        // It runs at 03:00, fifteen hours after the start at noon.
        assert.equal(second.figures.lastBackupAgeHours, 12);
        assert.deepEqual((second.details as { lastBackup: unknown }).lastBackup, {
          kind: 'made',
          time: new Date(START + 27 * HOUR).toISOString(),
          ageHours: 12,
        });
        assert.ok(!ringing(deployment).includes('shop-media-backup'));
        assert.ok(aws.servicesFromVpc.get('shop-database-size')?.has('backup'));

        aws.onCall(({ service }) => (service === 'backup' ? 'drop' : undefined));
        await clock.runUntil(START + 65 * HOUR);
        const [, , third] = reportsOf(aws);
        assert.equal(third?.outcome, 'partial');
        assert.equal(third?.figures.messageRows, ROWS + 10);
        assert.match(third?.problems[0]?.what ?? '', /last backup of the media volume is, is unknown: ./);
      },
      { withVolume: true },
    ));

  it('tells each copy of the password that does not hold it, and rings until it does', (t) =>
    stage.atNight(
      async (deployment) => {
        const { aws, clock } = deployment;
        await stage.run('wa1_messageStore', 'ANALYZE messages');
        const passwords: string[] = [];
        const change = () => {
          passwords.push(crypto.randomUUID());
          aws.secrets.put(CREDENTIAL, JSON.stringify({ username: 'wa', password: passwords.at(-1) }));
        };
        const writeParameter = (value = '') =>
          aws.ssm.write(PARAMETER, value, { account: ACCOUNT, region: REGION, keyId: 'alias/client' });
        const writeLine = (password = '') =>
          aws.secrets.put(
            EXPORTER,
            JSON.stringify({ data_src_name: `wa:${password}@(database.internal:5432)/` }),
          );
        let dropped = '';
        aws.onCall(({ service, caller }) =>
          service === dropped && caller.function?.name === 'shop-database-size' ? 'drop' : undefined,
        );
        const parameter = /parameter shop-WA_DB_PASSWORD/;
        const line = /key data_src_name of the secret .*exporter/;

        // A night each. `hours`: before its run, when `first` is done.
        const nights: {
          what: string;
          hours?: number;
          first(): void;
          differing: number | undefined;
          problems: RegExp[][];
          rings: boolean;
        }[] = [
          {
            what: 'a parameter that does not exist',
            first: () => {
              change();
              writeLine(passwords[0]);
            },
            differing: 1,
            problems: [[parameter, /does not exist/]],
            rings: true,
          },
          {
            what: 'both hold it',
            first: () => writeParameter(passwords[0]),
            differing: 0,
            problems: [],
            rings: false,
          },
          {
            what: 'a rotation half an hour ago, whose run goes on',
            hours: 0.5,
            first: change,
            differing: undefined,
            problems: [],
            rings: false,
          },
          {
            what: 'a rotation that delivered to one of them',
            first: () => writeParameter(passwords[1]),
            differing: 1,
            problems: [[line, /since that was made, 2027-01-13T02:30:00/, /why it was not delivered/]],
            rings: true,
          },
          {
            what: 'the parameter cannot be read, while the alarm rings',
            first: () => {
              writeLine(passwords[1]);
              dropped = 'ssm';
            },
            differing: undefined,
            problems: [[parameter, /is unknown: ./]],
            rings: true,
          },
          {
            what: 'an update of a stack wrote the old password back, just after a rotation delivered the new one',
            hours: 0.1,
            first: () => {
              dropped = '';
              change();
              writeLine(passwords[2]);
              clock.at(clock.now() + 60_000, () => writeParameter(passwords[1]));
            },
            differing: 1,
            problems: [
              [parameter, /since 2027-01-16T02:55:00.\w+, when somebody wrote it/, /an update of the stack/],
            ],
            rings: true,
          },
          {
            what: 'the exporter has no JSON any more',
            first: () => {
              writeParameter(passwords[2]);
              aws.secrets.put(EXPORTER, `wa:${passwords[2]}`);
            },
            differing: undefined,
            problems: [[line, /is unknown: The secret .* is no JSON object/]],
            rings: true,
          },
          {
            what: 'the credential itself cannot be read',
            first: () => {
              passwords.push('half-a-password');
              aws.secrets.put(CREDENTIAL, '{"username":"wa","password":"half-a-password');
            },
            differing: undefined,
            problems: [[/copies of the database credential .* unknown: .* is not JSON text/]],
            rings: true,
          },
        ];
        for (const [night, { what, hours = 6, first, differing, problems, rings }] of nights.entries()) {
          await t.test(what, async () => {
            const runAt = START + 15 * HOUR + night * DAY;
            await clock.runUntil(runAt - hours * HOUR);
            first();
            await clock.runUntil(runAt + HOUR);
            const report = reportsOf(aws)[night];
            assert.ok(report);
            assert.equal(report.figures.passwordCopiesDiffering, differing);
            assert.equal(report.outcome, problems.length > 0 ? 'partial' : 'succeeded');
            assert.equal(report.problems.length, problems.length, JSON.stringify(report.problems));
            for (const [index, patterns] of problems.entries())
              for (const pattern of patterns) assert.match(JSON.stringify(report.problems[index]), pattern);
            assert.equal(ringing(deployment).includes('password-copies'), rings);
          });
        }
        assert.deepEqual(aws.denials, []);
        assert.ok(aws.servicesFromVpc.get('shop-database-size')?.has('ssm'));
        const { logs, alarms, notifications } = aws;
        const told = JSON.stringify({
          logs,
          reports: reportsOf(aws),
          alarms,
          notifications,
          runs: aws.lambda.durable.list(),
        });
        for (const each of passwords) assert.ok(!told.includes(each), 'a password was told');
      },
      { withCopies: true },
    ));

  it('tells the sizes, and the other copies, though it may not read one and AWS Backup refuses to be asked', () =>
    stage.atNight(
      async (deployment) => {
        const { aws, clock } = deployment;
        await stage.run('wa1_messageStore', 'ANALYZE messages');
        aws.backup.put(FILE_SYSTEM_ARN, START);
        const password = crypto.randomUUID();
        aws.secrets.put(CREDENTIAL, JSON.stringify({ username: 'wa', password }));
        aws.secrets.put(EXPORTER, JSON.stringify({ data_src_name: 'something else' }));
        aws.ssm.write(PARAMETER, password, { account: ACCOUNT, region: REGION, keyId: 'alias/client' });
        await clock.runUntil(START + 17 * HOUR);
        const [report] = reportsOf(aws);
        assert.equal(report?.outcome, 'partial');
        assert.equal(report?.figures.messageRows, ROWS + 10);
        assert.equal(report?.figures.passwordCopiesDiffering, 1);
        assert.equal(report?.figures.lastBackupAgeHours, undefined);
        const said = report?.problems.map(({ what, where }) => `${where}: ${what}`) ?? [];
        assert.equal(said.length, 3, JSON.stringify(said));
        for (const problem of [
          /unknown: .*not authorized .* ssm:GetParameter/,
          /key data_src_name .* something else/,
          new RegExp(`^shop, .*${FILE_SYSTEM}: .*not authorized .* backup:DescribeProtectedResource`),
        ])
          assert.ok(
            said.some((each) => problem.test(each)),
            `${problem}: ${said.join(' / ')}`,
          );
        assert.ok(rang(deployment).includes('partial'));
        assert.ok(!rang(deployment).includes('shop-media-backup'));
      },
      {
        withVolume: true,
        withCopies: true,
        change: (...whole) => {
          for (const action of ['ssm:GetParameter', 'backup:DescribeProtectedResource'])
            without(action)(...whole);
        },
      },
    ));

  it('counts row by row when a person asks for it, if it may', () =>
    stage.atNight(async (deployment) => {
      const { aws, clock, client } = deployment;
      await stage.run('wa1_messageStore', 'ANALYZE messages');
      const lambda = new LambdaClient(client());
      const start = (timeLimitSeconds: number) =>
        lambda.send(
          new InvokeCommand({
            FunctionName: 'shop-start-run',
            InvocationType: 'Event',
            Payload: JSON.stringify({
              job: 'database-size',
              deployment: 'shop',
              options: { exactCount: { timeLimitSeconds } },
            }),
          }),
        );
      await clock.runUntil(START + 15.5 * HOUR);
      await start(60);
      await clock.runUntil(START + 15.6 * HOUR);
      const refused = reportsOf(aws).at(-1);
      assert.equal(refused?.outcome, 'partial');
      assert.match(refused?.problems[0]?.what ?? '', /may not count the rows/);

      for (const database of ['wa1_messageStore', 'wa1_b_messageStore'])
        await stage.run(database, 'GRANT SELECT (id) ON messages, media TO size');
      await start(60);
      await clock.runUntil(START + 15.7 * HOUR);
      const counted = reportsOf(aws).at(-1);
      assert.equal(counted?.outcome, 'succeeded');
      assert.equal(counted?.figures.messageRows, ROWS + 10);

      await start(0);
      await clock.runUntil(START + 15.8 * HOUR);
      assert.equal(reportsOf(aws).at(-1)?.outcome, 'failed');
      assert.match(reportsOf(aws).at(-1)?.problems[0]?.what ?? '', /options of this run .*timeLimitSeconds/);

      // What nobody counted.
      for (const [hours, value] of [
        [30, -5],
        [31, Number.NaN],
      ] as const)
        putMessageRows(aws, value, clock.now() - hours * HOUR);
      // Four minutes before the end of the window.
      await clock.runUntil(START + 17 * HOUR - 4 * MINUTE);
      await start(300);
      await clock.runUntil(START + 17 * HOUR);
      const late = reportsOf(aws).at(-1);
      assert.equal(late?.outcome, 'partial');
      assert.match(late?.problems[0]?.what ?? '', /might have gone on after the end of the window.*estimate/);
      const unsound = late?.problems.find(({ what }) => /no numbers of rows/.test(what))?.what ?? '';
      assert.match(unsound, /MessageRows -5 at 20/);
      assert.match(unsound, /MessageRows (NaN|null) at 20/);
    }));

  it('fails when the database refuses the login, and says what to do, without the password, and when it cannot be reached, once it was tried again', () =>
    stage.atNight(async (deployment) => {
      const { aws, clock } = deployment;
      const wrong = crypto.randomUUID();
      aws.secrets.put(SECRET, JSON.stringify({ username: 'size', password: wrong }));
      await clock.runUntil(START + 17 * HOUR);
      const [report] = reportsOf(aws);
      assert.equal(report?.outcome, 'failed');
      assert.match(report?.problems[0]?.what ?? '', /refuses to log in size/);
      // What was known before leads on, and the report says of when that is.
      assert.deepEqual(rang(deployment), ['failed', 'wa1-growth']);
      assert.match(JSON.stringify(report?.details), /"daysLeft":\d.*"daysLeftAsOf":"2027-01-10T03:/);
      assert.doesNotMatch(JSON.stringify(aws.logs), new RegExp(`${wrong}|${stage.password}`));

      aws.hosts[`${HOST}:${PORT}`] = '127.0.0.1:1';
      await clock.runUntil(START + 41 * HOUR);
      const [, unreached] = reportsOf(aws);
      assert.equal(unreached?.outcome, 'failed');
      assert.match(unreached?.problems[0]?.what ?? '', /No trusted connection to database\.internal/);
      assert.ok(Date.parse(unreached?.endedAt ?? '') - Date.parse(unreached?.startedAt ?? '') >= 60_000);
    }));
});
