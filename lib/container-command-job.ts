import { Duration } from 'aws-cdk-lib';
import type { IWidget, Metric, MetricOptions } from 'aws-cdk-lib/aws-cloudwatch';
import { Construct } from 'constructs';
import * as v from 'valibot';
import type { RunInContainersSettings } from '../functions/run-in-containers/contract.ts';
import { pascalCased } from '../functions/shared/containers/container-report.ts';
import type { Command } from '../functions/shared/ecs-exec/wrapper.ts';
import { field } from './checks/fields.ts';
import { checkProps, passesPropsOn } from './checks/props.ts';
import { type ContainerServices, ContainersJob, type ContainersJobProps } from './containers-job.ts';
import { graph, type OnDashboard } from './dashboards/on-dashboard.ts';
import type { UpkeepJob } from './upkeep-job.ts';

export interface ContainerCommandJobProps extends ContainersJobProps {
  /** A name for the job, such as `nightly-vacuum`. Lower case, digits, hyphens, at most 22 characters. */
  readonly job: string;
  /** One sentence, at most 200 characters. @default made of the command */
  readonly description?: string;
  /**
   * By role, a name of your own: lower case, digits, hyphens. Containers of one role can stand in for each other, so
   * the command runs in at most half of them at once (rounded up, but never in all unless there is one), and so of each service's tasks.
   */
  readonly roles: Record<string, ContainerServices>;
  /** The program and its arguments, which no shell touches; or `{ script }`, for the container's `sh`. No secrets. */
  readonly command: Command;
  /**
   * Whether a script ends at the first of its commands that fails, so that the run tells of it (`set -e`, and `pipefail` where the
   * container's `sh` has it). Without, only the last command's status counts.
   * @default true
   */
  readonly stopAtFirstFailure?: boolean;
  /**
   * Whether the run's report has the last 500 characters of the output of each container, also where the command ended
   * well. Reports are logged and sent to the topic's readers: nothing secret may be in it.
   *
   * @default false: of a command that failed only
   */
  readonly keepOutput?: boolean;
}

const PROPS = v.looseObject({
  roles: field(v.looseObject({}), 'an object with a name for each role', 'The roles.'),
  command: field(
    v.custom<Command>(isCommand),
    'a list of the program and its arguments, such as ["/srv/prune", "--all"], or { script } for the container\'s sh',
    'The command.',
  ),
});

function isCommand(value: unknown): boolean {
  if (Array.isArray(value))
    return value.every((part) => typeof part === 'string') && (value[0] ?? '').trim() !== '';
  if (typeof value !== 'object' || value === null || !('script' in value)) return false;
  if (typeof value.script !== 'string') return false;
  // Comments alone do nothing, and do it well.
  return value.script.split('\n').some((line) => line.trim() !== '' && !line.trim().startsWith('#'));
}

/** A `sh` without pipefail ends at the attempt: that is made in one of its own. */
const STOP_AT_FIRST_FAILURE = '(set -o pipefail) 2>/dev/null && set -o pipefail\nset -e\n';

function commandOf({ command, stopAtFirstFailure = true }: ContainerCommandJobProps): Command {
  return Array.isArray(command) || !stopAtFirstFailure
    ? command
    : { script: `${STOP_AT_FIRST_FAILURE}${'script' in command ? command.script : ''}` };
}

/**
 * A command, run on a schedule in every container of ECS services, with an exit status from each: cron with
 * `docker exec`, for ECS. Works with any application.
 *
 * A command that ends with another status than 0, or is killed because it takes too long, counts as failed, and the
 * run as partial.
 */
export class ContainerCommandJob extends Construct implements OnDashboard {
  /** The job underneath: its function, schedule and alarms. */
  readonly job: UpkeepJob;

  constructor(scope: Construct, id: string, props: ContainerCommandJobProps) {
    super(scope, id);
    passesPropsOn(this);
    checkProps(this, PROPS, props);
    const { job, command: given } = props;
    const command = commandOf(props);
    const shown = Array.isArray(given) ? given.join(' ') : given.script;
    const containers = new ContainersJob(
      this,
      'Containers',
      {
        job,
        description: props.description ?? `In each container: ${shown.replaceAll(/\s+/g, ' ').slice(0, 100)}`,
        functionName: 'run-in-containers',
        roles: Object.entries(props.roles).map(([name, services]) => ({ name, ...services })),
        commandOf: () => command,
        settings: { command, ...(props.keepOutput && { keepOutput: true }) } satisfies Pick<
          RunInContainersSettings,
          'command' | 'keepOutput'
        >,
      },
      props,
    );
    this.job = containers.job;
  }

  /** In how many containers the command ended well, and in how many it did not. */
  dashboardWidgets(): IWidget[] {
    const { job } = this.job;
    const period = Duration.days(1);
    return [
      graph(`Containers in which ${job} ended well`, [
        this.metricContainersSucceeded({ period }).attachTo(this),
      ]),
      graph(`Containers in which ${job} did not`, [this.metricContainersFailed({ period }).attachTo(this)]),
    ];
  }

  /** Containers in which the command ended well. @default the sum over five minutes */
  metricContainersSucceeded(options?: MetricOptions): Metric {
    return this.job.metric('ContainersSucceeded', options);
  }

  /** Containers in which it did not, of all roles or of one. @default the sum over five minutes */
  metricContainersFailed(options?: MetricOptions & { readonly role?: string }): Metric {
    const { role, ...others } = options ?? {};
    return this.job.metric(`ContainersFailed${role ? pascalCased(role) : ''}`, others);
  }
}
