import {
  DescribeSecretCommand,
  paginateListSecretVersionIds,
  type SecretsManagerClient,
} from '@aws-sdk/client-secrets-manager';
import { GetParameterCommand, type SSMClient } from '@aws-sdk/client-ssm';
import type { Watched } from './contract.ts';

/** The version that bears a label. */
export interface LabelledVersion {
  version: string;
  /** A task made from then on was given it. Epoch milliseconds. */
  since: number;
  /**
   * Of the current version of a secret: which one was current before it, as Secrets Manager says it by `AWSPREVIOUS`. Empty: none. So a
   * change that was taken back before anybody looked is known.
   */
  replaced?: string;
  /** An earlier run has seen another one there. */
  isNew: boolean;
}

/** By label; of a parameter, whose latest version is what containers get, that alone. */
export type Versions = Record<string, LabelledVersion>;

/** The label of what containers are given where they name none; of a parameter its latest version. */
export const CURRENT = 'AWSCURRENT';
const PREVIOUS = 'AWSPREVIOUS';

/** What earlier runs have noted of a secret, by label. */
export type Noted = Record<string, Omit<LabelledVersion, 'isNew'>>;

/** AWS may leave out parts of a second. */
const SECOND = 1000;

/**
 * Which versions there are, without their values, which this function may not read. Two calls of a secret, one of a parameter.
 * @throws Error saying what is wrong with it, and what the SDK throws.
 */
export async function versionsOf(
  watched: Watched,
  { secretsManager, ssm }: { secretsManager: SecretsManagerClient; ssm: SSMClient },
  noted: Noted,
): Promise<Versions> {
  return 'parameter' in watched
    ? { [CURRENT]: await parameterVersion(ssm, watched.parameter, noted[CURRENT]) }
    : secretVersions(secretsManager, watched.secretArn, noted);
}

/** A value that is encrypted comes back as it is, for no decryption is asked for. */
async function parameterVersion(
  ssm: SSMClient,
  name: string,
  before: Noted[string] | undefined,
): Promise<LabelledVersion> {
  const { Parameter: found } = await ssm.send(new GetParameterCommand({ Name: name, WithDecryption: false }));
  const version = String(found?.Version ?? '');
  const modified = found?.LastModifiedDate?.getTime() ?? Date.now();
  // One that was deleted and made again begins with version 1 again.
  const isRemade = before !== undefined && before.since < modified;
  return {
    version,
    since: sinceOf(version, isRemade ? undefined : before, modified + SECOND),
    isNew: differs(before, version) || isRemade,
  };
}

async function secretVersions(client: SecretsManagerClient, arn: string, noted: Noted): Promise<Versions> {
  const described = await client.send(new DescribeSecretCommand({ SecretId: arn }));
  if (described.DeletedDate)
    throw new Error(`It is marked for deletion since ${described.DeletedDate.toISOString()}.`);
  const created = new Map<string, number | undefined>();
  for await (const { Versions: page = [] } of paginateListSecretVersionIds({ client }, { SecretId: arn }))
    for (const { VersionId: id = '', CreatedDate: date } of page) created.set(id, date?.getTime());
  const changed = described.LastChangedDate?.getTime() ?? Date.now();
  const rotated = described.LastRotatedDate?.getTime();
  const labels = Object.entries(described.VersionIdsToStages ?? {}).flatMap(([id, stages]) =>
    stages.map((label) => [label, id] as const),
  );
  const previous = labels.find(([label]) => label === PREVIOUS)?.[1] ?? '';
  const versions = Object.fromEntries(
    labels.map(([label, version]): [string, LabelledVersion] => {
      const replaced = label === CURRENT ? previous : undefined;
      const before = noted[label];
      const isBack = replaced !== undefined && (before?.replaced ?? replaced) !== replaced;
      // The label may have been moved long after the version was made: at the latest when the secret was last changed.
      const since =
        before === undefined ? firstSince(created.get(version) ?? changed, rotated) : changed + SECOND;
      return [
        label,
        {
          version,
          since: sinceOf(version, isBack ? undefined : before, since),
          ...(replaced !== undefined && { replaced }),
          isNew: differs(before, version) || isBack,
        },
      ];
    }),
  );
  if (versions[CURRENT] === undefined) throw new Error('No version of it has a value yet.');
  return versions;
}

/**
 * Of a version that no earlier run has seen: since it was made, or since the rotation ended that made it. Any change of the
 * secret, such as a tag, would be later, and tasks would be replaced for nothing.
 */
function firstSince(created: number, rotated: number | undefined): number {
  return Math.max(created, rotated ?? 0) + SECOND;
}

/** What is there when it is looked at, a task gets that is made from then on: also in the second of the change. */
function sinceOf(version: string, before: Noted[string] | undefined, since: number): number {
  return before?.version === version ? before.since : Math.min(since, Date.now());
}

function differs(before: Noted[string] | undefined, version: string): boolean {
  return before !== undefined && before.version !== version;
}
