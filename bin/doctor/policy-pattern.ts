/**
 * Whether a value is one that a policy means by any of its patterns, with `*` for any characters and `?` for one.
 * @param flags `i` for actions, of which IAM does not tell the case apart.
 */
export function matches(patterns: readonly string[], value: string, flags = ''): boolean {
  return patterns.some((pattern) => {
    const words = pattern
      .replaceAll(/[.+^${}()|[\]\\]/g, '\\$&')
      .replaceAll('*', '.*')
      .replaceAll('?', '.');
    return new RegExp(`^${words}$`, flags).test(value);
  });
}
