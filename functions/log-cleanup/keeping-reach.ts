import type { FoundContainer } from '../shared/containers/discover-containers.ts';
import type { Order, Reach, Seen, Stay } from '../shared/containers/reach.ts';
import { PHASES } from './archive-script.ts';
import type { KeepIn } from './contract.ts';
import { keyOf } from './kept-logs.ts';
import { type SigningConfig, sha256Of, signUploads, urlOf } from './upload-address.ts';

/** Of the time that a container has, what keeping its logs may take. */
const KEEPING_SHARE = 1 / 2;
/** Seconds that an address holds at least, so that clocks may differ. Else it holds for as long as logs may be kept. */
const LEAST_ADDRESS_SECONDS = 900;
/** The most that S3 takes (Signature Version 4, `X-Amz-Expires`): a week. */
const MOST_ADDRESS_SECONDS = 604_800;
/** Bytes of a file that is brought through the channel: at its pace, of some hundred kilobytes a second, a minute. */
const MOST_BYTES = 32 * 1024 * 1024;
/** For the upload of such a file from here, which takes seconds: without an answer by then S3 is out of reach. */
const UPLOAD_MILLISECONDS = 60_000;
/** Files of one list: so that it is kept whole of the output of a session, and of Run Command's, with what is signed for them. */
const IN_SESSION = 100;
const IN_PARAMETER = 40;
/** Lists in a container and run, each of some files: far more than there are. */
const MOST_LISTS = 500;

/** How far it is in a container: what is remembered between two looks. */
interface Stage {
  at: 'list' | 'keep' | 'clean';
  /** Number of the list. */
  list: number;
  /** Files at the beginning of each list that could not be kept. */
  leftOut: number;
  files: number;
  bytes: number;
  /** Why some were not kept, of the first. */
  why?: string;
  /** There are files that this list has not. */
  hasMore?: boolean;
  /** Epoch milliseconds after which no more are kept. */
  keepBy: number;
  /** Of the way into containers; without one its order is to be started. */
  handle?: string;
}

interface RotatedFile {
  sha256: string;
  bytes: number;
  day: string;
  name: string;
}

/** What keeping works with besides the way into containers. */
export interface Keeping {
  keepIn: KeepIn;
  deployment: string;
  /** The folder of a role's rotated logs. */
  folderOf: (role: string) => string;
  signing: SigningConfig;
}

/** A container, the order for it, and how long to stay. */
interface Visit {
  container: FoundContainer;
  order: Order;
  stay: Stay;
  /** Epoch milliseconds until which this look may go on to the next thing. */
  until: number;
}

/**
 * A way into containers by which rotated logs are kept in S3 before the order, a clean-up, begins. The container uploads
 * them itself, to addresses that are signed here for each file, content and all; what it cannot upload is read through the
 * channel, where there is one, and uploaded from here. The addresses go into containers by standard input, and nowhere else.
 */
export class KeepingReach implements Reach {
  readonly #reach: Reach;
  readonly #keeping: Keeping;
  /** One file at a time is in memory. */
  #reading: Promise<unknown> = Promise.resolve();

  constructor(reach: Reach, keeping: Keeping) {
    this.#reach = reach;
    this.#keeping = keeping;
  }

  async start(container: FoundContainer, order: Order, stay: Stay): Promise<Seen> {
    const now = Date.now();
    const keepBy = now + (stay.deadline - now) * KEEPING_SHARE;
    const visit = { container, order, stay, until: now + stay.patienceMilliseconds };
    return this.#list(visit, { at: 'list', list: 0, leftOut: 0, files: 0, bytes: 0, keepBy });
  }

