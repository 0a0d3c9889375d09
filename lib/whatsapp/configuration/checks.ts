// In one file though long: a table of checks, each of a few lines.
import { sameContainers } from '../../checks/containers.ts';
import type { Finding } from '../../checks/mistakes.ts';
import { type FieldPath, type Mistake, pathText, valueText } from '../../checks/mistakes.ts';
import { regionProblems } from '../../durable-regions.ts';
import { rdsRootProblems } from '../../rds-roots.ts';
import { setNameOf } from '../client-databases.ts';
import { mediaStackName, stackName } from '../stack-names.ts';
import { watchedTrafficFindings } from '../watched-traffic.ts';
import { APPLICATION_SETTINGS_CHECKS } from './application-settings-checks.ts';
import { readCertificates } from './certificate.ts';
import { type Check, elsewhere } from './check.ts';
import { CREDENTIAL_ROTATION_CHECKS } from './credential-rotation-checks.ts';
import { NEIGHBOUR_CHECKS } from './neighbour-checks.ts';
import { SCHEDULE_CHECKS } from './schedule-checks.ts';
import type { ConfigurationOutput, DeploymentOutput, NotificationsOutput } from './schema.ts';
import { UPGRADE_CHECK_CHECKS } from './upgrade-check-checks.ts';

/** A deployment as configured, checked, with the defaults filled in. */
export type Deployment = Omit<DeploymentOutput, 'notifications'> & {
  /** Its place in the configuration, for messages: `deployments[0]`. */
  field: string;
  /** Of all deployments. */
  additionalDurableRegions: string[];
  /** Likewise. */
  dashboards: boolean;
  notifications: NotificationsOutput;
  /** The certificates to trust, PEM, read from the file that is configured. */
  certificateAuthority: string;
  /** Likewise for the webhook behind the relay, if it has one of its own. */
  relayCertificateAuthority: string | undefined;
  /** Likewise, in place of the files: `certificateAuthority` is PEM, or `rds`. */
  databases: DeploymentOutput['databases'];
};

/**
 * Checks what no single field can say.
 * @param configuration as valibot left it: whole where `mistakes` names nothing.
 * @param folder that paths are relative to.
 * @param mistakes already found: a check that needs a mistaken field is not made.
 */
export function checkDeployments(
  configuration: unknown,
  folder: string,
  mistakes: Mistake[],
): { deployments: Deployment[]; mistakes: Mistake[] } {
  const { deployments: given } = (configuration ?? {}) as Partial<ConfigurationOutput>;
  const whole = configuration as ConfigurationOutput;
  const found: Mistake[] = [];
  const deployments: Deployment[] = [];
  for (const [index, deployment] of (Array.isArray(given) ? given : []).entries()) {
    const root = ['deployments', index];
    for (const { needs, find } of CHECKS) {
      if (needs.some((need) => isMistaken([...root, ...need.split('.')], mistakes))) continue;
      for (const { field, problem } of find(deployment, whole, index)) {
        const path = [...root, ...field];
        found.push({ path, sentence: `${pathText(path)} ${problem}` });
      }
    }
    const readCertificate = (...field: FieldPath) =>
      certificateOf(deployment, [...root, ...field], field, folder, mistakes, found);
    const certificateAuthority = readCertificate('webApp', 'certificateAuthority') ?? '';
    const relayCertificateAuthority = readCertificate('callbacks', 'relay', 'certificateAuthority');
    const databases = Array.isArray(deployment?.databases)
      ? deployment.databases.map((databases, index) => ({
          ...databases,
          certificateAuthority:
            databases?.certificateAuthority === 'rds'
              ? 'rds'
              : (readCertificate('databases', index, 'certificateAuthority') ?? ''),
        }))
      : undefined;
    const notifications = deployment?.notifications ?? whole.notifications ?? {};
    deployments.push({
      ...deployment,
      field: pathText(root),
      additionalDurableRegions: whole.additionalDurableRegions,
      dashboards: whole.dashboards === true,
      notifications,
      certificateAuthority,
      relayCertificateAuthority,
      databases,
    });
  }
  return { deployments, mistakes: found };
}

