import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join, resolve as resolvePath } from 'node:path';
import type { PolicyDocument } from '../access/policy.ts';
import { isRecord } from '../wire/wire.ts';

/** What stands in a cloud assembly, as CloudFormation would make it. */
export class Deployed {
  readonly resources: Resource[];
  /** What the stacks print: by the stack's name, and the output's. */
  readonly outputs: Record<string, Record<string, string>>;
  readonly #byArn: Map<string, Resource>;

  constructor(resources: Resource[], outputs: Deployed['outputs']) {
    this.resources = resources;
    this.outputs = outputs;
    this.#byArn = new Map(resources.map((resource) => [resource.arn, resource]));
  }

  ofType(type: string): Resource[] {
    return this.resources.filter((resource) => resource.type === type);
  }

  byArn(arn: string): Resource | undefined {
    return this.#byArn.get(arn);
  }
}

/** One resource with everything in its properties resolved. */
export interface Resource {
  type: string;
  stack: string;
  logicalId: string;
  account: string;
  region: string;
  /** The physical name. */
  name: string;
  arn: string;
  properties: Properties;
  /** Of a Lambda function: the folder of its bundle, or its inline code. */
  code?: { folder: string } | { inline: string };
}

/** A cloud assembly's template as parsed JSON, which a test may change before it is deployed. */
export interface Template {
  Parameters?: Record<string, { Default?: unknown; Type?: string }>;
  Mappings?: Record<string, Record<string, Record<string, unknown>>>;
  Conditions?: Record<string, unknown>;
  Resources: Record<string, TemplateResource>;
  Outputs?: Record<string, { Value: unknown; Export?: { Name: unknown }; Condition?: string }>;
}

export interface TemplateResource {
  Type: string;
  Properties?: Record<string, unknown>;
  Condition?: string;
}

/** Something in a template that the rehearsal does not understand: it stops rather than guess. */
export class UnknownTemplate extends Error {
  override readonly name = 'UnknownTemplate';
}

export interface ReadOptions {
  /** The stand-in's address: queue URLs begin with it, for the SDK sends a queue's requests to the queue's URL. */
  endpoint: string;
  /** Changes the parsed templates, by stack name, before they are read. */
  change?: (templates: Record<string, Template>) => void;
}

/** Where stacks without an environment stand. */
const DEFAULT_ACCOUNT = '111111111111';
const DEFAULT_REGION = 'us-east-1';

/** Reads a cloud assembly (`cdk.out`). Throws {@link UnknownTemplate}. */
export function readTemplates(cdkOut: string, options: ReadOptions): Deployed {
  const assembly = readAssembly(cdkOut);
  options.change?.(Object.fromEntries(assembly.stacks.map((stack) => [stack.name, stack.template])));
  const stacks = assembly.stacks.map((stack) => new Stack(stack, options.endpoint));
  const exports = new Map<string, () => unknown>();
  for (const stack of stacks) stack.export(exports);
  for (const stack of stacks) stack.imports = exports;
  return new Deployed(
    stacks.flatMap((stack) => stack.resources(assembly.assets)),
    Object.fromEntries(stacks.map((stack) => [stack.name, stack.outputs()])),
  );
}

/** Resolved properties, read with their types checked. */
export class Properties {
  readonly values: Record<string, unknown>;
  readonly where: string;

  constructor(values: unknown, where: string) {
    if (!isRecord(values)) throw new UnknownTemplate(`${where} is not an object`);
    this.values = values;
    this.where = where;
  }

  has(key: string): boolean {
    return this.values[key] !== undefined;
  }

  text(key: string): string;
  text(key: string, otherwise: undefined): string | undefined;
  text(key: string, otherwise: string): string;
  text(key: string, ...otherwise: [] | [string | undefined]): string | undefined {
    const value = this.values[key];
    if (typeof value === 'string') return value;
    if (typeof value === 'number') return String(value);
    if (value === undefined && otherwise.length === 1) return otherwise[0];
    throw this.#wrong(key, 'a text');
  }

