import { GraphWidget, type GraphWidgetProps, type IWidget, type Metric } from 'aws-cdk-lib/aws-cloudwatch';

/** CloudWatch's grid. */
export const FULL_WIDTH = 24;
const GRAPH_HEIGHT = 7;

/** What shows itself on a dashboard, beneath the runs. */
export interface OnDashboard {
  /** Its widgets, from left to right: 24 columns a row. */
  dashboardWidgets(): IWidget[];
}

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
