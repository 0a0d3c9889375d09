import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import {
  DescribeSecretCommand,
  GetSecretValueCommand,
  InvalidParameterException,
  InvalidRequestException,
  PutSecretValueCommand,
  ResourceExistsException,
  RotateSecretCommand,
  SecretsManagerClient,
  UpdateSecretVersionStageCommand,
} from '@aws-sdk/client-secrets-manager';
import { Duration } from 'aws-cdk-lib';
import { ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { CfnPermission } from 'aws-cdk-lib/aws-lambda';
import { CfnRotationSchedule, Secret } from 'aws-cdk-lib/aws-secretsmanager';
import { Topic } from 'aws-cdk-lib/aws-sns';
import { UpkeepFunction } from '../../../../lib/upkeep-function.ts';
import { ACCOUNT, type Deployment, deploy, HOUR, REGION, START } from '../deploy.ts';

const ARN = `arn:aws:secretsmanager:${REGION}:${ACCOUNT}:secret:token-a1B2c3`;

test('a version is written once, and labels move as AWS moves them', () =>
  deploy(
    (stack) => new Topic(stack, 'Alarms'),
    async ({ aws, client }) => {
      aws.secrets.put(ARN, 'first');
      const secrets = new SecretsManagerClient(client());
      const ClientRequestToken = crypto.randomUUID();
      const put = (SecretString: string) =>
        secrets.send(
          new PutSecretValueCommand({
            SecretId: ARN,
            ClientRequestToken,
            SecretString,
            VersionStages: ['AWSPENDING'],
          }),
        );
      const stages = async () => {
        const { VersionIdsToStages } = await secrets.send(new DescribeSecretCommand({ SecretId: ARN }));
        return VersionIdsToStages ?? {};
      };
      const move = (to?: string, from?: string, VersionStage = 'AWSCURRENT') =>
        secrets.send(
          new UpdateSecretVersionStageCommand({
            SecretId: ARN,
            VersionStage,
            ...(to && { MoveToVersionId: to }),
            ...(from && { RemoveFromVersionId: from }),
          }),
        );
      await put('second');
      await put('second');
      await assert.rejects(put('other'), ResourceExistsException);
      const [first = ''] = Object.keys(await stages());
      await assert.rejects(move(ClientRequestToken), InvalidParameterException);
      await assert.rejects(move(undefined, first), InvalidParameterException);
      await move(ClientRequestToken, first);
      assert.deepEqual(await stages(), {
        [first]: ['AWSPREVIOUS'],
        [ClientRequestToken]: ['AWSPENDING', 'AWSCURRENT'],
      });
      await move(undefined, ClientRequestToken, 'AWSPENDING');
      assert.deepEqual((await stages())[ClientRequestToken], ['AWSCURRENT']);
      const { SecretString } = await secrets.send(
        new GetSecretValueCommand({ SecretId: ARN, VersionStage: 'AWSPREVIOUS' }),
      );
      assert.equal(SecretString, 'first');
      secrets.destroy();
    },
  ));

async function rotating(
  failures: number,
  sourceAccount: string,
  work: (deployment: Deployment & { secrets: SecretsManagerClient; arn: string }) => Promise<void>,
) {
  await deploy(
    (stack) => {
      const secret = new Secret(stack, 'Secret');
      const rotation = new UpkeepFunction(stack, 'Rotation', {
        functionName: 'rotation',
        description: 'Rotates',
        entry: fileURLToPath(new URL('fixtures/rotation.ts', import.meta.url)),
        settings: {},
        timeout: Duration.seconds(30),
      });
      rotation.function.addEnvironment('FAILURES', String(failures));
      rotation.allow(
        'Rotate',
        ['PutSecretValue', 'DescribeSecret', 'UpdateSecretVersionStage'].map((it) => `secretsmanager:${it}`),
        [secret.secretArn],
      );
      new CfnPermission(stack, 'Permission', {
        principal: new ServicePrincipal('secretsmanager.amazonaws.com').service,
        action: 'lambda:InvokeFunction',
        functionName: rotation.functionArn,
        sourceAccount,
        sourceArn: secret.secretArn,
      });
      new CfnRotationSchedule(stack, 'Schedule', {
        secretId: secret.secretArn,
        rotationLambdaArn: rotation.functionArn,
        rotateImmediatelyOnUpdate: false,
      });
    },
    async (deployment) => {
      const [secret] = deployment.aws.deployed.ofType('AWS::SecretsManager::Secret');
      const secrets = new SecretsManagerClient(deployment.client());
      await work({ ...deployment, secrets, arn: secret?.arn ?? '' });
      secrets.destroy();
    },
  );
}

test('a deployment calls testSecret alone, and a rotation that fails is tried again from its first step', () =>
  rotating(2, ACCOUNT, async ({ aws, clock, secrets, arn }) => {
    await clock.runUntil(START + HOUR);
    assert.equal(aws.secrets.rotations[0]?.error, undefined);
    const ClientRequestToken = crypto.randomUUID();
    const rotate = (token: string) =>
      secrets.send(new RotateSecretCommand({ SecretId: arn, ClientRequestToken: token }));
    await rotate(ClientRequestToken);
    await assert.rejects(
      secrets.send(new GetSecretValueCommand({ SecretId: arn, VersionId: ClientRequestToken })),
      /can't find/,
    );
    await assert.rejects(rotate(crypto.randomUUID()), InvalidRequestException);
    await rotate(ClientRequestToken);
    await clock.runUntil(START + 2 * HOUR);
    assert.equal(aws.secrets.rotations.length, 2);
    assert.deepEqual(aws.secrets.rotations[1]?.error, undefined);
    assert.equal(aws.secrets.value(arn), `value of ${ClientRequestToken}`);
    const steps = aws.logs.flatMap(({ text }) => /^(\w+Secret)$/.exec(text)?.[1] ?? []);
    const begun = ['createSecret', 'setSecret'];
    assert.deepEqual(steps, ['testSecret', ...begun, ...begun, ...begun, 'testSecret', 'finishSecret']);
    assert.deepEqual(aws.denials, []);
  }));

test('a rotation that goes on failing leaves its label behind, which stops the next one', () =>
  rotating(99, ACCOUNT, async ({ aws, clock, secrets, arn }) => {
    const before = aws.secrets.value(arn);
    const rotate = () => secrets.send(new RotateSecretCommand({ SecretId: arn }));
    const { VersionId } = await rotate();
    await clock.runUntil(START + HOUR);
    assert.equal(aws.secrets.rotations.at(-1)?.error, 'the database is away');
    assert.equal(aws.secrets.value(arn), before);
    await assert.rejects(rotate(), /previous rotation isn't complete/);
    await secrets.send(
      new UpdateSecretVersionStageCommand({
        SecretId: arn,
        VersionStage: 'AWSPENDING',
        RemoveFromVersionId: VersionId,
      }),
    );
    await rotate();
  }));

test('a rotation function that does not let in this account is not called', () =>
  rotating(0, '999999999999', async ({ aws, clock }) => {
    await clock.runUntil(START + HOUR);
    assert.match(aws.secrets.rotations[0]?.error ?? '', /lambda:InvokeFunction/);
  }));
