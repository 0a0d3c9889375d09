import { Annotations, Duration, RemovalPolicy, Stack } from 'aws-cdk-lib';
import { Metric } from 'aws-cdk-lib/aws-cloudwatch';
import type { Connections, IConnectable } from 'aws-cdk-lib/aws-ec2';
import { Effect, PolicyDocument, PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import { Architecture, type CfnFunction, Function as LambdaFunction, Runtime } from 'aws-cdk-lib/aws-lambda';
import { LogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs';
import type { IQueue } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import * as v from 'valibot';
import { acceptFinding } from './accept-finding.ts';
import { field, pattern } from './checks/fields.ts';
import { checkProps, duration } from './checks/props.ts';
import { ofQueue } from './encryption.ts';
import { BUNDLE_NAME, bundledCode } from './function-bundle.ts';
import { type FunctionNetwork, networkFindings, resolvedNetwork } from './function-network.ts';

/** How long Lambda tries an asynchronous invocation of an ordinary function again. */
export const ASYNCHRONOUS_EVENT_AGE = Duration.minutes(30);

/** Lambda's limit on an environment is 4 KB; what stands in it besides the settings needs less than this. */
export const MAXIMUM_SETTINGS_BYTES = 4096 - 128;

/** What an `UpkeepFunction` is made of. */
export interface UpkeepFunctionProps {
  /** At most 64 characters: policies name the function by it before it exists. */
  readonly functionName: string;
  /** At most 256 characters. */
  readonly description: string;
  /** The file that exports `handler`. */
  readonly entry: string;
  /** Imports that are never followed with these settings, as the sources write them. @default all are bundled */
  readonly importsToLeaveOut?: readonly string[] | undefined;
  /**
   * Of which regions' Amazon RDS the root certificates are in the bundle of one of the package's own functions.
   * @default of all
   */
  readonly rdsRegions?: readonly string[] | undefined;
  /** Becomes the environment variable `UPKEEP_SETTINGS`, as JSON. Tokens are allowed. No secrets: name them by ARN. */
  readonly settings: unknown;
  /** How long one invocation may take. At most 15 minutes. */
  readonly timeout: Duration;
  /** @default 256 MiB */
  readonly memorySize?: number;
  /**
   * Makes it a durable function, which can be said only when the function is made.
   * @default an ordinary function
   */
  readonly durable?: {
    /** After which Lambda ends an execution by force. */
    readonly executionTimeout: Duration;
    /** How long an execution's history can be read, and its name is taken, after its end. 1 to 90 days. */
    readonly retention: Duration;
  };
  /** @default not in a VPC */
  readonly network?: FunctionNetwork;
  /**
   * Encrypts the function's log and environment, and of a durable function what is on record of its executions.
   * @default keys that AWS owns
   */
  readonly encryptionKey?: IKey;
  /** @default three months */
  readonly logRetention?: RetentionDays;
  /**
   * Receives the events of asynchronous invocations that failed for good.
   * @default they are lost
   */
  readonly deadLetterQueue?: IQueue;
}

const PROPS = v.looseObject({
  functionName: pattern(
    /^[a-zA-Z0-9-_]{1,64}$/,
    'a text of 1 to 64 letters, digits, hyphens and underscores',
    'The name.',
  ),
  description: field(
    v.pipe(v.string(), v.nonEmpty(), v.maxLength(256)),
    'a text of at most 256 characters',
    'The description.',
  ),
  timeout: duration(Duration.seconds(1), Duration.minutes(15)),
});

/**
 * A Lambda function that may do only what it is told by {@link allow}: its role has no managed policy.
 * Node 24 on arm64, bundled by esbuild, with a log group of its own.
 */
export class UpkeepFunction extends Construct implements IConnectable {
  /** The Lambda function. */
  readonly function: LambdaFunction;
  /** Its role, with named actions only. */
  readonly role: Role;
  /** Its log. */
  readonly logGroup: LogGroup;
  /** Made of the name, so that a policy which the function waits for can name the function. */
  readonly functionArn: string;

  constructor(scope: Construct, id: string, props: UpkeepFunctionProps) {
    super(scope, id);
    checkProps(this, PROPS, props, () => networkFindings(props.network));
    const network = props.network && resolvedNetwork(this, props.network);
    const settings = Stack.of(this).toJsonString(props.settings);
    this.node.addValidation({ validate: () => this.tooManySettings(settings) });
    this.functionArn = functionArn(this, props.functionName);
    this.logGroup = functionLog(this, props);
    this.role = this.createRole(props);
    // Lambda reads the environment in the role's name.
    if (props.encryptionKey) this.allowDecrypt(props.encryptionKey);
    this.function = new LambdaFunction(this, 'Function', {
      functionName: props.functionName,
      description: props.description,
      code: bundledCode(this, props.entry, {
        leaveOut: props.importsToLeaveOut,
        rdsRegions: props.rdsRegions,
      }),
      handler: `${BUNDLE_NAME}.handler`,
      runtime: Runtime.NODEJS_24_X,
      architecture: Architecture.ARM_64,
      memorySize: props.memorySize ?? 256,
      timeout: props.timeout,
      role: this.role,
      logGroup: this.logGroup,
      environment: {
        NODE_OPTIONS: '--enable-source-maps',
        UPKEEP_SETTINGS: settings,
      },
      // A run waits under the version that it began with: a deploy must not delete that version.
      currentVersionOptions: { removalPolicy: RemovalPolicy.RETAIN },
      ...(props.durable && {
        durableConfig: {
          executionTimeout: props.durable.executionTimeout,
          retentionPeriod: props.durable.retention,
        },
      }),
      ...(network && {
        vpc: network.vpc,
        vpcSubnets: { subnets: network.subnets },
        securityGroups: network.securityGroups,
      }),
      ...(props.encryptionKey && { environmentEncryption: props.encryptionKey }),
      ...this.deadLetters(props),
    });
    // That it could not become one later. It always was one.
    if (props.durable) Annotations.of(this.function).acknowledgeInfo('aws-lambda:Function.DurableConfig');
    // The construct has no property for it yet.
    if (props.durable && props.encryptionKey)
      (this.function.node.defaultChild as CfnFunction).addPropertyOverride(
        'DurableConfig.KMSKeyArn',
        props.encryptionKey.keyArn,
      );
  }

  /** Its security groups, of a function in a VPC. */
  get connections(): Connections {
    return this.function.connections;
  }

  /**
   * Lets the function's code do something.
   * @param sid what for, in letters and digits.
   * @returns the statement, to which resources can be added.
   */
  allow(
    sid: string,
    actions: string[],
    resources: string[],
    conditions?: PolicyStatement['conditions'],
  ): PolicyStatement {
    const statement = new PolicyStatement({ sid, actions, resources, ...(conditions && { conditions }) });
    this.role.addToPolicy(statement);
    return statement;
  }

  /** Says, for cdk-nag and whoever reads the template, why what the function is allowed on a resource with a `*` is right. */
  acceptWildcard(resource: string, reason: string): void {
    acceptWildcard(this.role, resource, reason);
  }

  /**
   * Lets the function read what a key encrypts: its own environment, which Lambda decrypts in the role's name, and queues.
   * Saying it twice adds nothing. Not by `kms:ViaService` or a context: no page says which of them Lambda's request carries
   * (what is seen in public are `LambdaFunctionName` and `aws:lambda:FunctionArn`), and a function that cannot read its
   * environment does not start. `wa-upkeep doctor --permissions` finds out on AWS.
   */
  allowDecrypt(key: IKey): void {
    this.allow('Decrypt', ['kms:Decrypt'], [key.keyArn]);
  }

  /** What is generated is counted as nothing: Lambda itself refuses the rest. */
  private tooManySettings(settings: string): string[] {
    const bytes = literalBytes(Stack.of(this).resolve(settings));
    if (bytes <= MAXIMUM_SETTINGS_BYTES) return [];
    return [
      `${this.node.path}: the settings take ${bytes} bytes, of which ${MAXIMUM_SETTINGS_BYTES} fit into the function's environment. Name fewer or shorter things.`,
    ];
  }

  private createRole(props: UpkeepFunctionProps): Role {
    const role = new Role(this, 'Role', {
      description: `What ${props.functionName} may do`,
      assumedBy: new ServicePrincipal('lambda.amazonaws.com'),
      inlinePolicies: props.network ? { NetworkInterfaces: networkInterfacesPolicy(this.functionArn) } : {},
    });
    if (props.network)
      acceptWildcard(
        role,
        '*',
        "Lambda checks these on every resource before it makes the function's network interfaces, which do not exist yet. The statement beside it denies them to the function's own code.",
      );
    role.addToPolicy(
      new PolicyStatement({
        sid: 'WriteLog',
        actions: ['logs:CreateLogStream', 'logs:PutLogEvents'],
        resources: [this.logGroup.logGroupArn],
      }),
    );
    if (props.durable) {
      const ownVersions = `${this.functionArn}:*`;
      role.addToPolicy(
        new PolicyStatement({
          sid: 'KeepDurableState',
          actions: [
            'lambda:CheckpointDurableExecution',
            'lambda:GetDurableExecutionHistory',
            'lambda:GetDurableExecutionState',
          ],
          resources: [ownVersions],
        }),
      );
      acceptWildcard(
        role,
        ownVersions,
        "A run keeps its state under the function's version that it began with, one more after each deploy.",
      );
    }
    return role;
  }

  private deadLetters({ durable, deadLetterQueue }: UpkeepFunctionProps) {
    if (!deadLetterQueue) return {};
    const key = deadLetterQueue.encryptionMasterKey;
    if (key) {
      this.allowDecrypt(key);
      this.allow(
        'EncryptForDeadLetterQueue',
        ['kms:GenerateDataKey'],
        [key.keyArn],
        ofQueue(this, deadLetterQueue.queueArn),
      );
    }
    // A durable execution that fails, times out or is stopped sends its event to the dead-letter queue only,
    // not to a destination (Lambda's developer guide, durable functions, best practices).
    // The construct adds the permission to send.
    if (durable) return { deadLetterQueue };
    this.allow('SendToDeadLetterQueue', ['sqs:SendMessage'], [deadLetterQueue.queueArn]);
    return {
      onFailure: { bind: () => ({ destination: deadLetterQueue.queueArn }) },
      retryAttempts: 2,
      maxEventAge: ASYNCHRONOUS_EVENT_AGE,
    };
  }
}

/** The log group of a function, which may be there without it. It goes with the stack. */
export function functionLog(
  scope: Construct,
  {
    functionName,
    logRetention,
    encryptionKey,
  }: Pick<UpkeepFunctionProps, 'functionName' | 'logRetention' | 'encryptionKey'>,
): LogGroup {
  return new LogGroup(scope, 'Log', {
    logGroupName: `/aws/lambda/${functionName}`,
    retention: logRetention ?? RetentionDays.THREE_MONTHS,
    removalPolicy: RemovalPolicy.DESTROY,
    ...(encryptionKey && { encryptionKey }),
  });
}

/**
 * Of an asynchronous invocation that failed for good: what Lambda could not put into the queue (Lambda Developer Guide, "Types of
 * metrics for Lambda functions").
 * @param metricName of a durable function `DeadLetterErrors`, for it has a dead-letter queue and no destination.
 */
export function undeliveredOf(
  functionName: string,
  metricName: 'DestinationDeliveryFailures' | 'DeadLetterErrors' = 'DestinationDeliveryFailures',
): Metric {
  return new Metric({
    namespace: 'AWS/Lambda',
    metricName,
    dimensionsMap: { FunctionName: functionName },
    statistic: 'Sum',
  });
}

/** The ARN of a function of this account and region, by its name. */
export function functionArn(scope: Construct, functionName: string): string {
  const { partition, region, account } = Stack.of(scope);
  return `arn:${partition}:lambda:${region}:${account}:function:${functionName}`;
}

function acceptWildcard(role: Role, resource: string, reason: string): void {
  acceptFinding(role, { id: `AwsSolutions-IAM5[Resource::${asTemplateText(role, resource)}]`, reason });
}

/** A string as the rules for templates show it: `arn:<AWS::Partition>:…`. */
function asTemplateText(scope: Construct, text: string): string {
  const shown = (part: unknown): string => {
    if (typeof part !== 'object' || part === null) return String(part);
    if ('Ref' in part) return `<${part.Ref}>`;
    if ('Fn::GetAtt' in part && Array.isArray(part['Fn::GetAtt'])) return `<${part['Fn::GetAtt'].join('.')}>`;
    if ('Fn::ImportValue' in part) return shown(part['Fn::ImportValue']);
    if ('Fn::Join' in part && Array.isArray(part['Fn::Join'])) {
      const [separator, parts] = part['Fn::Join'];
      return parts.map(shown).join(separator);
    }
    return JSON.stringify(part);
  };
  return shown(Stack.of(scope).resolve(text));
}

/** Of the texts that a resolved value is joined of. */
function literalBytes(value: unknown): number {
  if (typeof value === 'string') return Buffer.byteLength(value);
  if (typeof value !== 'object' || value === null || !('Fn::Join' in value)) return 0;
  const [, parts] = value['Fn::Join'] as [string, unknown[]];
  return parts.reduce<number>((sum, part) => sum + literalBytes(part), 0);
}

function networkInterfacesPolicy(ownArn: string): PolicyDocument {
  const actions = [
    'ec2:AssignPrivateIpAddresses',
    'ec2:CreateNetworkInterface',
    'ec2:DeleteNetworkInterface',
    'ec2:DescribeNetworkInterfaces',
    'ec2:DescribeSubnets',
    'ec2:UnassignPrivateIpAddresses',
  ];
  return new PolicyDocument({
    statements: [
      new PolicyStatement({ sid: 'LambdaStandsInTheVpc', actions, resources: ['*'] }),
      new PolicyStatement({
        sid: 'NotTheCodeItself',
        effect: Effect.DENY,
        actions,
        resources: ['*'],
        conditions: { ArnEquals: { 'lambda:SourceFunctionArn': ownArn } },
      }),
    ],
  });
}
