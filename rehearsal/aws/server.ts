import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import { AccessControl, type ApiCall, type Caller, type Credentials } from './access/access-control.ts';
import { ACCESS_RESOURCES } from './access/resources.ts';
import { Backup } from './backup/backup.ts';
import type { Clock } from './clock.ts';
import type { Cloud, InterceptedCall, InterceptedInvoke, Interception, Service } from './cloud.ts';
import { CloudFormation } from './cloudformation/cloudformation.ts';
import { CloudTrail } from './cloudtrail/cloudtrail.ts';
import { type AlarmHistory, CloudWatch } from './cloudwatch/cloudwatch.ts';
import { CLOUDWATCH_RESOURCES } from './cloudwatch/resources.ts';
import { Ec2 } from './ec2/ec2.ts';
import { VpcEndpoints } from './ec2/endpoints.ts';
import { EC2_RESOURCES } from './ec2/resources.ts';
import { Ecs } from './ecs/ecs.ts';
import { Efs } from './efs/efs.ts';
import { EFS_RESOURCES } from './efs/resources.ts';
import { ElasticLoadBalancing } from './elastic-load-balancing/elastic-load-balancing.ts';
import { EventBridge } from './event-bridge/event-bridge.ts';
import { EVENT_BRIDGE_RESOURCES } from './event-bridge/resources.ts';
import { Iam } from './iam/iam.ts';
import { Lambda } from './lambda/lambda.ts';
import { LAMBDA_RESOURCES } from './lambda/resources.ts';
import { type LogLine, Logs } from './logs/logs.ts';
import { LOGS_RESOURCES } from './logs/resources.ts';
import { checkPolicy } from './policy/check-policy.ts';
import type { PolicyDocument } from './policy/document.ts';
import type { Access } from './policy/policy.ts';
import { Rds } from './rds/rds.ts';
import { answer, clockOf, type Desk } from './requests.ts';
import { S3_RESOURCES } from './s3/resources.ts';
import { S3 } from './s3/s3.ts';
import { SCHEDULER_RESOURCES } from './scheduler/resources.ts';
import { Scheduler } from './scheduler/scheduler.ts';
import { SECRETS_MANAGER_RESOURCES } from './secrets-manager/resources.ts';
import { SecretsManager } from './secrets-manager/secrets-manager.ts';
import type { SessionManagerOptions } from './session-manager/options.ts';
import { SessionManager } from './session-manager/session-manager.ts';
import { SNS_RESOURCES } from './sns/resources.ts';
import { Sns, type SnsMessage } from './sns/sns.ts';
import { SQS_RESOURCES } from './sqs/resources.ts';
import { Sqs } from './sqs/sqs.ts';
import { SSM_RESOURCES } from './ssm/resources.ts';
import { Ssm } from './ssm/ssm.ts';
import { Sts } from './sts/sts.ts';
import type { Template } from './template/assembly.ts';
import type { Deployed, ResourceType, ResourceTypes } from './template/resource.ts';
import { readTemplates } from './template/template.ts';

export interface AwsOptions {
  /** The cloud assembly that `cdk synth` wrote, or several. */
  cdkOut: string | readonly string[];
  clock: Clock;
  /** Changes the parsed templates, by stack name, before they are deployed. */
  change?: (templates: Record<string, Template>, assets: Map<string, string>) => void;
  /** What is taken to be known of resources of types that are not understood. Default: they stop the rehearsal. */
  otherwise?: (type: string) => ResourceType;
  /** Default: a free one. */
  port?: number;
  /** Of the gateway of ECS Exec's sessions. */
  sessions?: SessionManagerOptions;
}

/** A message that AWS would have dropped without a word. */
export interface Dropped {
  /** Epoch milliseconds on the rehearsal's clock. */
  time: number;
  from: string;
  to: string;
  reason: string;
}

