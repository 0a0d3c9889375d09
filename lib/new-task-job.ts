import { ArnFormat, Duration, Lazy, Stack } from 'aws-cdk-lib';
import type { TaskDefinition } from 'aws-cdk-lib/aws-ecs';
import type { ISecret } from 'aws-cdk-lib/aws-secretsmanager';
import { Construct } from 'constructs';
import * as v from 'valibot';
import {
  ownFamily,
  type RunInNewTaskSettings,
  TASK_TAG,
  taskTagValue,
} from '../functions/run-in-new-task/contract.ts';
import { wordsOf } from '../functions/shared/ecs-exec/command-words.ts';
import type { Command } from '../functions/shared/ecs-exec/wrapper.ts';
import { containerName, field, pattern } from './checks/fields.ts';
import type { Finding } from './checks/mistakes.ts';
import { checkProps, duration, lessThanTimeLimit, passesPropsOn, refuse } from './checks/props.ts';
import type { ContainersJobProps, NamedContainerServices } from './containers-job.ts';
import {
  clusterFindings,
  clusterNameOf,
  clusterReference,
  namedContainerFindings,
  ownDefinition,
  serviceNameOf,
  serviceReference,
} from './ecs-services.ts';
import { entryFile } from './entry-file.ts';
import { UpkeepJob } from './upkeep-job.ts';

/** What a job in tasks of its own must know of the task definition of a service, for its permissions. */
export interface NewTaskDefinition {
  /** The family: tasks of its revisions may be started, and of no other. */
  readonly family: string;
  /** The task role and the execution role, as far as there are any: these may be handed on to tasks, and no others. At most two. */
  readonly roleArns: string[];
  /** The log group of the container's output (`awslogs-group`), which may be read. @default the report has no output */
  readonly logGroup?: string;
}

/** What a job in tasks of its own is told. */
export interface NewTaskJobProps
  extends Pick<
    ContainersJobProps,
    'upkeep' | 'cluster' | 'schedule' | 'timeLimit' | 'timeout' | 'retryFailed' | 'conflictsWith'
  > {
  /** The job's name. */
  readonly job: string;
  readonly description: string;
  /** The one role of the job. */
  readonly role: NamedContainerServices;
  readonly command: Command;
  /** @default what the service that is given itself has */
  readonly taskDefinition?: NewTaskDefinition | TaskDefinition;
  readonly environment?: Record<string, string>;
  /** Which ECS fetches, by the execution role of the task definition. */
  readonly secrets?: Record<string, SecretOfTask>;
  readonly stdin?: string | SecretOfTask;
  readonly keepOutput?: boolean;
}

const DEFAULT_TIMEOUT = Duration.minutes(30);
const DEFAULT_TIME_LIMIT = Duration.hours(2);
/** Lambda's limit on all of a function's environment, in bytes, less what else stands in it. ECS takes overrides of 8,192 characters. */
const MAXIMUM_COMMAND_LENGTH = 4_096 - 900;

interface SecretOfTask {
  readonly secret: ISecret;
  readonly key?: string;
}

/** By which the input of a command is given to it where it is secret. */
const INPUT_VARIABLE = 'UPKEEP_STDIN';

/**
 * ECS gives a command no input, so the container's shell does, from what is in it, and is the command then: signals reach it, and its
 * exit code is its own. A here-document ends its last line.
 */
function withInput(command: Command, stdin: NewTaskJobProps['stdin']): Command {
  if (stdin === undefined || stdin === '') return command;
  const from = (taken: string) => `${taken}; exec "$@" <<UPKEEP_INPUT
$upkeep_input
UPKEEP_INPUT`;
  return typeof stdin === 'string'
    ? ['sh', '-c', from('upkeep_input=$1; shift'), 'sh', stdin.replace(/\n$/, ''), ...wordsOf(command)]
    : [
        'sh',
        '-c',
        from(`upkeep_input=\${${INPUT_VARIABLE}%'\n'}; unset ${INPUT_VARIABLE}`),
        'sh',
        ...wordsOf(command),
      ];
}

