import assert from 'node:assert/strict';
import type { SynthesizedDeployment } from '../../../bin/doctor/before-deploy/synthesized.ts';
import { AwsError } from '../../../rehearsal/aws/aws-error.ts';
import type { Secret } from '../../../rehearsal/aws/secrets-manager/secret.ts';
import type { World } from '../../../rehearsal/world.ts';
import { type Misconfiguration, set } from './misconfiguration.ts';
import { VPC } from './network-misconfigurations.ts';

const SECRETS = 'arn:aws:secretsmanager:eu-central-1:222222222222:secret:whatsapp/emea';
const API_USER = `${SECRETS}/api-user-d4E5f6`;
const MOUNTING = 'arn:aws:iam::222222222222:role/whatsapp-emea-webapp';
const BOUNDARY = 'arn:aws:iam::222222222222:policy/boundary';
const EMEA = { account: '222222222222', region: 'eu-central-1' };

const nothing = () => () => {};
const asItIs = () => {};

/** Names another secret in the settings of all functions. */
const nameSecret = (arn: string) => (synthesized: SynthesizedDeployment) => {
  for (const { properties } of synthesized.ofType('AWS::Lambda::Function')) {
    const text = JSON.stringify(properties.Environment ?? {});
    properties.Environment = JSON.parse(text.replaceAll(API_USER, arn));
  }
};

/** In place of log-cleanup a job with other settings. */
const asJob = (settings: object) => (synthesized: SynthesizedDeployment) => {
  for (const { properties } of synthesized.ofType('AWS::Lambda::Function')) {
    const isIts = properties.FunctionName === 'emea-log-cleanup';
    if (isIts) properties.Environment = { Variables: { UPKEEP_SETTINGS: JSON.stringify(settings) } };
  }
};

const bound = (synthesized: SynthesizedDeployment) => {
  for (const { properties } of synthesized.ofType('AWS::IAM::Role'))
    properties.PermissionsBoundary = BOUNDARY;
};

const secret = (change: Partial<Secret>) => (world: World) => set(world.aws.secrets.secret(API_USER), change);

const common = { status: 'failed', spoil: nothing, synthesized: asItIs } as const;

