import type { UpkeepConfiguration } from '../../lib/whatsapp/configuration/configuration.ts';
import { type ClientContainer, ROLES, type Role } from './client-containers.ts';
import type { Discovery } from './discovery.ts';
import { JOBS, type Job } from './jobs.ts';
import { type PlannedRun, planRuns } from './schedules.ts';
import { type ListedSecret, secretOf } from './secrets.ts';
import type { Surroundings } from './surroundings.ts';

/** What AWS cannot tell: flags and prompts do. */
export interface Answers {
  /** Of the deployment. */
  name: string;
  timeZone: string;
  window: { from: string; to: string };
  notifications: { emails: string[] } | { topicArn: string } | { silent: true };
  jobs: Job[];
  webAppUrl: string | undefined;
  serverName: string | undefined;
  /** A path, relative to the configuration's folder. */
  certificateAuthority: string;
  apiUser: ListedSecret | undefined;
  /** Of database-size and upgrade-check. */
  databaseUser: ListedSecret | undefined;
  /** With the client's own credential. */
  credential: ListedSecret | undefined;
  /** With an administrator of WebApp. */
  administrator: ListedSecret | undefined;
  /** Of container instances that Run Command reaches. */
  instancesTag: { tagKey: string; tagValue: string } | undefined;
}

type Deployment = UpkeepConfiguration['deployments'][number];

/** A configuration, with what is to be said of fields: by their paths within the deployment. */
export interface Draft {
  configuration: UpkeepConfiguration;
  comments: Record<string, string>;
}

/** Stands at the end of an ARN of a secret that is not there, where AWS has six random characters. */
const ABSENT = 'ABSENT';
/** The engines on which one user has two passwords, and needs nobody's help to change them. */
const BY_ITSELF: readonly string[] = ['mysql', 'aurora-mysql'];

/**
 * The jobs for which everything is there, or can be made.
 * @param hasAdministrator whether somebody has named the secret of an administrator of WebApp, which nothing here can tell from others
 */
export function possibleJobs(
  { containers, databases, metaTemplate }: Discovery,
  hasAdministrator: boolean,
): Job[] {
  const hasDatabases = databases?.host !== undefined && databases.engine !== undefined;
  const isRotatable =
    hasDatabases &&
    containers.length > 0 &&
    BY_ITSELF.includes(databases.engine ?? '') &&
    (metaTemplate !== undefined || isCredential(databases.password));
  return JOBS.filter((job) => {
    if (job === 'logCleanup') return containers.length > 0;
    if (job === 'databaseSize') return hasDatabases;
    if (job === 'credentialRotation') return isRotatable;
    if (job === 'applicationSettings') return hasAdministrator;
    return true;
  });
}

type Databases = NonNullable<Discovery['databases']>;

/** Whether the password comes from a secret that can be rotated as it is, or from a parameter that can get copies. */
function isCredential(password: Databases['password']): boolean {
  if (password?.kind === 'secret') return password.key === 'password';
  return password?.kind === 'parameter';
}

/** Writes down what was found and answered, and notes what is missing. */
export function draft(around: Surroundings, found: Discovery, answers: Answers): Draft {
  const comments: Record<string, string> = {};
  const missing = (field: string, what: string) => {
    comments[field] = 'Not found: put the right one here.';
    around.note('missing', what);
  };
  const runs = planRuns(answers.window, answers.timeZone);
  const databases = draftDatabases(around, found, answers, comments);
  const jobs: Deployment['jobs'] = {
    ...(answers.jobs.includes('messageGc') && { messageGc: runs.messageGc }),
    ...(answers.jobs.includes('mediaGc') && { mediaGc: runs.mediaGc }),
    ...(answers.jobs.includes('logCleanup') && {
      logCleanup: { ...runs.logCleanup, ...draftLogCleanup(around, found, answers) },
    }),
    ...(databases && answers.jobs.includes('databaseSize') && { databaseSize: runs.databaseSize }),
    ...(databases &&
      answers.jobs.includes('credentialRotation') && {
        credentialRotation: {
          ...runs.credentialRotation,
          ...draftRotation(around, found, answers, comments),
        },
      }),
    ...draftApplicationSettings(around, found, answers, comments, runs.applicationSettings),
  };
  const url = answers.webAppUrl ?? found.webApp.url;
  if (url === undefined)
    missing(
      'webApp.url',
      'Where WebApp answers: no load balancer stands before its services. Give --web-app-url.',
    );
  if (!answers.apiUser) {
    comments['webApp.apiUser'] = 'Not there yet: put its ARN here.';
    around.note(
      'missing',
      `A secret with the WebApp API user, as JSON {"username": …, "password": …}. An ordinary user is enough:\n${createSecret(answers.name, 'api-user')}`,
    );
  }
  const deployment: Deployment = {
    name: answers.name,
    account: found.account,
    region: found.region,
    timeZone: answers.timeZone,
    window: answers.window,
    network: draftNetwork(around, found, missing),
    webApp: {
      url: url ?? 'https://webapp.absent.invalid',
      certificateAuthority: answers.certificateAuthority,
      ...(answers.serverName !== undefined && { serverName: answers.serverName }),
      apiUser: secretField(found, answers.name, 'api-user', answers.apiUser),
    },
    ...(databases && { databases: [databases] }),
    ...(databases?.user && found.databases?.server
      ? { upgradeCheck: { storage: [{ identifier: found.databases.server.identifier }] } }
      : {}),
    ...draftMedia(around, found),
    jobs,
  };
  around.note(
    'to do',
    'Have the webhook put each callback on the bus of the stack, whose ARN it prints (README.md, The webhook), or have a relay stand before it (callbacks.relay, docs/callback-relay.md): without it no garbage collection is known to have ended.',
  );
  return { configuration: { notifications: answers.notifications, deployments: [deployment] }, comments };
}

