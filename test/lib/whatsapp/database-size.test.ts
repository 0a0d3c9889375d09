import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Duration, Stack, Validations } from 'aws-cdk-lib';
import { AwsSolutionsChecks } from 'cdk-nag';
import type { DatabaseSizeSettings } from '../../../functions/database-size/contract.ts';
import type { RotatedCredential } from '../../../lib/credential-rotation/credential-copies.ts';
import { MediaVolume } from '../../../lib/media-volume/media-volume.ts';
import { Upkeep } from '../../../lib/upkeep.ts';
import type { ClientDatabases } from '../../../lib/whatsapp/client-databases.ts';
import { DatabaseSize, type DatabaseSizeProps } from '../../../lib/whatsapp/database-size.ts';
import { brokenLinks, roleStatements } from '../links.ts';
import { networkIn } from '../network.ts';
import {
  appWithoutBundles,
  ofType,
  resourcesOf,
  settingsOf as settingsOfFunction,
  textOf,
} from '../template.ts';

const SECRET = 'arn:aws:secretsmanager:eu-central-1:111111111111:secret:database/size-a1B2c3';
const KEY = 'arn:aws:kms:eu-central-1:111111111111:key/12345678-1234-1234-1234-123456789012';

const EXPORTER = 'arn:aws:secretsmanager:eu-central-1:111111111111:secret:shop/exporter-a1B2c3';
const CREDENTIAL: RotatedCredential = {
  secretArn: 'arn:aws:secretsmanager:eu-central-1:111111111111:secret:shop/database-a1B2c3',
  secretKeyArn: KEY,
  copies: [
    { kind: 'parameter', name: '/meta-WA_DB_PASSWORD', keyId: KEY, keyArn: KEY },
    {
      kind: 'secret',
      secretArn: EXPORTER,
      key: 'data_src_name',
      template: '{username}:{password}@',
      keyArn: KEY,
    },
    { kind: 'parameter', name: 'plain' },
  ],
  timeLimit: Duration.hours(2),
};

function databases(change: Partial<ClientDatabases> = {}): ClientDatabases {
  return {
    prefix: 'wa1_',
    database: {
      engine: 'aurora-mysql',
      host: 'database.internal',
      port: 3306,
      certificateAuthority: 'rds',
    },
    secretArn: SECRET,
    ...change,
  };
}

function sized(
  sets: ClientDatabases[],
  { volumeOf, ...change }: Partial<DatabaseSizeProps> & { volumeOf?: string } = {},
) {
  const app = appWithoutBundles();
  const stack = new Stack(app, 'Sizes', { env: { account: '111111111111', region: 'eu-central-1' } });
  const upkeep = new Upkeep(stack, 'Upkeep', {
    deployment: 'shop',
    timeZone: 'Europe/Berlin',
    window: { from: '01:00', to: '05:00' },
  });
  const size = new DatabaseSize(stack, 'DatabaseSize', {
    upkeep,
    sets,
    network: networkIn(stack),
    schedule: { at: '03:30' },
    timeLimit: Duration.minutes(30),
    ...(volumeOf && {
      mediaVolume: MediaVolume.fromFileSystem(stack, 'Volume', {
        deployment: volumeOf,
        fileSystemId: 'fs-0123456789abcdef0',
        securityGroupId: 'sg-12345678',
        accessPointId: 'fsap-0123456789abcdef0',
      }),
    }),
    ...change,
  });
  return { app, stack, size };
}

const settingsOf = (stack: Stack) =>
  settingsOfFunction<DatabaseSizeSettings>(resourcesOf(stack), 'shop-database-size');

function statementsOf(stack: Stack) {
  const resources = resourcesOf(stack);
  const role = Object.keys(resources).find((id) => /^DatabaseSizeJobFunctionRole\w{8}$/.test(id));
  return roleStatements(resources, role ?? '');
}