/** As the task definition of a container has it. */
function valueFrom({ secret, key }: SecretOfTask): string {
  const arn = secret.secretFullArn ?? '';
  return key === undefined ? arn : `${arn}:${key}::`;
}

/** A job whose function starts a task for its command, made as those of a service, and may start no others. */
export class NewTaskJob extends Construct {
  /** The job underneath: its function, schedule and alarms. */
  readonly job: UpkeepJob;

  constructor(scope: Construct, id: string, props: NewTaskJobProps) {
    super(scope, id);
    passesPropsOn(this);
    const { upkeep, role, schedule } = props;
    const [service = ''] = role.services;
    const { taskDefinition } = props;
    const told =
      taskDefinition && (isTaskDefinition(taskDefinition) || isImported(taskDefinition))
        ? undefined
        : taskDefinition;
    const shown = { ...props, roles: { [role.name]: role }, taskDefinition: told };
    checkProps(this, PROPS, shown, () => findings(props));
    const clusterName = clusterNameOf(props.cluster, role.services);
    const clusterArn = this.arn('ecs', 'cluster', clusterName);
    const known = knownDefinition(props);
    // The checks have told of it.
    if (known === undefined) throw new Error('The task definition is not known.');
    const { environment, stdin, timeout = DEFAULT_TIMEOUT } = props;
    const secrets = Object.entries({
      ...props.secrets,
      ...(typeof stdin === 'object' && { [INPUT_VARIABLE]: stdin }),
    });
    const command = withInput(props.command, stdin);
    const settings: RunInNewTaskSettings = {
      deployment: upkeep.deployment,
      clusterArn,
      role: role.name,
      service: serviceNameOf(service),
      container: role.container,
      family: known.family,
      command,
      ...(environment && { environment }),
      ...(secrets.length > 0 && {
        secrets: Object.fromEntries(secrets.map(([name, each]) => [name, valueFrom(each)])),
      }),
      timeoutSeconds: timeout.toSeconds(),
      retryFailed: props.retryFailed ?? false,
      ...(props.keepOutput && { keepOutput: true }),
      ...(known.logGroup && { logGroup: known.logGroup }),
    };
    this.checkLength(settings);
    this.job = new UpkeepJob(this, 'Job', {
      upkeep,
      job: props.job,
      description: props.description,
      entry: entryFile('run-in-new-task'),
      settings,
      ...(schedule && { schedule }),
      timeLimit: props.timeLimit ?? DEFAULT_TIME_LIMIT,
      ...(props.conflictsWith && { conflictsWith: props.conflictsWith }),
    });
    this.letStartTasks(clusterArn, clusterName, serviceNameOf(service), known, secrets.length > 0);
    const given = taskDefinition ?? ownDefinition(service);
    if (given && isTaskDefinition(given))
      for (const [, { secret }] of secrets) secret.grantRead(given.obtainExecutionRole());
  }