function secretField(
  { partition, region, account }: Discovery,
  deployment: string,
  what: string,
  secret: ListedSecret | undefined,
): { secretArn: string; encryptionKeyArn?: string } {
  return {
    secretArn:
      secret?.arn ??
      `arn:${partition}:secretsmanager:${region}:${account}:secret:whatsapp/${deployment}/${what}-${ABSENT}`,
    ...keyOf(secret),
  };
}

function keyOf(secret: ListedSecret | undefined): { encryptionKeyArn?: string } {
  return secret?.encryptionKeyArn === undefined ? {} : { encryptionKeyArn: secret.encryptionKeyArn };
}

function createSecret(deployment: string, what: string): string {
  return `aws secretsmanager create-secret --name whatsapp/${deployment}/${what} --secret-string file://${what}.json`;
}

function draftNetwork(
  around: Surroundings,
  { network, region, containers }: Discovery,
  missing: (field: string, what: string) => void,
): Deployment['network'] {
  const { vpcId, subnets, securityGroupIds, hasWayOut } = network;
  if (vpcId === undefined || subnets.length === 0)
    missing(
      'network.subnets',
      'Subnets from which WebApp and the databases can be reached, with their zones: neither the services nor a load balancer tell them. Give --subnets.',
    );
  if (securityGroupIds.length === 0)
    missing(
      'network.securityGroupIds',
      'A security group of the functions, which lets them out to WebApp and to 443. Give --security-groups.',
    );
  else
    around.note(
      'taken',
      `The functions get the security groups of the client, ${securityGroupIds.join(', ')}: let these reach WebApp's port and the databases' from themselves, or name a group of the functions' own.`,
    );
  if (hasWayOut === false)
    around.note(
      'taken',
      'The subnets have no way to AWS for what has no public address, as the functions: the stack creates interface endpoints, which take over the names of those services in the whole VPC. Name whoever else in the VPC calls them in network.otherEndpointClients.',
    );
  else if (hasWayOut === undefined && subnets.length > 0)
    around.note(
      'to do',
      'See that the subnets have a way to AWS for what has no public address (a NAT gateway, or interface endpoints), or add endpoints: "create" to network.',
    );
  const others = [
    ...new Set(
      containers.flatMap(
        ({ of }) => of.service.networkConfiguration?.awsvpcConfiguration?.securityGroups ?? [],
      ),
    ),
  ].filter((id) => !securityGroupIds.includes(id));
  return {
    vpcId: vpcId ?? `vpc-${NOTHING}`,
    subnets: subnets.length > 0 ? subnets : [{ id: `subnet-${NOTHING}`, availabilityZone: `${region}a` }],
    securityGroupIds: securityGroupIds.length > 0 ? securityGroupIds : [`sg-${NOTHING}`],
    ...(hasWayOut === false && {
      endpoints: 'create' as const,
      ...(others.length > 0 && { otherEndpointClients: others }),
    }),
  };
}

/** An id that nothing has. */
const NOTHING = '00000000000000000';

