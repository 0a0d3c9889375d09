import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { World } from './world.ts';

/** Checksums of rotated logs, by deployment, of those that keep theirs. */
export type RotatedLogs = Record<string, ReadonlySet<string>>;

/** What lies in the containers. */
export function rotatedLogs({ aws, deployments }: World): RotatedLogs {
  return Object.fromEntries(
    Object.values(deployments).flatMap(({ name, jobs, containers }) => {
      if (!containers || !jobs.includes('log-cleanup') || keptLogs(aws, name) === undefined) return [];
      const files = containers.containers.flatMap(({ container }) => {
        const folder = container.path('/var/log/whatsapp/archive/x').slice(0, -2);
        return readdirSync(folder)
          .filter((file) => !file.startsWith('.'))
          .map((file) => sha256(readFileSync(join(folder, file))));
      });
      return [[name, new Set(files)]];
    }),
  );
}

/**
 * Whatever the night: a rotated log is where it was, or in S3, and there each is once.
 * @param mayBeLost of deployments whose disk was nearly full.
 */
export function keptLogsMismatches(world: World, before: RotatedLogs, mayBeLost: string[]): string[] {
  const after = rotatedLogs(world);
  return Object.entries(before).flatMap(([name, were]) => {
    const kept = keptLogs(world.aws, name) ?? [];
    const hashes = new Set(kept.map(({ hash }) => hash));
    const lost = [...were].filter((hash) => !hashes.has(hash) && !after[name]?.has(hash));
    return [
      ...(lost.length > 0 !== mayBeLost.includes(name)
        ? [`${name}: ${lost.length} rotated logs are lost.`]
        : []),
      ...kept.flatMap(({ key, hash }) =>
        key.startsWith(`${name}/`) && key.includes(`/${hash.slice(0, 32)}-`)
          ? []
          : [`${name}: ${key} holds something else than its name says.`],
      ),
      ...(hashes.size < kept.length
        ? [`${name}: of ${kept.length} kept logs only ${hashes.size} differ.`]
        : []),
    ];
  });
}

/** How many logs are in the bucket of a deployment. */
export function keptLogsCount({ aws }: World, name: string): number | undefined {
  return keptLogs(aws, name)?.length;
}

/** What the bucket of a deployment holds; undefined where it has none. */
function keptLogs(aws: World['aws'], name: string): { key: string; hash: string }[] | undefined {
  const bucket = aws.deployed.ofType('AWS::S3::Bucket').find(({ stack }) => stack === `upkeep-${name}`);
  return bucket && [...aws.s3.objects(bucket.name)].map(([key, { bytes }]) => ({ key, hash: sha256(bytes) }));
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
