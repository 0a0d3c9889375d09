import type { Strategy } from '../../../functions/shared/database/contract/rotation.ts';
import { whyAmbiguous } from '../../../functions/shared/database/credential/copy-template.ts';
import {
  type PasswordRules,
  randomPassword,
} from '../../../functions/shared/database/credential/password.ts';
import type { Finding } from '../../checks/mistakes.ts';
import { valueText } from '../../checks/mistakes.ts';
import {
  copyPlaceFindings,
  strategyFindings as planFindings,
  replicaFindings,
  rolledServiceFindings,
  rotatedSecretProblems,
} from '../../checks/rotation.ts';
import { maximumServiceNameLength } from '../../credential-rotation/stopped-alarm-name.ts';
import { minutesFromTo } from '../../local-time.ts';
import { ROLLED_ROLES } from '../rolled-roles.ts';
import { type Check, elsewhere } from './check.ts';
import type { CredentialRotationOutput } from './credential-rotation-schema.ts';
import type { DeploymentOutput } from './schema.ts';

type Databases = NonNullable<DeploymentOutput['databases']>;

const JOB = ['jobs', 'credentialRotation'];
/** They must not meet a restart: start-run turns them away while a rotation is going on. */
const KEPT_APART = ['messageGc', 'mediaGc', 'logCleanup'] as const;

/** What no single field can say of `jobs.credentialRotation`. */
export const CREDENTIAL_ROTATION_CHECKS: Check[] = [
  {
    needs: ['databases', 'jobs.credentialRotation.host'],
    find: ofRotation(({ host }, { databases }) => serverFindings(host, databases)),
  },
  {
    needs: ['databases', 'jobs.credentialRotation.host', 'jobs.credentialRotation.strategy'],
    find: ofRotation(strategyFindings),
  },
  {
    needs: ['jobs.credentialRotation'],
    find: ofRotation(copyFindings),
  },
  {
    needs: ['name', 'jobs.credentialRotation.services', 'jobs.credentialRotation.order'],
    find: ofRotation(serviceFindings),
  },
  {
    needs: ['region', 'account', 'jobs.credentialRotation'],
    find: ofRotation(({ secret, administrator, metaTemplate, copies }, deployment) => [
      ...secretElsewhere(['secret'], secret, deployment),
      ...secretElsewhere(['administrator'], administrator, deployment),
      ...elsewhere(['metaTemplate', 'encryptionKeyArn'], metaTemplate?.encryptionKeyArn, {
        region: deployment.region,
      }),
      ...secretElsewhere(['metaTemplate', 'monitoring'], metaTemplate?.monitoring, deployment),
      ...copies.parameters.flatMap(({ encryptionKeyArn }, index) =>
        elsewhere(['copies', 'parameters', index, 'encryptionKeyArn'], encryptionKeyArn, {
          region: deployment.region,
        }),
      ),
      ...copies.secrets.flatMap((copy, index) =>
        secretElsewhere(['copies', 'secrets', index], copy, deployment),
      ),
    ]),
  },
  {
    needs: ['jobs.credentialRotation.secret'],
    find: ofRotation(({ secret }) =>
      rotatedSecretProblems(secret.secretArn).map((problem) => ({ field: ['secret', 'secretArn'], problem })),
    ),
  },
  {
    needs: ['jobs.credentialRotation.strategy', 'jobs.credentialRotation.replicas'],
    find: ofRotation(({ strategy, replicas }) => replicaFindings(strategy.kind, replicas)),
  },
  {
    needs: ['jobs.credentialRotation.password'],
    find: ofRotation(({ password }) => {
      try {
        randomPassword(passwordRules(password));
        return [];
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        return [{ field: ['password'], problem: `leaves nothing to draw from: ${reason}` }];
      }
    }),
  },
  {
    needs: ['jobs.credentialRotation.rotateAfterDays', 'jobs.credentialRotation.maximumAgeDays'],
    find: ofRotation(({ rotateAfterDays, maximumAgeDays = Infinity }) =>
      maximumAgeDays > rotateAfterDays
        ? []
        : [
            {
              field: ['maximumAgeDays'],
              problem: `is ${maximumAgeDays}; it must be more than the ${rotateAfterDays} of rotateAfterDays.`,
            },
          ],
    ),
  },
  ...(['rotationTimeoutMinutes', 'steadyTimeoutMinutes', 'retirementPatienceMinutes'] as const).map(
    (name): Check => ({
      needs: ['jobs.credentialRotation.timeLimitMinutes', `jobs.credentialRotation.${name}`],
      find: ofRotation(({ [name]: minutes, timeLimitMinutes }) =>
        minutes < timeLimitMinutes
          ? []
          : [
              {
                field: [name],
                problem: `is ${minutes}; it must be less than the ${timeLimitMinutes} of timeLimitMinutes.`,
              },
            ],
      ),
    }),
  ),
  ...KEPT_APART.map(
    (job): Check => ({
      needs: [
        'window',
        'jobs.credentialRotation.schedule',
        'jobs.credentialRotation.timeLimitMinutes',
        `jobs.${job}.schedule`,
      ],
      find({ window, jobs: { credentialRotation, [job]: other } }) {
        if (!credentialRotation || !other) return [];
        const { schedule, timeLimitMinutes } = credentialRotation;
        const from = minutesFromTo(window.from, schedule.at);
        const to = from + schedule.flexibleMinutes + timeLimitMinutes;
        const earliest = minutesFromTo(window.from, other.schedule.at);
        const latest = earliest + other.schedule.flexibleMinutes;
        if (latest < from || earliest > to) return [];
        const minutes = to - from;
        return [
          {
            field: ['jobs', job, 'schedule', 'at'],
            problem: `is ${valueText(other.schedule.at)}, when a run of credentialRotation may be going on, beside which it would be skipped; it must lie, with its flexible minutes, before ${schedule.at} or more than ${minutes} minutes after it.`,
          },
        ];
      },
    }),
  ),
];

