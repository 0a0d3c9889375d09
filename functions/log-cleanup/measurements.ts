import type { RotationRules } from './contract.ts';

/** What was measured in a container at one time. */
export interface Measurement {
  /** One for each that log folders lie on. */
  fileSystems: FileSystem[];
  live: { files: number; bytes: number };
  archive: { files: number; bytes: number };
  /** Live logs far over their limit. */
  oversized: { path: string; bytes: number }[];
  /** Rotated files of each log. */
  archived: { log: string; files: number }[];
}

export interface FileSystem {
  /** Its mount, or what else tells it from others. */
  id: string;
  /** Bytes, as is what is available. */
  used: number;
  available: number;
  /** Files that are there, and that there could be. Undefined where it has no limit, or none that was told. */
  inodes?: { used: number; available: number };
}

export interface Measurements {
  before: Measurement;
  after: Measurement;
}

/**
 * Reads what the clean-up script's measurements say. Undefined for the one that did not come, as when the
 * container died between them.
 */
export function readMeasurements(output: string, marker: string): Partial<Measurements> {
  const found: Partial<Measurements> = {};
  const complete = new Set<string>();
  for (const line of output.split('\n')) {
    const [first, when, kind, ...words] = line.trimEnd().split(' ');
    if (first !== marker || (when !== 'before' && when !== 'after')) continue;
    found[when] ??= emptyMeasurement();
    read(found[when], kind, words);
    // Without it, what came may be that of a measurement that was given up.
    if (kind === 'measured') complete.add(when);
  }
  if (!complete.has('before')) delete found.before;
  if (!complete.has('after')) delete found.after;
  return found;
}

function emptyMeasurement(): Measurement {
  return {
    fileSystems: [],
    live: { files: 0, bytes: 0 },
    archive: { files: 0, bytes: 0 },
    oversized: [],
    archived: [],
  };
}

function read(measurement: Measurement, kind: string | undefined, [first, ...rest]: string[]): void {
  const number = Number(first);
  const text = rest.join(' ');
  switch (kind) {
    case 'live':
    case 'archive':
      measurement[kind] = { files: number, bytes: Number(text) };
      break;
    case 'oversized':
      measurement.oversized.push({ path: text, bytes: number });
      break;
    case 'archived': {
      const known = measurement.archived.find(({ log }) => log === text);
      if (known) known.files += number;
      else measurement.archived.push({ log: text, files: number });
      break;
    }
    case 'space': {
      const [available, ...mount] = rest;
      note(measurement, { id: mount.join(' '), used: number * 1024, available: Number(available) * 1024 });
      break;
    }
    case 'blocks': {
      const [total = 0, free = 0, available = 0, inodes = 0, freeInodes = 0] = rest.map(Number);
      note(measurement, {
        id: rest.slice(5).join(' '),
        used: (total - free) * number,
        available: available * number,
        ...(inodes > 0 && { inodes: { used: inodes - freeInodes, available: freeInodes } }),
      });
    }
  }
}

function note({ fileSystems }: Measurement, fileSystem: FileSystem): void {
  if (!fileSystems.some(({ id }) => id === fileSystem.id)) fileSystems.push(fileSystem);
}

/**
 * What is free of the fullest log file system, in percent of what can be used, to one decimal: of its space or of its
 * inodes, whichever is less, before or after the clean-up, whichever was less.
 */
export function lowestFreePercent(...measurements: Measurement[]): number | undefined {
  const percents = measurements
    .flatMap(({ fileSystems }) => fileSystems)
    .flatMap(({ used, available, inodes }) => [{ used, available }, ...(inodes ? [inodes] : [])])
    .filter(({ used, available }) => used + available > 0)
    .map(({ used, available }) => (available / (used + available)) * 100);
  return percents.length > 0 ? Math.round(Math.min(...percents) * 10) / 10 : undefined;
}

/** Bytes: less than this, and what others write meanwhile explains the difference. */
const NOTABLE = 64 * 1024 * 1024;

/**
 * A sentence if the files shrank and the file systems did not: something holds deleted files open, so that their
 * space is still taken.
 */
export function heldOpen({ before, after }: Measurements): string | undefined {
  const gone = bytesFreed({ before, after });
  const known = after.fileSystems.filter(({ id }) => before.fileSystems.some((other) => other.id === id));
  if (gone < NOTABLE || known.length === 0) return undefined;
  const usedBy = ({ fileSystems }: Measurement) =>
    fileSystems
      .filter(({ id }) => known.some((other) => other.id === id))
      .reduce((sum, { used }) => sum + used, 0);
  const freed = usedBy(before) - usedBy(after);
  if (freed > gone / 2) return undefined;
  return `The logs shrank by ${inMegabytes(gone)} MB, but their file systems have only ${inMegabytes(Math.max(0, freed))} MB less in use: something holds deleted files open.`;
}

/** What the logs and their archive shrank by. Not less than zero: what is written meanwhile is nobody's fault. */
export function bytesFreed({ before, after }: Measurements): number {
  const total = ({ live, archive }: Measurement) => live.bytes + archive.bytes;
  return Math.max(0, total(before) - total(after));
}

/** What breaks the container's own rules of rotation, a sentence each. */
export function brokenRotation(
  { oversized, archived }: Measurement,
  { maximumBytes, keptFiles }: RotationRules,
): string[] {
  return [
    ...oversized.map(
      ({ path, bytes }) =>
        `${path} has ${inMegabytes(bytes)} MB, though it should be rotated above ${inMegabytes(maximumBytes)} MB.`,
    ),
    ...archived
      .filter(({ files }) => files > keptFiles)
      .map(
        ({ log, files }) => `The archive has ${files} files of ${log}, though it should keep ${keptFiles}.`,
      ),
  ];
}

function inMegabytes(bytes: number): number {
  return Math.round(bytes / 1024 / 1024);
}
