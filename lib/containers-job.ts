// In one file though long: a job in containers, its checks and its permissions, each beside what it is for.

import { Annotations, Duration, Stack, Token } from 'aws-cdk-lib';
import { ComparisonOperator, TreatMissingData } from 'aws-cdk-lib/aws-cloudwatch';
import { CfnDocument } from 'aws-cdk-lib/aws-ssm';
import { Construct } from 'constructs';
import * as v from 'valibot';
import { pascalCased } from '../functions/shared/containers/container-report.ts';
import {
  HOST_PARAMETERS,
  HOST_SCRIPT_EXTRA_SECONDS,
  hostScript,
  INPUT_PARAMETERS,
} from '../functions/shared/containers/host-script.ts';
import { reachesToLeaveOut } from '../functions/shared/containers/reach-of.ts';
import type { ContainerRole, ContainersSettings } from '../functions/shared/containers/settings.ts';
import type { Command } from '../functions/shared/ecs-exec/wrapper.ts';
import { sameContainers } from './checks/containers.ts';
import { containerName, field, keyArn, wholeNumber } from './checks/fields.ts';
import type { Finding } from './checks/mistakes.ts';
import { checkProps, duration, lessThanTimeLimit, passesPropsOn, refuse } from './checks/props.ts';
import {
  type ClusterReference,
  clusterFindings,
  clusterNameOf,
  clusterReference,
  namedContainerFindings,
  ownDefinition,
  type ServiceReference,
  serviceNameOf,
  serviceReference,
  servicesWithoutExec,
  sessionKeyArn,
} from './ecs-services.ts';
import { entryFile } from './entry-file.ts';
import type { DailySchedule, MonthlySchedule, WeeklySchedule } from './start-run.ts';
import type { Upkeep } from './upkeep.ts';
import { createAlarm } from './upkeep-alarm.ts';
import { UpkeepJob } from './upkeep-job.ts';
import type { JobReference } from './upkeep-job-props.ts';

/** How a job comes into containers. */
export type ContainerReach =
  | {
      readonly by: 'ecs-exec';
      /**
       * The KMS key of the cluster's `executeCommandConfiguration`.
       * @default that of the cluster, where it is given itself and made in this app; otherwise none: sessions are encrypted by TLS alone
       */
      readonly encryptionKeyArn?: string;
    }
  | {
      /**
       * By SSM Run Command on the container instances, for tasks on EC2 without ECS Exec. Not for Bottlerocket.
       * The instances' role needs what `AmazonSSMManagedInstanceCore` allows.
       */
      readonly by: 'run-command';
      /** Only instances with this tag are reached. */
      readonly instanceTag: { readonly key: string; readonly value: string };
    };

/** Containers that do the same: work is never done in all of them at once, unless there is but one. */
export interface ContainerServices {
  /** ECS services of one cluster: themselves, or their names. */
  readonly services: ServiceReference[];
  /** The container's name in the services' task definitions. */
  readonly container: string;
}

/** What every job in containers is told. */
export interface ContainersJobProps {
  /** What this deployment's jobs share. */
  readonly upkeep: Upkeep;
  /**
   * In the account and region of the stack: the cluster, or its name.
   * @default that of the services, where they are given themselves
   */
  readonly cluster?: ClusterReference;
  /** When it runs by itself. @default none: it runs when it is started by hand, and no alarm misses a run */
  readonly schedule?: DailySchedule | WeeklySchedule | MonthlySchedule;
  /** How long a run may take, over all containers. @default two hours */
  readonly timeLimit?: Duration;
  /** How long the command may take in one container, before it is killed. @default 30 minutes */
  readonly timeout?: Duration;
  /** How the job comes into containers. @default by ECS Exec */
  readonly reach?: ContainerReach;
  /** In how many containers, over all, work goes on at once. At least one for each role. @default 20 */
  readonly concurrency?: number;
  /**
   * Whether a container in which the command failed is tried once more at the end.
   * @default true, where the command runs in every container; false, where it runs in one place: what is to run once is mostly not made for running twice
   */
  readonly retryFailed?: boolean;
  /** Jobs of the same deployment during whose runs this one must not start. @default only itself */
  readonly conflictsWith?: JobReference[];
}