  async follow(container: FoundContainer, order: Order, handle: string, stay: Stay): Promise<Seen> {
    const { handle: inner, ...stage }: Stage = JSON.parse(handle);
    const visit = { container, order, stay, until: Date.now() + stay.patienceMilliseconds };
    if (inner === undefined) return this.#list(visit, stage);
    const seen = await this.#reach.follow(container, this.#orderAt(order, stage), inner, {
      ...stay,
      deadline: stage.at === 'clean' ? stay.deadline : stage.keepBy,
    });
    switch (stage.at) {
      case 'list':
        return this.#listed(visit, stage, seen);
      case 'keep':
        return this.#kept(visit, stage, seen);
      case 'clean':
        return cleaned(visit, stage, seen);
    }
  }

  /** Each part of the work is an order of its own, which a container starts once. */
  #orderAt({ supersedes, ...order }: Order, { at, list, leftOut }: Stage): Order {
    switch (at) {
      case 'list':
        return {
          ...order,
          id: `${order.id}-list${list}`,
          phase: PHASES.list(leftOut, this.#reach.readFile ? IN_SESSION : IN_PARAMETER),
          // Later ones would remove what the earlier ones of this run left.
          ...(list === 0 && supersedes !== undefined && { supersedes }),
        };
      case 'keep':
        return { ...order, id: `${order.id}-keep${list}`, phase: PHASES.keep };
      case 'clean':
        return { ...order, phase: PHASES.clean };
    }
  }

  async #list(visit: Visit, stage: Stage): Promise<Seen> {
    const { container, order, stay } = visit;
    const seen = await this.#reach.start(container, this.#orderAt(order, stage), {
      ...stay,
      deadline: stage.keepBy,
    });
    return this.#listed(visit, stage, seen);
  }

  async #listed(visit: Visit, stage: Stage, seen: Seen): Promise<Seen> {
    const { container, order, stay } = visit;
    if (seen.outcome === 'timed-out') return this.#clean(visit, { ...stage, why: OUT_OF_TIME });
    if (seen.outcome !== 'exited') return remembered(seen, stage);
    if (seen.exitCode !== 0)
      return this.#clean(visit, { ...stage, why: `they could not be listed (exit code ${seen.exitCode})` });
    const lines = linesOf(seen.output, order.marker);
    const files = lines.flatMap(([kind, ...words]) => (kind === 'file' ? (fileOf(words) ?? []) : []));
    if (files.length === 0) return this.#clean(visit, stage);
    const keep: Stage = { ...stage, at: 'keep', hasMore: lines.some(([kind]) => kind === 'more') };
    const begun = await this.#reach.start(
      container,
      { ...this.#orderAt(order, keep), stdin: await this.#addresses(container, files, stage.keepBy) },
      { ...stay, deadline: stage.keepBy },
    );
    return this.#kept(visit, keep, begun);
  }

  /** The standard input of an upload. */
  async #addresses(container: FoundContainer, files: RotatedFile[], keepBy: number): Promise<string> {
    const { origin, query, uploads } = await this.#sign(container, files, keepBy);
    const lines = uploads.map(({ sha256, headers, signature, day, path, name }) =>
      [sha256, headers['x-amz-checksum-sha256'], signature, day, path, name].join(' '),
    );
    return [query, origin, ...lines, ''].join('\n');
  }

  #sign(container: FoundContainer, files: RotatedFile[], keepBy: number) {
    const { keepIn, deployment, signing } = this.#keeping;
    const now = Date.now();
    const seconds = Math.ceil((keepBy - now) / 1000);
    return signUploads(
      keepIn,
      files.map((file) => ({ ...file, key: keyOf({ deployment, container, ...file }) })),
      signing,
      { now, seconds: Math.min(Math.max(seconds, LEAST_ADDRESS_SECONDS), MOST_ADDRESS_SECONDS) },
    );
  }

  async #kept(visit: Visit, stage: Stage, seen: Seen): Promise<Seen> {
    const { order, stay } = visit;
    if (seen.outcome === 'timed-out') return this.#clean(visit, { ...stage, why: OUT_OF_TIME });
    if (seen.outcome !== 'exited') return remembered(seen, stage);
    const lines = linesOf(seen.output, order.marker);
    const [, files = '0', bytes = '0'] = lines.find(([kind]) => kind === 'kept') ?? [];
    const refused = lines.flatMap(([kind, status = '', ...words]) => {
      const file = kind === 'refused' && fileOf(words);
      return file ? [{ ...file, status }] : [];
    });
    const byChannel = await this.#bring(visit, stage, refused);
    const [first] = byChannel.left;
    const next: Stage = {
      ...stage,
      at: 'list',
      list: stage.list + 1,
      leftOut: stage.leftOut + byChannel.left.length,
      files: stage.files + Number(files) + byChannel.files,
      bytes: stage.bytes + Number(bytes) + byChannel.bytes,
      ...(first && stage.why === undefined && { why: first.why }),
    };
    if (!stage.hasMore && byChannel.deferred === 0) return this.#clean(visit, next);
    if (Date.now() >= stage.keepBy) return this.#clean(visit, { ...next, why: next.why ?? OUT_OF_TIME });
    if (next.list >= MOST_LISTS)
      return this.#clean(visit, { ...next, why: next.why ?? 'there are too many' });
    if (Date.now() < visit.until) return this.#list({ ...visit, stay: shortened(stay, visit) }, next);
    return { outcome: 'running', handle: JSON.stringify(next) };
  }

  /** What the container could not upload comes through the channel, if there is one, as far as the time of this look goes. */
  async #bring(
    { container, order, stay, until }: Visit,
    { list, keepBy }: Stage,
    refused: (RotatedFile & { status: string })[],
  ): Promise<{ files: number; bytes: number; left: { why: string }[]; deferred: number }> {
    const brought = { files: 0, bytes: 0, left: [] as { why: string }[], deferred: 0 };
    const { readFile } = this.#reach;
    const hashes: string[] = [];
    for (const [index, file] of refused.entries()) {
      const why = meaningOf(file.status);
      if (!readFile || !mayPassByChannel(file)) {
        brought.left.push({ why });
        continue;
      }
      // The first in any case, so that there is an end of it; the others wait for the next list.
      if (index > 0 && Date.now() >= Math.min(until, keepBy)) {
        brought.deferred += 1;
        continue;
      }
      try {
        const path = `${this.#keeping.folderOf(container.role)}/${file.name}`;
        const limits = {
          id: `${order.id}-file${list}.${index}`,
          mostBytes: MOST_BYTES,
          deadline: Math.min(stay.deadline, keepBy),
        };
        const status = await this.#oneAtATime(async () =>
          this.#upload(container, file, await readFile(container, path, limits), keepBy),
        );
        if (status !== 200 && status !== 412) throw new Error(meaningOf(String(status)));
        hashes.push(file.sha256);
        brought.files += 1;
        brought.bytes += file.bytes;
      } catch (error) {
        const detail = error instanceof Error ? error.message : String(error);
        brought.left.push({ why: `${why}; through the channel: ${detail}` });
      }
    }
    if (hashes.length > 0)
      await this.#reach.start(
        container,
        {
          ...this.#orderAt(order, { at: 'keep', list, leftOut: 0, files: 0, bytes: 0, keepBy }),
          id: `${order.id}-known${list}`,
          phase: PHASES.known,
          stdin: hashes.map((hash) => `${hash}\n`).join(''),
        },
        stay,
      );
    return brought;
  }

  async #upload(
    container: FoundContainer,
    file: RotatedFile,
    bytes: Uint8Array,
    keepBy: number,
  ): Promise<number> {
    if (sha256Of(bytes) !== file.sha256) throw new Error('it was changed meanwhile');
    const addresses = await this.#sign(container, [file], keepBy);
    const [upload] = addresses.uploads;
    if (!upload) return 0;
    try {
      const { status, body } = await fetch(urlOf(addresses, upload), {
        method: 'PUT',
        headers: upload.headers,
        body: new Uint8Array(bytes),
        signal: AbortSignal.timeout(UPLOAD_MILLISECONDS),
      });
      await body?.cancel();
      return status;
    } catch {
      // What it says can name the address.
      return 0;
    }
  }

  #oneAtATime<Result>(work: () => Promise<Result>): Promise<Result> {
    const own = this.#reading.then(work);
    this.#reading = own.catch(() => {});
    return own;
  }

  async #clean(visit: Visit, before: Stage): Promise<Seen> {
    const stage: Stage = { ...before, at: 'clean' };
    const { container, order, stay } = visit;
    return cleaned(
      visit,
      stage,
      await this.#reach.start(container, this.#orderAt(order, stage), shortened(stay, visit)),
    );
  }
}

