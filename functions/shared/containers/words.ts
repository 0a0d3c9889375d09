import { stripVTControlCharacters } from 'node:util';

/** Characters of a command's output that are told. */
const LAST_WORDS = 500;

/** The end of an output as a report tells it: without control characters, of which JSON makes six each. */
export function lastWords(output: string): string {
  return printable(output.slice(-2 * LAST_WORDS)).slice(-LAST_WORDS);
}

/** The beginning of what a container or AWS said, of so many bytes at most, likewise without control characters. */
export function firstWords(said: string, mostBytes: number): string {
  const bytes = Buffer.from(printable(said.slice(0, 2 * mostBytes)));
  if (bytes.length <= mostBytes) return bytes.toString();
  // No half of a character.
  return bytes
    .subarray(0, mostBytes)
    .toString()
    .replace(/\uFFFD+$/, '');
}

function printable(text: string): string {
  return stripVTControlCharacters(text).replace(/(?![\n\t])\p{Cc}/gu, ' ');
}