/** Containers with the name of their role. */
export interface NamedContainerServices extends ContainerServices {
  /** The role's name: lower case, digits, hyphens. */
  readonly name: string;
}

/** What a kind of job in containers adds. */
export interface ContainersJobKind<Role extends NamedContainerServices> {
  /** The job's name. Lower case, digits, hyphens, at most 22 characters. */
  readonly job: string;
  /** One sentence, at most 200 characters. */
  readonly description: string;
  /** A folder of `functions/`. */
  readonly functionName: string;
  /** Whose containers the command runs in. */
  readonly roles: Role[];
  /** The command for a role's containers: its document holds it, with `run-command`. */
  readonly commandOf: (role: Role) => Command;
  /** What the function is told besides. @default nothing */
  readonly settings?: Record<string, unknown>;
  /** Whether the command has several phases, of which some get standard input. @default false */
  readonly takesInput?: boolean;
}

/** Fewer may be a deployment that was going on just then. */
const NOT_READY_NIGHTS = 3;
const DEFAULT_CONCURRENCY = 20;
const DEFAULT_TIMEOUT = Duration.minutes(30);
const DEFAULT_TIME_LIMIT = Duration.hours(2);
/** Lambda's limit on all of a function's environment, in bytes, less what else stands in it. */
const MAXIMUM_SETTINGS_LENGTH = 4_096 - 200;
/** SSM's limit on a document's content, in characters (Systems Manager quotas). */
const MAXIMUM_DOCUMENT_LENGTH = 65_536;

/** A job whose function works in containers of a cluster, and may do so in those named and in no others. */
export class ContainersJob<Role extends NamedContainerServices> extends Construct {
  /** The job underneath: its function, schedule and alarms. */
  readonly job: UpkeepJob;
  /** With `run-command`: all that can be run on the hosts, one for each role. */
  readonly documents: CfnDocument[] = [];

  constructor(scope: Construct, id: string, kind: ContainersJobKind<Role>, props: ContainersJobProps) {
    super(scope, id);
    passesPropsOn(this);
    checkProps(this, propsSchema(kind), { ...props, roles: rolesByName(kind) }, () => findings(kind, props));
    const services = kind.roles.flatMap((role) => role.services);
    const clusterName = clusterNameOf(props.cluster, services);
    const { upkeep, schedule, reach = { by: 'ecs-exec' } } = props;
    const { concurrency = DEFAULT_CONCURRENCY, timeout = DEFAULT_TIMEOUT } = props;
    const clusterArn = this.arn('ecs', 'cluster', clusterName);
    const documentFor = (role: Role) => {
      if (Token.isUnresolved(JSON.stringify(kind.commandOf(role))))
        refuse(
          this,
          'command holds a token of the CDK; with reach: "run-command" it must be known at synthesis, for an SSM document holds it.',
        );
      const content = documentContent({
        command: kind.commandOf(role),
        container: role.container,
        clusterArn,
        clusterName,
        timeout,
        description: kind.description,
        takesInput: kind.takesInput ?? false,
      });
      return this.createDocument(`${upkeep.deployment}-${kind.job}-${role.name}`, role.name, content);
    };
    const roles: ContainerRole[] = kind.roles.map((role) => ({
      ...role,
      services: role.services.map(serviceNameOf),
      ...(reach.by === 'run-command' && { documentName: documentFor(role) }),
    }));
    const settings: ContainersSettings = {
      ...kind.settings,
      deployment: upkeep.deployment,
      clusterArn,
      roles,
      reach: reach.by,
      concurrency,
      timeoutSeconds: timeout.toSeconds(),
      retryFailed: props.retryFailed ?? true,
    };
    this.checkLength(settings);
    this.job = new UpkeepJob(this, 'Job', {
      upkeep,
      job: kind.job,
      description: kind.description,
      entry: entryFile(kind.functionName),
      importsToLeaveOut: reachesToLeaveOut(reach.by),
      settings,
      ...(schedule && { schedule }),
      timeLimit: props.timeLimit ?? DEFAULT_TIME_LIMIT,
      ...(props.conflictsWith && { conflictsWith: props.conflictsWith }),
    });
    if (schedule && !('weekday' in schedule)) this.createNotReadyAlarm(kind, upkeep);
    this.letFindContainers(clusterArn, clusterName);
    if (reach.by === 'ecs-exec') {
      this.warnOfServicesWithoutExec(services);
      const containers = [...new Set(kind.roles.map(({ container }) => container))];
      const key = reach.encryptionKeyArn ?? sessionKeyArn(props.cluster, services);
      this.letExecute(clusterArn, clusterName, containers, key);
    } else this.letRunCommands(clusterArn, clusterName, reach.instanceTag);
  }