const OUT_OF_TIME = 'half of the time that a container may take was over';

function shortened(stay: Stay, { until }: Visit): Stay {
  return { ...stay, patienceMilliseconds: Math.max(1, until - Date.now()) };
}

/** With what was found on the way, for whoever reads the output. */
function cleaned({ order: { marker } }: Visit, stage: Stage, seen: Seen): Seen {
  if (!('output' in seen)) return remembered(seen, stage);
  const { files, bytes, why } = stage;
  const found = [`${marker} kept ${files} ${bytes}`, ...(why === undefined ? [] : [`${marker} why ${why}`])];
  return { ...seen, output: `${found.join('\n')}\n${seen.output}` };
}

function remembered(seen: Seen, stage: Stage): Seen {
  return seen.outcome === 'running'
    ? { outcome: 'running', handle: JSON.stringify({ ...stage, handle: seen.handle }) }
    : seen;
}

function linesOf(output: string, marker: string): string[][] {
  return output.split('\n').flatMap((line) => {
    // A file's name may end with a space, and the terminal ends each line with another sign.
    const [first, ...words] = line.replace(/\r+$/, '').split(' ');
    return first === marker ? [words] : [];
  });
}

/** `SHA256 BYTES DAY NAME`, as the container says it; undefined for what is none. */
function fileOf([sha256 = '', bytes = '', day = '', ...name]: string[]): RotatedFile | undefined {
  if (!/^[0-9a-f]{64}$/.test(sha256) || !/^\d{1,15}$/.test(bytes) || name.length === 0) return undefined;
  return { sha256, bytes: Number(bytes), day, name: name.join(' ') };
}

function mayPassByChannel({ bytes, status }: { bytes: number; status: string }): boolean {
  // S3 has answered with a refusal, which it would repeat, or the container has no room to take a note of it.
  return bytes <= MOST_BYTES && !/^4(?!08|29)/.test(status) && status !== 'unrecorded';
}

/** Why an upload failed, by what the container said. */
function meaningOf(status: string): string {
  switch (status) {
    case 'none':
      return 'the container has neither curl nor GNU wget';
    case '0':
    case '000':
      return 'S3 could not be reached';
    case '400':
      return 'S3 received something else than was there before (400)';
    case '403':
      return "S3 refused it (403): see the function's role, the bucket's policy and its key's";
    case '404':
      return 'there is no such bucket (404)';
    case 'unrecorded':
      return 'the container could not note that it was kept: its disk may be full';
    default:
      return /^\d{3}$/.test(status) ? `S3 answered with ${status}` : 'the upload failed';
  }
}
