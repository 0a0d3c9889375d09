import type { Command } from './wrapper.ts';

/** The program and its arguments; of a script those of the `sh` that runs it. */
export function wordsOf(command: Command): string[] {
  return Array.isArray(command) ? command : ['sh', '-c', command.script];
}