describe('database-size of a client', () => {
  it('looks for messages and media in the databases of the prefix, by their whole names', () => {
    const { stack } = sized([databases({ idleTimeout: Duration.minutes(5) })]);
    const [set] = settingsOf(stack).sets;
    assert.equal(set?.name, 'wa1');
    assert.equal(set?.idleTimeoutSeconds, 300);
    const [messages, media] = set?.tables ?? [];
    assert.deepEqual(messages?.databases, ['wa1_messageStore']);
    assert.deepEqual(messages?.limit, { rows: 10_000_000, figure: 'daysUntilTenMillion', daysAhead: 14 });
    assert.equal(media?.databases.length, 5);
    assert.ok(media?.databases.every((name) => name.startsWith('wa1_')));
  });

  it('counts rows, tells idle connections, and looks for media, only as it is told', () => {
    const { stack } = sized([databases({ prefix: '', mediaDatabases: [] })]);
    const { sets, exactCount } = settingsOf(stack);
    assert.equal(exactCount, undefined);
    assert.equal(sets[0]?.name, 'default');
    assert.equal(sets[0]?.idleTimeoutSeconds, undefined);
    assert.deepEqual(
      sets[0]?.tables.map(({ table }) => table),
      ['messages'],
    );
    const counting = sized([databases({ mediaDatabases: ['mediaStore'] })], {
      exactCountTimeLimit: Duration.minutes(2),
    });
    assert.deepEqual(settingsOf(counting.stack).exactCount, { timeLimitSeconds: 120 });
    assert.deepEqual(settingsOf(counting.stack).sets[0]?.tables[1]?.databases, ['wa1_mediaStore']);
  });

  it('has alarms for each set, which keep their state while a size is unknown', () => {
    const { stack, size } = sized([databases(), databases({ prefix: 'wa1_b_', mediaDatabases: [] })]);
    const alarms = ofType(resourcesOf(stack), 'AWS::CloudWatch::Alarm')
      .map(([, { Properties: alarm }]) => alarm)
      .filter(({ Dimensions: dimensions }) =>
        (dimensions as { Name: string }[] | undefined)?.some(({ Name }) => Name === 'set'),
      );
    assert.deepEqual(
      alarms.map(
        ({ AlarmName: name, MetricName: metric, ComparisonOperator: operator, Threshold: threshold }) =>
          [name, metric, operator, threshold].join(' '),
      ),
      [
        'shop-database-size-wa1-large MessageRows GreaterThanThreshold 2000000',
        'shop-database-size-wa1-several-calls MessageRows GreaterThanThreshold 10000000',
        'shop-database-size-wa1-growth DaysUntilTenMillion LessThanOrEqualToThreshold 14',
        'shop-database-size-wa1-media MediaRows GreaterThanThreshold 10000000',
        'shop-database-size-wa1_b-large MessageRows GreaterThanThreshold 2000000',
        'shop-database-size-wa1_b-several-calls MessageRows GreaterThanThreshold 10000000',
        'shop-database-size-wa1_b-growth DaysUntilTenMillion LessThanOrEqualToThreshold 14',
      ],
    );
    assert.equal(size.alarms.length, alarms.length);
    for (const { TreatMissingData: treatment, Period: period, Statistic: statistic } of alarms)
      assert.deepEqual([treatment, period, statistic], ['ignore', 300, 'Maximum']);
    assert.deepEqual(alarms[4]?.Dimensions, [
      { Name: 'deployment', Value: 'shop' },
      { Name: 'job', Value: 'database-size' },
      { Name: 'set', Value: 'wa1_b' },
    ]);
  });

  it('may read its secrets and the past of metrics, and nothing else of its own', () => {
    const { stack } = sized([databases({ secretKeyArn: KEY }), databases({ prefix: 'wa2_' })]);
    const resources = resourcesOf(stack);
    assert.deepEqual(
      statementsOf(stack)
        .filter(({ Sid }) => /Database|Past/.test(Sid ?? ''))
        .map(({ Sid, Action, Resource, Condition }) => [
          Sid,
          Action.join(),
          textOf(Resource, resources),
          ...(Condition ? [JSON.stringify(Condition)] : []),
        ]),
      [
        ['ReadDatabaseUser0', 'secretsmanager:GetSecretValue', SECRET],
        [
          'DecryptDatabaseUser0',
          'kms:Decrypt',
          KEY,
          JSON.stringify({
            StringEquals: {
              'kms:ViaService': 'secretsmanager.eu-central-1.amazonaws.com',
              'kms:EncryptionContext:SecretARN': SECRET,
            },
          }),
        ],
        ['ReadPastMetrics', 'cloudwatch:GetMetricData', '*'],
      ],
    );
  });

  it('asks for the last backup of a media volume, if it is given one', () => {
    const asksBackup = (stack: Stack) =>
      statementsOf(stack).filter(({ Action }) => Action.some((action) => action.startsWith('backup:')));
    const without = sized([databases()]).stack;
    assert.equal(settingsOf(without).mediaVolume, undefined);
    assert.deepEqual(asksBackup(without), []);
    const { stack } = sized([databases()], { volumeOf: 'shop' });
    assert.match(settingsOf(stack).mediaVolume?.fileSystemArn ?? '', /:file-system\/fs-0123456789abcdef0$/);
    assert.deepEqual(
      asksBackup(stack).map(({ Action, Resource }) => [Action, Resource]),
      [[['backup:DescribeProtectedResource'], ['*']]],
    );
    assert.throws(
      () => sized([databases()], { volumeOf: 'other' }),
      /the media volume is of the deployment "other", .*; it must be of "shop"/,
    );
  });

  it('reads the credential and its copies, with their keys, where it is to compare them, and writes none', () => {
    const without = sized([databases()], { passwordCopies: { ...CREDENTIAL, copies: [] } });
    assert.equal(settingsOf(without.stack).passwordCopies, undefined);
    assert.equal(without.size.passwordCopiesAlarm, undefined);
    const { stack } = sized([databases()], { passwordCopies: CREDENTIAL });
    assert.deepEqual(settingsOf(stack).passwordCopies, {
      secretArn: CREDENTIAL.secretArn,
      copies: [
        { kind: 'parameter', name: '/meta-WA_DB_PASSWORD', keyId: KEY },
        { kind: 'secret', secretArn: EXPORTER, key: 'data_src_name', template: '{username}:{password}@' },
        { kind: 'parameter', name: 'plain' },
      ],
      deliverySeconds: 7200,
    });
    const resources = resourcesOf(stack);
    const parameters = 'arn:aws:ssm:eu-central-1:111111111111:parameter';
    const context = (service: string, key: string, arn: string) => [
      `kms:ViaService is ${service}.eu-central-1.amazonaws.com`,
      `kms:EncryptionContext:${key} is ${arn}`,
    ];
    assert.deepEqual(
      statementsOf(stack)
        .filter(({ Sid }) => /Credential|Copy/.test(Sid ?? ''))
        .map(({ Sid, Action, Resource, Condition }) => [
          Sid,
          Action.join(),
          textOf(Resource, resources),
          ...Object.entries(Condition?.StringEquals ?? {}).map(
            ([key, arn]) => `${key} is ${textOf(arn, resources)}`,
          ),
        ]),
      [
        ['ReadCredential', 'secretsmanager:GetSecretValue', CREDENTIAL.secretArn],
        [
          'DecryptCredential',
          'kms:Decrypt',
          KEY,
          ...context('secretsmanager', 'SecretARN', CREDENTIAL.secretArn),
        ],
        ['ReadCopy0', 'ssm:GetParameter', `${parameters}/meta-WA_DB_PASSWORD`],
        [
          'DecryptCopy0',
          'kms:Decrypt',
          KEY,
          ...context('ssm', 'PARAMETER_ARN', `${parameters}/meta-WA_DB_PASSWORD`),
        ],
        ['ReadCopy1', 'secretsmanager:GetSecretValue', EXPORTER],
        ['DecryptCopy1', 'kms:Decrypt', KEY, ...context('secretsmanager', 'SecretARN', EXPORTER)],
        ['ReadCopy2', 'ssm:GetParameter', `${parameters}/plain`],
      ],
    );
  });

  it('has an alarm on copies that differ, which keeps its state while that is unknown', () => {
    const { stack } = sized([databases()], { passwordCopies: CREDENTIAL });
    const [alarm] = ofType(resourcesOf(stack), 'AWS::CloudWatch::Alarm')
      .map(([, { Properties: properties }]) => properties)
      .filter(({ MetricName: metric }) => metric === 'PasswordCopiesDiffering');
    assert.equal(alarm?.AlarmName, 'shop-database-size-password-copies');
    assert.deepEqual(alarm?.Dimensions, [
      { Name: 'deployment', Value: 'shop' },
      { Name: 'job', Value: 'database-size' },
    ]);
    assert.deepEqual(
      [alarm?.Statistic, alarm?.ComparisonOperator, alarm?.Threshold, alarm?.TreatMissingData],
      ['Maximum', 'GreaterThanOrEqualToThreshold', 1, 'ignore'],
    );
  });

  it('has all its links, and passes the rules of CloudFormation and of cdk-nag', () => {
    const { app, stack } = sized([databases()], { volumeOf: 'shop', passwordCopies: CREDENTIAL });
    Validations.of(app).addPlugins(new AwsSolutionsChecks());
    app.synth();
    assert.deepEqual(brokenLinks(resourcesOf(stack)), []);
  });

  it('refuses more sets than fit into an environment, before Lambda does', () => {
    const many = (count: number) =>
      Array.from({ length: count }, (_, index) => databases({ prefix: `wa${index}_` }));
    sized(many(5));
    assert.throws(
      () => sized(many(9)),
      /the settings of 9 sets of databases take \d{4} bytes, of which 3968 fit/,
    );
  });

  it('refuses sets that cannot be told apart, or named', () => {
    assert.throws(
      () => sized([databases(), databases({ prefix: 'wa1-' })]),
      /sets\[1\]\.prefix names the set "wa1", as does sets\[0\]/,
    );
    assert.throws(
      () => sized([databases({ prefix: 'wä_' })]),
      /sets\[0\]\.prefix is "wä", which cannot name metrics/,
    );
    sized([databases(), databases({ prefix: 'wa1-', name: 'other' })]);
  });
});
