/** A page of what is listed, and where the next one begins. */
export function pageOf<Item>(
  all: Item[],
  token: string | undefined,
  size: number,
): { items: Item[]; next: string | undefined } {
  const from = Number(token ?? 0);
  const to = from + size;
  return { items: all.slice(from, to), next: to < all.length ? String(to) : undefined };
}