  number(key: string): number;
  number(key: string, otherwise: undefined): number | undefined;
  number(key: string, otherwise: number): number;
  number(key: string, ...otherwise: [] | [number | undefined]): number | undefined {
    const value = this.values[key];
    const number = typeof value === 'string' && value !== '' ? Number(value) : value;
    if (typeof number === 'number' && !Number.isNaN(number)) return number;
    if (value === undefined && otherwise.length === 1) return otherwise[0];
    throw this.#wrong(key, 'a number');
  }

  boolean(key: string, otherwise: boolean): boolean {
    const value = this.values[key];
    if (value === undefined) return otherwise;
    if (typeof value === 'boolean') return value;
    if (value === 'true' || value === 'false') return value === 'true';
    throw this.#wrong(key, 'a boolean');
  }

  list(key: string): unknown[] {
    const value = this.values[key];
    if (value === undefined) return [];
    if (!Array.isArray(value)) throw this.#wrong(key, 'a list');
    return value;
  }

  texts(key: string): string[] {
    return this.list(key).map(String);
  }

  child(key: string): Properties | undefined {
    const value = this.values[key];
    return value === undefined ? undefined : new Properties(value, `${this.where}.${key}`);
  }

  children(key: string): Properties[] {
    return this.list(key).map((item, index) => new Properties(item, `${this.where}.${key}[${index}]`));
  }

  policy(key: string): PolicyDocument {
    const value = this.values[key];
    if (!isPolicy(value)) throw this.#wrong(key, 'a policy document');
    return value;
  }

  /** Stops at a property that is not among these. */
  only(...known: string[]): this {
    for (const key of Object.keys(this.values)) {
      if (!known.includes(key)) throw new UnknownTemplate(`${this.where}.${key} is not understood`);
    }
    return this;
  }

  #wrong(key: string, wanted: string): UnknownTemplate {
    return new UnknownTemplate(`${this.where}.${key} should be ${wanted}`);
  }
}

export function isPolicy(value: unknown): value is PolicyDocument {
  return isRecord(value) && (Array.isArray(value.Statement) || isRecord(value.Statement));
}

interface Place {
  account: string;
  region: string;
}

/** What is known of a resource type. */
interface Kind {
  /** The property with the name; left out where the name is always made. */
  name?: string;
  arn(place: Place, name: string, properties: Properties): string;
  /** What `Ref` gives; default: the name. */
  ref?(resource: Resource, endpoint: string): string;
  attributes?: Record<string, (resource: Resource) => unknown>;
  /** Properties that the stand-in uses, or that change nothing that it shows. Undefined: not looked at. */
  properties: string[] | undefined;
}

const arnOf =
  (service: string, prefix = '') =>
  ({ account, region }: Place, name: string) =>
    `arn:aws:${service}:${region}:${account}:${prefix}${name}`;
const byArn = (resource: Resource) => resource.arn;

