import { lookup } from 'node:dns/promises';
import { CloudWatchClient, type MetricAlarm, paginateDescribeAlarms } from '@aws-sdk/client-cloudwatch';
import type { EC2Client } from '@aws-sdk/client-ec2';
import { ECSClient } from '@aws-sdk/client-ecs';
import { EventBridgeClient } from '@aws-sdk/client-eventbridge';
import { IAMClient } from '@aws-sdk/client-iam';
import {
  type FunctionConfiguration,
  GetFunctionConfigurationCommand,
  LambdaClient,
  ResourceNotFoundException,
} from '@aws-sdk/client-lambda';
import { SchedulerClient } from '@aws-sdk/client-scheduler';
import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { SNSClient } from '@aws-sdk/client-sns';
import { SQSClient } from '@aws-sdk/client-sqs';
import { SSMClient } from '@aws-sdk/client-ssm';
import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import * as v from 'valibot';
import { type Clients as ExecClients, ecsExecClients } from '../../functions/shared/ecs-exec/index.ts';
import { awsTime, type DeployedUpkeep } from '../deployments.ts';
import type { SynthesizedDeployment } from './before-deploy/synthesized.ts';

/** The AWS clients that checks share. */
export interface Clients {
  /** The IPv4 addresses that a name has for this machine. None, where it has no such name. */
  addressesOf(host: string): Promise<string[]>;
  cloudWatch: CloudWatchClient;
  /** Loaded when it is first asked for: it is the largest of all. */
  ec2(): Promise<EC2Client>;
  ecs: ECSClient;
  events: EventBridgeClient;
  /** Of ECS Exec. */
  exec: ExecClients;
  iam: IAMClient;
  lambda: LambdaClient;
  scheduler: SchedulerClient;
  secretsManager: SecretsManagerClient;
  sns: SNSClient;
  sqs: SQSClient;
  ssm: SSMClient;
  sts: STSClient;
}

/** For the environment's credentials, and its region unless one is named. */
export function clientsIn(region: string | undefined): Clients {
  // Doctor asks much at once, and a throttled call is no finding.
  const options = { maxAttempts: 8, ...(region !== undefined && { region }) };
  let ec2: Promise<EC2Client> | undefined;
  return {
    addressesOf: (host) =>
      lookup(host, { all: true, family: 4 }).then(
        (all) => all.map(({ address }) => address),
        () => [],
      ),
    ec2: () => {
      ec2 ??= import('@aws-sdk/client-ec2').then(({ EC2Client: Client }) => new Client(options));
      return ec2;
    },
    cloudWatch: new CloudWatchClient(options),
    ecs: new ECSClient(options),
    events: new EventBridgeClient(options),
    exec: ecsExecClients(options),
    iam: new IAMClient(options),
    lambda: new LambdaClient(options),
    scheduler: new SchedulerClient(options),
    secretsManager: new SecretsManagerClient(options),
    sns: new SNSClient(options),
    sqs: new SQSClient(options),
    ssm: new SSMClient(options),
    sts: new STSClient(options),
  };
}

/**
 * A deployment, as the functions know it that are deployed, or that are to be: their settings say what there is to look at.
 */
export class ExaminedDeployment {
  readonly upkeep: DeployedUpkeep;
  readonly clients: Clients;
  readonly synthesized: SynthesizedDeployment | undefined;
  /** Epoch milliseconds, by AWS's clock as far as it is known. */
  readonly begunAt: number;
  readonly #known = new Map<string, Promise<unknown>>();

  /** @param synthesized before it is deployed: what `cdk synth` wrote of it. */
  constructor(upkeep: DeployedUpkeep, clients: Clients, synthesized?: SynthesizedDeployment) {
    this.upkeep = upkeep;
    this.clients = clients;
    this.begunAt = awsTime(clients.lambda).getTime();
    this.synthesized = synthesized;
  }

  get name(): string {
    return this.upkeep.deployment;
  }

  /** Whether it is there, or only what `cdk synth` wrote. */
  get isDeployed(): boolean {
    return this.synthesized === undefined;
  }

  /** Of the credentials. */
  account(): Promise<string> {
    return this.once('account', () => accountOf(this.clients));
  }

  region(): Promise<string> {
    return this.clients.lambda.config.region();
  }

  get jobs(): string[] {
    return Object.keys(this.upkeep.jobs).sort();
  }

  /** What several checks ask of AWS: the first one asks, by a name for it. */
  once<Result>(name: string, ask: () => Promise<Result>): Promise<Result> {
    // Whoever uses a name asks for the same.
    const known = (this.#known.get(name) as Promise<Result> | undefined) ?? ask();
    this.#known.set(name, known);
    return known;
  }

  /** The version of a job's function that its next run will be of. Before the deploy: what is known of it. */
  functionOf(job: string): Promise<FunctionConfiguration> {
    if (this.synthesized) return Promise.resolve(this.synthesized.functionNamed(`${this.name}-${job}`) ?? {});
    const FunctionName = this.upkeep.jobs[job]?.aliasArn;
    return this.once(`function ${job}`, () =>
      this.clients.lambda.send(new GetFunctionConfigurationCommand({ FunctionName })),
    );
  }

  /** All whose name begins with the deployment's. */
  alarms(): Promise<MetricAlarm[]> {
    return this.once('alarms', () => listAlarms(this.clients.cloudWatch, `${this.name}-`));
  }

  /** The jobs whose settings are of a form, with them: so a check finds what it is for, whatever the job is called. */
  async settingsOf<Schema extends v.GenericSchema>(
    schema: Schema,
  ): Promise<{ job: string; settings: v.InferOutput<Schema> }[]> {
    const found = await Promise.all(
      this.jobs.map(async (job) => {
        const { Environment: environment } = await this.functionOf(job).catch(ifThere);
        const parsed = v.safeParse(schema, JSON.parse(environment?.Variables?.UPKEEP_SETTINGS ?? '{}'));
        return parsed.success ? [{ job, settings: parsed.output }] : [];
      }),
    );
    return found.flat();
  }
}

/** The number of the account that the credentials are of. */
export async function accountOf({ sts }: Clients): Promise<string> {
  return (await sts.send(new GetCallerIdentityCommand({}))).Account ?? '';
}

/** That a function is not there is told by the check of the functions. */
function ifThere(error: unknown): FunctionConfiguration {
  if (error instanceof ResourceNotFoundException) return {};
  throw error;
}

async function listAlarms(client: CloudWatchClient, AlarmNamePrefix: string): Promise<MetricAlarm[]> {
  const found: MetricAlarm[] = [];
  for await (const { MetricAlarms: page = [] } of paginateDescribeAlarms({ client }, { AlarmNamePrefix }))
    found.push(...page);
  return found;
}
