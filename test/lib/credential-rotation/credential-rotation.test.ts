import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Duration, Fn, Stack, Validations } from 'aws-cdk-lib';
import { Match, Template } from 'aws-cdk-lib/assertions';
import { type IVpc, Vpc } from 'aws-cdk-lib/aws-ec2';
import {
  Cluster,
  ContainerImage,
  FargateService,
  FargateTaskDefinition,
  type ICluster,
} from 'aws-cdk-lib/aws-ecs';
import { Key } from 'aws-cdk-lib/aws-kms';
import {
  Credentials,
  DatabaseInstance,
  DatabaseInstanceEngine,
  type IDatabaseInstance,
  MysqlEngineVersion,
} from 'aws-cdk-lib/aws-rds';
import { type ISecret, Secret } from 'aws-cdk-lib/aws-secretsmanager';
import { AwsSolutionsChecks } from 'cdk-nag';
import type { DatabaseAddress } from '../../../functions/shared/database/contract/engine.ts';
import type { Strategy } from '../../../functions/shared/database/contract/rotation.ts';
import { PropsError } from '../../../lib/checks/props.ts';
import type { CredentialRotationProps } from '../../../lib/credential-rotation/credential-rotation-props.ts';
import { entryFile } from '../../../lib/entry-file.ts';
import { CredentialRotation, Upkeep, UpkeepJob } from '../../../lib/index.ts';
import { define } from '../../functions/credential-rotation/rotation-days.ts';
import { brokenLinks, roleStatements } from '../links.ts';
import { appWithoutBundles, resourcesOf, textOf } from '../template.ts';

// biome-ignore lint/suspicious/noExplicitAny: what is mistaken has no type.
type Anything = any;

const ACCOUNT = '111111111111';
const SECRET = `arn:aws:secretsmanager:eu-central-1:${ACCOUNT}:secret:shop/database-a1B2c3`;
const MYSQL: DatabaseAddress = {
  engine: 'aurora-mysql',
  host: 'database.internal',
  port: 3306,
  certificateAuthority: 'rds',
};

function rotated(
  change: Partial<CredentialRotationProps> = {},
  {
    address = MYSQL,
    strategy = { kind: 'dual-password' },
    secret = (scope) => Secret.fromSecretCompleteArn(scope, 'Rotated', SECRET),
  }: { address?: DatabaseAddress; strategy?: Strategy; secret?: (scope: Stack) => ISecret } = {},
) {
  const app = appWithoutBundles();
  const stack = new Stack(app, 'Rotation', { env: { account: ACCOUNT, region: 'eu-central-1' } });
  const rotation = define(stack, { address, strategy }, { secret: secret(stack), ...change });
  return { app, stack, rotation };
}

