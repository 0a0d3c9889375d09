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
import type { Construct, IConstruct } from 'constructs';
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
  const dashboard = new CfnDashboard(scope, 'Dashboard', {
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
  nameInAccountOnce(dashboard);
  return dashboard;
}

/** Of an app: the dashboards that are made here. */
const made = new WeakMap<IConstruct, Set<CfnDashboard>>();

/**
 * CloudWatch has one dashboard of a name in an account, whichever the region. Held against each other they are at the end, all at once: a
 * walk through the app for each would take longer than all else where there are hundreds.
 */
function nameInAccountOnce(dashboard: CfnDashboard): void {
  const { root } = dashboard.node;
  const known = made.get(root);
  if (known) {
    known.add(dashboard);
    return;
  }
  made.set(root, new Set([dashboard]));
  root.node.addValidation({ validate: () => nameMistakes(root) });
}

function nameMistakes(app: IConstruct): string[] {
  const ours = made.get(app);
  const all = app.node.findAll().filter((each): each is CfnDashboard => CfnDashboard.isCfnDashboard(each));
  const byName = Map.groupBy(all, ({ stack, dashboardName }) =>
    JSON.stringify([stack.account, dashboardName]),
  );
  return [...byName.values()].flatMap((alike) =>
    alike.flatMap((each) => {
      const other = alike.find((another) => another !== each);
      if (other === undefined || !ours?.has(each)) return [];
      return `${pathOf(each)}: dashboardName is "${each.dashboardName}", as is that of ${pathOf(other)}; it must be another name: an account has one dashboard of a name.`;
    }),
  );
}

function pathOf({ node }: CfnDashboard): string | undefined {
  return node.scope?.node.path;
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