/** The resources that the stand-in understands. */
export const RESOURCE_TYPES: ResourceTypes = {
  ...ACCESS_RESOURCES,
  ...CLOUDWATCH_RESOURCES,
  ...EC2_RESOURCES,
  ...EFS_RESOURCES,
  ...EVENT_BRIDGE_RESOURCES,
  ...LAMBDA_RESOURCES,
  ...LOGS_RESOURCES,
  ...S3_RESOURCES,
  ...SCHEDULER_RESOURCES,
  ...SECRETS_MANAGER_RESOURCES,
  ...SNS_RESOURCES,
  ...SQS_RESOURCES,
  ...SSM_RESOURCES,
};

/** The stand-in for AWS: everything of the templates, behind one address on loopback. */
export class Aws implements Cloud, Desk {
  readonly endpoint: string;
  readonly clock: Clock;
  readonly deployed: Deployed;
  readonly access: AccessControl;
  readonly logGroups: Logs;
  readonly backup: Backup;
  readonly cloudFormation: CloudFormation;
  readonly cloudWatch: CloudWatch;
  readonly ec2: Ec2;
  readonly efs: Efs;
  readonly elasticLoadBalancing: ElasticLoadBalancing;
  readonly iam: Iam;
  readonly rds: Rds;
  readonly sns: Sns;
  readonly sqs: Sqs;
  readonly s3: S3;
  readonly secrets: SecretsManager;
  readonly events: EventBridge;
  readonly lambda: Lambda;
  readonly scheduler: Scheduler;
  readonly sessions: SessionManager;
  readonly ecs: Ecs;
  readonly ssm: Ssm;
  /** `host:port` → `127.0.0.1:port`, for functions in a VPC that start from now on. */
  readonly hosts: Record<string, string> = {};
  /** What was dropped in silence, and why. */
  readonly dropped: Dropped[] = [];
  readonly callInterceptors = new Set<(call: InterceptedCall) => Interception>();
  readonly invokeInterceptors = new Set<(invoke: InterceptedInvoke) => Interception>();
  /** What is answered at the endpoint besides AWS, by path. */
  readonly pages = new Map<string, RequestListener>();
  readonly #endpoints: VpcEndpoints;
  readonly #services: Map<string, Service>;
  readonly #server: Server;

  constructor(server: Server, endpoint: string, clock: Clock, deployed: Deployed, sessions: SessionManager) {
    this.#server = server;
    this.endpoint = endpoint;
    this.clock = clock;
    this.deployed = deployed;
    this.access = new AccessControl(deployed, clock);
    this.logGroups = new Logs(this);
    this.backup = new Backup(this);
    this.cloudFormation = new CloudFormation(this);
    this.cloudWatch = new CloudWatch(this);
    this.ec2 = new Ec2(this);
    this.efs = new Efs(this);
    this.elasticLoadBalancing = new ElasticLoadBalancing();
    this.iam = new Iam(this);
    this.rds = new Rds();
    this.sns = new Sns(this);
    this.sqs = new Sqs(this);
    this.s3 = new S3(this);
    this.events = new EventBridge(this);
    this.secrets = new SecretsManager(this);
    this.lambda = new Lambda(this);
    this.scheduler = new Scheduler(this);
    this.sessions = sessions;
    this.ecs = new Ecs(this, sessions, this.logGroups, this.secrets);
    this.ssm = new Ssm(this, sessions);
    sessions.judgeBy({
      access: this.access,
      now: () => clock.now(),
      clockOf: (caller) => clockOf(this, caller),
    });
    this.#endpoints = new VpcEndpoints(this);
    const services: Service[] = [
      this.backup,
      this.cloudFormation,
      this.cloudWatch,
      this.ec2,
      this.ecs,
      this.efs,
      this.elasticLoadBalancing,
      this.events,
      this.iam,
      this.lambda,
      this.logGroups,
      this.rds,
      this.s3,
      this.scheduler,
      this.secrets,
      this.sns,
      this.sqs,
      this.ssm,
      new CloudTrail(this),
      new Sts(this),
    ];
    this.#services = new Map(services.map((service) => [service.signingName, service]));
  }

