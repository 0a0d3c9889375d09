import { createHash } from 'node:crypto';
import { AwsError } from '../aws-error.ts';
import type { Clock } from '../clock.ts';
import { clusterArn } from '../ecs/ecs.ts';
import { parameterArn } from '../ssm/ssm.ts';
import { type Deployed, type Resource, UnknownTemplate } from '../template/template.ts';
import { isRecord } from '../wire/wire.ts';
import {
  type Access,
  checkPolicy,
  type Judgement,
  judge,
  type PolicyDocument,
  type Principal,
  principalName,
  type Statement,
} from './policy.ts';

/** A use of AWS that was checked, whether by a caller over HTTP or by one service of another. */
export interface ApiCall {
  /** Epoch milliseconds on the rehearsal's clock. */
  time: number;
  /** ARN of the caller, or the name of the service that acted. */
  who: string;
  /** Name of the Lambda function that called, if one did. */
  function?: string;
  /** As in the action's prefix. */
  service: string;
  action: string;
  resource: string;
  allowed: boolean;
  /** AWS's sentence, if it was not allowed. */
  denial?: string;
}

/** An access that was judged, and by which role or to which resource. */
export interface JudgedAccess {
  access: Access;
  judgement: Judgement;
}

export interface Credentials {
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken: string;
}

export interface Caller {
  principal: Principal & { kind: 'identity' };
  credentials: Credentials;
  /** The Lambda function whose role this is. */
  function?: { name: string; arn: string };
}

/**
 * Who may do what: roles and resource policies of the templates. Keeps a record of everything it was asked. Throws
 * `UnknownPolicy` or `UnknownTemplate` where it can't judge a policy.
 */
export class AccessControl {
  readonly calls: ApiCall[] = [];
  /** Each access that was judged, those alike once. */
  readonly judged = new Map<string, JudgedAccess>();
  readonly #clock: Clock;
  readonly #deployed: Deployed;
  readonly #callers = new Map<string, Caller>();
  readonly #resourcePolicies = new Map<string, PolicyDocument[]>();
  /** ARNs of keys that no template has. */
  readonly #otherKeys = new Set<string>();

  constructor(deployed: Deployed, clock: Clock) {
    this.#clock = clock;
    this.#deployed = deployed;
    this.#readResourcePolicies();
    for (const role of deployed.ofType('AWS::IAM::Role')) {
      const trust = role.properties.policy('AssumeRolePolicyDocument');
      for (const policy of [trust, ...this.#rolePolicies(role)]) checkPolicy(policy, role.properties.where);
    }
    for (const [arn, policies] of this.#resourcePolicies) {
      for (const policy of policies) checkPolicy(policy, arn);
    }
  }

  /** Every refusal so far, as AWS's sentence. A good rehearsal has none. */
  get denials(): string[] {
    return this.calls.flatMap((call) => (call.denial === undefined ? [] : [call.denial]));
  }

  /** New temporary credentials of a principal. */
  issue(principal: Principal & { kind: 'identity' }, of?: { name: string; arn: string }): Credentials {
    const id = createHash('sha256').update(`${principal.arn} ${this.#callers.size}`).digest('hex');
    const credentials = {
      accessKeyId: `ASIA${id.slice(0, 16).toUpperCase()}`,
      secretAccessKey: id.slice(16, 56),
      sessionToken: `rehearsal-session-${id}`,
    };
    this.#callers.set(credentials.accessKeyId, {
      principal,
      credentials,
      ...(of !== undefined && { function: of }),
    });
    return credentials;
  }

  caller(accessKeyId: string): Caller | undefined {
    return this.#callers.get(accessKeyId);
  }

  /** A session of a role in the templates. */
  session(roleArn: string, sessionName: string): Principal & { kind: 'identity' } {
    const role = this.#deployed.byArn(roleArn);
    if (role?.type !== 'AWS::IAM::Role') throw new UnknownTemplate(`the role ${roleArn} is in no template`);
    return {
      kind: 'identity',
      arn: `arn:aws:sts::${role.account}:assumed-role/${role.name}/${sessionName}`,
      identityArn: role.arn,
      account: role.account,
      policies: this.#rolePolicies(role),
    };
  }