  private letStartTasks(
    clusterArn: string,
    clusterName: string,
    serviceName: string,
    { family, roleArns, logGroup }: NewTaskDefinition,
    hasSecrets: boolean,
  ): void {
    const { function: own, job, upkeep } = this.job;
    const { deployment } = upkeep;
    const inCluster = { 'ecs:cluster': clusterArn };
    const tag = taskTagValue({ deployment, job });
    const tasks = this.arn('ecs', 'task', `${clusterName}/*`);
    own.allow(
      'DescribeService',
      ['ecs:DescribeServices'],
      [this.arn('ecs', 'service', `${clusterName}/${serviceName}`)],
      { ArnEquals: inCluster },
    );
    own.allow('DescribeTaskDefinition', ['ecs:DescribeTaskDefinition'], ['*']);
    own.acceptWildcard(
      '*',
      'ECS describes task definitions and lists tasks on no resource that a policy could name.',
    );
    // With secrets the tasks are those of the job's own family, which is made of the service's.
    const started = hasSecrets ? ownFamily({ deployment, job }) : family;
    const definitions = this.arn('ecs', 'task-definition', `${started}:*`);
    if (hasSecrets) own.allow('AddSecrets', ['ecs:RegisterTaskDefinition'], [definitions]);
    own.allow('RunTask', ['ecs:RunTask'], [definitions], { ArnEquals: inCluster });
    own.acceptWildcard(definitions, 'The revision of the family is known only when a run begins.');
    own.allow('TagTasks', ['ecs:TagResource'], [tasks], {
      ArnEquals: inCluster,
      StringEquals: { 'ecs:CreateAction': 'RunTask', [`aws:RequestTag/${TASK_TAG}`]: tag },
    });
    // A task whose definition has no role is handed none.
    if (roleArns.length > 0)
      own.allow('HandRolesOn', ['iam:PassRole'], roleArns, {
        StringEquals: { 'iam:PassedToService': 'ecs-tasks.amazonaws.com' },
      });
    own.allow('ListTasks', ['ecs:ListTasks'], ['*'], { ArnEquals: inCluster });
    own.allow('DescribeTasks', ['ecs:DescribeTasks'], [tasks], { ArnEquals: inCluster });
    own.allow('StopOwnTasks', ['ecs:StopTask'], [tasks], {
      ArnEquals: inCluster,
      StringEquals: { [`aws:ResourceTag/${TASK_TAG}`]: tag },
    });
    own.acceptWildcard(
      tasks,
      "A task's id is made when it begins; only those with the job's tag may be stopped.",
    );
    if (!logGroup) return;
    const streams = Stack.of(this).formatArn({
      service: 'logs',
      resource: 'log-group',
      arnFormat: ArnFormat.COLON_RESOURCE_NAME,
      resourceName: `${logGroup}:log-stream:*`,
    });
    own.allow('ReadOutput', ['logs:GetLogEvents'], [streams]);
    own.acceptWildcard(
      streams,
      "A container's log stream has the name of its task, whose id is made when it begins.",
    );
  }

  private checkLength({ container, command, environment = {}, secrets = {} }: RunInNewTaskSettings): void {
    const override = {
      name: container,
      command,
      environment: [...Object.entries(environment), ...Object.entries(secrets)],
    };
    const length = JSON.stringify(override).length;
    if (length > MAXIMUM_COMMAND_LENGTH)
      refuse(
        this,
        `the command, its environment and its input have ${length} characters; ${MAXIMUM_COMMAND_LENGTH} fit into a function's environment. Put the command into a script in the image.`,
      );
  }

  private arn(service: string, resource: string, resourceName: string): string {
    return Stack.of(this).formatArn({ service, resource, resourceName });
  }
}

