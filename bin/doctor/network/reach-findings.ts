import type { Finding } from '../check.ts';
import type { ExaminedDeployment } from '../examined-deployment.ts';
import { type Reach, reachOf, type Standing } from './reach.ts';

/** Who calls which services of AWS, and from where. */
export interface Caller {
  /** The beginning of a sentence: "The functions", "Its tasks". */
  who: string;
  standings: readonly Standing[];
  /** As their interface endpoints are called. */
  services: readonly string[];
  region: string;
}

/** What there is to say of the ways from somewhere to AWS: one finding for each thing that is in the way. */
export function reachFindings(deployment: ExaminedDeployment, caller: Caller): Finding[] {
  const { who, standings, services, region } = caller;
  const seen = new Map<string, { reach: Reach; services: Set<string>; subnets: Set<string> }>();
  for (const standing of standings)
    for (const service of services) {
      const reach = reachOf(service, standing, region);
      const key = reach.way === 'open' ? `open ${reach.by}` : `${reach.way} ${reach.why}`;
      const known = seen.get(key) ?? { reach, services: new Set(), subnets: new Set() };
      known.services.add(service);
      known.subnets.add(standing.subnetId);
      seen.set(key, known);
    }
  const found = [...seen.values()];
  const wrong = found.flatMap(({ reach, ...to }): Finding[] => {
    if (reach.way === 'open') return [];
    const saw = `${who} in ${listed(to.subnets)} and ${listed(to.services)}: ${reach.why}.`;
    if (reach.way === 'shut')
      return [{ status: 'failed', saw: `${saw} There is no way.`, mend: mendOf(reach.mend, to.services) }];
    // What really runs there shows it once it does: the checks of commands and of what the jobs need.
    return deployment.isDeployed ? [{ status: 'ok', saw }] : [{ status: 'could not look', saw }];
  });
  if (wrong.some(({ status }) => status !== 'ok')) return wrong;
  const ways = found.flatMap(({ reach, services: to }) =>
    reach.way === 'open' ? [`${listed(to)} by ${reach.by}`] : [],
  );
  return [
    ...wrong,
    ...(ways.length > 0 ? [{ status: 'ok' as const, saw: `${who} reach ${ways.join('; ')}.` }] : []),
  ];
}

function listed(names: ReadonlySet<string>): string {
  return [...names].sort().join(', ');
}

/** One of several services stands in a mend; the others are to be done likewise. */
function mendOf(mend: string, services: ReadonlySet<string>): string {
  const [, prefix, first] = /--service-name (\S+\.)([\w.-]+)/.exec(mend) ?? [];
  const others = [...services].filter((service) => service !== first);
  if (prefix === undefined || others.length === 0) return mend;
  return `${mend}\nlikewise for ${others.map((service) => `${prefix}${service}`).join(', ')}; or a NAT gateway for all of them`;
}
