import { Token } from 'aws-cdk-lib';
import { ENGINES, type Engine } from '../../functions/shared/database/contract/engine.ts';
import type { Strategy } from '../../functions/shared/database/contract/rotation.ts';
import { whyImpossible } from '../../functions/shared/database/rotation/strategies.ts';
import { type FieldPath, type Finding, pathText, valueText } from './mistakes.ts';

/** What decides whether a credential can be rotated as it is asked for. */
export interface RotationPlan {
  readonly engine: Engine;
  readonly strategy: Strategy;
  /** The strategy as it was given, with fields that may be of another one. @default the strategy */
  readonly given?: object;
  readonly acceptFailedLogins: boolean;
  readonly hasAdministrator: boolean;
}

/** What is wrong with a strategy and who is to carry it out: as of the fields `strategy`, `acceptFailedLogins`, `administrator`. */
export function strategyFindings({
  engine,
  strategy,
  given = strategy,
  acceptFailedLogins,
  hasAdministrator,
}: RotationPlan): Finding[] {
  const { kind } = strategy;
  const isPostgres = ENGINES[engine] === 'postgres';
  const { users, owner, user, storeAs }: Record<string, unknown> = { ...given };
  const misplaced = [
    users && kind !== 'alternating-users' && 'users',
    owner && (kind !== 'alternating-users' || !isPostgres) && 'owner',
    user && kind !== 'single-password' && 'user',
    storeAs && !isPostgres && 'storeAs',
  ].flatMap((name) => name || []);
  const isNobody = kind === 'single-password' && !user;
  const impossible = isNobody && isPostgres ? undefined : whyImpossible(engine, strategy);
  const isOwnPassword = kind === 'dual-password' && ENGINES[engine] === 'mysql';
  return [
    ...misplaced.map((name) => ({
      field: ['strategy', String(name)],
      problem: `is not of ${kind} on ${engine}; it must be left out.`,
    })),
    ...(impossible
      ? [{ field: ['strategy', 'kind'], problem: `is "${kind}", which cannot be: ${impossible}` }]
      : []),
    ...(isNobody
      ? [{ field: ['strategy', 'user'], problem: 'is missing; it must be the user of the secret.' }]
      : []),
    ...(kind === 'single-password' && !acceptFailedLogins && !impossible
      ? [
          {
            field: ['strategy', 'kind'],
            problem:
              'is "single-password", with which logins fail from the rotation until each container is replaced; it must be "alternating-users", or come with acceptFailedLogins: true.',
          },
        ]
      : []),
    ...(acceptFailedLogins && kind !== 'single-password'
      ? [
          {
            field: ['acceptFailedLogins'],
            problem: `has no effect with ${kind}, which has none; it must be left out.`,
          },
        ]
      : []),
    ...(hasAdministrator || isOwnPassword || impossible
      ? []
      : [
          {
            field: ['administrator'],
            problem: `is missing; it must be the secret of a user that changes passwords, for ${kind} on ${engine}.`,
          },
        ]),
  ];
}

/** Only sessions of another user tell who still has the old credential. */
export function replicaFindings(kind: Strategy['kind'], replicas: readonly unknown[] | undefined): Finding[] {
  if (replicas === undefined || kind === 'alternating-users') return [];
  return [
    {
      field: ['replicas'],
      problem: `has no effect with ${kind}, where sessions do not tell which password was used; it must be left out.`,
    },
  ];
}

/** What is wrong with the services of a roll, each named by its field: by name alone, for alarms are named after them. */
export function rolledServiceFindings(
  named: readonly { readonly field: FieldPath; readonly name: string }[],
  longestName: number,
): Finding[] {
  return [
    ...named.flatMap(({ field, name }) =>
      // The length of a token says nothing.
      name.length > longestName && !Token.isUnresolved(name)
        ? [
            {
              field,
              problem: `has ${name.length} characters; it must have no more than ${longestName}, for its alarm is named after the deployment and the service.`,
            },
          ]
        : [],
    ),
    ...named.flatMap(({ field, name }, index) => {
      const first = named.findIndex((other) => other.name === name);
      if (first === index) return [];
      const { field: firstField = [] } = named[first] ?? {};
      return [
        {
          field,
          problem: `is ${valueText(name)}, as is ${pathText(firstField)}; each service must be named once.`,
        },
      ];
    }),
  ];
}

/**
 * What is wrong with the places of copies, each named by its field.
 * @param places the name of a parameter, or the ARN of a secret and a key, with a space between
 */
export function copyPlaceFindings(
  rotatedSecretArn: string,
  places: readonly { readonly field: FieldPath; readonly place: string }[],
): Finding[] {
  return places.flatMap(({ field, place }, index) => {
    const first = places.findIndex((other) => other.place === place);
    const { field: firstField = [] } = places[first] ?? {};
    if (['username', 'password'].some((key) => place === `${rotatedSecretArn} ${key}`))
      return [
        { field, problem: 'names what is rotated itself, which is no copy of it; it must be left out.' },
      ];
    if (first === index) return [];
    return [{ field, problem: `names the same place as ${pathText(firstField)}; it must be left out.` }];
  });
}

/** What is wrong with the secret that is rotated. */
export function rotatedSecretProblems(secretArn: string): string[] {
  if (!secretArn.includes(':secret:rds!')) return [];
  return [
    'names a secret that RDS itself rotates; it must be one of your own, of a database user of the application, and that of RDS can be the administrator.',
  ];
}
