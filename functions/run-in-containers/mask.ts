/** Shorter ones could be anything in an output. */
const SHORTEST_MASKED = 4;
const MASK = '****';

/** Where the middle of a long output is left out, by ECS Exec and by Run Command: a secret may be cut in two there. */
const LEFT_OUT = /(\n\[…[^\n\]]*\]\n)/;

/**
 * An output without secrets, as far as they stand there as they are: whole, by their lines, by the texts of those that are JSON, and by
 * the part that is left of one where the output was cut. What has fewer than four characters stays.
 */
export function mask(output: string, secrets: readonly string[]): string {
  const parts = [...new Set(secrets.flatMap(partsOf))]
    .filter(({ length }) => length >= SHORTEST_MASKED)
    .sort((one, other) => other.length - one.length);
  const pieces = output.split(LEFT_OUT);
  return pieces
    .map((piece, index) => {
      if (index % 2 === 1) return piece;
      const from = index === 0 ? 0 : longest(parts, (part) => restAtBeginning(piece, part));
      const kept = piece.slice(from);
      const to = index === pieces.length - 1 ? 0 : longest(parts, (part) => restAtEnd(kept, part));
      const masked = parts.reduce(
        (text, part) => text.replaceAll(part, MASK),
        kept.slice(0, kept.length - to),
      );
      return `${from > 0 ? MASK : ''}${masked}${to > 0 ? MASK : ''}`;
    })
    .join('');
}

function partsOf(secret: string): string[] {
  return [secret, ...textsIn(secret)].flatMap((text) => [text, ...text.split(/\r?\n/)]);
}

/** What stands in a secret that is JSON, of which a command may print a field alone. */
function textsIn(secret: string): string[] {
  try {
    const texts: string[] = [];
    JSON.parse(secret, (_, value: unknown) => {
      if (typeof value === 'string') texts.push(value);
      return value;
    });
    return texts;
  } catch {
    return [];
  }
}

function longest(parts: readonly string[], lengthOf: (part: string) => number): number {
  return Math.max(0, ...parts.map(lengthOf));
}

/** How much of a text's beginning is the end of a part. */
function restAtBeginning(text: string, part: string): number {
  const begins = text.slice(0, SHORTEST_MASKED);
  if (begins.length < SHORTEST_MASKED) return 0;
  let at = part.indexOf(begins);
  while (at !== -1 && !text.startsWith(part.slice(at))) at = part.indexOf(begins, at + 1);
  return at === -1 ? 0 : part.length - at;
}

/** How much of a text's end is the beginning of a part. */
function restAtEnd(text: string, part: string): number {
  const ends = text.slice(-SHORTEST_MASKED);
  if (ends.length < SHORTEST_MASKED) return 0;
  const lengthAt = (at: number) => (at === -1 ? 0 : at + SHORTEST_MASKED);
  let at = part.lastIndexOf(ends);
  while (at !== -1 && !text.endsWith(part.slice(0, lengthAt(at))))
    at = at === 0 ? -1 : part.lastIndexOf(ends, at - 1);
  return lengthAt(at);
}
