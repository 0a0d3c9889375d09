import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { MediaEntry } from './message-store.ts';

/** A file of media as it lies on this machine's disk. */
export interface MediaFile {
  bytes: number;
  /** SHA-256 of its content, in hexadecimal. */
  digest: string;
}

/** The folder of media that a client's containers share. */
export interface MediaFolder {
  path: string;
  /** Files that cannot be deleted, by their paths in the folder. Here the disk would not refuse it to root. */
  undeletable: Set<string>;
  /** Deletes the files of entries. Returns the entries without those whose file could not be deleted. */
  delete(entries: readonly MediaEntry[]): Promise<MediaEntry[]>;
  /** Reads every file, by its path in the folder. */
  files(): Map<string, MediaFile>;
}

/** Sizes of files lie between these, in bytes: a thumbnail's, so that thousands of them are quickly written. */
const SMALLEST_BYTES = 1_000;
const LARGEST_BYTES = 16_000;

/**
 * Writes a file for each entry of a client's table `media`. That there are folders for incoming and for outgoing media
 * is known from the client's figures of free space; how it names files in them is not.
 */
export function writeMediaFolder(path: string, entries: readonly MediaEntry[]): MediaFolder {
  mkdirSync(path, { recursive: true });
  for (const entry of entries) {
    const file = join(path, entry.path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, contentOf(entry));
  }
  const undeletable = new Set<string>();
  return {
    path,
    undeletable,
    async delete(asked) {
      const deletable = asked.filter((entry) => !undeletable.has(entry.path));
      for (const entry of deletable) await unlink(join(path, entry.path));
      return deletable;
    },
    files() {
      const files = new Map<string, MediaFile>();
      for (const name of readdirSync(path, { recursive: true, encoding: 'utf8' })) {
        const file = join(path, name);
        if (!statSync(file).isFile()) continue;
        const content = readFileSync(file);
        files.set(name, {
          bytes: content.length,
          digest: createHash('sha256').update(content).digest('hex'),
        });
      }
      return files;
    },
  };
}

/** As good as random, and of each entry its own. */
function contentOf({ path }: MediaEntry): Buffer {
  const seed = createHash('sha256').update(path).digest().readUInt32BE();
  const outputLength = SMALLEST_BYTES + (seed % (LARGEST_BYTES - SMALLEST_BYTES));
  return createHash('shake256', { outputLength }).update(path).digest();
}
