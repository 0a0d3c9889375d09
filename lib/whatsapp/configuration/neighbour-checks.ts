import type { Finding } from '../../checks/mistakes.ts';
import { valueText } from '../../checks/mistakes.ts';
import { setNameOf } from '../client-databases.ts';
import type { Check } from './check.ts';
import type { DeploymentOutput } from './schema.ts';

/**
 * One client must not be two deployments: each would collect its garbage, run its commands and rotate its password, take the other's
 * callbacks and rows for its own, and know nothing of the other's runs.
 */
export const NEIGHBOUR_CHECKS: Check[] = [
  {
    needs: ['network.vpcId', 'webApp.url'],
    find: ({ network, webApp }, { deployments }, index) =>
      earlier(deployments, index).flatMap(({ other, at }) =>
        // A private name is another host in another VPC.
        other.network?.vpcId === network.vpcId &&
        hostOf(other.webApp?.url) !== undefined &&
        hostOf(other.webApp?.url) === hostOf(webApp.url)
          ? [
              {
                field: ['webApp', 'url'],
                problem: `is ${valueText(webApp.url)}, as is ${at}.webApp.url: ${ONE}`,
              },
            ]
          : [],
      ),
  },
  {
    needs: ['network.vpcId', 'databases'],
    find: ({ network, databases = [] }, { deployments }, index) =>
      earlier(deployments, index).flatMap(({ other, at }) =>
        other.network?.vpcId !== network.vpcId
          ? []
          : databases.flatMap((database, number): Finding[] => {
              const same = listOf(other.databases).findIndex(
                (their) =>
                  their?.host === database.host &&
                  their.port === database.port &&
                  their.prefix === database.prefix,
              );
              if (same < 0) return [];
              return [
                {
                  field: ['databases', number, 'prefix'],
                  problem: `is ${valueText(database.prefix)} on ${database.host}, as is ${at}.databases[${same}] (${setNameOf(database)}): ${ONE}`,
                },
              ];
            }),
      ),
  },
  {
    needs: ['account', 'region', 'jobs.logCleanup'],
    find: ({ account, region, jobs }, { deployments }, index) =>
      earlier(deployments, index).flatMap(({ other, at }) => {
        const theirs =
          other.account === account && other.region === region ? other.jobs?.logCleanup : undefined;
        if (!theirs || theirs.clusterName !== jobs.logCleanup?.clusterName) return [];
        const taken = Object.values(theirs.roles ?? {}).flatMap((role) => listOf(role?.services));
        return Object.entries(jobs.logCleanup.roles).flatMap(([role, containers]): Finding[] =>
          (containers?.services ?? []).flatMap((service, number) =>
            taken.includes(service)
              ? [
                  {
                    field: ['jobs', 'logCleanup', 'roles', role, 'services', number],
                    problem: `is ${valueText(service)}, which ${at}.jobs.logCleanup has too: ${ONE}`,
                  },
                ]
              : [],
          ),
        );
      }),
  },
];

const ONE = 'one client would be two deployments, each unaware of the other; it must be of one.';

function earlier(
  deployments: readonly DeploymentOutput[],
  index: number,
): { other: Partial<DeploymentOutput>; at: string }[] {
  return deployments.slice(0, index).map((other, at) => ({ other: other ?? {}, at: `deployments[${at}]` }));
}

/** What another deployment has may be mistaken, as it is told there. */
function listOf<T>(values: readonly T[] | undefined): readonly (T | undefined)[] {
  return Array.isArray(values) ? values : [];
}

function hostOf(url: unknown): string | undefined {
  return typeof url === 'string' && URL.canParse(url) ? new URL(url).host : undefined;
}
