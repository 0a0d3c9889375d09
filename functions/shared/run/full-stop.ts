/** What AWS says, for a sentence of ours that goes on after it: its words may or may not end with a full stop. */
export function withoutFullStop(words: string): string {
  return words.replace(/\.+$/, '');
}
