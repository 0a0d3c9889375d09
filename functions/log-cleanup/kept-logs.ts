import { type FoundContainer, taskIdOf } from '../shared/containers/discover-containers.ts';

/** What a rotated log is kept under: `DEPLOYMENT/ROLE/TASK/DAY/CHECKSUM-NAME`, of letters, digits, and `. _ - /`. */
export function keyOf({
  deployment,
  container: { role, taskArn },
  sha256,
  day,
  name,
}: {
  deployment: string;
  container: Pick<FoundContainer, 'role' | 'taskArn'>;
  sha256: string;
  /** Of its last change, `2026-11-24`, if the container can tell. */
  day: string;
  name: string;
}): string {
  const known = /^\d{4}-\d\d-\d\d$/.test(day) ? day : 'undated';
  const plain = name.replaceAll(/[^A-Za-z0-9._-]/g, '_').slice(-LONGEST_NAME);
  return [deployment, role, taskIdOf(taskArn), known, `${sha256.slice(0, CHECKSUM_DIGITS)}-${plain}`].join(
    '/',
  );
}

/** S3 takes keys of 1,024 bytes. */
const LONGEST_NAME = 200;
/** Half of them, 128 bits: of two contents none has the same. */
const CHECKSUM_DIGITS = 32;

/** What the output of a clean-up says of keeping. */
export interface KeptLogs {
  files: number;
  bytes: number;
  /** Files that were not kept when the clean-up began. */
  unkept: number;
  unkeptBytes: number;
  /** Of those, such as have no checksum. */
  unnamed: number;
  /** Of those, deleted though, for the disk was nearly full. */
  deleted: number;
  /** Of those, such as the clean-up did not delete, but made shorter. */
  emptied: number;
  /** There was no clean-up, for what was not kept could not be held. */
  isWithheld: boolean;
  why?: string;
}

/** Reads the lines that are marked. */
export function readKeptLogs(output: string, marker: string): KeptLogs {
  const kept: KeptLogs = {
    files: 0,
    bytes: 0,
    unkept: 0,
    unkeptBytes: 0,
    unnamed: 0,
    deleted: 0,
    emptied: 0,
    isWithheld: false,
  };
  for (const line of output.split('\n')) {
    const [first, kind, ...words] = line.trimEnd().split(' ');
    if (first !== marker) continue;
    const [one, two, three] = words;
    if (kind === 'kept') Object.assign(kept, { files: countOf(one), bytes: countOf(two) });
    else if (kind === 'why') kept.why = words.join(' ');
    else if (kind !== 'archive') continue;
    else if (one === 'unkept') Object.assign(kept, { unkept: countOf(two), unkeptBytes: countOf(three) });
    else if (one === 'unnamed') kept.unnamed = countOf(two);
    else if (one === 'deleted') kept.deleted = countOf(two);
    else if (one === 'emptied') kept.emptied = countOf(two);
    else if (one === 'withheld') kept.isWithheld = true;
  }
  return kept;
}

function countOf(text: string | undefined): number {
  return /^\d{1,15}$/.test(text ?? '') ? Number(text) : 0;
}