function draftDatabases(
  around: Surroundings,
  found: Discovery,
  answers: Answers,
  comments: Record<string, string>,
): NonNullable<Deployment['databases']>[number] | undefined {
  const { databases } = found;
  if (!databases?.host || !databases.engine || !databases.port) {
    around.note(
      'missing',
      `The server of the databases: ${databases ? 'the containers do not say where it is, or it is told by a secret' : 'no container says anything of it'}. Without it sizes are not watched, and no credential is rotated. Give --database, an identifier of RDS${found.servers.length > 0 ? `: ${found.servers.map(({ identifier }) => identifier).join(', ')}` : ''}.`,
    );
    return undefined;
  }
  const { host, engine, port, prefix, idleTimeoutSeconds } = databases;
  const isRds = databases.server !== undefined || /\.rds\.amazonaws\.com(\.cn)?$/.test(host);
  const certificateAuthority = isRds ? 'rds' : `certificates/${answers.name}-database.pem`;
  if (!isRds)
    around.note(
      'to do',
      `Save the certificate authority of the database server ${host} as ${certificateAuthority}.`,
    );
  const looksAtSizes = answers.jobs.includes('databaseSize');
  if (looksAtSizes && !answers.databaseUser) {
    comments['databases.0.user'] = 'Not there yet: put its ARN here.';
    around.note(
      'missing',
      `A database user that looks at sizes, with the grants of docs/database-size.md, and its secret, as JSON {"username": …, "password": …}:\n${createSecret(answers.name, 'database-size')}`,
    );
  }
  if (databases.password?.kind === 'secret' && databases.password.key !== 'password') {
    const { key, id } = databases.password;
    const name = secretOf(id, found.secrets)?.name ?? id;
    around.note(
      'taken',
      key === undefined
        ? `No rotation is configured: the secret ${name} holds the password alone, as plain text, and what is rotated is JSON with "username" and "password". docs/credential-rotation.md says how to come from one to the other.`
        : `No rotation is configured: of the secret ${name} the containers take the key ${key}, and what is rotated is JSON with "username" and "password".`,
    );
  } else if (!BY_ITSELF.includes(engine) && databases.password !== undefined)
    around.note(
      'taken',
      `No rotation is configured: on ${engine} it needs an administrator, and on PostgreSQL two users. docs/credential-rotation.md says how to have it.`,
    );
  return {
    prefix,
    engine,
    host,
    port,
    certificateAuthority,
    ...(looksAtSizes && { user: secretField(found, answers.name, 'database-size', answers.databaseUser) }),
    ...(idleTimeoutSeconds !== undefined && { idleTimeoutSeconds }),
  };
}

/** The services of each role that has containers, with the name that the container has in most of them. */
function byRole(
  containers: ClientContainer[],
): Partial<Record<Role, { services: string[]; container: string; left: string[] }>> {
  return Object.fromEntries(
    ROLES.flatMap((role) => {
      const own = containers.filter((each) => each.role === role);
      const names = [...new Set(own.map(({ container }) => container.name ?? ''))];
      const count = (name: string) => own.filter(({ container }) => container.name === name).length;
      const [container, ...left] = names.toSorted((one, other) => count(other) - count(one));
      if (container === undefined) return [];
      const services = own.filter((each) => each.container.name === container).map(({ of }) => of.name);
      return [[role, { services: [...new Set(services)].sort(), container, left }]];
    }),
  );
}

type LogCleanup = NonNullable<Deployment['jobs']['logCleanup']>;

function draftLogCleanup(
  around: Surroundings,
  { containers, clusterName = '', sessionKeyArn }: Discovery,
  { instancesTag }: Answers,
): Omit<LogCleanup, 'schedule' | 'timeLimitMinutes'> {
  const roles = byRole(containers);
  for (const [role, { left, container }] of Object.entries(roles))
    if (left.length > 0)
      around.note(
        'to do',
        `Containers of the role ${role} are called ${container}, and others ${left.join(', ')}: logCleanup takes one name for each role, and leaves out the others.`,
      );
  const without = [
    ...new Set(containers.filter(({ of }) => !of.service.enableExecuteCommand).map(({ of }) => of.name)),
  ];
  if (without.length > 0 && !instancesTag)
    around.note(
      'to do',
      `ECS Exec is not enabled in ${without.join(', ')}, and logCleanup reaches containers by it. Enable it in each; or, for tasks on EC2, have Run Command reach their instances (--instances-tag KEY=VALUE):\naws ecs update-service --cluster ${clusterName} --service SERVICE --enable-execute-command --force-new-deployment`,
    );
  if (instancesTag)
    around.note(
      'to do',
      'Run Command reaches the containers by their instances: these need AWS Systems Manager’s agent, and its rights in the instance role (the managed policy AmazonSSMManagedInstanceCore).',
    );
  return {
    clusterName,
    roles: Object.fromEntries(
      Object.entries(roles).map(([role, { services, container }]) => [role, { services, container }]),
    ),
    ...(instancesTag
      ? { runCommand: instancesTag }
      : sessionKeyArn !== undefined && { sessionEncryptionKeyArn: sessionKeyArn }),
  };
}