  service(signingName: string): Service | undefined {
    return this.#services.get(signingName);
  }

  reaches(caller: Caller, signingName: string): boolean {
    return this.#endpoints.reach(caller, signingName);
  }

  vpcEndpoint(caller: Caller, signingName: string): Access['endpoint'] {
    return this.#endpoints.by(caller, signingName);
  }

  /** The services that each function in a VPC called. */
  get servicesFromVpc(): ReadonlyMap<string, ReadonlySet<string>> {
    return this.#endpoints.called;
  }

  /** Who asked for what, and whether it was allowed. */
  get calls(): ApiCall[] {
    return this.access.calls;
  }

  /** Every refusal so far, as AWS's sentence. */
  get denials(): string[] {
    return this.access.denials;
  }

  /** What the functions logged, without Lambda's own lines about their invocations. */
  get logs(): LogLine[] {
    return this.logGroups.lines;
  }

  /** Every change of an alarm's state. */
  get alarms(): AlarmHistory[] {
    return this.cloudWatch.history;
  }

  /** What topics sent on. */
  get notifications(): SnsMessage[] {
    return this.sns.messages;
  }

  /** Ends the rehearsal with what the stand-in could not judge: the clock throws it. A stand-in that stays up only answers it. */
  stop(error: unknown): void {
    if (!this.clock.simulated) return;
    this.clock.at(this.clock.now(), () => {
      throw error;
    });
  }

  /** Credentials of a principal that is not in the templates; its identity policy is given. */
  credentialsFor(principal: { arn: string; policy: PolicyDocument }): Credentials {
    checkPolicy(principal.policy, principal.arn, 'identity');
    return this.access.issue({
      kind: 'identity',
      arn: principal.arn,
      identityArn: principal.arn,
      account: principal.arn.split(':')[4] ?? '',
      policies: [principal.policy],
    });
  }

  /** Looks at each request before it is answered. Returns the way to stop looking. */
  onCall(interceptor: (call: InterceptedCall) => Interception): () => void {
    this.callInterceptors.add(interceptor);
    return () => this.callInterceptors.delete(interceptor);
  }

  /** Looks at each invocation of a function. Returns the way to stop looking. */
  onInvoke(interceptor: (invoke: InterceptedInvoke) => Interception): () => void {
    this.invokeInterceptors.add(interceptor);
    return () => this.invokeInterceptors.delete(interceptor);
  }

  /** Kills a function's processes (by its name, or its logical id's beginning), at work or idle, as a crash would. Returns how many. */
  killFunction(name: string): number {
    return this.lambda.kill(name);
  }

  drop(from: string, to: string, reason: string): void {
    this.dropped.push({ time: this.clock.now(), from, to, reason });
  }

  /** Ends all functions' processes and the server. */
  async close(): Promise<void> {
    this.scheduler.close();
    this.backup.close();
    this.efs.close();
    this.cloudWatch.close();
    await this.lambda.close();
    this.ssm.close();
    await this.sessions.close();
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }
}

/** Deploys a cloud assembly to a stand-in of its own. */
export async function startAws(options: AwsOptions): Promise<Aws> {
  const { cdkOut, clock, change, otherwise, port = 0, sessions } = options;
  const server = createServer();
  server.keepAliveTimeout = 60_000;
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the stand-in has no address');
  const endpoint = `http://127.0.0.1:${address.port}`;
  const gateway = await SessionManager.start(sessions);
  try {
    const deployed = readTemplates(cdkOut, {
      endpoint,
      types: RESOURCE_TYPES,
      ...(change !== undefined && { change }),
      ...(otherwise !== undefined && { otherwise }),
    });
    const aws = new Aws(server, endpoint, clock, deployed, gateway);
    server.on('request', (request, response) => {
      const page = aws.pages.get(request.url?.replace(/\?.*/, '') ?? '');
      if (page) page(request, response);
      else void clock.hold(() => answer(aws, request, response));
    });
    return aws;
  } catch (error) {
    await gateway.close();
    server.close();
    throw error;
  }
}