/** The databases of each server that is meant, one for each: of `host`, or of all. */
export function rotatedServers(databases: Databases, host: string | undefined): Databases {
  const meant = databases.filter((database) => host === undefined || database.host === host);
  const servers = meant.map(({ engine, host, port, certificateAuthority }) =>
    JSON.stringify([engine, host, port, certificateAuthority]),
  );
  return meant.filter((_, index) => servers.indexOf(servers[index] ?? '') === index);
}

/** The strategy as the functions are told it. */
export function rotationStrategy({
  kind,
  users: [one, other] = [],
  owner,
  user = '',
  storeAs,
}: CredentialRotationOutput['strategy']): Strategy {
  if (kind === 'dual-password') return { kind };
  const form = storeAs && { storeAs };
  if (kind === 'single-password') return { kind, user, ...form };
  return { kind, ...(one && other && { users: [one, other] as const }), ...(owner && { owner }), ...form };
}

/** What the passwords are made of, as the functions are told it. */
export function passwordRules({
  length,
  alphabet,
  exclude,
}: CredentialRotationOutput['password']): PasswordRules {
  return { length, ...(alphabet && { alphabet }), ...(exclude && { exclude }) };
}

/** Finds in the job's settings, if it is configured; the fields of what is found are the job's. */
function ofRotation(
  find: (rotation: CredentialRotationOutput, deployment: DeploymentOutput) => Finding[],
): Check['find'] {
  return (deployment) => {
    const { credentialRotation } = deployment.jobs;
    if (!credentialRotation) return [];
    return find(credentialRotation, deployment).map(({ field, problem }) => ({
      field: [...JOB, ...field],
      problem,
    }));
  };
}

function serverFindings(host: string | undefined, databases: Databases | undefined): Finding[] {
  if (!databases)
    return [
      {
        field: [],
        problem: 'has no database to log in to; it must come with "databases" of the deployment.',
      },
    ];
  const servers = rotatedServers(databases, host);
  if (servers.length === 1) return [];
  const field = ['host'];
  const hosts = [...new Set(databases.map((database) => database.host))].join(', ');
  if (servers.length === 0)
    return [
      { field, problem: `is ${valueText(host)}, a host of none of databases; it must be one of ${hosts}.` },
    ];
  if (host === undefined && hosts.includes(','))
    return [{ field, problem: `is missing, and databases have several; it must be one of ${hosts}.` }];
  return [
    {
      field,
      problem: `is told of in several ways by databases; engine, port and certificateAuthority must be the same in all that are of ${host ?? hosts}.`,
    },
  ];
}

