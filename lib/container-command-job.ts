import { Duration } from 'aws-cdk-lib';
import type { IWidget, Metric, MetricOptions } from 'aws-cdk-lib/aws-cloudwatch';
import type { TaskDefinition } from 'aws-cdk-lib/aws-ecs';
import type { ISecret } from 'aws-cdk-lib/aws-secretsmanager';
import { Construct } from 'constructs';
import * as v from 'valibot';
import type { CommandSecret, RunInContainersSettings } from '../functions/run-in-containers/contract.ts';
import { pascalCased } from '../functions/shared/containers/container-report.ts';
import { wordsOf } from '../functions/shared/ecs-exec/command-words.ts';
import type { Command } from '../functions/shared/ecs-exec/wrapper.ts';
import { field, flag, secretField } from './checks/fields.ts';
import type { Finding } from './checks/mistakes.ts';
import { checkProps, passesPropsOn, propertyNames, upkeepReference } from './checks/props.ts';
import { type ContainerServices, ContainersJob, type ContainersJobProps } from './containers-job.ts';
import { graph, type OnDashboard } from './dashboards/on-dashboard.ts';
import { type NewTaskDefinition, NewTaskJob } from './new-task-job.ts';
import { letReadSecrets } from './read-secrets.ts';
import { partialSecretFindings, secretReference } from './secret-reference.ts';
import type { UpkeepJob } from './upkeep-job.ts';

/** A secret of Secrets Manager that a command gets. */
export interface SecretForCommand {
  /**
   * The secret itself, of whichever stack; one that is not of this app by its full ARN (`Secret.fromSecretCompleteArn`), with its key
   * if that is not the account's own for Secrets Manager (`Secret.fromSecretAttributes`).
   */
  readonly secret: ISecret;
  /** Of a JSON object: the field. @default all of its text */
  readonly key?: string;
}

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
  /**
   * Where the command runs.
   *
   * - `every-container`: in every one that runs when the run begins.
   * - `one-container`: in any one of them, chosen anew in each run, and in the next where it could not be begun: cron with `docker exec`.
   * - `new-task`: in a task of its own, by `RunTask`, made as those of the service: for what needs more than a busy container
   *   has to spare, or must not end with it.
   *
   * @default 'every-container'
   */
  readonly in?: 'every-container' | 'one-container' | 'new-task';
  /** With `new-task`: what the job may start: the task definition of the service itself, of this app, or what is known of it. @default what the service has, where that is given itself and made in this app */
  readonly taskDefinition?: NewTaskDefinition | TaskDefinition;
  /**
   * Environment variables for the command, besides those that the container has. No secrets: they stand in the function's
   * environment, with `new-task` in what ECS tells of the task, with `run-command` in the SSM document.
   * @default none
   */
  readonly environment?: Record<string, string>;
  /**
   * Environment variables for the command that hold secrets, by their names. The job's function reads them when it runs and brings them
   * over the encrypted session, or encrypted for the host: they are in no command line, log, event or metric, and masked where the
   * command prints them. For a new task ECS fetches them, by the execution role of the task definition, and the function never has them:
   * what such a command prints of them stands in its log, and in the report.
   * @default none
   */
  readonly secrets?: Record<string, SecretForCommand>;
  /** The command's standard input: text, or a secret. With `run-command` 29,000 bytes at most, for a new task what fits into the function's environment, or a secret; that needs an `sh` in the image, which ends the last line. @default empty */
  readonly stdin?: string | SecretForCommand;
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

/** Of POSIX, without those that the job or ECS set. */
const VARIABLE_NAME = /^(?!UPKEEP_(MARKER|STDIN)$|ECS_|AWS_)[A-Za-z_][A-Za-z0-9_]*$/;

const secret = secretField(
  v.strictObject({
    secret: secretReference('The secret.'),
    key: v.optional(field(v.pipe(v.string(), v.minLength(1)), 'the name of a field', 'The field.')),
  }),
  'an object with "secret"',
  'A secret.',
);

