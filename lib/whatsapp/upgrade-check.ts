import { Duration, Stack } from 'aws-cdk-lib';
import type { Metric, MetricOptions } from 'aws-cdk-lib/aws-cloudwatch';
import { Construct } from 'constructs';
import * as v from 'valibot';
import { metricName } from '../../functions/shared/run/report.ts';
import {
  ANSWER_FIGURE,
  type CheckedSet,
  type ServerStorage,
  type UpgradeCheckSettings,
} from '../../functions/upgrade-check/contract.ts';
import { bundledFor } from '../bundled-for.ts';
import type { Finding } from '../checks/mistakes.ts';
import { valueText } from '../checks/mistakes.ts';
import { checkProps, passesPropsOn, refuse } from '../checks/props.ts';
import { entryFile } from '../entry-file.ts';
import { type FunctionNetwork, networkFindings } from '../function-network.ts';
import { letListRuns } from '../list-runs.ts';
import type { Upkeep } from '../upkeep.ts';
import { MAXIMUM_SETTINGS_BYTES } from '../upkeep-function.ts';
import { UpkeepJob } from '../upkeep-job.ts';
import { type ClientDatabases, letReadSizes } from './client-databases.ts';
import { DATABASE_SIZE_JOB, databaseSetOf, LARGE_ROWS } from './database-size.ts';
import { SETS, setNameFindings, UPGRADE_CHECK_PROPS } from './prop-schemas.ts';

const JOB = 'upgrade-check';

/** Longer than a downtime window can be, with which preparing ends; a mere check takes minutes. */
const TIME_LIMIT = Duration.hours(24);

/** What an `UpgradeCheck` is made of. */
export interface UpgradeCheckProps {
  /** What this deployment's jobs share. */
  readonly upkeep: Upkeep;
  /** Their user needs no more rights than that of `DatabaseSize`. */
  readonly sets: ClientDatabases[];
  /** From where the databases can be reached, and AWS's interfaces: see `ENDPOINT_SERVICES`. */
  readonly network: FunctionNetwork;
  /**
   * Message garbage collection, which has to have succeeded lately, and which preparing starts.
   * @default none, so that the answer is never yes
   */
  readonly messageGc?: UpkeepJob | undefined;
  /**
   * Jobs that an upgrade would cut off, of which also Lambda's own list is asked: none of them may go on. Of all jobs that share
   * `upkeep` the runs that start-run has begun are known anyway.
   * @default none besides `messageGc`
   */
  readonly otherJobs?: readonly UpkeepJob[];
  /** How long ago it may have succeeded. @default 24 hours */
  readonly maximumGcAge?: Duration;
  /** What has to be steady. @default none, so that the answer is never yes */
  readonly services?: { readonly clusterName: string; readonly names: readonly string[] } | undefined;
  /** What CloudWatch calls the sets' servers. Of one that is not named the answer is never yes. @default none */
  readonly storage?: readonly ServerStorage[];
}

const PROPS = v.looseObject({ sets: SETS, ...UPGRADE_CHECK_PROPS });

/** What no single property can say. */
function findings({ sets, network, storage = [] }: UpgradeCheckProps): Finding[] {
  const hosts = sets.map(({ database }) => database.host);
  return [
    ...setNameFindings(sets),
    ...networkFindings(network),
    ...storage.flatMap(({ host }, index) =>
      hosts.includes(host)
        ? []
        : [
            {
              field: ['storage', index, 'host'],
              problem: `is ${valueText(host)}, which is no host of the sets; it must be one of ${[...new Set(hosts)].join(', ')}.`,
            },
          ],
    ),
  ];
}

/**
 * Says, when it is asked, whether a WhatsApp client may be upgraded now; asked to prepare, it has message garbage collected
 * until it may. It has no schedule. A check may be asked for at any time, preparing inside the downtime window.
 */
export class UpgradeCheck extends Construct {
  /** The job underneath: its function, schedule and alarms. */
  readonly job: UpkeepJob;