const CHECKS: Check[] = [
  {
    needs: ['account', 'callbacks.senders'],
    find: ({ account, callbacks }) =>
      (callbacks?.senders ?? []).flatMap((sender, index) =>
        sender === account
          ? [
              {
                field: ['callbacks', 'senders', index],
                problem:
                  "is the bus's own account, which a policy lets nobody in by: name the webhook's role, or attach the policy that the stack prints to it.",
              },
            ]
          : [],
      ),
  },
  {
    needs: ['name'],
    find({ name }, { deployments }, index) {
      const first = deployments.findIndex((other) => other?.name === name);
      const same =
        first === index
          ? []
          : [`is ${valueText(name)}, as is deployments[${first}].name; it must be a name of its own.`];
      const media = deployments.findIndex(
        (other) =>
          typeof other?.name === 'string' &&
          other.mediaVolume?.create &&
          mediaStackName(other.name) === stackName(name),
      );
      const taken =
        media < 0
          ? []
          : [
              `is ${valueText(name)}, whose stack would have the name of that of the media volume of deployments[${media}]; it must be another name.`,
            ];
      return [...same, ...taken].map((problem) => ({ field: ['name'], problem }));
    },
  },
  {
    needs: ['region'],
    find({ region }, { additionalDurableRegions }) {
      const added = Array.isArray(additionalDurableRegions) ? additionalDurableRegions : [];
      return regionProblems(region, added).map((problem) => ({ field: ['region'], problem }));
    },
  },
  {
    needs: ['region'],
    find(deployment) {
      const partition = partitionOf(deployment.region);
      return arnsOf(deployment, []).flatMap(({ field, arn }) => {
        const [, named = ''] = arn.split(':');
        if (named === partition) return [];
        return [
          {
            field,
            problem: `names the partition ${named}; it must be of that of ${deployment.region}, which is ${partition}.`,
          },
        ];
      });
    },
  },
  {
    needs: ['notifications'],
    find({ notifications }, { notifications: general }) {
      if (notifications ?? general) return [];
      return [
        {
          field: ['notifications'],
          problem:
            'is missing, and so is notifications of the configuration; one of them must say by "emails" or "topicArn" who is told of alarms, or by silent: true that nobody is.',
        },
      ];
    },
  },
  {
    needs: ['region', 'network.subnets'],
    find({ region, network: { subnets } }) {
      return subnetFindings(region, ['network', 'subnets'], subnets);
    },
  },
  {
    needs: ['region', 'mediaVolume'],
    find({ region, mediaVolume }) {
      if (!mediaVolume?.create) return [];
      const { subnets = [], replicationRegion, ...storage } = mediaVolume.create;
      const field = ['mediaVolume', 'create'];
      const problems = subnetFindings(region, [...field, 'subnets'], subnets);
      if (replicationRegion === region)
        problems.push({
          field: [...field, 'replicationRegion'],
          problem: `is ${valueText(region)}, where the volume itself is; it must be another region.`,
        });
      const { archiveAfterDays, infrequentAccessAfterDays, throughput } = storage;
      if (archiveAfterDays === 0) return problems;
      if (throughput !== 'elastic')
        problems.push({
          field: [...field, 'archiveAfterDays'],
          problem: 'has archive used without elastic throughput; it must be 0, or throughput "elastic".',
        });
      if (infrequentAccessAfterDays === 0 || infrequentAccessAfterDays >= archiveAfterDays)
        problems.push({
          field: [...field, 'archiveAfterDays'],
          problem: `is ${archiveAfterDays}; it must be 0, or more than infrequentAccessAfterDays, which must be at least 1.`,
        });
      return problems;
    },
  },
  {
    needs: ['network.endpoints', 'network.otherEndpointClients', 'network.securityGroupIds'],
    find({ network: { endpoints, otherEndpointClients, securityGroupIds } }) {
      if (endpoints === 'create')
        return otherEndpointClients.flatMap((id, index) =>
          securityGroupIds.includes(id)
            ? [
                {
                  field: ['network', 'otherEndpointClients', index],
                  problem: `is ${valueText(id)}, which is one of securityGroupIds; it must be left out, for the functions are let in anyway.`,
                },
              ]
            : [],
        );
      if (otherEndpointClients.length === 0) return [];
      return [
        {
          field: ['network', 'otherEndpointClients'],
          problem:
            'has an effect only with endpoints: "create"; it must be left out, or the endpoints created here.',
        },
      ];
    },
  },
  {
    needs: ['region', 'account', 'webApp.apiUser'],
    find({ region, account, webApp: { apiUser } }) {
      return [
        ...elsewhere(['webApp', 'apiUser', 'secretArn'], apiUser.secretArn, { region, account }),
        ...elsewhere(['webApp', 'apiUser', 'encryptionKeyArn'], apiUser.encryptionKeyArn, { region }),
      ];
    },
  },
  {
    needs: ['region', 'notifications'],
    find({ region, notifications }, { notifications: general }) {
      if (notifications) return elsewhere(['notifications', 'topicArn'], notifications.topicArn, { region });
      const topicArn = typeof general?.topicArn === 'string' ? general.topicArn : undefined;
      return elsewhere([], topicArn, { region }).map(({ problem }) => ({
        field: [],
        problem: `takes its alarms' topic from notifications.topicArn, which ${problem.replace(/;.*$/, '')}; it must have notifications of its own, for alarms reach topics of their own region only.`,
      }));
    },
  },
  {
    needs: ['jobs'],
    find({ jobs }) {
      if (Object.keys(jobs).length > 0) return [];
      return [{ field: ['jobs'], problem: 'names no job; it must have one, such as "messageGc".' }];
    },
  },
  {
    needs: ['jobs.messageGc.watchWindow'],
    find: ({ jobs: { messageGc } }) =>
      watchedTrafficFindings(messageGc?.watchWindow).map(({ field, problem }) => ({
        field: ['jobs', 'messageGc', ...field],
        problem,
      })),
  },
  ...SCHEDULE_CHECKS,
  {
    needs: ['databases', 'jobs.databaseSize'],
    find({ databases, jobs }) {
      if (!jobs.databaseSize || databases) return [];
      return [
        {
          field: ['jobs', 'databaseSize'],
          problem: 'has no databases to look at; it must come with "databases" of the deployment.',
        },
      ];
    },
  },
  {
    needs: ['region', 'account', 'databases'],
    find({ region, account, databases = [] }) {
      return databases.flatMap(({ user }, index) => {
        const field = ['databases', index, 'user'];
        return [
          ...elsewhere([...field, 'secretArn'], user?.secretArn, { region, account }),
          ...elsewhere([...field, 'encryptionKeyArn'], user?.encryptionKeyArn, { region }),
        ];
      });
    },
  },
  {
    needs: ['region', 'databases'],
    find({ region, databases = [] }) {
      return databases.flatMap(({ certificateAuthority }, index) =>
        (certificateAuthority === 'rds' ? rdsRootProblems(region) : []).map((problem) => ({
          field: ['databases', index, 'certificateAuthority'],
          problem,
        })),
      );
    },
  },
  {
    needs: ['databases', 'jobs.databaseSize', 'upgradeCheck'],
    find({ databases = [], jobs, upgradeCheck }) {
      const [looking] = [jobs.databaseSize && 'jobs.databaseSize', upgradeCheck && 'upgradeCheck'].flatMap(
        (name) => name || [],
      );
      if (!looking) return [];
      return databases.flatMap(({ user }, index) =>
        user
          ? []
          : [
              {
                field: ['databases', index, 'user'],
                problem: `is missing; it must be an object with "secretArn", for ${looking} to log in.`,
              },
            ],
      );
    },
  },
  {
    needs: ['databases'],
    find({ databases = [] }) {
      const names = databases.map(setNameOf);
      return names.flatMap((name, index) => {
        const field = ['databases', index, databases[index]?.name ? 'name' : 'prefix'];
        const first = names.indexOf(name);
        if (!/^[\w-]+$/.test(name))
          return [
            {
              field,
              problem: `is ${valueText(name)}, which cannot name metrics; it must come with a "name" of letters, digits, hyphens and underscores.`,
            },
          ];
        if (first === index) return [];
        return [
          {
            field,
            problem: `names the set ${valueText(name)}, as does databases[${first}]; it must come with a "name" of its own.`,
          },
        ];
      });
    },
  },
  {
    needs: ['region', 'jobs.logCleanup.sessionEncryptionKeyArn', 'jobs.logCleanup.runCommand'],
    find({ region, jobs }) {
      const { sessionEncryptionKeyArn, runCommand } = jobs.logCleanup ?? {};
      const field = ['jobs', 'logCleanup', 'sessionEncryptionKeyArn'];
      if (sessionEncryptionKeyArn && runCommand)
        return [{ field, problem: 'is of ECS Exec; it must be left out with runCommand.' }];
      return elsewhere(field, sessionEncryptionKeyArn, { region });
    },
  },
  {
    needs: ['jobs.logCleanup.roles'],
    find({ jobs }) {
      const named = Object.entries(jobs.logCleanup?.roles ?? {}).flatMap(([role, containers]) =>
        (containers?.services ?? []).map((service, index) => ({
          field: ['jobs', 'logCleanup', 'roles', role, 'services', index],
          service,
          container: containers?.container,
        })),
      );
      return sameContainers(named);
    },
  },
  ...APPLICATION_SETTINGS_CHECKS,
  ...CREDENTIAL_ROTATION_CHECKS,

  ...UPGRADE_CHECK_CHECKS,
  ...NEIGHBOUR_CHECKS,
];

