import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Aws } from './aws/server.ts';

/** Somebody who may do everything, as AWS's tools take it. */
export interface Profile {
  name: string;
  account: string;
  region: string;
}

/**
 * Writes a file in the form of `~/.aws/config` with a profile for each: address, region and credentials of the stand-in, for
 * the AWS CLI, the SDKs and all that is made with them.
 *
 * @returns the way to delete it
 */
export function writeProfiles(file: string, aws: Aws, profiles: Profile[]): () => void {
  const sections = profiles.map(({ name, account, region }) => {
    const { accessKeyId, secretAccessKey, sessionToken } = aws.credentialsFor({
      arn: `arn:aws:sts::${account}:assumed-role/operator/stand-in`,
      policy: { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: '*', Resource: '*' }] },
    });
    return `[profile ${name}]
endpoint_url = ${aws.endpoint}
region = ${region}
# Else streams are asked for at another host than this one: logs start-live-tail.
disable_host_prefix_injection = true
aws_access_key_id = ${accessKeyId}
aws_secret_access_key = ${secretAccessKey}
aws_session_token = ${sessionToken}
`;
  });
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, sections.join('\n'), { mode: 0o600 });
  return () => rmSync(file, { force: true });
}