  constructor(scope: Construct, id: string, props: UpgradeCheckProps) {
    super(scope, id);
    passesPropsOn(this);
    checkProps(this, PROPS, props, () => findings(props));
    const { upkeep, sets, network, messageGc, services, storage = [] } = props;
    const { maximumGcAge = Duration.hours(24) } = props;
    const otherJobs = [...new Set([...(messageGc ? [messageGc] : []), ...(props.otherJobs ?? [])])];
    const settings = {
      deployment: upkeep.deployment,
      sets: sets.map(checkedSetOf),
      maximumRows: LARGE_ROWS,
      storage: [...storage],
      startRunArn: upkeep.startRun.function.functionArn,
      readingJobs: [JOB, DATABASE_SIZE_JOB],
      otherJobs: otherJobs.map(({ job, function: { functionArn } }) => ({ job, functionArn })),
      ...(services && {
        services: { clusterArn: this.arn('cluster', services.clusterName), names: [...services.names] },
      }),
      ...(messageGc && {
        cleaning: {
          job: messageGc.job,
          functionArn: messageGc.function.functionArn,
          tables: ['messages'],
          maximumAgeHours: maximumGcAge.toHours(),
        },
      }),
    } satisfies UpgradeCheckSettings;
    const bytes = Buffer.byteLength(JSON.stringify(settings));
    if (bytes > MAXIMUM_SETTINGS_BYTES)
      refuse(
        this,
        `the settings of ${sets.length} sets of databases take ${bytes} bytes, of which ${MAXIMUM_SETTINGS_BYTES} fit into the function's environment. Name fewer sets, shorter certificates ("rds" takes nearly nothing) or, in mediaDatabases, only the database that has the table media.`,
      );
    this.job = new UpkeepJob(this, 'Job', {
      upkeep,
      job: JOB,
      description: `Whether ${upkeep.deployment} may be upgraded`,
      entry: entryFile('upgrade-check'),
      ...bundledFor(
        this,
        sets.map(({ database }) => database),
      ),
      settings,
      timeLimit: TIME_LIMIT,
      outsideWindow: true,
      network,
    });
    letReadSizes(this.job.function, sets);
    if (services)
      this.job.function.allow(
        'SeeServices',
        ['ecs:DescribeServices'],
        services.names.map((name) => this.arn('service', `${services.clusterName}/${name}`)),
      );
    if (otherJobs.length > 0)
      letListRuns(
        this.job.function,
        'FindRuns',
        otherJobs.map(({ function: { functionArn } }) => functionArn),
      );
    // It knows which runs go on; and by it runs are started as by everybody, for it keeps them apart.
    this.job.function.allow('AskStartRun', ['lambda:InvokeFunction'], [upkeep.startRun.function.functionArn]);
    if (messageGc) this.letPrepare(messageGc);
  }

  /** 1 for each check that ended with yes. @default the sum over five minutes */
  metricMayBeUpgraded(options?: MetricOptions): Metric {
    return this.job.metric(metricName(ANSWER_FIGURE), options);
  }

  /** It follows the runs that it has start-run begin. */
  private letPrepare({ function: { functionArn } }: UpkeepJob): void {
    const { function: job } = this.job;
    const executions = `${functionArn}:*`;
    job.allow('ReadGcRuns', ['lambda:GetDurableExecution'], [executions]);
    job.acceptWildcard(
      executions,
      "A run's ARN has the function's version that it began with, and an id that Lambda draws.",
    );
  }

  private arn(kind: 'cluster' | 'service', name: string): string {
    const { partition, region, account } = Stack.of(this);
    return `arn:${partition}:ecs:${region}:${account}:${kind}/${name}`;
  }
}

function checkedSetOf(client: ClientDatabases): CheckedSet {
  const { name, database, secretArn, databases, tables } = databaseSetOf(client);
  return {
    name,
    database,
    secretArn,
    databases,
    tables: tables.map(({ table, databases, figure }) => ({ table, databases, figure })),
  };
}