function subnetFindings(
  region: string,
  list: string[],
  subnets: readonly { id: string; availabilityZone: string }[],
): Finding[] {
  const zones = subnets.map(({ availabilityZone }) => availabilityZone);
  const ids = subnets.map(({ id }) => id);
  return subnets.flatMap(({ id, availabilityZone: zone }, index) => {
    const field = [...list, index, 'availabilityZone'];
    if (zone.slice(0, -1) !== region)
      return [{ field, problem: `is ${valueText(zone)}; it must be a zone of ${region}.` }];
    if (ids.indexOf(id) !== index)
      return [
        {
          field: [...list, index, 'id'],
          problem: `is ${valueText(id)} a second time; it must be another subnet than the others.`,
        },
      ];
    if (zones.indexOf(zone) !== index)
      return [
        {
          field,
          problem: `is ${valueText(zone)} a second time; it must be another zone than the others.`,
        },
      ];
    return [];
  });
}

/** All texts of a value that are ARNs, with their fields. */
function arnsOf(value: unknown, field: FieldPath): { field: FieldPath; arn: string }[] {
  if (typeof value === 'string') return value.startsWith('arn:') ? [{ field, arn: value }] : [];
  if (Array.isArray(value)) return value.flatMap((item, index) => arnsOf(item, [...field, index]));
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, item]) => arnsOf(item, [...field, key]));
}

