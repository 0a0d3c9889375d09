import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Duration, Stack, Validations } from 'aws-cdk-lib';
import { Match, Template } from 'aws-cdk-lib/assertions';
import { AwsSolutionsChecks } from 'cdk-nag';
import type { DatabaseAddress } from '../../../functions/shared/database/contract/engine.ts';
import type { Strategy } from '../../../functions/shared/database/contract/rotation.ts';
import type { CredentialRotationProps } from '../../../lib/credential-rotation/credential-rotation-props.ts';
import { entryFile } from '../../../lib/entry-file.ts';
import type { Upkeep } from '../../../lib/upkeep.ts';
import { UpkeepJob } from '../../../lib/upkeep-job.ts';
import { define } from '../../functions/credential-rotation/rotation-days.ts';
import { brokenLinks, roleStatements } from '../links.ts';
import { appWithoutBundles, resourcesOf, textOf } from '../template.ts';

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
  }: { address?: DatabaseAddress; strategy?: Strategy } = {},
) {
  const app = appWithoutBundles();
  const stack = new Stack(app, 'Rotation', { env: { account: ACCOUNT, region: 'eu-central-1' } });
  const rotation = define(stack, { address, strategy }, { secretArn: SECRET, ...change });
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
    new UpkeepJob(stack, 'Reindex', {
      upkeep: stack.node.findChild('Upkeep') as Upkeep,
      job: 'reindex',
      description: 'Rebuilds the index',
      entry: entryFile('credential-rotation'),
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
    const refusals: [RegExp, Partial<CredentialRotationProps>, Parameters<typeof rotated>[1]?][] = [
      [/PostgreSQL keeps one password/, {}, { address: postgres }],
      [/logins fail from the rotation until/, {}, { address: postgres, strategy: single }],
      [/use dual-password, which has no failed logins/, {}, { strategy: single }],
      [/RDS itself rotates/, { secretArn: SECRET.replace('shop/database', 'rds!db') }],
      [/is not the full ARN of a secret/, { secretArn: SECRET.slice(0, -7) }],
      [/A service is named twice: web, web/, { services: [{ name: 'web' }, { name: 'web' }] }],
      [
        /service x+ has 255 characters; .* it may have \d+\. Shorten it/,
        { services: [{ name: 'x'.repeat(255) }] },
      ],
      [/the settings take \d+ bytes/, {}, { address: { ...MYSQL, certificateAuthority: 'x'.repeat(4000) } }],
      [/rings at an age of 30 days/, { rotateAfter: Duration.days(30), maximumAge: Duration.days(30) }],
    ];
    for (const [reason, change, database] of refusals)
      assert.throws(() => rotated(change, database), reason, String(reason));
    rotated({ acceptFailedLogins: true }, { address: postgres, strategy: single });
  });
});
