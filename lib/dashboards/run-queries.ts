import { Lazy, Stack } from 'aws-cdk-lib';
import { type CfnLogGroup, CfnQueryDefinition } from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import * as v from 'valibot';
import { checkProps, propertyNames, upkeepReference } from '../checks/props.ts';
import type { Upkeep } from '../upkeep.ts';
import { UpkeepFunction } from '../upkeep-function.ts';

/** CloudWatch's limit on the logs that one query reads. */
const MOST_LOGS = 50;

/** The newest reports, one a line: what a run did, and what it says first of what went wrong. */
export const LATEST_REPORTS = [
  'fields report.endedAt as ended, report.job as job, report.outcome as outcome, report.problems.0.what as problem, report.runId as run',
  'filter message = "Run report"',
  'sort @timestamp desc',
  'limit 50',
];

/** By the end of their names. */
const QUERIES: Record<string, string[]> = {
  'latest reports': LATEST_REPORTS,
  problems: [
    'fields report.endedAt as ended, report.job as job, report.problems.0.what as what, report.problems.0.where as where, report.problems.0.next as next',
    'filter message = "Run report" and ispresent(report.problems.0.what)',
    'sort @timestamp desc',
    'limit 50',
  ],
  'errors and warnings': [
    'fields @timestamp, service, level, message, error.message',
    'filter level in ["ERROR", "WARN"]',
    'sort @timestamp desc',
    'limit 100',
  ],
  'ends by force': [
    'fields @timestamp, @log, @message',
    'filter @message like /Task timed out|Runtime exited|signal: killed/',
    'sort @timestamp desc',
    'limit 50',
  ],
};

/** What `RunQueries` are made of. */
export interface RunQueriesProps {
  /** Whose logs are asked. */
  readonly upkeep: Upkeep;
}

/**
 * Saved queries of Logs Insights over the logs of all functions of a deployment, in a folder with its name: the latest reports,
 * their problems, errors, and what was ended by force. They cost nothing until they are run.
 */
export class RunQueries extends Construct {
  constructor(scope: Construct, id: string, props: RunQueriesProps) {
    super(scope, id);
    checkProps(
      this,
      v.looseObject({ upkeep: upkeepReference() }),
      props,
      undefined,
      propertyNames<RunQueriesProps>({ upkeep: true }),
    );
    const { upkeep } = props;
    for (const [name, lines] of Object.entries(QUERIES))
      new CfnQueryDefinition(this, name, {
        name: `${upkeep.deployment}/${name}`,
        logGroupNames: Lazy.list({ produce: () => logsOf(upkeep) }),
        queryString: lines.join('\n| '),
      });
  }
}

/** The logs of a deployment's functions, those too that are made later. */
function logsOf(upkeep: Upkeep): string[] {
  return Stack.of(upkeep)
    .node.findAll()
    .filter((construct): construct is UpkeepFunction => construct instanceof UpkeepFunction)
    .map(({ logGroup }) => logGroup)
    .filter(({ node }) =>
      (node.defaultChild as CfnLogGroup).logGroupName?.startsWith(`/aws/lambda/${upkeep.deployment}-`),
    )
    .map(({ logGroupName }) => logGroupName)
    .slice(0, MOST_LOGS);
}