  /** As {@link session}, for a service that has to be trusted by the role. Undefined if it is not. */
  assume(
    roleArn: string,
    sessionName: string,
    service: string,
    conditions: Record<string, string>,
  ): (Principal & { kind: 'identity' }) | undefined {
    const role = this.#deployed.byArn(roleArn);
    if (role?.type !== 'AWS::IAM::Role') throw new UnknownTemplate(`the role ${roleArn} is in no template`);
    const refused = this.check({
      principal: { kind: 'service', service },
      action: 'sts:AssumeRole',
      resource: roleArn,
      resourcePolicies: [role.properties.policy('AssumeRolePolicyDocument')],
      conditions,
    });
    return refused === undefined ? this.session(roleArn, sessionName) : undefined;
  }

  /** Judges and records an access: undefined, or AWS's sentence of refusal. */
  check(access: Omit<Access, 'account'> & { function?: string }): string | undefined {
    const { function: _caller, ...asked } = access;
    const whole: Access = {
      resourcePolicies: this.#resourcePolicies.get(access.resource) ?? [],
      ...asked,
      account: access.resource.split(':')[4] || accountOf(access.principal),
    };
    const judgement = judge(whole);
    const { principal, action, resource, conditions } = whole;
    const who = principal.kind === 'identity' ? principal.identityArn : principalName(principal);
    this.judged.set(JSON.stringify([who, action, resource, conditions]), { access: whole, judgement });
    this.record(access, judgement.denial);
    return judgement.denial;
  }

  /** The policies of the templates: what roles may do, who may be them, and who may do what to a resource. */
  everyPolicy(): { of: string; kind: 'identity' | 'trust' | 'resource'; policy: PolicyDocument }[] {
    const roles = this.#deployed.ofType('AWS::IAM::Role');
    return [
      ...roles.flatMap((role) =>
        this.#rolePolicies(role).map((policy) => ({ of: role.arn, kind: 'identity' as const, policy })),
      ),
      ...roles.map((role) => ({
        of: role.arn,
        kind: 'trust' as const,
        policy: role.properties.policy('AssumeRolePolicyDocument'),
      })),
      ...[...this.#resourcePolicies].flatMap(([of, policies]) =>
        policies.map((policy) => ({ of, kind: 'resource' as const, policy })),
      ),
    ];
  }

  record(access: Omit<Access, 'account'> & { function?: string }, refused: string | undefined): void {
    const { principal, action, resource } = access;
    this.calls.push({
      time: this.#clock.now(),
      who: principalName(principal),
      ...(access.function !== undefined && { function: access.function }),
      service: action.split(':')[0] ?? '',
      action,
      resource,
      allowed: refused === undefined,
      ...(refused !== undefined && { denial: refused }),
    });
  }

  /** A key that another stack has, with the policy that KMS gives by default: the account's own policies decide. */
  addKey(arn: string): void {
    const AWS = arn.replace(/^(arn:[^:]+):kms:[^:]+:(\d{12}):.*$/, '$1:iam::$2:root');
    const Statement = { Effect: 'Allow', Principal: { AWS }, Action: 'kms:*', Resource: '*' };
    this.#resourcePolicies.set(arn, [{ Version: '2012-10-17', Statement }]);
    this.#otherKeys.add(arn);
  }

  /** Whether a principal may use the key of an encrypted queue, topic or log group. Undefined, or the refusal. */
  checkKey(
    keyId: string | undefined,
    principal: Principal,
    actions: string[],
    conditions: Record<string, string | undefined>,
    place: { account: string; region: string },
    functionName?: string,
  ): string | undefined {
    if (keyId === undefined) return undefined;
    const key = this.#key(keyId, place);
    if (key === undefined) {
      // The policy of an AWS-managed key (alias/aws/…) admits identities of its account, but no service.
      if (principal.kind === 'identity') return undefined;
      const refused = `Service: ${principalName(principal)} is not authorized to perform: ${actions[0]} on resource: ${keyId} because AWS-managed keys admit no service`;
      this.record({ principal, action: actions[0] ?? '', resource: keyId }, refused);
      return refused;
    }
    for (const action of actions) {
      const refused = this.check({
        principal,
        action,
        resource: key.arn,
        needsResourcePolicy: true,
        conditions,
        ...(functionName !== undefined && { function: functionName }),
      });
      if (refused !== undefined) return refused;
    }
    return undefined;
  }

