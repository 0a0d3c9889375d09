import { CloudWatchClient, type MetricAlarm, paginateDescribeAlarms } from '@aws-sdk/client-cloudwatch';
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
import { SNSClient } from '@aws-sdk/client-sns';
import { SSMClient } from '@aws-sdk/client-ssm';
import * as v from 'valibot';
import { type Clients as ExecClients, ecsExecClients } from '../../functions/shared/ecs-exec/index.ts';
import type { DeployedUpkeep } from '../deployments.ts';

/** The AWS clients that checks share. */
export interface Clients {
  cloudWatch: CloudWatchClient;
  ecs: ECSClient;
  events: EventBridgeClient;
  /** Of ECS Exec. */
  exec: ExecClients;
  iam: IAMClient;
  lambda: LambdaClient;
  scheduler: SchedulerClient;
  sns: SNSClient;
  ssm: SSMClient;
}

/** For the environment's credentials, and its region unless one is named. */
export function clientsIn(region: string | undefined): Clients {
  // Doctor asks much at once, and a throttled call is no finding.
  const options = { maxAttempts: 8, ...(region !== undefined && { region }) };
  return {
    cloudWatch: new CloudWatchClient(options),
    ecs: new ECSClient(options),
    events: new EventBridgeClient(options),
    exec: ecsExecClients(options),
    iam: new IAMClient(options),
    lambda: new LambdaClient(options),
    scheduler: new SchedulerClient(options),
    sns: new SNSClient(options),
    ssm: new SSMClient(options),
  };
}

/** A deployment, as the functions that are deployed know it: their settings say what there is to look at. */
export class ExaminedDeployment {
  readonly upkeep: DeployedUpkeep;
  readonly clients: Clients;
  readonly #known = new Map<string, Promise<unknown>>();

  constructor(upkeep: DeployedUpkeep, clients: Clients) {
    this.upkeep = upkeep;
    this.clients = clients;
  }

  get name(): string {
    return this.upkeep.deployment;
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

  /** The version of a job's function that its next run will be of. */
  functionOf(job: string): Promise<FunctionConfiguration> {
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