/** The part of AWS that a region is of, as the second part of an ARN names it. */
function partitionOf(region: string): string {
  return PARTITIONS.find(({ prefix }) => region.startsWith(prefix))?.partition ?? 'aws';
}

/** Of all regions whose names do not begin with `us-` and the like alone (RegionInfo of the CDK, and AWS's endpoints.json). */
const PARTITIONS = [
  { prefix: 'cn-', partition: 'aws-cn' },
  { prefix: 'us-gov-', partition: 'aws-us-gov' },
  { prefix: 'us-isob-', partition: 'aws-iso-b' },
  { prefix: 'us-isof-', partition: 'aws-iso-f' },
  { prefix: 'eu-isoe-', partition: 'aws-iso-e' },
  { prefix: 'us-iso-', partition: 'aws-iso' },
  { prefix: 'eusc-', partition: 'aws-eusc' },
];

function certificateOf(
  deployment: DeploymentOutput,
  path: FieldPath,
  field: FieldPath,
  folder: string,
  mistakes: Mistake[],
  found: Mistake[],
): string | undefined {
  if (isMistaken(path, mistakes)) return undefined;
  const file = field.reduce<unknown>(
    (value, key) => (typeof value === 'object' && value !== null ? Reflect.get(value, key) : undefined),
    deployment,
  );
  if (typeof file !== 'string') return undefined;
  try {
    return readCertificates(file, folder);
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error);
    found.push({ path, sentence: `${pathText(path)} names ${valueText(file)}, ${problem}` });
    return undefined;
  }
}

/** Whether a mistake lies on the field, above it or inside it. */
function isMistaken(path: FieldPath, mistakes: Mistake[]): boolean {
  return mistakes.some((mistake) => {
    const shared = Math.min(path.length, mistake.path.length);
    return path.slice(0, shared).every((key, index) => String(key) === String(mistake.path[index]));
  });
}