type Rotation = NonNullable<Deployment['jobs']['credentialRotation']>;

function draftRotation(
  around: Surroundings,
  found: Discovery,
  { name, credential }: Answers,
  comments: Record<string, string>,
): Omit<Rotation, 'schedule' | 'timeLimitMinutes'> {
  const { containers, clusterName = '', databases, metaTemplate, secrets } = found;
  const password = databases?.password;
  const own = password?.kind === 'secret' ? secretOf(password.id, secrets) : undefined;
  const secret = credential ?? own;
  if (!secret) {
    comments['jobs.credentialRotation.secret'] = 'Not there yet: put its ARN here.';
    around.note(
      'missing',
      `A secret with the client's own database user, to be rotated, as JSON {"username": …, "password": …} with what the containers log in with now:\n${createSecret(name, 'database')}`,
    );
  }
  const services = byRole(containers);
  const monitoringSecret = metaTemplate?.monitoring && {
    secretArn: metaTemplate.monitoring.secretArn,
    ...keyOf(secretOf(metaTemplate.monitoring.secretArn, secrets)),
  };
  const copied = password?.kind === 'parameter' && !metaTemplate ? password.name : undefined;
  return {
    secret: secretField(found, name, 'database', secret),
    strategy: { kind: 'dual-password' },
    clusterName,
    services: {
      ...Object.fromEntries(Object.entries(services).map(([role, each]) => [role, each.services])),
      ...(metaTemplate?.monitoring &&
        metaTemplate.monitoring.services.length > 0 && { others: metaTemplate.monitoring.services }),
    },
    ...(metaTemplate?.encryptionKeyArn !== undefined && {
      metaTemplate: {
        stackName: metaTemplate.stackName,
        encryptionKeyArn: metaTemplate.encryptionKeyArn,
        ...(metaTemplate.monitoring &&
          metaTemplate.monitoring.services.length > 0 && {
            monitoring: monitoringSecret,
          }),
      },
    }),
    ...(copied !== undefined && {
      copies: {
        parameters: [
          {
            name: copied,
            ...(databases?.passwordKeyArn !== undefined && { encryptionKeyArn: databases.passwordKeyArn }),
          },
        ],
      },
    }),
  };
}

/** What it is to expect or to set nobody but a person knows: it reads and reports. */
function draftApplicationSettings(
  around: Surroundings,
  found: Discovery,
  { name, jobs, administrator }: Answers,
  comments: Record<string, string>,
  run: PlannedRun,
): Pick<Deployment['jobs'], 'applicationSettings'> {
  if (!jobs.includes('applicationSettings')) {
    around.note(
      'taken',
      "Nothing looks at WebApp's own settings: it shows them to administrators only. --administrator-secret names the secret of one, docs/application-settings.md says what for.",
    );
    return {};
  }
  if (!administrator) {
    comments['jobs.applicationSettings.administrator'] = 'Not there yet: put its ARN here.';
    around.note(
      'missing',
      `A secret with an administrator of WebApp, as JSON {"username": …, "password": …}, which application-settings alone reads:\n${createSecret(name, 'administrator')}`,
    );
  }
  around.note(
    'taken',
    "WebApp's own settings are read and reported: what they are to be, expected and settings of applicationSettings say (docs/application-settings.md).",
  );
  return {
    applicationSettings: {
      ...run,
      administrator: secretField(found, name, 'administrator', administrator),
    },
  };
}

function draftMedia(around: Surroundings, { media }: Discovery): Pick<Deployment, 'mediaVolume'> {
  if (media === undefined) {
    around.note(
      'taken',
      'No file system was found at /usr/local/wamedia: nothing watches the media volume. docs/media-volume.md says how to have one.',
    );
    return {};
  }
  const { fileSystemId, securityGroupId, accessPointId, throughput, directory } = media;
  if (securityGroupId === undefined) {
    around.note(
      'to do',
      `The file system ${fileSystemId} has no mount target whose security group could be found: nothing watches it until mediaVolume.existing names it.`,
    );
    return {};
  }
  return {
    mediaVolume: {
      existing: {
        fileSystemId,
        securityGroupId,
        ...(accessPointId !== undefined && { accessPointId }),
        ...(throughput !== undefined && { throughput }),
      },
      ...(directory !== undefined && { directory }),
    },
  };
}
