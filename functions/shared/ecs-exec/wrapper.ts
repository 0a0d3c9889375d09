import { InvalidCommandError } from './errors.ts';

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
}

/**
 * `/run` first, where only root may write; the last lives in memory, for containers whose disk is full.
 */
export const DEFAULT_FOLDERS = ['/run', '/tmp', '/var/tmp', '/dev/shm'];

/**
 * The command line for ExecuteCommand that starts a command once and answers questions about it.
 *
 * It is a script for any POSIX shell that calls no other program, but for `cat`, which makes output faster, `rm`,
 * which removes the files (without it they are left empty), and an encoder where bytes are wanted exactly. It does
 * this:
 *
 * - A child takes the run's lock: a file that only one can create (`set -C`). It writes its process id and that
 *   process's start time there, runs the command with its output going to a second file, and writes its status to a
 *   third. Hang-ups are ignored, so that the end of the session ends neither.
 * - The script itself reads questions from the terminal, a line each: `NONCE more`. It answers with a line
 *   `NONCE:` and the encoding, what the output file has in addition, and a line `NONCE:` and the state. A nonce is
 *   random and never in the command line, so the output cannot forge an answer. Asking instead of telling means
 *   that nothing has to sleep here, and that the script ends with its terminal.
 *
 * Questions: `more` (output and state), `state`, `TERM` and `KILL` (sends that signal to the command's process
 * group). `leave` ends the session; so do `forget`, which removes the files of a run that has ended, and `clear`,
 * which empties its output but keeps its lock and status. States: `absent`,
 * `running`, `exit N`, `died` (the process is gone and left no status), `forgotten`, `no-encoder`.
 *
 * @throws InvalidCommandError if the run id or the command cannot be said in a command line
 */
export function wrap({
  runId,
  command,
  transport = 'text',
  shell = ['sh'],
  folders = DEFAULT_FOLDERS,
}: WrapperOptions): string {
  if (!RUN_ID.test(runId)) {
    throw new InvalidCommandError(
      `«${runId}» is no run id: letters, digits, «.», «_» and «-», at most 100, are one.`,
    );
  }
  const start = command === undefined ? '' : startScript(shell);
  const script = `trap "" HUP
i=ecs-exec-${runId}
F=${quote(folders.map(quote).join(' '))}
${COMMON}
${transport === 'bytes' ? BYTES : TEXT}
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

/**
 * `k` looks for the run's lock and sets `p`, the path that its files begin with; a file that another user planted
 * does not count. `a PID START` is true if that process is alive, and not a zombie; without `/proc` there is no
 * start time, and only the process id counts.
 */
const COMMON = `k() {
eval "set -- $F"
for p; do
p=$p/$i
[ -s "$p.lock" ] && [ -O "$p.lock" ] && [ ! -L "$p.lock" ] && return
done
p=
return 1
}
a() {
[ "$2" != - ] || { kill -0 "$1"; return; }
read -r r <"/proc/$1/stat" || return 1
r=\${r##*) }
set -- "$2" $r
[ "$2" != Z ] && [ "\${21}" = "$1" ]
} 2>/dev/null`;

/** `c` copies what descriptor 3 has from where it stands; `e` says in what form. */
const TEXT = `e=raw
if command -v cat >/dev/null; then c() { cat; }
else c() {
IFS=
while read -r l; do printf "%s\\n" "$l"; done
printf %s "$l"
unset IFS
}
fi`;

const BYTES = `if command -v base64 >/dev/null; then e=base64; c() { base64; }
elif command -v od >/dev/null; then e=hex; c() { od -An -v -tx1; }
elif command -v busybox >/dev/null && busybox base64 </dev/null >/dev/null 2>&1; then e=base64; c() { busybox base64; }
elif command -v busybox >/dev/null && busybox od </dev/null >/dev/null 2>&1; then e=hex; c() { busybox od -An -v -tx1; }
else e=; c() { return 1; }
fi`;

function commandWords(command: Command): string[] {
  const words = Array.isArray(command) ? command : ['sh', '-c', command.script];
  const [program = ''] = words;
  if (program === '') throw new InvalidCommandError('The command is empty.');
  // `exec`, which starts it, would take that for an option of its own.
  if (program.startsWith('-')) throw new InvalidCommandError(`«${program}» cannot be started as a program.`);
  return words;
}

/**
 * A run that is found is not started. Starts the child in a process group of its own, which takes a terminal (`set -m`); that terminal stays open in a
 * shell that has used it, and with it the session, hence a new shell.
 */
function startScript(shell: string[]): string {
  return `u=$(umask)
umask 077
j=
( set -m ) 2>/dev/null && j=1 && set -m 2>/dev/null
if [ "$e" ] && ! k; then
( exec ${shell.map(quote).join(' ')} -c ${quote(CHILD)} ecs-exec "$i" "$F" "$u" "$@" ) </dev/null >/dev/null 2>&1 &
fi
[ "$j" ] && set +m
umask "$u"
`;
}

/**
 * Takes the run's lock, runs the command and keeps its status. `o`: the lock file could be opened, so we made it.
 * `w`: its content could be written too, so the run is ours; if it could not, the disk is full, and the next folder
 * is tried.
 */
const CHILD = `i=$1 F=$2 u=$3
shift 3
m() {
m="$$ -"
read -r r </proc/$$/stat || return
r=\${r##*) }
set -- $r
m="$$ \${20}"
}
l() {
eval "set -- $F"
for p; do
p=$p/$i
[ -e "$p.lock" ] || [ -L "$p.lock" ] && exit
o=
w=
{ o=1; printf "%s\\n" "$m" && w=1; } 2>/dev/null >"$p.lock"
[ "$w" ] && return
[ -z "$o" ] && [ -e "$p.lock" ] && exit
done
exit
}
m
set -C
l
trap "t=1" TERM
(
trap - TERM
umask "$u"
exec "$@"
) >"$p.out" 2>&1
printf "exit %s\\n" "$?" >"$p.status"`;

const ANSWERS = `exec 2>/dev/null
printf "ecs-exec\\n"
x=
while read -r n v; do
k
s=absent
if [ -z "$e" ]; then s=no-encoder
elif [ "$p" ]; then
read -r q t <"$p.lock"
s=running
a "$q" "$t" || s=died
if [ "$s" = running ]; then
case $v in
TERM|KILL) kill "-$v" "-$q" || kill "-$v" "$q" ;;
esac
fi
read -r w y <"$p.status" && s="$w $y"
fi
printf "\\n%s:%s\\n" "$n" "$e"
case $v in
more)
[ -z "$x" ] && [ "$p" ] && [ -r "$p.out" ] && exec 3<"$p.out" && x=1
[ "$x" ] && c <&3
;;
clear)
case $s in
exit*|died) printf "" >"$p.out" ;;
esac
;;
forget)
case $s in
exit*|died)
rm -f "$p.lock" "$p.out" "$p.status" || busybox rm -f "$p.lock" "$p.out" "$p.status" || { printf "" >"$p.lock"; printf "" >"$p.out"; printf "" >"$p.status"; }
s=forgotten
esac
;;
esac
printf "\\n%s:%s\\n" "$n" "$s"
case $v in
clear|forget|leave) break ;;
esac
done
`;