  /** Known at the end: it can be switched on after this is made. */
  private warnOfServicesWithoutExec(services: ServiceReference[]): void {
    const validate = () => {
      for (const path of servicesWithoutExec(services))
        Annotations.of(this).addWarningV2(
          'wa-upkeep:noExecuteCommand',
          `The service ${path} has no enableExecuteCommand: true, without which ECS Exec comes into none of its containers.`,
        );
      return [];
    };
    this.node.addValidation({ validate });
  }

  /** Each run leaves out what starts or stops just then. What never comes up is left out each night. */
  private createNotReadyAlarm(
    { job }: { readonly job: string },
    { deployment, warningTopic: topic }: Upkeep,
  ): void {
    createAlarm(
      this,
      'NotReady',
      {
        alarmName: `${deployment}-${job}-not-ready`,
        meaning: `On ${NOT_READY_NIGHTS} nights on end ${job} of ${deployment} left out tasks that were starting or stopping: some may never come up.`,
        whatToDo: [
          `Read the run's report: the log /aws/lambda/${deployment}-${job}, message "Run report", newest first. Its problems name the tasks that were left out, and what ECS says of them.`,
          "Look at the service's events in ECS for why its tasks do not come up: no room, an image that cannot be pulled, a health check.",
        ],
        topic,
      },
      {
        metric: this.job.metric('TasksNotReady', { statistic: 'Maximum', period: Duration.days(1) }),
        threshold: 1,
        comparisonOperator: ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
        evaluationPeriods: NOT_READY_NIGHTS,
        treatMissingData: TreatMissingData.IGNORE,
      },
    );
  }

  private checkLength(settings: ContainersSettings): void {
    const length = Buffer.byteLength(JSON.stringify(settings));
    if (length > MAXIMUM_SETTINGS_LENGTH)
      refuse(
        this,
        `the settings, with the command in them, have ${length} bytes; ${MAXIMUM_SETTINGS_LENGTH} fit into a function's environment. Put the command into a script in the image.`,
      );
  }

  /** Listing cannot be limited to a resource, only to the cluster. */
  private letFindContainers(clusterArn: string, clusterName: string): void {
    const inCluster = { ArnEquals: { 'ecs:cluster': clusterArn } };
    const tasks = this.arn('ecs', 'task', `${clusterName}/*`);
    this.job.function.allow('ListTasks', ['ecs:ListTasks'], ['*'], inCluster);
    this.job.function.allow('DescribeTasks', ['ecs:DescribeTasks'], [tasks], inCluster);
    this.job.function.acceptWildcard(
      '*',
      'ECS lists tasks on no resource that a policy could name: the condition limits it to the cluster.',
    );
    this.job.function.acceptWildcard(
      tasks,
      'Which tasks run is not known before: they are those of the cluster.',
    );
  }