function strategyFindings(
  { strategy, host, acceptFailedLogins, administrator, metaTemplate, copies }: CredentialRotationOutput,
  { databases = [] }: DeploymentOutput,
): Finding[] {
  const [server] = rotatedServers(databases, host);
  if (!server) return [];
  const { engine } = server;
  const { kind } = strategy;
  const templates = [...copies.parameters, ...copies.secrets].map(({ template = '' }) => template);
  return [
    ...planFindings({
      engine,
      strategy: rotationStrategy(strategy),
      given: strategy,
      acceptFailedLogins,
      hasAdministrator: administrator !== undefined,
    }),
    ...(kind === 'alternating-users' && metaTemplate
      ? [
          {
            field: ['strategy', 'kind'],
            problem:
              'is "alternating-users", but the containers of Meta\'s template have their user name written in the task definition; it must be "dual-password".',
          },
        ]
      : []),
    ...(kind === 'alternating-users' &&
    templates.length > 0 &&
    !templates.some((template) => template.includes('{username}'))
      ? [
          {
            field: ['copies'],
            problem:
              'hold the password alone, and with alternating-users its user changes too; one must have a template with {username}.',
          },
        ]
      : []),
  ];
}

function copyFindings(rotation: CredentialRotationOutput): Finding[] {
  const { secret, services, metaTemplate, copies } = rotation;
  const rules = passwordRules(rotation.password);
  const monitoring = metaTemplate?.monitoring;
  const places: { field: (string | number)[]; place: string }[] = [
    ...(metaTemplate
      ? [{ field: ['metaTemplate', 'stackName'], place: `${metaTemplate.stackName}-WA_DB_PASSWORD` }]
      : []),
    ...(monitoring
      ? [
          {
            field: ['metaTemplate', 'monitoring', 'secretArn'],
            place: `${monitoring.secretArn} data_src_name`,
          },
        ]
      : []),
    ...copies.parameters.map(({ name }, index) => ({
      field: ['copies', 'parameters', index, 'name'],
      place: name,
    })),
    ...copies.secrets.map(({ secretArn, key }, index) => ({
      field: ['copies', 'secrets', index, 'secretArn'],
      place: `${secretArn} ${key}`,
    })),
  ];
  return [
    ...copyPlaceFindings(secret.secretArn, places),
    ...(['parameters', 'secrets'] as const).flatMap((kind) =>
      copies[kind].flatMap(({ template, encoding }, index) => {
        const reason = whyAmbiguous({ ...(template && { template }), ...(encoding && { encoding }) }, rules);
        return reason
          ? [{ field: ['copies', kind, index, 'template'], problem: `cannot be: ${reason}` }]
          : [];
      }),
    ),
    ...(monitoring && !services.others
      ? [
          {
            field: ['metaTemplate', 'monitoring'],
            problem:
              'needs its service restarted, for else the exporter keeps the old password; its service must be named in services.others.',
          },
        ]
      : []),
  ];
}

/** By name alone, be they in different clusters: alarms and metrics are named after them. */
function serviceFindings(
  { services, order }: CredentialRotationOutput,
  deployment: DeploymentOutput,
): Finding[] {
  const { webapp = [], master = [], coreapp = [], others = [] } = services;
  const own = Object.entries({ webapp, master, coreapp }).flatMap(([role, names]) =>
    names.map((name, index) => ({ field: ['services', role, index], name })),
  );
  const named = [
    ...own,
    ...others.map(({ name }, index) => ({ field: ['services', 'others', index, 'name'], name })),
  ];
  const missing = ROLLED_ROLES.filter((role) => services[role] && !order.includes(role));
  return [
    ...rolledServiceFindings(named, maximumServiceNameLength(deployment.name)),
    ...(missing.length > 0 || new Set(order).size < order.length
      ? [
          {
            field: ['order'],
            problem: `is ${valueText(order)}; it must name each role that has services once${missing.length > 0 ? `, ${missing.join(' and ')} too` : ''}.`,
          },
        ]
      : []),
  ];
}

function secretElsewhere(
  field: (string | number)[],
  secret: { secretArn: string; encryptionKeyArn?: string | undefined } | undefined,
  { region, account }: DeploymentOutput,
): Finding[] {
  return [
    ...elsewhere([...field, 'secretArn'], secret?.secretArn, { region, account }),
    ...elsewhere([...field, 'encryptionKeyArn'], secret?.encryptionKeyArn, { region }),
  ];
}
