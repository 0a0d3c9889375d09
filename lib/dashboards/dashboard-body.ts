import { ArnFormat, Duration, Lazy, Stack } from 'aws-cdk-lib';
import {
  Alarm,
  type CfnAlarm,
  CfnDashboard,
  Column,
  ConcreteWidget,
  type IWidget,
  Row,
} from 'aws-cdk-lib/aws-cloudwatch';
import type { Construct } from 'constructs';
import type { Finding } from '../checks/mistakes.ts';
import type { Upkeep } from '../upkeep.ts';
import { UpkeepJob } from '../upkeep-job.ts';
import { FULL_WIDTH, graph } from './on-dashboard.ts';

/** CloudWatch's limit on the alarms of a widget. */
const MOST_ALARMS = 100;

/**
 * Makes a dashboard that is laid out when the app is synthesized: what was made after it is on it too. It opens with the last
 * two weeks, and each graph keeps to its own period.
 */
export function createDashboard(
  scope: Construct,
  dashboardName: string,
  rows: () => IWidget[][],
): CfnDashboard {
  return new CfnDashboard(scope, 'Dashboard', {
    dashboardName,
    dashboardBody: Lazy.string({
      produce: () => {
        const column = new Column(...rows().map((row) => new Row(...row)));
        column.position(0, 0);
        const widgets = column.toJson();
        return Stack.of(scope).toJsonString({ start: '-P14D', periodOverride: 'inherit', widgets });
      },
    }),
  });
}

/** What is wrong with the name of a dashboard: CloudWatch has one of a name in an account, whichever the region. */
export function nameFindings(scope: Construct, dashboardName: string): Finding[] {
  const { account } = Stack.of(scope);
  const other = scope.node.root.node
    .findAll()
    .find(
      (construct) =>
        CfnDashboard.isCfnDashboard(construct) &&
        construct.dashboardName === dashboardName &&
        construct.stack.account === account,
    );
  if (other === undefined) return [];
  const path = other.node.scope?.node.path;
  return [
    {
      field: ['dashboardName'],
      problem: `is "${dashboardName}", as is that of ${path}; it must be another name: an account has one dashboard of a name.`,
    },
  ];
}

/** The domain of AWS's console, by the beginning of a region's name where it is another partition's. */
const CONSOLES = { 'cn-': 'console.amazonaws.cn', 'us-gov-': 'console.amazonaws-us-gov.com' };

/** Its address in AWS's console. */
export function addressOf(scope: Construct, dashboardName: string): string {
  const { region } = Stack.of(scope);
  const [, console = 'console.aws.amazon.com'] =
    Object.entries(CONSOLES).find(([beginning]) => region.startsWith(beginning)) ?? [];
  return `https://${region}.${console}/cloudwatch/home?region=${region}#dashboards/dashboard/${dashboardName}`;
}

/** The jobs of a deployment, in the order in which they were made. */
export function jobsOf(upkeep: Upkeep): UpkeepJob[] {
  return Stack.of(upkeep)
    .node.findAll()
    .filter(
      (construct): construct is UpkeepJob => construct instanceof UpkeepJob && construct.upkeep === upkeep,
    );
}

/** When runs succeeded, when they did not, and how long they took, of all jobs of some deployments. */
export function runWidgets(upkeeps: readonly Upkeep[]): IWidget[] {
  const jobs = upkeeps.flatMap((upkeep) =>
    jobsOf(upkeep).map((job) => ({
      job,
      name: upkeeps.length > 1 ? `${upkeep.deployment} ${job.job}` : job.job,
    })),
  );
  const period = Duration.hours(1);
  const third = { width: FULL_WIDTH / 3 };
  return [
    graph(
      'Runs that succeeded',
      jobs.map(({ job, name }) => job.metricRunsSucceeded({ period, label: name }).attachTo(job)),
      { ...third, stacked: true },
    ),
    graph(
      'Runs that did not',
      jobs.flatMap(({ job, name }) => [
        job.metricRunsFailed({ period, label: `${name} failed` }).attachTo(job),
        job.metricRunsPartial({ period, label: `${name} by half` }).attachTo(job),
        job.metricRunsSkipped({ period, label: `${name} skipped` }).attachTo(job),
      ]),
      { ...third, stacked: true },
    ),
    graph(
      'Seconds that runs took',
      jobs.map(({ job, name }) => job.metricRunSeconds({ period, label: name }).attachTo(job)),
      third,
    ),
  ];
}

/** The states of all alarms of a deployment, those first that changed last. */
export function alarmWidgets(upkeep: Upkeep): IWidget[] {
  const stack = Stack.of(upkeep);
  const arns = stack.node
    .findAll()
    .filter((construct): construct is Alarm => construct instanceof Alarm)
    .flatMap((alarm) => (alarm.node.defaultChild as CfnAlarm).alarmName ?? [])
    .filter((name) => name.startsWith(`${upkeep.deployment}-`))
    // By its name, so that a dashboard in another stack takes nothing from this one.
    .map((resourceName) =>
      stack.formatArn({
        service: 'cloudwatch',
        resource: 'alarm',
        resourceName,
        arnFormat: ArnFormat.COLON_RESOURCE_NAME,
      }),
    );
  const widgets: IWidget[] = [];
  for (let first = 0; first < arns.length; first += MOST_ALARMS)
    widgets.push(new AlarmStates(`Alarms of ${upkeep.deployment}`, arns.slice(first, first + MOST_ALARMS)));
  return widgets;
}

/** The CDK's own takes alarms only that are constructs. */
class AlarmStates extends ConcreteWidget {
  readonly #properties: { title: string; alarms: readonly string[]; sortBy: string };

  constructor(title: string, alarms: readonly string[]) {
    super(FULL_WIDTH, 5);
    this.#properties = { title, alarms, sortBy: 'stateUpdatedTimestamp' };
  }

  override toJson(): object[] {
    const { x, y, width, height } = this;
    return [{ type: 'alarm', x, y, width, height, properties: this.#properties }];
  }
}
