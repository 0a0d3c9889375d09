import { GraphWidget, type GraphWidgetProps, type IWidget, type Metric } from 'aws-cdk-lib/aws-cloudwatch';
import * as v from 'valibot';
import { field, pattern } from '../checks/fields.ts';

/** CloudWatch's grid. */
export const FULL_WIDTH = 24;
const GRAPH_HEIGHT = 7;

/** What shows itself on a dashboard, beneath the runs. */
export interface OnDashboard {
  /** Its widgets, from left to right: 24 columns a row. */
  dashboardWidgets(): IWidget[];
}

/** The parts and the name of a dashboard. */
export const PARTS = v.optional(
  field(
    v.array(
      field(
        v.custom<OnDashboard | undefined>(
          (value) =>
            value === undefined ||
            (typeof value === 'object' && value !== null && 'dashboardWidgets' in value),
        ),
        'what shows itself on a dashboard, such as a CredentialRotation or a ContainerCommandJob',
        'A part.',
      ),
    ),
    'a list of what shows itself on a dashboard',
    'The parts.',
  ),
);

/** CloudWatch's rule for the name of a dashboard (PutDashboard). */
export const DASHBOARD_NAME = v.optional(
  pattern(/^[\w-]{1,255}$/, 'a text of 1 to 255 letters, digits, hyphens and underscores', 'The name.'),
);

/** A graph of half a dashboard's width, from zero up. */
export function graph(title: string, left: Metric[], props: Partial<GraphWidgetProps> = {}): GraphWidget {
  return new GraphWidget({
    title,
    left,
    width: FULL_WIDTH / 2,
    height: GRAPH_HEIGHT,
    leftYAxis: { min: 0, showUnits: false },
    ...props,
  });
}