const PROPS = v.looseObject({
  cluster: v.optional(clusterReference('The cluster.')),
  timeout: v.optional(duration(Duration.seconds(1), Duration.hours(12))),
  taskDefinition: v.optional(
    field(
      v.strictObject({
        family: pattern(
          /^[\w-]{1,255}$/,
          'the family of a task definition, without a revision',
          'The family.',
        ),
        roleArns: field(
          v.pipe(
            v.array(
              pattern(
                /^arn:aws[a-z-]*:iam::\d{12}:role\/[\w+=,.@/-]+$/,
                'the ARN of a role',
                'A role of it.',
              ),
            ),
            v.maxLength(2),
          ),
          'a list of the ARNs of the task role and the execution role',
          'The roles.',
        ),
        logGroup: v.optional(
          pattern(/^[\w./#-]{1,512}$/, 'the name of a log group', 'The log group of the container.'),
        ),
      }),
      'a task definition itself, or an object with "family" and "roleArns"',
      'The task definition.',
    ),
  ),
  roles: v.record(
    v.string(),
    v.looseObject({
      services: field(
        v.pipe(v.array(serviceReference('The service.')), v.length(1)),
        'a list of one ECS service, or its name: a new task is made as those of one service',
        'The service.',
      ),
      container: containerName('The container.'),
    }),
  ),
});

/** What no single property can say. */
function findings(props: NewTaskJobProps): Finding[] {
  const { upkeep, job, cluster, role, taskDefinition, secrets, stdin } = props;
  const { timeout = DEFAULT_TIMEOUT, timeLimit = DEFAULT_TIME_LIMIT } = props;
  const [service = ''] = role.services;
  const family = familyOf(taskDefinition ?? ownDefinition(service));
  const hasSecrets = secrets !== undefined || typeof stdin === 'object';
  if (isImported(taskDefinition))
    return [
      {
        field: ['taskDefinition'],
        problem:
          'is an imported task definition, of which only the ARN is known; it must be one that is made in this app, or an object with "family" and "roleArns" of the task definition of the service.',
      },
    ];
  return [
    ...(hasSecrets && taskDefinition && !isTaskDefinition(taskDefinition) && !taskDefinition.roleArns?.length
      ? [
          {
            field: ['taskDefinition', 'roleArns'],
            problem:
              'is empty, while the command gets secrets; it must have the execution role, by which ECS fetches them.',
          },
        ]
      : []),
    ...(hasSecrets && family === ownFamily({ deployment: upkeep.deployment, job })
      ? [
          {
            field: ['job'],
            problem: `is "${job}", so that the task definitions with its secrets would be revisions of ${family}, which the service has; it must be another name.`,
          },
        ]
      : []),
    ...lessThanTimeLimit('timeout', timeout, timeLimit),
    ...clusterFindings(cluster, [{ field: ['roles', role.name, 'services', 0], service }]),
    ...containerFindings(taskDefinition ?? ownDefinition(service), role),
    ...(taskDefinition === undefined && ownDefinition(service) === undefined
      ? [
          {
            field: ['taskDefinition'],
            problem:
              'is missing; with in: "new-task" it must be an object with "family" and "roleArns" of the task definition of the service, which is not given itself: no other tasks may be started, and no other roles handed on.',
          },
        ]
      : []),
  ];
}

/** What may be started: as it is told, or as the service has it. */
function knownDefinition({ role, taskDefinition }: NewTaskJobProps): NewTaskDefinition | undefined {
  const [service = ''] = role.services;
  const given = taskDefinition ?? ownDefinition(service);
  return given && isTaskDefinition(given) ? definitionOf(given, role.container) : given;
}

function familyOf(given: NewTaskDefinition | TaskDefinition | undefined): string | undefined {
  return typeof given === 'object' ? given.family : undefined;
}

/** One that is made in this app. Whatever else somebody gives may be an imported one, of which the CDK knows only the ARN. */
function isTaskDefinition(given: NewTaskDefinition | TaskDefinition): given is TaskDefinition {
  return typeof given === 'object' && 'addContainer' in given;
}

function isImported(given: NewTaskDefinition | TaskDefinition | undefined): boolean {
  return typeof given === 'object' && 'taskDefinitionArn' in given && !isTaskDefinition(given);
}

function containerFindings(
  given: NewTaskDefinition | TaskDefinition | undefined,
  { name, container }: NamedContainerServices,
): Finding[] {
  return given && isTaskDefinition(given)
    ? namedContainerFindings(given, { field: ['roles', name, 'container'], container })
    : [];
}

function definitionOf(taskDefinition: TaskDefinition, container: string): NewTaskDefinition {
  const { family, taskRole } = taskDefinition;
  const { logDriver, options } = taskDefinition.findContainer(container)?.logDriverConfig ?? {};
  const logGroup = logDriver === 'awslogs' ? options?.['awslogs-group'] : undefined;
  return {
    family,
    // An execution role is made when the first container asks for one.
    roleArns: Lazy.list({
      produce: () => [taskRole, taskDefinition.executionRole].flatMap((role) => (role ? [role.roleArn] : [])),
    }),
    ...(logGroup && { logGroup }),
  };
}