/** What stands in the way of `cdk deploy`, or would only be noticed after it. */
export const BEFORE_DEPLOY_MISCONFIGURATIONS: Misconfiguration[] = [
  {
    ...common,
    what: 'a secret without the key that a command is to get of it',
    synthesized: asJob({
      command: ['close-carts'],
      roles: [],
      secrets: { TOKEN: { secretArn: API_USER, key: 'token' } },
      stdin: { secretArn: API_USER },
    }),
    job: 'log-cleanup',
    readsSecrets: true,
    check: 'secrets',
    saw: /^It has no "token"\.$/,
    mend: /^aws secretsmanager put-secret-value --secret-id \S+ --secret-string '\{"token": "…"\}'/,
  },
  {
    ...common,
    what: 'a secret that is watched for new versions, and is to be deleted',
    spoil: secret({ deletedAt: Date.now() }),
    synthesized: asJob({
      watched: [
        { name: 'key', secretArn: API_USER },
        { name: 'flag', parameter: '/flag' },
      ],
    }),
    job: 'log-cleanup',
    check: 'secrets',
    saw: /^It is to be deleted, since /,
    mend: /^aws secretsmanager restore-secret /,
  },
  {
    ...common,
    what: 'an account that was not prepared for the CDK',
    synthesized: ({ stacks }) => {
      for (const { bootstrap } of stacks) if (bootstrap) bootstrap.parameter = '/cdk-bootstrap/other/version';
    },
    check: 'bootstrap of the CDK',
    saw: /^The account and region were not prepared for the CDK\.$/,
    mend: /^npx cdk bootstrap aws:\/\/222222222222\/eu-central-1$/,
  },
  {
    ...common,
    what: 'an account that was prepared long ago',
    spoil: ({ aws }) => {
      aws.ssm.write('/cdk-bootstrap/hnb659fds/version', '3', EMEA);
      return () => aws.ssm.write('/cdk-bootstrap/hnb659fds/version', '31', EMEA);
    },
    check: 'bootstrap of the CDK',
    saw: /^Version 3, and \d+ is needed\.$/,
    mend: /^npx cdk bootstrap /,
  },
  {
    ...common,
    what: 'a region without durable functions',
    spoil: ({ aws }) => {
      const { operations } = aws.lambda;
      const { ListDurableExecutionsByFunction: list } = operations;
      assert.ok(list);
      operations.ListDurableExecutionsByFunction = {
        ...list,
        does: () => {
          throw new AwsError('UnknownOperationException', 'The requested operation is not recognized.');
        },
      };
      return () => {
        operations.ListDurableExecutionsByFunction = list;
      };
    },
    check: 'durable functions in the region',
    saw: /^Lambda knows of no durable executions: /,
    mend: /^A region with durable functions in region of the configuration/,
  },
  {
    ...common,
    what: 'a secret that is not there',
    synthesized: nameSecret(`${SECRETS}/nobody-a1B2c3`),
    check: 'secrets',
    saw: /^There is no such secret\.$/,
    mend: /^aws secretsmanager list-secrets /,
  },
  {
    ...common,
    what: "a secret's ARN that is cut short",
    synthesized: nameSecret(`${SECRETS}/api-user`),
    check: 'secrets',
    saw: /^Its ARN is \S+api-user-d4E5f6: a function may read only what is named to the last character\.$/,
    mend: /^arn:aws:secretsmanager:\S+api-user-d4E5f6 {3}# in place of /,
  },
  {
    ...common,
    what: 'a secret of another region',
    synthesized: nameSecret(API_USER.replace('eu-central-1', 'eu-west-1')),
    check: 'secrets',
    saw: /^It is in eu-west-1, and the functions read from eu-central-1\.$/,
    mend: /^aws secretsmanager replicate-secret-to-regions --region eu-west-1 /,
  },
  {
    ...common,
    what: 'a secret that is to be deleted',
    spoil: secret({ deletedAt: Date.parse('2026-11-20T00:00:00Z') }),
    check: 'secrets',
    saw: /^It is to be deleted, since 2026-11-20\.$/,
    mend: /^aws secretsmanager restore-secret --secret-id \S+api-user-d4E5f6$/,
  },
  {
    ...common,
    what: 'a secret without a value',
    spoil: secret({ versions: [] }),
    check: 'secrets',
    saw: /^It has no value yet\.$/,
    mend: /^aws secretsmanager put-secret-value --secret-id \S+api-user-d4E5f6 /,
  },
  {
    ...common,
    what: 'a secret with a key that the configuration does not name',
    spoil: secret({
      keyId: 'arn:aws:kms:eu-central-1:222222222222:key/11111111-2222-3333-4444-555555555555',
    }),
    check: 'secrets',
    saw: /^It is encrypted with the key \S+, which no function is allowed to use\.$/,
    mend: /^encryptionKeyArn: 'arn:aws:kms:eu-central-1:222222222222:key\/11111111-2222-3333-4444-555555555555' {3}# beside secretArn/,
  },
  {
    ...common,
    what: 'a secret without the fields, where its value may be read',
    readsSecrets: true,
    spoil: ({ aws }) => {
      const before = aws.secrets.value(API_USER) ?? '';
      aws.secrets.put(API_USER, JSON.stringify({ user: 'upkeep', password: 'hunter2' }));
      return () => aws.secrets.put(API_USER, before);
    },
    check: 'secrets',
    saw: /^It has no "username"\.$/,
    mend: /^aws secretsmanager put-secret-value /,
  },
  {
    ...common,
    what: 'a role that is not there, of those that may mount the volume',
    spoil: ({ aws }) => aws.iam.deleteRole(MOUNTING),
    check: 'roles that are named',
    saw: /^There is no such role, and a policy of the stacks names it\.$/,
    mend: /^aws iam list-roles .*callbacks\.senders/,
  },
  {
    ...common,
    what: 'a permissions boundary that is not there',
    synthesized: bound,
    check: 'permissions boundaries',
    saw: /^There is no such policy: no role can be made with it\.$/,
    mend: /^aws iam list-policies --scope Local /,
  },
  {
    ...common,
    what: 'a permissions boundary that leaves too little',
    spoil: ({ aws }) => {
      aws.iam.policies.set(BOUNDARY, {
        Version: '2012-10-17',
        Statement: { Effect: 'Allow', NotAction: 'ecs:*', Resource: '*' },
      });
      return () => aws.iam.policies.delete(BOUNDARY);
    },
    synthesized: bound,
    check: 'permissions boundaries',
    saw: /^It leaves the roles nothing of ecs:DescribeServiceDeployments, ecs:\w+, .*ecs:UpdateService, which they are made for\.$/,
    mend: /"Action": \["ecs:DescribeServiceDeployments",.*"ecs:ExecuteCommand"/,
  },
  {
    ...common,
    // Those of the stack that is deployed here, as if they were somebody else's.
    what: 'endpoints that are there already',
    spoil: ({ aws }) =>
      aws.onCall(({ operation, input }) =>
        operation === 'GetFunctionConfiguration' && input.FunctionName === 'emea-start-run'
          ? new AwsError('ResourceNotFoundException', 'Function not found')
          : undefined,
      ),
    check: 'endpoints to be made',
    saw: /^The VPC has vpce-\w+ for com\.amazonaws\.eu-central-1\.\w+ already, with private DNS, and takes no second one\.$/,
    mend: /^endpoints: 'existing'/,
  },
  {
    ...common,
    what: 'a VPC without DNS',
    spoil: ({ aws }) => {
      aws.ec2.withoutDns.add(VPC);
      return () => aws.ec2.withoutDns.delete(VPC);
    },
    check: 'endpoints to be made',
    saw: /^enableDns(Support|Hostnames) of the VPC is off/,
    mend: /^aws ec2 modify-vpc-attribute --vpc-id vpc-0a1b2c3d4e5f60002 --enable-dns-(support|hostnames) '\{"Value":true\}'$/,
  },
  {
    ...common,
    what: 'endpoints to be made that will shut the tasks out',
    synthesized: (synthesized) => {
      for (const { properties } of synthesized.ofType('AWS::EC2::SecurityGroupIngress'))
        if (properties.SourceSecurityGroupId === 'sg-0a1b2c3d4e5f60004')
          properties.SourceSecurityGroupId = 'sg-0a1b2c3d4e5f60007';
    },
    check: 'networks of the tasks',
    saw: /^Its tasks in .* and secretsmanager: the endpoint \w+ of the stack answers to the service's name in the whole VPC, and its security group \S+ does not let sg-0a1b2c3d4e5f60004 in/,
    mend: /network\.otherEndpointClients of the configuration/,
  },
];
