import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ListQueuesCommand, SQSClient } from '@aws-sdk/client-sqs';
import { AssumeRoleCommand, GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import { ArnPrincipal, PolicyStatement, Role } from 'aws-cdk-lib/aws-iam';
import { ACCOUNT, deploy, REGION } from '../deploy.ts';

const ROLE = `arn:aws:iam::${ACCOUNT}:role/looker`;

test('gives sessions of a role to whom it trusts, limited to what their own policy allows', () =>
  deploy(
    (stack) => {
      const role = new Role(stack, 'Looker', {
        roleName: 'looker',
        assumedBy: new ArnPrincipal(`arn:aws:iam::${ACCOUNT}:user/tester`),
      });
      role.addToPolicy(new PolicyStatement({ actions: ['sqs:ListQueues'], resources: ['*'] }));
    },
    async ({ aws, client }) => {
      const assume = async (Policy?: object) => {
        const { Credentials: given, AssumedRoleUser } = await new STSClient(client()).send(
          new AssumeRoleCommand({
            RoleArn: ROLE,
            RoleSessionName: 'mine',
            ...(Policy && { Policy: JSON.stringify({ Version: '2012-10-17', Statement: Policy }) }),
          }),
        );
        assert.equal(AssumedRoleUser?.Arn, `arn:aws:sts::${ACCOUNT}:assumed-role/looker/mine`);
        return {
          ...client(),
          credentials: {
            accessKeyId: given?.AccessKeyId ?? '',
            secretAccessKey: given?.SecretAccessKey ?? '',
            sessionToken: given?.SessionToken ?? '',
          },
        };
      };
      const free = await assume();
      const { Arn } = await new STSClient(free).send(new GetCallerIdentityCommand({}));
      assert.equal(Arn, `arn:aws:sts::${ACCOUNT}:assumed-role/looker/mine`);
      await new SQSClient(free).send(new ListQueuesCommand({}));
      const limited = await assume({ Effect: 'Allow', Action: 'sqs:SendMessage', Resource: '*' });
      await assert.rejects(
        new SQSClient(limited).send(new ListQueuesCommand({})),
        /because no session policy allows the sqs:ListQueues action/,
      );
      const stranger = aws.credentialsFor({
        arn: `arn:aws:iam::${ACCOUNT}:user/stranger`,
        policy: { Version: '2012-10-17', Statement: { Effect: 'Allow', Action: '*', Resource: '*' } },
      });
      await assert.rejects(
        new STSClient({ endpoint: aws.endpoint, region: REGION, credentials: stranger }).send(
          new AssumeRoleCommand({ RoleArn: ROLE, RoleSessionName: 'mine' }),
        ),
        { name: 'AccessDenied' },
      );
    },
  ));
