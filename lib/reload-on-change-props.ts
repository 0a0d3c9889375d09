import { Duration, Token } from 'aws-cdk-lib';
import type { IBaseService } from 'aws-cdk-lib/aws-ecs';
import type { ISecret } from 'aws-cdk-lib/aws-secretsmanager';
import * as v from 'valibot';
import type { Watched } from '../functions/reload-on-change/contract.ts';
import type { RolledService } from '../functions/shared/roll/rolled-service.ts';
import { clusterName, field, serviceName } from './checks/fields.ts';
import type { Finding } from './checks/mistakes.ts';
import { duration, lessThanTimeLimit, propertyNames } from './checks/props.ts';
import { type ClusterReference, clusterFindings, clusterReference } from './ecs-services.ts';
import { partialSecretFindings } from './secret-reference.ts';
import type { DailySchedule } from './start-run.ts';
import type { Upkeep } from './upkeep.ts';
import type { JobReference } from './upkeep-job-props.ts';

/** What others change, and containers are given at their start. */
export type WatchedValue =
  /** A secret of whichever stack; one that is not of this app by its full ARN (`Secret.fromSecretCompleteArn`). RDS's own (`rds!…`) too. */
  | { readonly secret: ISecret }
  /** The name of a parameter of Parameter Store, such as `/shop/tls`, in the stack's account and region. */
  | { readonly parameter: string };

/** A service whose containers read something that is watched at their start. */
export interface ReloadedService extends Omit<RolledService, 'clusterArn'> {
  /** Name of its ECS cluster. @default `cluster` */
  readonly clusterName?: string | undefined;
  /**
   * What its application reads by itself, besides what its task definition gives to the containers: names of `watched`.
   * @default what the task definition gives; where that gives none of it, all
   */
  readonly reads?: string[];
}

/** What a `ReloadOnChange` is made of. */
export interface ReloadOnChangeProps {
  /** What this deployment's jobs share. */
  readonly upkeep: Upkeep;
  /** A name for the job. Lower case, digits, hyphens, at most 22 characters. @default 'reload-on-change' */
  readonly job?: string;
  /**
   * What is watched, at most twenty, each by a name of your own that its alarm and the report call it by: lower case, digits,
   * hyphens, at most 32 characters. Its value is never read.
   */
  readonly watched: Record<string, WatchedValue>;
  /** The ECS cluster of those services that are given by name and name none, or its name. */
  readonly cluster?: ClusterReference;
  /**
   * Whose containers read it at their start, in the order in which their tasks are replaced: the services themselves, of whichever
   * stack, or their names. Which of them reads what the task definition tells.
   */
  readonly services: (IBaseService | ReloadedService)[];
  /** When to look, each day: most days nothing is new. */
  readonly schedule: DailySchedule;
  /** How long a run may take, counted from its scheduled time. */
  readonly timeLimit: Duration;
  /**
   * Looks when Secrets Manager or Parameter Store tells of a change as well, at any hour, and begins to replace tasks then: for
   * values of which the earlier ones end at once, such as the passwords that RDS manages.
   * @default false: the daily look finds it
   */
  readonly atOnce?: boolean;
  /** How long a service may take to be steady: at the beginning, and after each change. @default 20 minutes */
  readonly steadyTimeout?: Duration;
  /** How long the new tasks of a service must stay up before the next service is touched. @default 2 minutes */
  readonly settleTime?: Duration;
  /**
   * Jobs of the same deployment for the end of whose runs it waits before it replaces a task.
   * @default none
   */
  readonly waitsFor?: string[];
  /**
   * Jobs of the same deployment during whose runs it does not start. Those should name this one in their own `conflictsWith`, or
   * `waitsFor`, too.
   * @default `credential-rotation`, if there is one
   */
  readonly conflictsWith?: JobReference[];
}

export const DEFAULT_STEADY_TIMEOUT = Duration.minutes(20);
export const DEFAULT_SETTLE_TIME = Duration.minutes(2);
/** What a run notes of so many has room in a parameter, and the policy that names them in a role. */
const MOST_WATCHED = 20;

const PARAMETER_NAME = /^[\w./-]{1,1011}$/;

/** All of them. */
export const NAMES = propertyNames<ReloadOnChangeProps>({
  upkeep: true,
  job: true,
  watched: true,
  cluster: true,
  services: true,
  schedule: true,
  timeLimit: true,
  atOnce: true,
  steadyTimeout: true,
  settleTime: true,
  waitsFor: true,
  conflictsWith: true,
});

