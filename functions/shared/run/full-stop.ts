/** What AWS says, or a statement to type, for a sentence of ours that comes after it: it may or may not end with a full stop. */
export function withoutFullStop(words: string): string {
  return words.replace(/\.+$/, '');
}