/** `AWS::` types by name. Those of which only the identity matters have `properties: undefined`. */
const KINDS: Record<string, Kind | undefined> = {
  'AWS::CDK::Metadata': { arn: arnOf('cdk'), properties: undefined },
  'AWS::EC2::SecurityGroup': {
    arn: arnOf('ec2', 'security-group/'),
    ref: (resource) => `sg-${hash(resource.arn, 17)}`,
    attributes: { GroupId: (resource) => `sg-${hash(resource.arn, 17)}` },
    properties: undefined,
  },
  'AWS::EC2::SecurityGroupIngress': { arn: arnOf('ec2', 'security-group-rule/'), properties: undefined },
  'AWS::EC2::SecurityGroupEgress': { arn: arnOf('ec2', 'security-group-rule/'), properties: undefined },
  'AWS::EC2::VPCEndpoint': {
    arn: arnOf('ec2', 'vpc-endpoint/'),
    ref: (resource) => `vpce-${hash(resource.arn, 17)}`,
    properties: undefined,
  },
  'AWS::CloudWatch::Dashboard': {
    name: 'DashboardName',
    arn: ({ account }, name) => `arn:aws:cloudwatch::${account}:dashboard/${name}`,
    properties: undefined,
  },
  'AWS::CloudWatch::Alarm': {
    name: 'AlarmName',
    arn: arnOf('cloudwatch', 'alarm:'),
    attributes: { Arn: byArn },
    properties: [
      'AlarmName',
      'AlarmDescription',
      'ActionsEnabled',
      'AlarmActions',
      'OKActions',
      'InsufficientDataActions',
      'ComparisonOperator',
      'DatapointsToAlarm',
      'Dimensions',
      'EvaluationPeriods',
      'MetricName',
      'Metrics',
      'Namespace',
      'Period',
      'Statistic',
      'Threshold',
      'TreatMissingData',
      'Unit',
      'WarmUpConfiguration',
      'Tags',
    ],
  },
  'AWS::EFS::AccessPoint': {
    arn: (place, name) => arnOf('elasticfilesystem', 'access-point/')(place, `fsap-${hash(name, 17)}`),
    ref: (resource) => `fsap-${hash(resource.name, 17)}`,
    attributes: { AccessPointId: (resource) => `fsap-${hash(resource.name, 17)}`, Arn: byArn },
    properties: ['AccessPointTags', 'FileSystemId', 'PosixUser', 'RootDirectory'],
  },
  'AWS::EFS::FileSystem': {
    arn: (place, name) => arnOf('elasticfilesystem', 'file-system/')(place, `fs-${hash(name, 17)}`),
    ref: (resource) => `fs-${hash(resource.name, 17)}`,
    attributes: { FileSystemId: (resource) => `fs-${hash(resource.name, 17)}`, Arn: byArn },
    properties: [
      'BackupPolicy',
      'Encrypted',
      'FileSystemPolicy',
      'FileSystemProtection',
      'FileSystemTags',
      'KmsKeyId',
      'LifecyclePolicies',
      'PerformanceMode',
      'ProvisionedThroughputInMibps',
      'ReplicationConfiguration',
      'ThroughputMode',
    ],
  },
  'AWS::EFS::MountTarget': {
    arn: arnOf('elasticfilesystem', 'mount-target/'),
    properties: ['FileSystemId', 'SecurityGroups', 'SubnetId'],
  },
  'AWS::Events::EventBus': {
    name: 'Name',
    arn: arnOf('events', 'event-bus/'),
    attributes: { Arn: byArn, Name: (resource) => resource.name },
    properties: ['Name', 'Description', 'KmsKeyIdentifier', 'DeadLetterConfig', 'Policy', 'Tags'],
  },
  'AWS::Events::EventBusPolicy': {
    arn: arnOf('events', 'event-bus-policy/'),
    properties: ['EventBusName', 'Statement', 'StatementId'],
  },
  'AWS::Events::Rule': {
    name: 'Name',
    arn: (place, name, properties) => {
      const bus = properties.text('EventBusName', 'default').replace(/^.*\//, '');
      return arnOf('events', 'rule/')(place, bus === 'default' ? name : `${bus}/${name}`);
    },
    attributes: { Arn: byArn },
    properties: ['Name', 'Description', 'EventBusName', 'EventPattern', 'State', 'Targets', 'Tags'],
  },
  'AWS::IAM::ManagedPolicy': {
    name: 'ManagedPolicyName',
    arn: ({ account }, name) => `arn:aws:iam::${account}:policy/${name}`,
    ref: byArn,
    properties: ['ManagedPolicyName', 'Description', 'Path', 'PolicyDocument', 'Roles'],
  },
  'AWS::IAM::Policy': {
    name: 'PolicyName',
    arn: ({ account }, name) => `arn:aws:iam::${account}:policy/${name}`,
    properties: ['PolicyName', 'PolicyDocument', 'Roles'],
  },
  'AWS::IAM::Role': {
    name: 'RoleName',
    arn: ({ account }, name) => `arn:aws:iam::${account}:role/${name}`,
    attributes: { Arn: byArn, RoleId: (resource) => `AROA${hash(resource.arn, 17).toUpperCase()}` },
    properties: [
      'RoleName',
      'Description',
      'AssumeRolePolicyDocument',
      'ManagedPolicyArns',
      'Policies',
      'MaxSessionDuration',
      'Tags',
    ],
  },
  'AWS::KMS::Alias': {
    name: 'AliasName',
    arn: arnOf('kms'),
    properties: ['AliasName', 'TargetKeyId'],
  },
  'AWS::KMS::Key': {
    arn: ({ account, region }, name) =>
      `arn:aws:kms:${region}:${account}:key/${uuid(account + region + name)}`,
    ref: (resource) => resource.arn.replace(/^.*\//, ''),
    attributes: { Arn: byArn, KeyId: (resource) => resource.arn.replace(/^.*\//, '') },
    properties: [
      'KeyPolicy',
      'Description',
      'EnableKeyRotation',
      'RotationPeriodInDays',
      'PendingWindowInDays',
      'Enabled',
      'KeySpec',
      'KeyUsage',
      'Tags',
    ],
  },
  'AWS::Lambda::Alias': {
    name: 'Name',
    arn: (_place, name, properties) => `${properties.text('FunctionName')}:${name}`,
    ref: byArn,
    attributes: { AliasArn: byArn },
    properties: ['Name', 'Description', 'FunctionName', 'FunctionVersion'],
  },
  'AWS::Lambda::EventInvokeConfig': {
    arn: arnOf('lambda', 'event-invoke-config:'),
    properties: [
      'FunctionName',
      'Qualifier',
      'MaximumEventAgeInSeconds',
      'MaximumRetryAttempts',
      'DestinationConfig',
    ],
  },
  'AWS::Lambda::Function': {
    name: 'FunctionName',
    arn: arnOf('lambda', 'function:'),
    attributes: { Arn: byArn },
    properties: [
      'FunctionName',
      'Architectures',
      'Code',
      'DeadLetterConfig',
      'Description',
      'DurableConfig',
      'Environment',
      'EphemeralStorage',
      'Handler',
      'KmsKeyArn',
      'LoggingConfig',
      'MemorySize',
      'PackageType',
      'RecursiveLoop',
      'ReservedConcurrentExecutions',
      'Role',
      'Runtime',
      'RuntimeManagementConfig',
      'Tags',
      'Timeout',
      'TracingConfig',
      'VpcConfig',
    ],
  },
  'AWS::Lambda::Permission': {
    arn: arnOf('lambda', 'permission:'),
    properties: [
      'Action',
      'FunctionName',
      'Principal',
      'SourceAccount',
      'SourceArn',
      'FunctionUrlAuthType',
      'InvokedViaFunctionUrl',
    ],
  },
  'AWS::Lambda::Url': {
    // AWS has none: its function's stands for it there.
    arn: arnOf('lambda', 'function-url:'),
    attributes: {
      FunctionUrl: ({ arn, region }) => `https://${hash(arn, 32)}.lambda-url.${region}.on.aws/`,
    },
    properties: ['AuthType', 'Cors', 'InvokeMode', 'Qualifier', 'TargetFunctionArn'],
  },
  'AWS::Lambda::Version': {
    arn: (_place, name, properties) => `${functionArn(properties.text('FunctionName'), _place)}:${name}`,
    ref: byArn,
    attributes: { Version: (resource) => resource.name, FunctionArn: byArn },
    properties: ['FunctionName', 'Description', 'CodeSha256'],
  },
  'AWS::Logs::LogGroup': {
    name: 'LogGroupName',
    arn: (place, name) => `${arnOf('logs', 'log-group:')(place, name)}:*`,
    attributes: { Arn: byArn },
    properties: ['LogGroupName', 'RetentionInDays', 'KmsKeyId', 'LogGroupClass', 'Tags'],
  },
  'AWS::Scheduler::Schedule': {
    name: 'Name',
    arn: (place, name, properties) =>
      arnOf('scheduler', 'schedule/')(place, `${properties.text('GroupName', 'default')}/${name}`),
    attributes: { Arn: byArn },
    properties: [
      'Name',
      'Description',
      'GroupName',
      'ScheduleExpression',
      'ScheduleExpressionTimezone',
      'FlexibleTimeWindow',
      'State',
      'StartDate',
      'EndDate',
      'Target',
      'KmsKeyArn',
    ],
  },
  'AWS::Scheduler::ScheduleGroup': {
    name: 'Name',
    arn: arnOf('scheduler', 'schedule-group/'),
    attributes: { Arn: byArn },
    properties: ['Name', 'Tags'],
  },
  'AWS::SecretsManager::Secret': {
    name: 'Name',
    arn: (place, name) => `${arnOf('secretsmanager', 'secret:')(place, name)}-${hash(name, 6)}`,
    ref: byArn,
    attributes: { Id: byArn },
    properties: ['Name', 'Description', 'GenerateSecretString', 'SecretString', 'KmsKeyId', 'Tags'],
  },
  'AWS::SecretsManager::ResourcePolicy': {
    arn: arnOf('secretsmanager', 'policy:'),
    properties: ['SecretId', 'ResourcePolicy', 'BlockPublicPolicy'],
  },
  'AWS::SecretsManager::RotationSchedule': {
    arn: arnOf('secretsmanager', 'rotation-schedule:'),
    properties: ['SecretId', 'RotationLambdaARN', 'RotateImmediatelyOnUpdate'],
  },
  'AWS::SNS::Subscription': {
    arn: arnOf('sns', 'subscription:'),
    ref: byArn,
    properties: ['TopicArn', 'Protocol', 'Endpoint', 'RedrivePolicy', 'Region', 'RawMessageDelivery'],
  },
  'AWS::SNS::Topic': {
    name: 'TopicName',
    arn: arnOf('sns'),
    ref: byArn,
    attributes: { TopicArn: byArn, TopicName: (resource) => resource.name },
    properties: ['TopicName', 'DisplayName', 'KmsMasterKeyId', 'Subscription', 'TracingConfig', 'Tags'],
  },
  'AWS::SSM::Document': {
    name: 'Name',
    arn: arnOf('ssm', 'document/'),
    properties: ['Name', 'Content', 'DocumentFormat', 'DocumentType', 'TargetType', 'UpdateMethod', 'Tags'],
  },
  'AWS::SNS::TopicPolicy': { arn: arnOf('sns', 'policy:'), properties: ['PolicyDocument', 'Topics'] },
  'AWS::SQS::Queue': {
    name: 'QueueName',
    arn: arnOf('sqs'),
    ref: ({ account, name }, endpoint) => `${endpoint}/${account}/${name}`,
    attributes: { Arn: byArn, QueueName: (resource) => resource.name },
    properties: [
      'QueueName',
      'DelaySeconds',
      'KmsMasterKeyId',
      'KmsDataKeyReusePeriodSeconds',
      'MaximumMessageSize',
      'MessageRetentionPeriod',
      'ReceiveMessageWaitTimeSeconds',
      'RedrivePolicy',
      'RedriveAllowPolicy',
      'SqsManagedSseEnabled',
      'VisibilityTimeout',
      'Tags',
    ],
  },
  'AWS::SQS::QueuePolicy': { arn: arnOf('sqs', 'policy:'), properties: ['PolicyDocument', 'Queues'] },
};

interface AssemblyStack {
  name: string;
  account: string;
  region: string;
  template: Template;
}

class Stack {
  readonly #stack: AssemblyStack;
  readonly #endpoint: string;
  readonly #resources = new Map<string, Resource>();
  readonly #resolving = new Set<string>();
  readonly #versions = new Map<string, number>();
  readonly name: string;
  imports = new Map<string, () => unknown>();

  constructor(stack: AssemblyStack, endpoint: string) {
    this.#stack = stack;
    this.#endpoint = endpoint;
    this.name = stack.name;
  }

  export(exports: Map<string, () => unknown>): void {
    for (const [name, output] of Object.entries(this.#stack.template.Outputs ?? {})) {
      if (output.Export === undefined) continue;
      const key = String(this.#value(output.Export.Name, `Outputs.${name}.Export`));
      exports.set(`${this.#stack.account}/${this.#stack.region}/${key}`, () =>
        this.#value(output.Value, `Outputs.${name}`),
      );
    }
  }

  outputs(): Record<string, string> {
    return Object.fromEntries(
      Object.entries(this.#stack.template.Outputs ?? {}).flatMap(([name, { Value, Condition }]) =>
        Condition === undefined || this.#condition(Condition)
          ? [[name, String(this.#value(Value, `Outputs.${name}`))]]
          : [],
      ),
    );
  }

  resources(assets: Map<string, string>): Resource[] {
    const { template, name } = this.#stack;
    return Object.entries(template.Resources).flatMap(([logicalId, { Type, Condition, Properties: raw }]) => {
      if (Condition !== undefined && !this.#condition(Condition)) return [];
      const resource = this.#resource(logicalId);
      const where = `${name}/${logicalId} (${Type})`;
      const values = this.#value(raw ?? {}, where);
      resource.properties = new Properties(values, where);
      const known = KINDS[Type]?.properties;
      if (known !== undefined) resource.properties.only(...known);
      if (Type === 'AWS::Lambda::Function') resource.code = codeOf(resource.properties, assets);
      return [resource];
    });
  }

  /** The resource with its identity; its other properties are resolved later, since they may refer back to it. */
  #resource(logicalId: string): Resource {
    const made = this.#resources.get(logicalId);
    if (made !== undefined) return made;
    const { template, name: stack, account, region } = this.#stack;
    const source = template.Resources[logicalId];
    if (source === undefined) throw new UnknownTemplate(`${stack}: there is no resource ${logicalId}`);
    const where = `${stack}/${logicalId} (${source.Type})`;
    const kind = KINDS[source.Type];
    if (kind === undefined) throw new UnknownTemplate(`${where}: this resource type is not understood`);
    if (this.#resolving.has(logicalId)) throw new UnknownTemplate(`${where} refers to itself`);
    this.#resolving.add(logicalId);
    const identity: Record<string, unknown> = {};
    for (const key of [kind.name, 'FunctionName', 'EventBusName', 'GroupName']) {
      if (key === undefined || source.Properties?.[key] === undefined) continue;
      identity[key] = this.#value(source.Properties[key], `${where}.${key}`);
    }
    const properties = new Properties(identity, where);
    let name = kind.name === undefined ? undefined : properties.text(kind.name, undefined);
    if (source.Type === 'AWS::Lambda::Version') {
      const of = functionArn(properties.text('FunctionName'), this.#stack);
      const number = (this.#versions.get(of) ?? 0) + 1;
      this.#versions.set(of, number);
      name = String(number);
    } else if (source.Type === 'AWS::Lambda::Alias') {
      identity.FunctionName = functionArn(properties.text('FunctionName'), this.#stack);
    }
    name ??= physicalName(stack, logicalId);
    const arn = kind.arn(this.#stack, name, properties);
    const resource = { type: source.Type, stack, logicalId, account, region, name, arn, properties };
    this.#resources.set(logicalId, resource);
    this.#resolving.delete(logicalId);
    return resource;
  }

  #value(value: unknown, where: string): unknown {
    if (Array.isArray(value)) {
      return value
        .map((item, index) => this.#value(item, `${where}[${index}]`))
        .filter((item) => item !== undefined);
    }
    if (typeof value === 'string' && value.includes('{{resolve:')) {
      throw new UnknownTemplate(`${where}: dynamic references are not understood`);
    }
    if (!isRecord(value)) return value;
    const keys = Object.keys(value);
    const [key] = keys;
    if (keys.length === 1 && key !== undefined && (key === 'Ref' || key.startsWith('Fn::'))) {
      return this.#intrinsic(key, value[key], where);
    }
    return Object.fromEntries(
      Object.entries(value)
        .map(([name, item]) => [name, this.#value(item, `${where}.${name}`)] as const)
        .filter(([, item]) => item !== undefined),
    );
  }

  #intrinsic(name: string, value: unknown, where: string): unknown {
    switch (name) {
      case 'Ref':
        return this.#ref(String(value), where);
      case 'Fn::GetAtt': {
        const [logicalId, ...attribute] = Array.isArray(value) ? value : String(value).split('.');
        return this.#attribute(String(logicalId), attribute.join('.'), where);
      }
      case 'Fn::Join': {
        const [separator, items] = this.#list(value, where, 2);
        return this.#list(items, where).map(String).join(String(separator));
      }
      case 'Fn::Select': {
        const [index, items] = this.#list(value, where, 2);
        const item = this.#list(items, where)[Number(index)];
        if (item === undefined) throw new UnknownTemplate(`${where}: Fn::Select finds nothing at ${index}`);
        return item;
      }
      case 'Fn::Split': {
        const [separator, text] = this.#list(value, where, 2);
        return String(text).split(String(separator));
      }
      case 'Fn::Sub':
        return this.#substitute(value, where);
      case 'Fn::Base64':
        return Buffer.from(String(this.#value(value, where))).toString('base64');
      case 'Fn::If': {
        if (!Array.isArray(value) || value.length !== 3) break;
        return this.#value(this.#condition(String(value[0])) ? value[1] : value[2], where);
      }
      case 'Fn::FindInMap': {
        const [map, first, second] = this.#list(value, where, 3).map(String);
        const found = this.#stack.template.Mappings?.[map ?? '']?.[first ?? '']?.[second ?? ''];
        if (found === undefined) throw new UnknownTemplate(`${where}: Fn::FindInMap finds nothing`);
        return found;
      }
      case 'Fn::ImportValue': {
        const key = String(this.#value(value, where));
        const exported = this.imports.get(`${this.#stack.account}/${this.#stack.region}/${key}`);
        if (exported === undefined) throw new UnknownTemplate(`${where}: nothing exports ${key}`);
        return exported();
      }
    }
    throw new UnknownTemplate(`${where}: ${name} is not understood`);
  }

  #ref(name: string, where: string): unknown {
    const { account, region, name: stack, template } = this.#stack;
    switch (name) {
      case 'AWS::AccountId':
        return account;
      case 'AWS::Region':
        return region;
      case 'AWS::Partition':
        return 'aws';
      case 'AWS::URLSuffix':
        return 'amazonaws.com';
      case 'AWS::StackName':
        return stack;
      case 'AWS::StackId':
        return `arn:aws:cloudformation:${region}:${account}:stack/${stack}/${uuid(stack)}`;
      case 'AWS::NoValue':
        return undefined;
    }
    const parameter = template.Parameters?.[name];
    if (parameter !== undefined) {
      if (parameter.Default === undefined) {
        throw new UnknownTemplate(`${where}: the parameter ${name} has no default`);
      }
      return parameter.Default;
    }
    const resource = this.#resource(name);
    return KINDS[resource.type]?.ref?.(resource, this.#endpoint) ?? resource.name;
  }

  #attribute(logicalId: string, attribute: string, where: string): unknown {
    const resource = this.#resource(logicalId);
    const read = KINDS[resource.type]?.attributes?.[attribute];
    if (read === undefined) {
      throw new UnknownTemplate(`${where}: ${resource.type} has no attribute ${attribute} here`);
    }
    return read(resource);
  }

  #substitute(value: unknown, where: string): string {
    const [text, variables] = Array.isArray(value) ? value : [value, {}];
    return String(text).replaceAll(/\$\{([^}]+)\}/g, (_all, name: string) => {
      if (name.startsWith('!')) return `\${${name.slice(1)}}`;
      if (isRecord(variables) && name in variables) return String(this.#value(variables[name], where));
      const [logicalId = '', ...attribute] = name.split('.');
      return String(
        attribute.length > 0
          ? this.#attribute(logicalId, attribute.join('.'), where)
          : this.#ref(name, where),
      );
    });
  }

  #list(value: unknown, where: string, length?: number): unknown[] {
    const items = this.#value(value, where);
    if (!Array.isArray(items) || (length !== undefined && items.length !== length)) {
      throw new UnknownTemplate(`${where}: an intrinsic function has the wrong parameters`);
    }
    return items;
  }

  #condition(name: string): boolean {
    const condition = this.#stack.template.Conditions?.[name];
    if (condition === undefined) throw new UnknownTemplate(`${this.#stack.name}: no condition ${name}`);
    return this.#holds(condition, `Conditions.${name}`);
  }

  #holds(condition: unknown, where: string): boolean {
    if (isRecord(condition)) {
      const [[name, value] = ['', undefined]] = Object.entries(condition);
      if (name === 'Condition') return this.#condition(String(value));
      if (name === 'Fn::Equals') {
        const [left, right] = this.#list(value, where, 2);
        return String(left) === String(right);
      }
      if (Array.isArray(value)) {
        if (name === 'Fn::And') return value.every((item) => this.#holds(item, where));
        if (name === 'Fn::Or') return value.some((item) => this.#holds(item, where));
        if (name === 'Fn::Not') return !this.#holds(value[0], where);
      }
    }
    throw new UnknownTemplate(`${this.#stack.name}/${where} is not understood`);
  }
}

/** `FunctionName` is a name, or an ARN already. */
function functionArn(name: string, { account, region }: Place): string {
  return name.startsWith('arn:') ? name : `arn:aws:lambda:${region}:${account}:function:${name}`;
}

function codeOf(
  properties: Properties,
  assets: Map<string, string>,
): { folder: string } | { inline: string } {
  const code = properties.child('Code');
  const inline = code?.text('ZipFile', undefined);
  if (inline !== undefined) return { inline };
  const key = code?.text('S3Key') ?? '';
  const folder = assets.get(key);
  if (folder === undefined)
    throw new UnknownTemplate(`${properties.where}.Code: no asset ${key} in the assembly`);
  return { folder };
}

/** CloudFormation's way to make a name. Lambda's limit of 64 characters is the shortest of those used. */
function physicalName(stack: string, logicalId: string): string {
  const suffix = hash(`${stack}/${logicalId}`, 12).toUpperCase();
  return `${`${stack}-${logicalId}`.slice(0, 51)}-${suffix}`;
}

export function hash(text: string, length: number): string {
  return createHash('sha256').update(text).digest('hex').slice(0, length);
}

export function uuid(text: string): string {
  return hash(text, 32).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

interface Assembly {
  stacks: AssemblyStack[];
  /** Object key → folder. */
  assets: Map<string, string>;
}

function readAssembly(folder: string): Assembly {
  const manifest = readJsonFile(join(folder, 'manifest.json'));
  const assembly: Assembly = { stacks: [], assets: new Map() };
  for (const [id, artifact] of Object.entries(manifest.child('artifacts')?.values ?? {})) {
    const part = new Properties(artifact, `manifest.json: ${id}`);
    const properties = part.child('properties');
    const type = part.text('type');
    if (type === 'aws:cloudformation:stack' && properties !== undefined) {
      const [account = '', region = ''] = part
        .text('environment')
        .replace(/^aws:\/\//, '')
        .split('/');
      const template: Template = JSON.parse(
        readFileSync(join(folder, properties.text('templateFile')), 'utf8'),
      );
      assembly.stacks.push({
        name: properties.text('stackName', id),
        account: /^\d{12}$/.test(account) ? account : DEFAULT_ACCOUNT,
        region: region === 'unknown-region' ? DEFAULT_REGION : region,
        template,
      });
    } else if (type === 'cdk:asset-manifest' && properties !== undefined) {
      readAssets(folder, properties.text('file'), assembly.assets);
    } else if (type === 'cdk:cloud-assembly' && properties !== undefined) {
      const nested = readAssembly(join(folder, properties.text('directoryName')));
      assembly.stacks.push(...nested.stacks);
      for (const [key, path] of nested.assets) assembly.assets.set(key, path);
    }
  }
  return assembly;
}

function readAssets(folder: string, file: string, assets: Map<string, string>): void {
  const files = readJsonFile(join(folder, file)).child('files')?.values ?? {};
  for (const [id, asset] of Object.entries(files)) {
    const properties = new Properties(asset, `${file}: ${id}`);
    const source = properties.child('source');
    if (source?.text('packaging', 'file') !== 'zip') continue;
    for (const destination of Object.values(properties.child('destinations')?.values ?? {})) {
      const key = new Properties(destination, `${file}: ${id}`).text('objectKey');
      assets.set(key, resolvePath(folder, source.text('path')));
    }
  }
}

function readJsonFile(file: string): Properties {
  return new Properties(JSON.parse(readFileSync(file, 'utf8')), file);
}