describe('CredentialRotation', () => {
  it('lets Secrets Manager call its function for this secret of this account, on no schedule of its own', () => {
    const template = Template.fromStack(rotated().stack);
    template.hasResourceProperties('AWS::Lambda::Permission', {
      Principal: 'secretsmanager.amazonaws.com',
      Action: 'lambda:InvokeFunction',
      SourceAccount: ACCOUNT,
      SourceArn: SECRET,
    });
    template.hasResourceProperties('AWS::SecretsManager::RotationSchedule', {
      SecretId: SECRET,
      RotateImmediatelyOnUpdate: false,
      RotationRules: Match.absent(),
    });
  });

  it('may write the copies and replace the tasks of its services, and no others', () => {
    const { stack } = rotated();
    const resources = resourcesOf(stack);
    const statements = Object.fromEntries(
      Object.keys(resources)
        .filter((id) => /^Rotation.*FunctionRole\w{8}$|^RotationRotateSecretRole/.test(id))
        .flatMap((id) => roleStatements(resources, id))
        .filter(({ Sid }) => /Copy|Services|Deployments|Tasks|Rotat/.test(Sid ?? ''))
        .map(({ Sid, Resource }) => [Sid, textOf(Resource, resources)]),
    );
    const ecs = `arn:aws:ecs:eu-central-1:${ACCOUNT}`;
    assert.equal(
      statements.RollServices,
      ['web', 'master', 'core'].map((name) => `${ecs}:service/shop/${name}`).join(', '),
    );
    assert.equal(statements.ReplaceTasks, `${ecs}:task/shop/*`);
    assert.equal(statements.WriteCopy0, `arn:aws:ssm:eu-central-1:${ACCOUNT}:parameter/shop-WA_DB_PASSWORD`);
    assert.equal(statements.ReadRotation, SECRET);
    assert.equal(statements.StartRotation, SECRET);
    assert.deepEqual(statements.FollowDeployments?.split(', ').slice(0, 4), [
      ...['web', 'master', 'core'].map((name) => `${ecs}:service/shop/${name}`),
      `${ecs}:service-deployment/shop/web/*`,
    ]);
    assert.equal(statements.RotateSecret, SECRET);
  });

  it('takes services by their names, and a parameter by a name that is known later', () => {
    const { stack } = rotated({
      services: ['web', { name: 'core' }],
      copies: [{ kind: 'parameter', name: Fn.importValue('PasswordParameter') }],
    });
    const resources = resourcesOf(stack);
    const [written] = Object.keys(resources)
      .filter((id) => /FunctionRole\w{8}$/.test(id))
      .flatMap((id) => roleStatements(resources, id))
      .filter(({ Sid }) => Sid === 'WriteCopy0');
    // By a name that begins with a slash, and by one that does not: of the other form there is nothing.
    assert.deepEqual(
      written?.Resource.map((arn) => JSON.stringify(arn).match(/:parameter(\/?)"/)?.[1]),
      ['', '/'],
    );
    for (const service of ['web', 'core'])
      Template.fromStack(stack).hasResourceProperties('AWS::CloudWatch::Alarm', {
        AlarmName: `shop-credential-rotation-stopped-${service}`,
      });
  });

  it('tells of each service by an alarm of its own, whose text names it', () => {
    const { stack, rotation } = rotated();
    assert.equal(rotation.stoppedAlarms.length, 3);
    Template.fromStack(stack).hasResourceProperties('AWS::CloudWatch::Alarm', {
      AlarmName: 'shop-credential-rotation-stopped-master',
      AlarmDescription: Match.stringLikeRegexp('stopped at the service master'),
      MetricName: 'RollsStopped',
      Dimensions: Match.arrayWith([{ Name: 'service', Value: 'master' }]),
      // Between two rolls the alarm stays as it is.
      TreatMissingData: 'ignore',
    });
  });

  it('may ask for the runs of the jobs that it waits for, and of no others', () => {
    const { stack } = rotated({ waitsFor: ['reindex'] });
    const upkeep = stack.node.findChild('Upkeep');
    assert.ok(upkeep instanceof Upkeep);
    new UpkeepJob(stack, 'Reindex', {
      upkeep,
      job: 'reindex',
      description: 'Another job',
      entry: entryFile('run-in-containers'),
      settings: {},
      timeLimit: Duration.hours(1),
    });
    const resources = resourcesOf(stack);
    const [statement, ...others] = Object.keys(resources)
      .filter((id) => /^RotationJobFunctionRole\w{8}$/.test(id))
      .flatMap((id) => roleStatements(resources, id))
      .filter(({ Sid }) => Sid === 'FollowOtherRuns');
    assert.deepEqual(others, []);
    assert.deepEqual(statement?.Action, ['lambda:GetDurableExecution']);
    assert.equal(
      textOf(statement?.Resource, resources),
      `arn:aws:lambda:eu-central-1:${ACCOUNT}:function:shop-reindex:*`,
    );
  });

  it('has all its links, and passes the rules of CloudFormation and of cdk-nag', () => {
    const { app, stack } = rotated();
    Validations.of(app).addPlugins(new AwsSolutionsChecks());
    app.synth();
    assert.deepEqual(brokenLinks(resourcesOf(stack)), []);
  });

  it('refuses at synthesis what could not work, with the reason', () => {
    const postgres: DatabaseAddress = { ...MYSQL, engine: 'postgres' };
    const single: Strategy = { kind: 'single-password', user: 'wa' };
    const partial = (arn: string) => (scope: Stack) => Secret.fromSecretPartialArn(scope, 'Rotated', arn);
    const complete = (arn: string) => (scope: Stack) => Secret.fromSecretCompleteArn(scope, 'Rotated', arn);
    const arn = 'arn:aws:ecs:eu-central-1:111111111111:service/shop/web';
    const alternating = (users: [string, string]): Strategy => ({ kind: 'alternating-users', users });
    const refusals: [RegExp, Anything, Parameters<typeof rotated>[1]?][] = [
      [
        /strategy\.kind is "dual-password", which cannot be: PostgreSQL keeps one password/,
        {},
        { address: postgres },
      ],
      [/logins fail from the rotation until/, {}, { address: postgres, strategy: single }],
      [/use dual-password, which has no failed logins/, {}, { strategy: single }],
      [
        /strategy\.kind is "blue-green"; it must be "dual-password", "alternating-users" or "single-password"/,
        { strategy: { kind: 'blue-green' } },
      ],
      [
        /strategy\.users is \["wa"\]; it must be a list of two users/,
        { strategy: { kind: 'alternating-users', users: ['wa'] } },
      ],
      [/network is missing; it must be an object with "vpc"/, { network: undefined }],
      [/network\.vpc is missing; it must be a VPC/, { network: {} }],
      [/schedule is missing; it must be an object with "at"/, { schedule: undefined }],
      [
        /schedule\.weekday is not a known field\. Allowed here: at, flexibleWindow\./,
        { schedule: { at: '01:30', weekday: 'monday' } },
      ],
      [/timeLimit is missing; it must be a Duration/, { timeLimit: undefined }],
      [/waitsFor is "prune"; it must be a list of names of jobs/, { waitsFor: 'prune' }],
      [/application\.entry is missing; it must be the path of a file/, { application: { settings: {} } }],
      [/upkeep is missing; it must be the Upkeep of its deployment/, { upkeep: undefined }],
      [
        /strategy\.users\[1\] is "wa", as strategy\.users\[0\] is; each must be named once/,
        {},
        { strategy: alternating(['wa', 'wa']) },
      ],
      [
        /has 33 characters, and aurora-mysql takes 32 at most/,
        {},
        { strategy: alternating(['w'.repeat(33), 'wa']) },
      ],
      [
        /database\.engine is "postgresql"; it must be one of mysql, aurora-mysql, mariadb, postgres, aurora-postgresql/,
        { database: { ...MYSQL, engine: 'postgresql' } },
      ],
      [
        /database\.host is "10\.0\.0\.7"; it must be a host name/,
        { database: { ...MYSQL, host: '10.0.0.7' } },
      ],
      [/database\.port is 0; it must be a whole number/, { database: { ...MYSQL, port: 0 } }],
      [
        /administrator is missing; it must be the secret of a user that changes passwords, for alternating-users/,
        { administrator: undefined },
        { strategy: alternating(['a', 'b']) },
      ],
      [
        /secret names a secret that RDS itself rotates/,
        {},
        { secret: complete(SECRET.replace('shop/database', 'rds!db')) },
      ],
      [/secret is told by its name or a part of its ARN/, {}, { secret: partial(SECRET.slice(0, -7)) }],
      [/secret is "arn"; it must be a secret, such as Secret\.fromSecretCompleteArn/, { secret: 'arn' }],
      [/services is \[\]; it must be a list of 1 to 50 ECS services/, { services: [] }],
      [
        /services\[1\]\.name is "web", as is services\[0\]\.name; each service must be named once/,
        { services: [{ name: 'web' }, { name: 'web' }] },
      ],
      [
        /services\[0\]\.name is "arn:.*"; it must be the name of an ECS service/,
        { services: [{ name: arn }] },
      ],
      [
        /services\[0\]\.name has 255 characters; it must have no more than \d+/,
        { services: [{ name: 'x'.repeat(255) }] },
      ],
      [/cluster is missing/, { cluster: undefined }],
      [
        /the settings take \d+ bytes/,
        {},
        { address: { ...MYSQL, certificateAuthority: `-----BEGIN CERTIFICATE-----${'x'.repeat(4000)}` } },
      ],
      [
        /maximumAge is 30 days; it must be more than the 30 days of rotateAfter/,
        { rotateAfter: Duration.days(30), maximumAge: Duration.days(30) },
      ],
      [
        /steadyTimeout is 3 hours; it must be less than the 3 hours of timeLimit/,
        { steadyTimeout: Duration.hours(3) },
      ],
      [/whenUnproven is "Keep"; it must be "keep" or "retire"/, { whenUnproven: 'Keep' }],
      [
        /copies\[0\]\.secretArn is ".*"; it must be the full ARN of a secret, with the six characters/,
        { copies: [{ kind: 'secret', secretArn: SECRET.slice(0, -7), key: 'url' }] },
      ],
      [
        /copies\[0\]\.template is ".*"; it must be a text with \{username\} or \{password\}/,
        { copies: [{ kind: 'parameter', name: 'shop', template: 'mysql://{user}:{pass}@db' }] },
      ],
      [/copies\[0\]\.name is missing/, { copies: [{ kind: 'parameter' }] }],
      [
        /copies\[1\]\.name names the same place as copies\[0\]\.name/,
        {
          copies: [
            { kind: 'parameter', name: 'shop' },
            { kind: 'parameter', name: 'shop', template: '{username}' },
          ],
        },
      ],
      [
        /copies\[0\]\.secretArn names what is rotated itself/,
        { copies: [{ kind: 'secret', secretArn: SECRET, key: 'password' }] },
      ],
      [/password leaves nothing to draw from/, { password: { alphabet: 'a' } }],
      [/schedule\.at is "25:99"/, { schedule: { at: '25:99' } }],
      [
        /database\.certificateAuthority is "\.\/ca\.pem"; it must be "rds" or PEM, the text of a certificate/,
        {},
        { address: { ...MYSQL, certificateAuthority: './ca.pem' } },
      ],
      [
        /services\[0\]\.oneattime is not a known field; did you mean "oneAtATime"\?/,
        { services: [{ name: 'web', oneattime: true } as Anything] },
      ],
      [
        /password\.excludes is not a known field; did you mean "exclude"\?/,
        { password: { excludes: '/@' } as Anything },
      ],
      [
        /database is .*; it must be an object with "engine", "host", "port" and "certificateAuthority", or a database of RDS itself/,
        { database: { connections: {}, endpoint: 'a proxy' } as Anything },
      ],
      [/replica is not a known field; did you mean "replicas"\?/, { replica: [] }],
      [
        /replicas\[0\]\.ports is not a known field; did you mean "port"\?/,
        { replicas: [{ host: 'replica.example.com', ports: 5433 } as Anything] },
      ],
      [
        /copies\[0\]\.templates is not a known field; did you mean "template"\?/,
        { copies: [{ kind: 'parameter', name: 'login', templates: '{username}' } as Anything] },
      ],
    ];
    for (const [reason, change, database] of refusals)
      assert.throws(
        () => rotated(change, database),
        (error) => {
          assert.ok(error instanceof PropsError, String(error));
          assert.match(error.message, /^Rotation\/Rotation/);
          assert.match(error.message, reason);
          return true;
        },
      );
    rotated({ acceptFailedLogins: true }, { address: postgres, strategy: single });
  });

  it('takes the things themselves, of another stack too, and the database lets its functions in', () => {
    const app = appWithoutBundles();
    const env = { account: ACCOUNT, region: 'eu-central-1' };
    const shop = new Stack(app, 'Shop', { env });
    // Only under exactOptionalPropertyTypes are the CDK's own types at odds here.
    const vpc: IVpc = new Vpc(shop, 'Vpc', { availabilityZones: ['eu-central-1a', 'eu-central-1b'] }) as IVpc;
    const key = new Key(shop, 'Key');
    const database = new DatabaseInstance(shop, 'Database', {
      engine: DatabaseInstanceEngine.mysql({ version: MysqlEngineVersion.VER_8_0_40 }),
      vpc,
      credentials: Credentials.fromGeneratedSecret('shop', { encryptionKey: key }),
    });
    const cluster = new Cluster(shop, 'Cluster', { vpc });
    const taskDefinition = new FargateTaskDefinition(shop, 'Task');
    taskDefinition.addContainer('web', { image: ContainerImage.fromRegistry('shop') });
    const service = new FargateService(shop, 'Web', { cluster: cluster as ICluster, taskDefinition });
    const upkeepStack = new Stack(app, 'Upkeep', { env });
    const upkeep = new Upkeep(upkeepStack, 'Upkeep', {
      deployment: 'shop',
      timeZone: 'Europe/Berlin',
      window: { from: '01:00', to: '05:00' },
    });
    assert.ok(database.secret);
    new CredentialRotation(upkeepStack, 'Rotation', {
      upkeep,
      secret: database.secret,
      database: database as IDatabaseInstance,
      strategy: { kind: 'dual-password' },
      services: [service],
      network: { vpc },
      schedule: { at: '01:30' },
      timeLimit: Duration.hours(2),
    });
    app.synth();
    assert.deepEqual(
      [upkeepStack.dependencies, shop.dependencies],
      [[shop], []],
      'the upkeep refers to the shop, and nothing the other way round',
    );
    const template = Template.fromStack(upkeepStack);
    template.resourceCountIs('AWS::EC2::SecurityGroupIngress', 1);
    template.hasResourceProperties('AWS::EC2::SecurityGroupIngress', {
      FromPort: { 'Fn::ImportValue': Match.stringLikeRegexp('DatabaseEndpoint|Port') },
    });
    const resources = resourcesOf(upkeepStack);
    const allowed = JSON.stringify(
      Object.keys(resources)
        .filter((id) => /FunctionRole\w{8}$/.test(id))
        .map((id) => roleStatements(resources, id)),
    );
    for (const name of ['Secret', 'Key', 'ClusterEB', 'Web'])
      assert.match(allowed, new RegExp(`Fn::ImportValue[^}]*${name}`), name);
  });
});
