import { firstSkip, minutesFromTo, windowMinutes } from '../local-time.ts';
import { readCertificates } from './certificate.ts';
import type { ConfigurationOutput, DeploymentOutput, NotificationsOutput } from './configuration-schema.ts';
import { DURABLE_REGIONS } from './durable-regions.ts';
import { type Mistake, pathText, valueText } from './mistakes.ts';

/** A deployment as configured, checked, with the defaults filled in. */
export type Deployment = Omit<DeploymentOutput, 'notifications'> & {
  notifications: NotificationsOutput;
  /** The certificates to trust, PEM, read from the file that is configured. */
  certificateAuthority: string;
};

/** EventBridge Scheduler does not make up for a skipped time: so far ahead a schedule must not meet one. */
const YEARS_AHEAD = 10;

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
    const certificateAuthority = certificateOf(deployment, root, folder, mistakes, found);
    const notifications = deployment?.notifications ?? whole.notifications;
    deployments.push({ ...deployment, notifications, certificateAuthority });
  }
  return { deployments, mistakes: found };
}

interface Check {
  /** Fields of the deployment, dotted. */
  needs: string[];
  find(
    deployment: DeploymentOutput,
    configuration: ConfigurationOutput,
    index: number,
  ): { field: (string | number)[]; problem: string }[];
}

const CHECKS: Check[] = [
  {
    needs: ['name'],
    find({ name }, { deployments }, index) {
      const first = deployments.findIndex((other) => other?.name === name);
      if (first === index) return [];
      return [
        {
          field: ['name'],
          problem: `is ${valueText(name)}, as is deployments[${first}].name; it must be a name of its own.`,
        },
      ];
    },
  },
  {
    needs: ['region'],
    find({ region }, { additionalDurableRegions }) {
      const added = Array.isArray(additionalDurableRegions) ? additionalDurableRegions : [];
      if ([...DURABLE_REGIONS, ...added].includes(region)) return [];
      return [
        {
          field: ['region'],
          problem: `is ${valueText(region)}, which has no Lambda durable functions as far as is known here; it must be one of ${DURABLE_REGIONS.join(', ')}, or be named in additionalDurableRegions if it has got them since.`,
        },
      ];
    },
  },
  {
    needs: ['region', 'network.subnets'],
    find({ region, network: { subnets } }) {
      const zones = subnets.map(({ availabilityZone }) => availabilityZone);
      return zones.flatMap((zone, index) => {
        const field = ['network', 'subnets', index, 'availabilityZone'];
        if (!zone.startsWith(region))
          return [{ field, problem: `is ${valueText(zone)}; it must be a zone of ${region}.` }];
        if (zones.indexOf(zone) !== index)
          return [
            {
              field,
              problem: `is ${valueText(zone)} a second time; it must be another zone than the others.`,
            },
          ];
        return [];
      });
    },
  },
  {
    needs: ['network.endpoints', 'network.otherEndpointClients'],
    find({ network: { endpoints, otherEndpointClients } }) {
      if (endpoints === 'create' || otherEndpointClients.length === 0) return [];
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
    needs: ['window', 'jobs.messageGc.timeLimitMinutes'],
    find({ window, jobs }) {
      const { timeLimitMinutes = 0 } = jobs.messageGc ?? {};
      if (timeLimitMinutes <= windowMinutes(window)) return [];
      return [
        {
          field: ['window'],
          problem: `from ${window.from} to ${window.to} has ${windowMinutes(window)} minutes; it must have at least the ${timeLimitMinutes} of jobs.messageGc.timeLimitMinutes.`,
        },
      ];
    },
  },
  {
    needs: ['window', 'jobs.messageGc.schedule'],
    find({ window, jobs }) {
      if (!jobs.messageGc) return [];
      const { at, flexibleMinutes } = jobs.messageGc.schedule;
      if (minutesFromTo(window.from, at) + flexibleMinutes < windowMinutes(window)) return [];
      const span = flexibleMinutes > 0 ? ` with its ${flexibleMinutes} flexible minutes` : '';
      return [
        {
          field: ['jobs', 'messageGc', 'schedule', 'at'],
          problem: `is ${valueText(at)}; it must lie${span} inside the downtime window, from ${window.from} to ${window.to}.`,
        },
      ];
    },
  },
  {
    needs: ['timeZone', 'jobs.messageGc.schedule.at'],
    find({ timeZone, jobs }) {
      if (!jobs.messageGc) return [];
      const { at } = jobs.messageGc.schedule;
      const skip = firstSkip(at, timeZone, { after: new Date(), years: YEARS_AHEAD });
      if (!skip) return [];
      return [
        {
          field: ['jobs', 'messageGc', 'schedule', 'at'],
          problem: `is ${valueText(at)}, a time that ${timeZone} skips when daylight saving begins (first on ${skip.date}) and EventBridge Scheduler then skips too; it must lie outside ${skip.from} to ${skip.to}.`,
        },
      ];
    },
  },
  {
    needs: ['jobs.messageGc.timeLimitMinutes', 'jobs.messageGc.callbackTimeoutMinutes'],
    find({ jobs }) {
      if (!jobs.messageGc) return [];
      const { callbackTimeoutMinutes, timeLimitMinutes } = jobs.messageGc;
      if (callbackTimeoutMinutes < timeLimitMinutes) return [];
      return [
        {
          field: ['jobs', 'messageGc', 'callbackTimeoutMinutes'],
          problem: `is ${callbackTimeoutMinutes}; it must be less than the ${timeLimitMinutes} of timeLimitMinutes.`,
        },
      ];
    },
  },
];

function elsewhere(
  field: string[],
  arn: string | undefined,
  expected: { region: string; account?: string },
): { field: string[]; problem: string }[] {
  if (!arn) return [];
  const [, , , region, account] = arn.split(':');
  const wrong = [
    ...(region === expected.region ? [] : [`region ${region}`]),
    ...(!expected.account || account === expected.account ? [] : [`account ${account}`]),
  ];
  if (wrong.length === 0) return [];
  const allowed = [expected.region, ...(expected.account ? [expected.account] : [])].join(' and ');
  return [
    { field, problem: `names ${wrong.join(' and ')}; it must be of the deployment's own, ${allowed}.` },
  ];
}

function certificateOf(
  deployment: DeploymentOutput,
  root: (string | number)[],
  folder: string,
  mistakes: Mistake[],
  found: Mistake[],
): string {
  const path = [...root, 'webApp', 'certificateAuthority'];
  if (isMistaken(path, mistakes)) return '';
  const file = deployment.webApp.certificateAuthority;
  try {
    return readCertificates(file, folder);
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error);
    found.push({ path, sentence: `${pathText(path)} names ${valueText(file)}, ${problem}` });
    return '';
  }
}

/** Whether a mistake lies on the field, above it or inside it. */
function isMistaken(path: (string | number)[], mistakes: Mistake[]): boolean {
  return mistakes.some((mistake) => {
    const shared = Math.min(path.length, mistake.path.length);
    return path.slice(0, shared).every((key, index) => String(key) === String(mistake.path[index]));
  });
}
