/** Of ListTasks, and of what can be described at once. */
export const PAGE = 100;

/** A page of what is listed, under the answer's key. */
export function page<Key extends string>(
  all: string[],
  { maxResults = undefined, nextToken }: { maxResults?: number | undefined; nextToken?: string | undefined },
  size: number,
  key: Key,
): Record<string, unknown> {
  const from = Number(nextToken ?? 0);
  const to = from + (maxResults ?? size);
  return { [key]: all.slice(from, to), ...(to < all.length && { nextToken: String(to) }) };
}