  private letExecute(
    clusterArn: string,
    clusterName: string,
    containers: string[],
    encryptionKeyArn: string | undefined,
  ): void {
    const tasks = this.arn('ecs', 'task', `${clusterName}/*`);
    this.job.function.allow('ExecuteInContainers', ['ecs:ExecuteCommand'], [clusterArn, tasks], {
      ArnEquals: { 'ecs:cluster': clusterArn },
      StringEquals: { 'ecs:container-name': containers },
    });
    const sessions = this.arn('ssm', 'session', 'ecs-execute-command-*');
    this.job.function.allow('OpenSessions', ['ssmmessages:OpenDataChannel'], [sessions]);
    // Only those into the cluster's containers. Of people's own shells there they remain open: nothing that a policy can
    // name tells theirs from the function's. That a session of ECS Exec has the tag is taken from Session Manager's
    // guide (session tags) and ECS' form of a target; without it, what is lost is the reconnection. `wa-upkeep doctor
    // --permissions` finds out on AWS.
    this.job.function.allow('EndLostSessions', ['ssm:TerminateSession', 'ssm:ResumeSession'], [sessions], {
      StringLike: { 'ssm:resourceTag/aws:ssmmessages:target-id': `ecs:${clusterName}_*` },
    });
    this.job.function.acceptWildcard(
      sessions,
      "A session's id is made when it begins; these are the ones of ECS Exec.",
    );
    if (encryptionKeyArn)
      this.job.function.allow('EncryptSessions', ['kms:GenerateDataKey'], [encryptionKeyArn]);
  }

  private letRunCommands(
    clusterArn: string,
    clusterName: string,
    { key, value }: { readonly key: string; readonly value: string },
  ): void {
    const hosts = this.arn('ecs', 'container-instance', `${clusterName}/*`);
    this.job.function.allow('FindHosts', ['ecs:DescribeContainerInstances'], [hosts], {
      ArnEquals: { 'ecs:cluster': clusterArn },
    });
    this.job.function.acceptWildcard(
      hosts,
      'Which instances there are is not known before: they are those of the cluster.',
    );
    this.job.function.allow(
      'RunDocuments',
      ['ssm:SendCommand'],
      this.documents.map((document) => this.arn('ssm', 'document', document.ref)),
    );
    const instances = this.arn('ec2', 'instance', '*');
    this.job.function.allow('OnTaggedHosts', ['ssm:SendCommand'], [instances], {
      StringEquals: { [`ssm:resourceTag/${key}`]: value },
    });
    this.job.function.acceptWildcard(
      instances,
      'Which instances there are is not known before: the condition limits it to the tagged ones.',
    );
    this.job.function.allow('ReadResults', ['ssm:GetCommandInvocation'], ['*']);
    this.job.function.acceptWildcard(
      '*',
      `Systems Manager gives results on no resource that a policy could name.`,
    );
  }

  private createDocument(name: string, role: string, content: unknown): string {
    const length = JSON.stringify(Stack.of(this).resolve(content)).length;
    if (length > MAXIMUM_DOCUMENT_LENGTH)
      refuse(
        this,
        `the command makes an SSM document of ${length} characters; ${MAXIMUM_DOCUMENT_LENGTH} are allowed. Put it into a script in the image.`,
      );
    const document = new CfnDocument(this, `Document-${role}`, {
      name,
      documentType: 'Command',
      documentFormat: 'JSON',
      targetType: '/AWS::EC2::Instance',
      updateMethod: 'NewVersion',
      content,
    });
    this.documents.push(document);
    return document.ref;
  }

  private arn(service: string, resource: string, resourceName: string): string {
    return Stack.of(this).formatArn({ service, resource, resourceName });
  }
}

const ROLE_NAME = /^[a-z][a-z0-9-]{0,19}$/;
const ROLE_NAME_RULE =
  'it must be a lower-case letter, then at most 19 lower-case letters, digits and hyphens: it ends the names of metrics';
/** Each stands in the function's environment. */
const MAXIMUM_SERVICES = 50;

const roleSchema = field(
  v.looseObject({
    services: field(
      v.pipe(v.array(serviceReference('A service.')), v.minLength(1), v.maxLength(MAXIMUM_SERVICES)),
      `a list of 1 to ${MAXIMUM_SERVICES} ECS services, or their names`,
      'The services.',
    ),
    container: containerName('The container.'),
  }),
  'an object with "services" and "container"',
  'A role.',
);

/** What IAM takes of a tag. */
const tagText = (description: string) =>
  field(v.pipe(v.string(), v.nonEmpty(), v.maxLength(256)), 'a text of 1 to 256 characters', description);

const instanceTag = field(
  v.strictObject({ key: tagText('Its key.'), value: tagText('Its value.') }),
  'an object with "key" and "value"',
  'The tag.',
);