  #key(id: string, place: { account: string; region: string }): Pick<Resource, 'arn'> | undefined {
    if (/^(arn:.*:)?alias\/aws\//.test(id)) return undefined;
    if (this.#otherKeys.has(id)) return { arn: id };
    const keys = this.#deployed.ofType('AWS::KMS::Key');
    const alias = this.#deployed
      .ofType('AWS::KMS::Alias')
      .find(
        (other) =>
          (other.name === id || other.arn === id) &&
          other.account === place.account &&
          other.region === place.region,
      );
    const wanted = alias?.properties.text('TargetKeyId') ?? id;
    const key = keys.find((other) => other.arn === wanted || other.arn.endsWith(`/${wanted}`));
    if (key === undefined)
      throw new UnknownTemplate(`the key ${id} is in no template: its policy is unknown`);
    return key;
  }

  #rolePolicies(role: Resource): PolicyDocument[] {
    const inline = role.properties.children('Policies').map((policy) => policy.policy('PolicyDocument'));
    const attached = this.#deployed.resources
      .filter(
        ({ type, account, properties }) =>
          (type === 'AWS::IAM::Policy' || type === 'AWS::IAM::ManagedPolicy') &&
          account === role.account &&
          properties.texts('Roles').includes(role.name),
      )
      .map((policy) => policy.properties.policy('PolicyDocument'));
    const managed = role.properties.texts('ManagedPolicyArns').map((arn) => {
      const own = this.#deployed.byArn(arn);
      if (own?.type === 'AWS::IAM::ManagedPolicy') return own.properties.policy('PolicyDocument');
      const known = AWS_MANAGED_POLICIES[arn.replace(/^.*\//, '')];
      if (known === undefined || !arn.startsWith('arn:aws:iam::aws:policy/')) {
        throw new UnknownTemplate(`${role.properties.where}: the statements of ${arn} are not known here`);
      }
      return known;
    });
    return [...inline, ...attached, ...managed];
  }

  #readResourcePolicies(): void {
    const add = (arn: string, policy: PolicyDocument) => {
      this.#resourcePolicies.set(arn, [...(this.#resourcePolicies.get(arn) ?? []), policy]);
    };
    for (const { type, properties, account, region, arn } of this.#deployed.resources) {
      if (type === 'AWS::SQS::QueuePolicy') {
        for (const url of properties.texts('Queues')) {
          add(queueArn(url, region), properties.policy('PolicyDocument'));
        }
      } else if (type === 'AWS::SNS::TopicPolicy') {
        for (const topic of properties.texts('Topics')) add(topic, properties.policy('PolicyDocument'));
      } else if (type === 'AWS::KMS::Key') {
        add(arn, properties.policy('KeyPolicy'));
      } else if (type === 'AWS::SecretsManager::ResourcePolicy') {
        add(properties.text('SecretId'), properties.policy('ResourcePolicy'));
      } else if (type === 'AWS::Events::EventBus' && properties.has('Policy')) {
        add(arn, properties.policy('Policy'));
      } else if (type === 'AWS::Events::EventBusPolicy') {
        const bus = `arn:aws:events:${region}:${account}:event-bus/${properties.text('EventBusName', 'default')}`;
        const statement = properties.values.Statement;
        if (!isRecord(statement)) throw new UnknownTemplate(`${properties.where} has no Statement`);
        add(bus, { Statement: { Effect: 'Allow', ...statement } });
      } else if (type === 'AWS::Lambda::Permission') {
        const name = properties.text('FunctionName');
        const target = name.startsWith('arn:')
          ? name
          : `arn:aws:lambda:${region}:${account}:function:${name}`;
        add(target, { Statement: permissionStatement(target, properties) });
      }
    }
    for (const { arn, account } of this.#deployed.ofType('AWS::SNS::Topic')) {
      if (!this.#resourcePolicies.has(arn)) add(arn, defaultTopicPolicy(arn, account));
    }
  }
}

/** What a topic has until it gets a policy of its own: the account's services may publish. */
function defaultTopicPolicy(Resource: string, account: string): PolicyDocument {
  const Condition = { StringEquals: { 'aws:SourceAccount': account } };
  return { Statement: { Effect: 'Allow', Principal: '*', Action: 'sns:Publish', Resource, Condition } };
}

function permissionStatement(target: string, properties: Resource['properties']): Statement {
  const principal = properties.text('Principal');
  const condition: Record<string, Record<string, unknown>> = {};
  const sourceArn = properties.text('SourceArn', undefined);
  const sourceAccount = properties.text('SourceAccount', undefined);
  const urlAuth = properties.text('FunctionUrlAuthType', undefined);
  if (sourceArn !== undefined) condition.ArnLike = { 'aws:SourceArn': sourceArn };
  if (sourceAccount !== undefined) condition.StringEquals = { 'aws:SourceAccount': sourceAccount };
  if (urlAuth !== undefined) {
    condition.StringEquals = { ...condition.StringEquals, 'lambda:FunctionUrlAuthType': urlAuth };
  }
  if (properties.boolean('InvokedViaFunctionUrl', false)) {
    condition.Bool = { 'lambda:InvokedViaFunctionUrl': 'true' };
  }
  return {
    Effect: 'Allow',
    Principal:
      principal === '*'
        ? '*'
        : principal.endsWith('.amazonaws.com')
          ? { Service: principal }
          : { AWS: principal },
    Action: properties.text('Action'),
    Resource: target,
    Condition: condition,
  };
}

const LOGS = ['logs:CreateLogGroup', 'logs:CreateLogStream', 'logs:PutLogEvents'];

/** What Lambda needs to put a function's network interfaces into a VPC: its documentation's list. */
export const VPC_ACTIONS = [
  'ec2:CreateNetworkInterface',
  'ec2:DescribeNetworkInterfaces',
  'ec2:DescribeSubnets',
  'ec2:DeleteNetworkInterface',
  'ec2:AssignPrivateIpAddresses',
  'ec2:UnassignPrivateIpAddresses',
];

/** Statements of the AWS-managed policies that CDK attaches by itself. Any other one stops the rehearsal. */
const AWS_MANAGED_POLICIES: Record<string, PolicyDocument | undefined> = {
  AWSLambdaBasicExecutionRole: { Statement: { Effect: 'Allow', Action: LOGS, Resource: '*' } },
  AWSLambdaVPCAccessExecutionRole: {
    Statement: { Effect: 'Allow', Action: [...LOGS, ...VPC_ACTIONS], Resource: '*' },
  },
  AWSLambdaBasicDurableExecutionRolePolicy: {
    Statement: {
      Effect: 'Allow',
      Action: [...LOGS, 'lambda:CheckpointDurableExecution', 'lambda:GetDurableExecutionState'],
      Resource: '*',
    },
  },
};

/** What a call over HTTP asks for: an action on a resource, and the condition keys that AWS would know of it. */
export interface Ask {
  action: string;
  resource: string;
  conditions?: Record<string, string | undefined>;
}

export interface Where {
  account: string;
  region: string;
}

type Asks = (input: Record<string, unknown>, where: Where, find: Finder) => Ask[];

/** Finds the ARNs of things that requests name in other ways. */
export interface Finder {
  secretArn(id: string, where: Where): string;
  /** Of an EC2 instance, by its id. */
  instanceTags(id: string): Record<string, string>;
}

/** Each operation's actions and resources, after the Service Authorization Reference. By signing name. */
const ASKS: Record<string, Record<string, Asks>> = {
  backup: { DescribeProtectedResource: anywhere('backup:DescribeProtectedResource') },
  sqs: {
    ...each(
      [
        'ReceiveMessage',
        'SendMessage',
        'DeleteMessage',
        'ChangeMessageVisibility',
        'GetQueueAttributes',
        'PurgeQueue',
        'ListDeadLetterSourceQueues',
        'ListQueueTags',
      ],
      (operation) => (input, where) => [
        { action: `sqs:${operation}`, resource: queueArn(text(input.QueueUrl), where.region) },
      ],
    ),
    ...each(
      ['SendMessage', 'DeleteMessage', 'ChangeMessageVisibility'],
      (operation) => (input, where) => [
        { action: `sqs:${operation}`, resource: queueArn(text(input.QueueUrl), where.region) },
      ],
      'Batch',
    ),
    GetQueueUrl: (input, { account, region }) => [
      {
        action: 'sqs:GetQueueUrl',
        resource: `arn:aws:sqs:${region}:${text(input.QueueOwnerAWSAccountId, account)}:${text(input.QueueName)}`,
      },
    ],
    ListQueues: (_input, { account, region }) => [
      { action: 'sqs:ListQueues', resource: `arn:aws:sqs:${region}:${account}:*` },
    ],
  },
  events: {
    PutEvents: (input, where) =>
      (Array.isArray(input.Entries) ? input.Entries : []).map((entry: Record<string, unknown>) => ({
        action: 'events:PutEvents',
        resource: busArn(text(entry.EventBusName, 'default'), where),
        conditions: {
          'events:source': text(entry.Source, ''),
          'events:detail-type': text(entry.DetailType, ''),
          'events:eventBusInvocation': 'false',
        },
      })),
    ListEventBuses: anywhere('events:ListEventBuses'),
    DescribeEventBus: (input, where) => [
      { action: 'events:DescribeEventBus', resource: busArn(text(input.Name, 'default'), where) },
    ],
    ListRules: anywhere('events:ListRules'),
    DescribeRule: (input, where) => [
      { action: 'events:DescribeRule', resource: ruleArn(text(input.Name), input, where) },
    ],
    ListTargetsByRule: (input, where) => [
      { action: 'events:ListTargetsByRule', resource: ruleArn(text(input.Rule), input, where) },
    ],
  },
  secretsmanager: {
    ...each(
      [
        'GetSecretValue',
        'DescribeSecret',
        'PutSecretValue',
        'UpdateSecretVersionStage',
        'RotateSecret',
        'ListSecretVersionIds',
      ],
      (operation) => (input, where, find) => [
        {
          action: `secretsmanager:${operation}`,
          resource: find.secretArn(text(input.SecretId), where),
          conditions: {
            'secretsmanager:SecretId': find.secretArn(text(input.SecretId), where),
            'secretsmanager:VersionStage': text(input.VersionStage, 'AWSCURRENT'),
          },
        },
      ],
    ),
    ListSecrets: anywhere('secretsmanager:ListSecrets'),
    GetRandomPassword: anywhere('secretsmanager:GetRandomPassword'),
  },
  lambda: {
    Invoke: (input, where) => [{ action: 'lambda:InvokeFunction', resource: functionArn(input, where) }],
    ...each(
      [
        'GetFunction',
        'GetFunctionConfiguration',
        'GetAlias',
        'ListAliases',
        'ListVersionsByFunction',
        'ListDurableExecutionsByFunction',
        'GetFunctionEventInvokeConfig',
      ],
      (operation) => (input, where) => [
        { action: `lambda:${operation}`, resource: functionArn(input, where) },
      ],
    ),
    ...each(
      [
        'CheckpointDurableExecution',
        'GetDurableExecutionState',
        'GetDurableExecution',
        'GetDurableExecutionHistory',
        'StopDurableExecution',
      ],
      (operation) => (input) => [
        { action: `lambda:${operation}`, resource: text(input.DurableExecutionArn) },
      ],
    ),
    ListFunctions: anywhere('lambda:ListFunctions'),
    SendDurableExecutionCallbackSuccess: anywhere('lambda:SendDurableExecutionCallbackSuccess'),
    SendDurableExecutionCallbackFailure: anywhere('lambda:SendDurableExecutionCallbackFailure'),
  },
  scheduler: {
    ListSchedules: anywhere('scheduler:ListSchedules'),
    ListScheduleGroups: anywhere('scheduler:ListScheduleGroups'),
    GetSchedule: (input, { account, region }) => [
      {
        action: 'scheduler:GetSchedule',
        resource: `arn:aws:scheduler:${region}:${account}:schedule/${text(input.GroupName, 'default')}/${text(input.Name)}`,
      },
    ],
  },
  monitoring: {
    ...each(
      [
        'DescribeAlarms',
        'DescribeAlarmHistory',
        'GetMetricData',
        'GetMetricStatistics',
        'ListMetrics',
        'DescribeAlarmsForMetric',
      ],
      (operation) => anywhere(`cloudwatch:${operation}`),
    ),
    PutMetricData: (input) => [
      {
        action: 'cloudwatch:PutMetricData',
        resource: '*',
        conditions: { 'cloudwatch:namespace': text(input.Namespace, '') },
      },
    ],
  },
  sns: {
    ListTopics: anywhere('sns:ListTopics'),
    ListSubscriptions: anywhere('sns:ListSubscriptions'),
    ...each(['GetTopicAttributes', 'Publish', 'ListSubscriptionsByTopic'], (operation) => (input) => [
      { action: `sns:${operation}`, resource: text(input.TopicArn) },
    ]),
  },
  ecs: {
    ListClusters: anywhere('ecs:ListClusters'),
    ListServices: onCluster('ecs:ListServices'),
    DescribeServices: (input, where) => {
      const cluster = clusterArn(text(input.cluster, 'default'), where);
      return texts(input.services).map((service) => ({
        action: 'ecs:DescribeServices',
        resource: partOfCluster(cluster, 'service', service),
        conditions: { 'ecs:cluster': cluster },
      }));
    },
    ...each(['UpdateService', 'ListServiceDeployments'], (operation) => (input, where) => {
      const cluster = clusterArn(text(input.cluster, 'default'), where);
      return [
        {
          action: `ecs:${operation}`,
          resource: partOfCluster(cluster, 'service', text(input.service)),
          conditions: { 'ecs:cluster': cluster },
        },
      ];
    }),
    DescribeServiceDeployments: (input) =>
      texts(input.serviceDeploymentArns).map((resource) => ({
        action: 'ecs:DescribeServiceDeployments',
        resource,
      })),
    DescribeTaskDefinition: anywhere('ecs:DescribeTaskDefinition'),
    StopTask: (input, where) => {
      const cluster = clusterArn(text(input.cluster, 'default'), where);
      return [
        {
          action: 'ecs:StopTask',
          resource: partOfCluster(cluster, 'task', text(input.task)),
          conditions: { 'ecs:cluster': cluster },
        },
      ];
    },
    ListTasks: onCluster('ecs:ListTasks'),
    DescribeClusters: (input, where) =>
      texts(input.clusters).map((cluster) => ({
        action: 'ecs:DescribeClusters',
        resource: clusterArn(cluster, where),
      })),
    ...each(['DescribeTasks', 'DescribeContainerInstances'], (operation) => (input, where) => {
      const [kind, named] =
        operation === 'DescribeTasks'
          ? ['task', input.tasks]
          : ['container-instance', input.containerInstances];
      const cluster = clusterArn(text(input.cluster, 'default'), where);
      return texts(named).map((each) => ({
        action: `ecs:${operation}`,
        resource: partOfCluster(cluster, String(kind), each),
        conditions: { 'ecs:cluster': cluster },
      }));
    }),
    ExecuteCommand: (input, where) => {
      const cluster = clusterArn(text(input.cluster, 'default'), where);
      const task = partOfCluster(cluster, 'task', text(input.task));
      const conditions = {
        'ecs:cluster': cluster,
        'ecs:task': task,
        'ecs:container-name': text(input.container, ''),
      };
      return [cluster, task].map((resource) => ({ action: 'ecs:ExecuteCommand', resource, conditions }));
    },
  },
  ssm: {
    SendCommand: (input, { account, region }, find) => {
      const document = text(input.DocumentName);
      const owner = document.startsWith('AWS-') ? '' : account;
      return [
        { action: 'ssm:SendCommand', resource: `arn:aws:ssm:${region}:${owner}:document/${document}` },
        ...texts(input.InstanceIds).map((id) => ({
          action: 'ssm:SendCommand',
          resource: `arn:aws:ec2:${region}:${account}:instance/${id}`,
          conditions: Object.fromEntries(
            Object.entries(find.instanceTags(id)).map(([key, value]) => [`ssm:resourceTag/${key}`, value]),
          ),
        })),
      ];
    },
    ...each(['GetCommandInvocation', 'ListCommandInvocations', 'ListCommands'], (operation) =>
      anywhere(`ssm:${operation}`),
    ),
    ...each(['GetParameter', 'PutParameter'], (operation) => (input, where) => [
      { action: `ssm:${operation}`, resource: parameterArn(text(input.Name), where) },
    ]),
    GetParametersByPath: (input, where) => [
      { action: 'ssm:GetParametersByPath', resource: parameterArn(text(input.Path), where) },
    ],
    DeleteParameters: (input, where) =>
      texts(input.Names).map((name) => ({
        action: 'ssm:DeleteParameters',
        resource: parameterArn(name, where),
      })),
    ...each(['TerminateSession', 'ResumeSession'], (operation) => (input, { account, region }) => [
      {
        action: `ssm:${operation}`,
        resource: `arn:aws:ssm:${region}:${account}:session/${text(input.SessionId)}`,
      },
    ]),
  },
  // GetCallerIdentity needs no permission.
  sts: { GetCallerIdentity: () => [] },
};

/** The actions that a request needs. Throws where the stand-in has no row for the operation. */
export function asksOf(
  service: string,
  operation: string,
  input: Record<string, unknown>,
  where: Where,
  find: Finder,
): Ask[] {
  const asks = ASKS[service]?.[operation];
  if (asks === undefined) {
    throw new AwsError('InvalidAction', `the rehearsal's stand-in has no ${service}:${operation}`);
  }
  return asks(input, where, find);
}

/** The ARN of the queue behind a URL; any host is taken. */
export function queueArn(url: string, region: string): string {
  const [account = '', name = ''] = url.replace(/^https?:\/\/[^/]+\//, '').split('/');
  return `arn:aws:sqs:${region}:${account}:${name}`;
}

export function busArn(nameOrArn: string, { account, region }: Where): string {
  return nameOrArn.startsWith('arn:')
    ? nameOrArn
    : `arn:aws:events:${region}:${account}:event-bus/${nameOrArn}`;
}

/** The ARN that a request names by function name, partial or full ARN, and perhaps a qualifier. */
export function functionArn(input: Record<string, unknown>, { account, region }: Where): string {
  const name = text(input.FunctionName);
  const qualifier = text(input.Qualifier, '');
  const full = name.startsWith('arn:')
    ? name
    : `arn:aws:lambda:${region}:${/^\d{12}:function:/.test(name) ? name : `${account}:function:${name}`}`;
  const [, , , , , , , already] = full.split(':');
  return qualifier === '' || already !== undefined ? full : `${full}:${qualifier}`;
}

function ruleArn(name: string, input: Record<string, unknown>, { account, region }: Where): string {
  const bus = text(input.EventBusName, 'default').replace(/^.*\//, '');
  return `arn:aws:events:${region}:${account}:rule/${bus === 'default' ? name : `${bus}/${name}`}`;
}

function accountOf(principal: Principal): string {
  return principal.kind === 'identity' ? principal.account : '';
}

function onCluster(action: string): Asks {
  return (input, where) => [
    {
      action,
      resource: '*',
      conditions: { 'ecs:cluster': clusterArn(text(input.cluster, 'default'), where) },
    },
  ];
}

/** The ARN of a task or container instance that is named by id or ARN. */
function partOfCluster(cluster: string, kind: string, idOrArn: string): string {
  return idOrArn.startsWith('arn:') ? idOrArn : `${cluster.replace(':cluster/', `:${kind}/`)}/${idOrArn}`;
}

function texts(values: unknown): string[] {
  return Array.isArray(values) ? values.map((each) => text(each)) : [];
}

function anywhere(action: string): Asks {
  return () => [{ action, resource: '*' }];
}

function each(operations: string[], asks: (operation: string) => Asks, suffix = ''): Record<string, Asks> {
  return Object.fromEntries(operations.map((operation) => [`${operation}${suffix}`, asks(operation)]));
}

function text(value: unknown, otherwise?: string): string {
  if (typeof value === 'string') return value;
  if (otherwise !== undefined) return otherwise;
  throw new AwsError('ValidationException', 'a required member is missing');
}