const NAMES = propertyNames<ContainerCommandJobProps>({
  job: true,
  description: true,
  roles: true,
  in: true,
  taskDefinition: true,
  environment: true,
  secrets: true,
  stdin: true,
  command: true,
  stopAtFirstFailure: true,
  keepOutput: true,
  upkeep: true,
  cluster: true,
  schedule: true,
  timeLimit: true,
  timeout: true,
  reach: true,
  concurrency: true,
  retryFailed: true,
  conflictsWith: true,
});

const PROPS = v.looseObject({
  upkeep: upkeepReference(),
  secrets: v.optional(
    field(
      v.record(v.string(), secret),
      'an object of { secret } by the names of environment variables',
      'The secrets.',
    ),
  ),
  stdin: v.optional(
    secretField(v.union([v.string(), secret]), 'a text, or an object with "secret"', 'The standard input.'),
  ),
  in: v.optional(
    field(
      v.picklist(['every-container', 'one-container', 'new-task']),
      'one of every-container, one-container, new-task',
      'Where the command runs.',
    ),
  ),
  environment: v.optional(
    field(
      v.record(v.string(), secretField(v.string(), 'a text', 'Its value.')),
      'an object of texts by the names of environment variables',
      'The environment.',
      { secret: true },
    ),
  ),
  roles: field(v.looseObject({}), 'an object with a name for each role', 'The roles.'),
  stopAtFirstFailure: v.optional(flag('Of a script.')),
  keepOutput: v.optional(flag('Of the report.')),
  retryFailed: v.optional(flag('Whether it is tried again.')),
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

/** The container's own `env` is not needed for it. */
function withEnvironment(command: Command, environment: Record<string, string> = {}): Command {
  const names = Object.keys(environment);
  if (names.length === 0) return command;
  const exported = names.map((name, index) => `export ${name}="\${${index}}"`).join('; ');
  return [
    'sh',
    '-c',
    `${exported}; shift ${names.length - 1}; exec "$@"`,
    ...Object.values(environment),
    ...wordsOf(command),
  ];
}

/**
 * The values come on lines before the command's own input, one for each name, and are taken off it by the shell itself, so that no
 * process ever has one among its arguments.
 */
const READ_SECRETS = `for upkeep_name; do
shift
[ "$upkeep_name" = -- ] && break
IFS= read -r upkeep_line || { echo "The secrets did not arrive." >&2; exit 125; }
upkeep_line=$(printf %b_ "$upkeep_line")
export "$upkeep_name=\${upkeep_line%_}"
done
unset upkeep_name upkeep_line
exec "$@"`;

function withSecrets(command: Command, names: string[]): Command {
  if (names.length === 0) return command;
  return ['sh', '-c', READ_SECRETS, 'sh', ...names, '--', ...wordsOf(command)];
}

/** As the function's settings have it: its key is a matter of permissions only. */
function toldOf({ secret, key }: SecretForCommand): CommandSecret {
  return { secretArn: secret.secretFullArn ?? '', ...(key !== undefined && { key }) };
}

function mapped(secrets: Record<string, SecretForCommand>): Record<string, CommandSecret> {
  return Object.fromEntries(Object.entries(secrets).map(([name, each]) => [name, toldOf(each)]));
}

/** What no single property can say. */
function findings({ in: where = 'every-container', roles, ...props }: ContainerCommandJobProps): Finding[] {
  const names = Object.keys(roles);
  const isNewTask = where === 'new-task';
  const script = 'script' in props.command ? props.command.script : '';
  return [
    // `rm -f /srv/cache/*` then removes nothing, and ends well.
    ...(/\r(\n|$)/.test(script)
      ? [
          {
            field: ['command', 'script'],
            problem:
              "has lines that end with a carriage return (CRLF), which sh takes for a part of the line's last word; each line must end with a line feed alone.",
          },
        ]
      : []),
    ...(['environment', 'secrets'] as const).flatMap((field) =>
      Object.keys(props[field] ?? {})
        .filter((name) => !VARIABLE_NAME.test(name))
        .map((name) => ({
          field: [field],
          problem: `have the name "${name}"; it must be of letters, digits and _, not begin with AWS_ or ECS_, and be neither UPKEEP_MARKER nor UPKEEP_STDIN.`,
        })),
    ),
    // ECS takes what stands behind a colon of an ARN for a label.
    ...Object.entries({ ...props.secrets, ...(typeof props.stdin === 'object' && { stdin: props.stdin }) })
      .filter(([, { key }]) => isNewTask && key?.includes(':'))
      .map(([name, each]) => ({
        field: each === props.stdin ? ['stdin', 'key'] : ['secrets', name, 'key'],
        problem: 'has a colon, with which ECS names no field; with in: "new-task" it must be one without.',
      })),
    ...Object.keys(props.secrets ?? {})
      .filter((name) => Object.hasOwn(props.environment ?? {}, name))
      .map((name) => ({
        field: ['secrets', name],
        problem: 'is a name of environment as well; a variable has one value.',
      })),
    ...(where !== 'every-container' && names.length > 1
      ? [
          {
            field: ['roles'],
            problem: `are ${names.join(', ')}; with in: "${where}" the command runs in one place, so there must be one role.`,
          },
        ]
      : []),
    ...(['reach', 'concurrency'] as const)
      .filter((name) => isNewTask && props[name] !== undefined)
      .map((name) => ({
        field: [name],
        problem: 'is of containers that run already; with in: "new-task" it must be left out.',
      })),
    ...partialSecretFindings([
      ...Object.entries(props.secrets ?? {}).map(([name, { secret }]) => ({
        field: ['secrets', name, 'secret'],
        secret,
      })),
      ...(typeof props.stdin === 'object'
        ? [{ field: ['stdin', 'secret'], secret: props.stdin.secret }]
        : []),
    ]),
    ...(!isNewTask && props.taskDefinition
      ? [
          {
            field: ['taskDefinition'],
            problem: `is for in: "new-task"; with in: "${where}" it must be left out.`,
          },
        ]
      : []),
  ];
}

/**
 * A command, run on a schedule in every container of ECS services, in one of them or in a task of its own, with an exit status
 * from each: cron with `docker exec`, for ECS. Works with any application.
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
    checkProps(this, PROPS, props, () => findings(props), NAMES);
    const { job, command: given, in: where = 'every-container' } = props;
    const command = commandOf(props);
    const shown = Array.isArray(given) ? given.join(' ') : given.script;
    const place =
      where === 'every-container'
        ? 'In each container'
        : where === 'one-container'
          ? 'In one container'
          : 'In a new task';
    const description = props.description ?? `${place}: ${shown.replaceAll(/\s+/g, ' ').slice(0, 100)}`;
    const roles = Object.entries(props.roles).map(([name, services]) => ({ name, ...services }));
    const [role] = roles;
    if (where === 'new-task' && role) {
      this.job = new NewTaskJob(this, 'NewTask', { ...props, description, role, command }).job;
      return;
    }
    const { secrets, stdin } = props;
    const commandWith = withSecrets(withEnvironment(command, props.environment), Object.keys(secrets ?? {}));
    const containers = new ContainersJob(
      this,
      'Containers',
      {
        job,
        description,
        functionName: 'run-in-containers',
        roles,
        commandOf: () => commandWith,
        takesInput: secrets !== undefined || stdin !== undefined,
        settings: {
          command: commandWith,
          ...(secrets && { secrets: mapped(secrets) }),
          ...(stdin !== undefined && { stdin: typeof stdin === 'string' ? stdin : toldOf(stdin) }),
          ...(where === 'one-container' && { in: where }),
          ...(props.keepOutput && { keepOutput: true }),
        } satisfies Pick<RunInContainersSettings, 'command' | 'in' | 'keepOutput' | 'secrets' | 'stdin'>,
      },
      { ...props, retryFailed: props.retryFailed ?? where === 'every-container' },
    );
    this.job = containers.job;
    letReadSecrets(
      this.job.function,
      'Secret',
      [...Object.values(secrets ?? {}), ...(typeof stdin === 'object' ? [stdin] : [])].map(({ secret }) => ({
        secretArn: secret.secretFullArn ?? '',
        secretKeyArn: secret.encryptionKey?.keyArn,
      })),
    );
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