function propsSchema({ roles }: Pick<ContainersJobKind<NamedContainerServices>, 'roles'>) {
  return v.looseObject({
    cluster: v.optional(clusterReference('The cluster.')),
    timeout: v.optional(duration(Duration.seconds(1), Duration.hours(12))),
    timeLimit: v.optional(duration(Duration.minutes(1), Duration.days(1))),
    concurrency: v.optional(wholeNumber(1, 100, 'In how many containers at once.')),
    roles: v.looseObject(Object.fromEntries(roles.map(({ name }) => [name, roleSchema]))),
    reach: v.optional(
      field(
        v.variant('by', [
          v.strictObject({
            by: v.literal('ecs-exec'),
            encryptionKeyArn: v.optional(keyArn('The key of the sessions.')),
          }),
          v.strictObject({ by: v.literal('run-command'), instanceTag }),
        ]),
        'an object with by: "ecs-exec", or with by: "run-command" and "instanceTag"',
        'How the job comes into containers.',
      ),
    ),
  });
}

function rolesByName({ roles }: Pick<ContainersJobKind<NamedContainerServices>, 'roles'>) {
  return Object.fromEntries(roles.map(({ name, services, container }) => [name, { services, container }]));
}

/** What no single property can say. */
function findings(
  { roles }: Pick<ContainersJobKind<NamedContainerServices>, 'roles'>,
  {
    cluster,
    concurrency = DEFAULT_CONCURRENCY,
    timeout = DEFAULT_TIMEOUT,
    timeLimit = DEFAULT_TIME_LIMIT,
  }: ContainersJobProps,
): Finding[] {
  const named = roles.flatMap(({ name, container, services }) =>
    services.map((service, index) => ({
      field: ['roles', name, 'services', index],
      service,
      container,
    })),
  );
  if (roles.length === 0)
    return [{ field: ['roles'], problem: 'are missing; at least one role must be given.' }];
  return [
    ...roles.flatMap(({ name }) =>
      ROLE_NAME.test(name)
        ? []
        : [{ field: ['roles'], problem: `have one of the name "${name}"; ${ROLE_NAME_RULE}.` }],
    ),
    ...roles.flatMap(({ name }, index) => {
      const same = roles.slice(0, index).find((other) => pascalCased(other.name) === pascalCased(name));
      if (!same || same.name === name) return [];
      const figure = `containersFailed${pascalCased(name)}`;
      return [
        {
          field: ['roles'],
          problem: `have "${same.name}" and "${name}", which make one figure (${figure}), so that one would hide the other; name one otherwise.`,
        },
      ];
    }),
    ...(roles.length > concurrency
      ? [
          {
            field: ['concurrency'],
            problem: `is ${concurrency}; it must be at least ${roles.length}, for each of the roles needs one.`,
          },
        ]
      : []),
    ...lessThanTimeLimit('timeout', timeout, timeLimit),
    ...clusterFindings(cluster, named),
    ...sameContainers(named),
    ...roles.flatMap(({ name, container, services }) =>
      services
        .flatMap((service) => ownDefinition(service) ?? [])
        .flatMap((definition) =>
          namedContainerFindings(definition, { field: ['roles', name, 'container'], container }),
        ),
    ),
  ];
}

function documentContent({
  command,
  timeout,
  description,
  ...options
}: {
  command: Command;
  container: string;
  clusterArn: string;
  clusterName: string;
  timeout: Duration;
  description: string;
  takesInput: boolean;
}): unknown {
  return {
    schemaVersion: '2.2',
    description,
    parameters: Object.fromEntries(
      Object.entries({ ...HOST_PARAMETERS, ...(options.takesInput && INPUT_PARAMETERS) }).map(
        ([name, allowedPattern]) => [name, { type: 'String', allowedPattern }],
      ),
    ),
    mainSteps: [
      {
        action: 'aws:runShellScript',
        name: 'runShellScript',
        precondition: { StringEquals: ['platformType', 'Linux'] },
        inputs: {
          timeoutSeconds: String(timeout.toSeconds() + HOST_SCRIPT_EXTRA_SECONDS),
          runCommand: [hostScript({ command, ...options })],
        },
      },
    ],
  };
}
