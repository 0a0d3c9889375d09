import { join, relative, sep } from 'node:path';
import { decode, encode, type SourceMapSegment } from '@jridgewell/sourcemap-codec';

interface SourceMap {
  sources: string[];
  names: string[];
  mappings: string;
}

/**
 * A source map without what leads into dependencies, which is most of it: with `--enable-source-maps` a function reads its
 * whole map when it starts, and decodes it at its first stack trace. Places in dependencies stay as they are in the bundle.
 *
 * @param contents the map as esbuild writes it, JSON
 * @param root the folder of the package that is bundled, to which the paths are relative afterwards; it may itself be installed
 * @param from to which they are before
 * @returns nothing where no place is in a source of the package's own
 */
export function ownSourceMap(contents: Uint8Array, root: string, from = root): Uint8Array | undefined {
  const map: SourceMap = JSON.parse(Buffer.from(contents).toString());
  map.sources = map.sources.map((source) => relative(root, join(from, source)));
  const isOwn = map.sources.map((source) => isOfPackage(join(root, source), root));
  if (!isOwn.includes(true)) return undefined;
  const [sources, names] = [new Indexes(map.sources), new Indexes(map.names)];
  const mappings = decode(map.mappings).map((line) => {
    const kept: SourceMapSegment[] = [];
    for (const segment of line) {
      if (segment.length !== 1 && isOwn[segment[1]]) {
        const [column, source, row, place] = segment;
        const own = [column, sources.of(source), row, place] as const;
        kept.push(segment.length === 5 ? [...own, names.of(segment[4])] : [...own]);
      } else if (kept.at(-1)?.length !== 1) {
        // What has no source ends what is ours.
        kept.push([segment[0]]);
      }
    }
    return kept;
  });
  return Buffer.from(
    JSON.stringify({ ...map, sources: sources.kept, names: names.kept, mappings: encode(mappings) }),
  );
}

/** Another package of the same repository counts as ours. */
function isOfPackage(path: string, root: string): boolean {
  const within = relative(root, path);
  return !(within.startsWith('..') ? path : within).split(sep).includes('node_modules');
}

/** The entries of a list that are still used, in the order in which they are. */
class Indexes {
  readonly kept: string[] = [];
  readonly #all: readonly string[];
  readonly #indexes = new Map<number, number>();

  constructor(all: readonly string[]) {
    this.#all = all;
  }

  /** Where an entry is by now. */
  of(index: number): number {
    const known = this.#indexes.get(index);
    if (known !== undefined) return known;
    this.#indexes.set(index, this.kept.length);
    return this.kept.push(this.#all[index] ?? '') - 1;
  }
}
