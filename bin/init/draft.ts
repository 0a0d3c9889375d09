import type { UpkeepConfiguration } from '../../lib/whatsapp/configuration/configuration.ts';
import type { Answers } from './answers.ts';
import type { Discovery } from './discovery.ts';
import { draftApplicationSettings, draftLogCleanup, draftRotation } from './draft-jobs.ts';
import { JOBS, type Job } from './jobs.ts';
import { planRuns } from './schedules.ts';
import { createSecret, secretField } from './secret-fields.ts';
import { secretOf } from './secrets.ts';
import type { Surroundings } from './surroundings.ts';

type Deployment = UpkeepConfiguration['deployments'][number];

/** A configuration, with what is to be said of fields: by their paths within the deployment. */
export interface Draft {
  configuration: UpkeepConfiguration;
  comments: Record<string, string>;
}

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
      `A secret with the WebApp API user, as JSON {"username": …, "password": …}. An ordinary user is enough:\n${createSecret(found, answers.name, 'api-user', '--api-user-secret')}`,
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
      `A database user that looks at sizes, with the grants of docs/database-size.md, and its secret, as JSON {"username": …, "password": …}:\n${createSecret(found, answers.name, 'database-size', '--database-user-secret')}`,
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
