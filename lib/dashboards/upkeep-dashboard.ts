import { CfnOutput } from 'aws-cdk-lib';
import { type CfnDashboard, type IWidget, LogQueryWidget, TextWidget } from 'aws-cdk-lib/aws-cloudwatch';
import { Construct } from 'constructs';
import * as v from 'valibot';
import { checkProps, propertyNames, upkeepReference } from '../checks/props.ts';
import type { Upkeep } from '../upkeep.ts';
import { addressOf, alarmWidgets, createDashboard, jobsOf, runWidgets } from './dashboard-body.ts';
import { DASHBOARD_NAME, FULL_WIDTH, type OnDashboard, PARTS } from './on-dashboard.ts';
import { LATEST_REPORTS, RunQueries } from './run-queries.ts';

/** What an `UpkeepDashboard` is made of. */
export interface UpkeepDashboardProps {
  /** Whose jobs and alarms are shown. */
  readonly upkeep: Upkeep;
  /** What is shown beneath them, a row each: `CredentialRotation`, `ContainerCommandJob`, `MediaVolume` and others. @default nothing */
  readonly parts?: readonly (OnDashboard | undefined)[];
  /** Unique in the account: letters, digits, hyphens, underscores. @default that of the deployment, and `-upkeep` */
  readonly dashboardName?: string;
}

const NAMES = propertyNames<UpkeepDashboardProps>({ upkeep: true, parts: true, dashboardName: true });

/**
 * A CloudWatch dashboard of one deployment: its alarms' states, its runs over time, their latest reports, and what its parts
 * show; with saved queries of its logs. Free are an account's first three dashboards of at most 50 metrics each; docs/cost.md says how many this one shows.
 */
export class UpkeepDashboard extends Construct {
  /** Its name, unique in the account. */
  readonly dashboardName: string;
  /** The dashboard itself. */
  readonly dashboard: CfnDashboard;

  constructor(scope: Construct, id: string, props: UpkeepDashboardProps) {
    super(scope, id);
    checkProps(this, PROPS, props, undefined, NAMES);
    const { upkeep, parts = [] } = props;
    const { deployment } = upkeep;
    this.dashboardName = nameOf(props);
    this.dashboard = createDashboard(this, this.dashboardName, () => [
      [headOf(upkeep)],
      ...alarmWidgets(upkeep).map((widget) => [widget]),
      ...(jobsOf(upkeep).length > 0 ? [runWidgets([upkeep]), [reportsOf(upkeep)]] : []),
      ...parts.flatMap((part) => (part ? [part.dashboardWidgets()] : [])),
    ]);
    new RunQueries(this, 'Queries', { upkeep });
    new CfnOutput(this, 'Address', {
      value: addressOf(this, this.dashboardName),
      description: `The dashboard of ${deployment}`,
    });
    new CfnOutput(this, 'StatusCommand', {
      value: `npx wa-upkeep status ${deployment}`,
      description: 'Shows the last and the next run of every job, and the alarms that ring',
    });
  }
}

const PROPS = v.looseObject({ upkeep: upkeepReference(), parts: PARTS, dashboardName: DASHBOARD_NAME });

function nameOf({ upkeep, dashboardName }: UpkeepDashboardProps): string {
  return dashboardName ?? `${upkeep.deployment}-upkeep`;
}

function headOf(upkeep: Upkeep): IWidget {
  const { deployment } = upkeep;
  const jobs = jobsOf(upkeep).map(({ job }) => `\`${job}\``);
  return new TextWidget({
    width: FULL_WIDTH,
    height: 3,
    markdown: [
      `# Upkeep of ${deployment}`,
      `All well? \`npx wa-upkeep status ${deployment}\`. A job now: \`npx wa-upkeep run JOB ${deployment}\`, with one of ${jobs.join(', ')}. What each alarm means: docs/operations.md. Saved queries: Logs Insights, folder ${deployment}.`,
    ].join('\n'),
  });
}

function reportsOf(upkeep: Upkeep): IWidget {
  return new LogQueryWidget({
    title: 'Latest reports',
    width: FULL_WIDTH,
    height: 7,
    logGroupNames: jobsOf(upkeep).map((job) => job.function.logGroup.logGroupName),
    queryLines: LATEST_REPORTS,
  });
}