export const PROPS = v.looseObject({
  watched: field(
    v.pipe(
      v.record(
        v.string(),
        field(
          v.custom<WatchedValue>(isWatchedValue),
          'an object with "secret", such as Secret.fromSecretCompleteArn(…), or with "parameter", the name of a parameter',
          'What is watched.',
        ),
      ),
      v.minEntries(1),
      v.maxEntries(MOST_WATCHED),
    ),
    `an object of 1 to ${MOST_WATCHED} names, each with { secret } or { parameter }`,
    'What is watched.',
  ),
  cluster: v.optional(clusterReference('The cluster.')),
  services: field(
    v.pipe(v.array(v.looseObject({})), v.minLength(1), v.maxLength(50)),
    'a list of 1 to 50 ECS services, or of { name }',
    'The services.',
  ),
  atOnce: v.optional(field(v.boolean(), 'true or false', 'Whether it goes by events too.')),
  steadyTimeout: v.optional(duration(Duration.minutes(1), Duration.hours(12))),
  settleTime: v.optional(duration(Duration.seconds(0), Duration.hours(1))),
});

/** Of what the services mean. */
export const SERVICES = v.looseObject({
  services: v.array(
    v.looseObject({
      name: serviceName('A service.'),
      clusterName: v.optional(clusterName('Its cluster.')),
      reads: v.optional(field(v.array(v.string()), 'a list of names of "watched"', 'What it reads.')),
    }),
  ),
});

function isWatchedValue(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const { secret, parameter }: { secret?: unknown; parameter?: unknown } = value;
  return typeof parameter === 'string'
    ? PARAMETER_NAME.test(parameter)
    : typeof secret === 'object' && secret !== null && 'secretArn' in secret;
}

const WATCHED_NAME = /^[a-z][a-z0-9-]{0,31}$/;

export function isService(service: IBaseService | ReloadedService): service is IBaseService {
  return typeof service === 'object' && service !== null && 'serviceName' in service;
}

export function servicesOf({ services }: ReloadOnChangeProps): ReloadedService[] {
  return services.map((service) =>
    isService(service) ? { name: service.serviceName, clusterName: service.cluster.clusterName } : service,
  );
}

export function watchedOf({ watched }: ReloadOnChangeProps): Watched[] {
  return Object.entries(watched).map(([name, each]) =>
    'secret' in each
      ? { name, secretArn: each.secret.secretFullArn ?? '' }
      : { name, parameter: each.parameter },
  );
}

/** What no single property can say. */
export function reloadFindings(props: ReloadOnChangeProps, services: ReloadedService[]): Finding[] {
  const { timeLimit, steadyTimeout = DEFAULT_STEADY_TIMEOUT, settleTime = DEFAULT_SETTLE_TIME } = props;
  const watched = watchedOf(props);
  const placeOf = (each: Watched) => ('parameter' in each ? each.parameter : each.secretArn);
  return [
    ...partialSecretFindings(
      Object.entries(props.watched).map(([name, each]) => ({
        field: ['watched', name, 'secret'],
        secret: 'secret' in each ? each.secret : undefined,
      })),
    ),
    ...watched.flatMap((each, index): Finding[] => {
      const { name } = each;
      const twin = watched.findIndex((other) => placeOf(other) === placeOf(each));
      return [
        ...(WATCHED_NAME.test(name)
          ? []
          : [
              {
                field: ['watched', name],
                problem:
                  'has a name that cannot be one of an alarm; it must be a lower-case letter, then at most 31 lower-case letters, digits and hyphens.',
              },
            ]),
        ...(twin !== index && placeOf(each) !== ''
          ? [
              {
                field: ['watched', name],
                problem: `is the same as watched.${watched[twin]?.name}; it must be left out.`,
              },
            ]
          : []),
      ];
    }),
    ...(props.services.every((service) => isService(service) || service.clusterName)
      ? []
      : clusterFindings(props.cluster, [])),
    ...services.flatMap(({ name, reads = [] }, index) => {
      const first = services.findIndex((other) => other.name === name);
      const unknown = reads.find((of) => !watched.some((each) => each.name === of));
      return [
        ...(first === index || Token.isUnresolved(name)
          ? []
          : [
              {
                field: ['services', index, 'name'],
                problem: `is "${name}", as is services[${first}].name; each service must be named once.`,
              },
            ]),
        ...(unknown === undefined
          ? []
          : [
              {
                field: ['services', index, 'reads'],
                problem: `names "${unknown}", which is not watched; it must be of ${watched.map((each) => each.name).join(', ')}.`,
              },
            ]),
      ];
    }),
    ...lessThanTimeLimit('steadyTimeout', steadyTimeout, timeLimit),
    ...lessThanTimeLimit('settleTime', settleTime, steadyTimeout).map(({ field, problem }) => ({
      field,
      problem: problem.replace('timeLimit', 'steadyTimeout'),
    })),
  ];
}
