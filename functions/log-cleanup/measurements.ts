import { firstWords } from '../shared/containers/words.ts';
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
  const torn = new Set<string>();
  for (const line of output.split('\n')) {
    const [first, when, kind, ...words] = line.trimEnd().split(' ');
    if (first !== marker || (when !== 'before' && when !== 'after')) continue;
    found[when] ??= emptyMeasurement();
    // A count that is none is not taken for one: then nothing is said of that time.
    if (!read(found[when], kind, words)) torn.add(when);
    // Without it, what came may be that of a measurement that was given up.
    if (kind === 'measured') complete.add(when);
  }
  if (!complete.has('before') || torn.has('before')) delete found.before;
  if (!complete.has('after') || torn.has('after')) delete found.after;
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

/** @returns whether the line says what such a line says. */
function read(measurement: Measurement, kind: string | undefined, [first, ...rest]: string[]): boolean {
  const text = rest.join(' ');
  const count = countOf(first);
  switch (kind) {
    case 'live':
    case 'archive': {
      const bytes = countOf(text);
      if (count === undefined || bytes === undefined) return false;
      measurement[kind] = { files: count, bytes };
      return true;
    }
    case 'oversized':
      if (count === undefined) return false;
      measurement.oversized.push({ path: text, bytes: count });
      return true;
    case 'archived': {
      if (count === undefined) return false;
      const known = measurement.archived.find(({ log }) => log === text);
      if (known) known.files += count;
      else measurement.archived.push({ log: text, files: count });
      return true;
    }
    case 'space': {
      const [available, ...mount] = rest;
      const free = countOf(available);
      // A file system of which df knows no numbers is not one that logs fill.
      if (count !== undefined && free !== undefined)
        note(measurement, { id: mount.join(' '), used: count * 1024, available: free * 1024 });
      return true;
    }
    case 'blocks': {
      const [total, free, available, inodes = 0, freeInodes = 0] = rest.slice(0, 5).map(countOf);
      if (count === undefined || total === undefined || free === undefined || available === undefined)
        return true;
      if (free > total || freeInodes > inodes) return true;
      note(measurement, {
        id: rest.slice(5).join(' '),
        used: (total - free) * count,
        available: available * count,
        ...(inodes > 0 && { inodes: { used: inodes - freeInodes, available: freeInodes } }),
      });
      return true;
    }
    default:
      return true;
  }
}

/** Counts of bytes, blocks and files have fewer digits. */
const COUNT = /^\d{1,15}$/;

function countOf(text: string | undefined): number | undefined {
  return text !== undefined && COUNT.test(text) ? Number(text) : undefined;
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

/** Of a file's name, which a container can make as long as it likes. */
const NAME_BYTES = 120;

/** What breaks the container's own rules of rotation, a sentence each. */
export function brokenRotation(
  { oversized, archived }: Measurement,
  { maximumBytes, keptFiles }: RotationRules,
): string[] {
  return [
    ...oversized.map(
      ({ path, bytes }) =>
        `${firstWords(path, NAME_BYTES)} has ${inMegabytes(bytes)} MB, though it should be rotated above ${inMegabytes(maximumBytes)} MB.`,
    ),
    ...archived
      .filter(({ files }) => files > keptFiles)
      .map(
        ({ log, files }) =>
          `The archive has ${files} files of ${firstWords(log, NAME_BYTES)}, though it should keep ${keptFiles}.`,
      ),
  ];
}

function inMegabytes(bytes: number): number {
  return Math.round(bytes / 1024 / 1024);
}
