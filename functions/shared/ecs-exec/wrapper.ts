import { InvalidCommandError } from './errors.ts';
import { ANSWERS, BYTES, COMMON, INPUT, KEEPER, NO_INPUT, READING, startFunction, TEXT } from './scripts.ts';

/**
 * What is to run: a program and its arguments, which no shell touches, or a script for `sh`.
 */
export type Command = string[] | { script: string };

/** How the wrapper sends output: as it is, or encoded so that the agent cannot lose a byte. */
export type Transport = 'text' | 'bytes';

export interface WrapperOptions {
  /** Names the run in the container: letters, digits, `.`, `_`, `-`, at most 100. */
  runId: string;
  /** Undefined to ask for a run that was started before. */
  command?: Command | undefined;
  transport?: Transport | undefined;
  /**
   * The shell, with arguments before `-c` if it needs any. @default ['sh']
   */
  shell?: string[] | undefined;
  /**
   * Where in the container the run's files go: the first folder that can be written.
   *
   * @default {@link DEFAULT_FOLDERS}
   */
  folders?: string[] | undefined;
  /** Run ids that begin so are over when this run starts: what they left in the container is removed then. */
  supersedes?: string | undefined;
  /** Input will be brought for the command. @default false: it has none */
  takesInput?: boolean | undefined;
}

/**
 * `/run` first, where only root may write; the last lives in memory, for containers whose disk is full.
 */
export const DEFAULT_FOLDERS = ['/run', '/tmp', '/var/tmp', '/dev/shm'];

/**
 * The command line for ExecuteCommand whose script starts a command once, when asked to, and answers questions about
 * it.
 *
 * - The script ({@link ANSWERS}) reads questions from the terminal, each with a nonce that is random and never in the
 *   command line, so the output cannot forge an answer. Asking instead of telling means that nothing has to sleep
 *   here, and that the script ends with its terminal. Nothing starts before it is asked for: a session that no client
 *   comes to has done nothing.
 * - A child of it, the keeper ({@link KEEPER}), takes the run's lock, runs the command with its output going to a file,
 *   and keeps its status. Hang-ups are ignored, so that the end of the session ends neither.
 *
 * Questions: `start TOKEN`, `state`, `check` (the same without the output's size, for which no process is needed), `more PLACE COUNT` (output, so many bytes at most), `TERM` and `KILL` (that signal
 * to the command's process group), `put TOKEN PLACE COUNT LINE` (input, of which more lines may follow). `leave` ends the session; so does `forget`, which removes the files of a run that
 * has ended. States: `absent`, `running`, `orphaned` (the keeper is gone, the command is not), `exit N`, `died` (both
 * are gone and left no status), `refused` (the container let no process be made for the command), `forgotten`,
 * `no-encoder`, `no-input`.
 *
 * @throws InvalidCommandError if the run id or the command cannot be said in a command line
 */
export function wrap({
  runId,
  command,
  transport = 'text',
  shell = ['sh'],
  folders = DEFAULT_FOLDERS,
  supersedes = '',
  takesInput = false,
}: WrapperOptions): string {
  for (const id of supersedes === '' ? [runId] : [runId, supersedes]) {
    if (typeof id !== 'string' || !RUN_ID.test(id)) {
      throw new InvalidCommandError(
        `«${id}» is no run id: letters, digits, «.», «_» and «-», at most 100, are one.`,
      );
    }
  }
  const keeper = [...shell.map(quote), '-c', quote(KEEPER), 'ecs-exec', '"$ee_i" "$ee_F" "$ee_u"'];
  const start =
    command === undefined ? 's() { :; }\n' : startFunction([...keeper, quote(supersedes), '"$@"'].join(' '));
  const script = `trap "" HUP
ee_i=ecs-exec-${runId}
ee_F=${quote(folders.map(quote).join(' '))}
${COMMON}
${READING}
${transport === 'bytes' ? BYTES : TEXT}
${takesInput ? INPUT : NO_INPUT}
${start}${ANSWERS}`;
  const words = [...shell, '-c', script, 'ecs-exec', ...(command === undefined ? [] : commandWords(command))];
  const tooLong = words.find((word) => Buffer.byteLength(word) > LONGEST_ARGUMENT);
  if (tooLong !== undefined) {
    throw new InvalidCommandError(
      `An argument of ${Buffer.byteLength(tooLong)} bytes is too long: Linux takes ${LONGEST_ARGUMENT} at most.`,
    );
  }
  return words.map(quote).join(' ');
}

/**
 * Quotes a word so that both the agent, which splits as google/shlex does, and any POSIX shell take it literally.
 *
 * @throws InvalidCommandError for a NUL and for half a surrogate pair, which no argument can have
 */
export function quote(word: string): string {
  if (word.includes('\0')) throw new InvalidCommandError('An argument cannot contain a NUL character.');
  if (!word.isWellFormed()) {
    throw new InvalidCommandError('An argument contains half a surrogate pair, which has no bytes in UTF-8.');
  }
  // Two opening braces in a row could be taken for a parameter of an SSM document: kept apart by empty quotes.
  return `'${word.replaceAll("'", "'\\''").replace(/\{(?=\{)/g, "{''")}'`;
}

const RUN_ID = /^[A-Za-z0-9._-]{1,100}$/;

/** Bytes: MAX_ARG_STRLEN of Linux, less the NUL at the end. */
const LONGEST_ARGUMENT = 131_071;

function commandWords(command: Command): string[] {
  const words = Array.isArray(command) ? command : ['sh', '-c', Object(command).script];
  if (!words.every((word) => typeof word === 'string')) {
    throw new InvalidCommandError(
      "A command is an array of strings, the program and its arguments, or { script } for the container's sh" +
        (typeof command === 'string' ? `: not one string, as «${command}».` : '.'),
    );
  }
  const [program = ''] = words;
  if (program === '') throw new InvalidCommandError('The command is empty.');
  // `exec`, which starts it, would take that for an option of its own.
  if (program.startsWith('-')) throw new InvalidCommandError(`«${program}» cannot be started as a program.`);
  return words;
}
