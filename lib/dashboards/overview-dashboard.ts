import { CfnOutput } from 'aws-cdk-lib';
import { type CfnDashboard, TextWidget } from 'aws-cdk-lib/aws-cloudwatch';
import { Construct } from 'constructs';
import * as v from 'valibot';
import { field } from '../checks/fields.ts';
import { checkProps, misspelled, propertyNames, upkeepReference } from '../checks/props.ts';
import type { Upkeep } from '../upkeep.ts';
import { addressOf, alarmWidgets, createDashboard, runWidgets } from './dashboard-body.ts';
import { DASHBOARD_NAME, FULL_WIDTH, type OnDashboard, PARTS } from './on-dashboard.ts';

/** A deployment on an `OverviewDashboard`. */
export interface OverviewedDeployment {
  /** Whose jobs and alarms are shown. */
  readonly upkeep: Upkeep;
  /** What is shown beneath them, a row each. @default nothing */
  readonly parts?: readonly (OnDashboard | undefined)[];
}

/** What an `OverviewDashboard` is made of. */
export interface OverviewDashboardProps {
  /** In any regions of the account; CloudWatch shows each where it is. */
  readonly deployments: readonly OverviewedDeployment[];
  /** Unique in the account: letters, digits, hyphens, underscores. @default upkeep-overview */
  readonly dashboardName?: string;
}

const DEFAULT_NAME = 'upkeep-overview';

const PROPS = v.looseObject({
  deployments: field(
    v.pipe(
      v.array(
        field(
          v.looseObject({ upkeep: upkeepReference(), parts: PARTS }),
          'an object with "upkeep"',
          'A deployment.',
        ),
      ),
      v.minLength(1),
    ),
    'a list of at least one { upkeep }',
    'The deployments.',
  ),
  dashboardName: DASHBOARD_NAME,
});

const NAMES = propertyNames<OverviewDashboardProps>({ deployments: true, dashboardName: true });
const DEPLOYMENT_NAMES = propertyNames<OverviewedDeployment>({ upkeep: true, parts: true });

/** A CloudWatch dashboard over several deployments of an account: the alarms' states of each, the runs of all, and what their parts show. */
export class OverviewDashboard extends Construct {
  /** Its name, unique in the account. */
  readonly dashboardName: string;
  /** The dashboard itself. */
  readonly dashboard: CfnDashboard;

  constructor(scope: Construct, id: string, props: OverviewDashboardProps) {
    super(scope, id);
    checkProps(
      this,
      PROPS,
      props,
      () =>
        props.deployments.flatMap((each, index) =>
          misspelled(each, DEPLOYMENT_NAMES, ['deployments', index]),
        ),
      NAMES,
    );
    const { deployments } = props;
    this.dashboardName = props.dashboardName ?? DEFAULT_NAME;
    const upkeeps = deployments.map(({ upkeep }) => upkeep);
    this.dashboard = createDashboard(this, this.dashboardName, () => [
      ...upkeeps.flatMap((upkeep) => alarmWidgets(upkeep).map((widget) => [widget])),
      runWidgets(upkeeps),
      ...deployments.flatMap(({ upkeep, parts = [] }) => [
        [new TextWidget({ width: FULL_WIDTH, height: 1, markdown: `## ${upkeep.deployment}` })],
        ...parts.flatMap((part) => (part ? [part.dashboardWidgets()] : [])),
      ]),
    ]);
    new CfnOutput(this, 'Address', {
      value: addressOf(this, this.dashboardName),
      description: `The dashboard over ${upkeeps.map(({ deployment }) => deployment).join(', ')}`,
    });
  }
}
