import type { RotationRules } from './contract.ts';

/** What was measured in a container at one time. */
export interface Measurement {
  /** One for each mount that log folders lie on. Bytes. */
  fileSystems: { mount: string; used: number; available: number }[];
  live: { files: number; bytes: number };
  archive: { files: number; bytes: number };
  /** Live logs far over their limit. */
  oversized: { path: string; bytes: number }[];
  /** Rotated files of each log. */
  archived: { log: string; files: number }[];
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
    // The last line of each.
    if (kind === 'archive') complete.add(when);
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
      const fileSystem = { mount: mount.join(' '), used: number * 1024, available: Number(available) * 1024 };
      if (!measurement.fileSystems.some((other) => other.mount === fileSystem.mount))
        measurement.fileSystems.push(fileSystem);
    }
  }
}

/** Free space of the fullest log file system, in percent of what can be used, to one decimal. */
export function lowestFreePercent({ fileSystems }: Measurement): number | undefined {
  const percents = fileSystems
    .filter(({ used, available }) => used + available > 0)
    .map(({ used, available }) => (available / (used + available)) * 100);
  return percents.length > 0 ? Math.round(Math.min(...percents) * 10) / 10 : undefined;
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
