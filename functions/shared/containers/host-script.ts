import { wordsOf } from '../ecs-exec/command-words.ts';
import type { Command } from '../ecs-exec/wrapper.ts';

/** Under these names the SSM document passes what differs from run to run; each only in the given form. */
export const HOST_PARAMETERS = {
  container: '^[0-9a-f]{64}$',
  order: '^[A-Za-z0-9._-]{1,100}$',
  marker: '^[0-9a-f]{0,64}$',
  seconds: '^[0-9]{1,6}$',
} as const;

/** Those of a document whose command has several phases, of which some get standard input. */
export const INPUT_PARAMETERS = {
  phase: '^[a-z0-9-]{0,32}$',
  // SendCommand and whoever may list commands see it: it is encrypted for the host alone.
  input: '^[A-Za-z0-9+/=.]{0,40000}$',
} as const;

/** The phase in which the host makes a key for an order, whose public half it prints. */
export const KEY_PHASE = 'key';

/** The first word of the first line that the script prints: what follows it is {@link readHostOutput}'s. */
const ANSWER = 'upkeep-answer';

/** Characters of the output's beginning and of its end that are shown. Run Command keeps 24,000 in all. */
const SHOWN = 10_000;

/** On the host's memory file system: it is there and can be written when the disk is full. */
const FOLDER = '/run/upkeep';

export interface HostScriptOptions {
  command: Command;
  /** As in the task definition: other containers are refused. */
  container: string;
  clusterArn: string;
  clusterName: string;
  /** Whether it has the {@link INPUT_PARAMETERS}. @default false */
  takesInput?: boolean;
}

/**
 * The script of an SSM document: runs on a container instance as root and does one thing, the command in the
 * container whose id it is given, if ECS labels that as one of ours.
 *
 * The command is started once for an order: a second start waits for the first one's end. A command that takes too
 * long is killed with all that it has started, wherever in the container it has gone: Run Command's own timeout would
 * kill `docker exec` and leave those running (moby/moby#9098). The script's own exit status is 0 or 1 only, for
 * Run Command takes 194 as the wish to reboot the host.
 */
export function hostScript({
  command,
  container,
  clusterArn,
  clusterName,
  takesInput = false,
}: HostScriptOptions): string {
  const encoded = Buffer.from(wordsOf(command).map(quoted).join(' ')).toString('base64');
  return `id='{{ container }}'
order='{{ order }}'
marker='{{ marker }}'
seconds='{{ seconds }}'
${takesInput ? PHASE_AND_INPUT : ''}answer() { printf '${ANSWER} %s\\n' "$*"; }
command -v docker >/dev/null 2>&1 || { answer no-docker; exit 0; }
# The label holds the cluster's name or its ARN, as the ECS agent is configured.
running() {
  for cluster in ${quoted(clusterName)} ${quoted(clusterArn)}; do
    found=$(docker ps --no-trunc --quiet --filter "id=$id" --filter label=com.amazonaws.ecs.container-name=${quoted(container)} --filter "label=com.amazonaws.ecs.cluster=$cluster" 2>&1) || { answer docker-failed "$found"; exit 0; }
    [ "$found" = "$id" ] && return 0
  done
  return 1
}
running || { answer gone; exit 0; }
umask 077
mkdir -p ${FOLDER} || { answer no-folder; exit 0; }
find ${FOLDER} -mindepth 1 -maxdepth 1 -mtime +1 -exec rm -rf {} +
run=${FOLDER}/$order-$id
${takesInput ? KEY : ''}processes() { grep -lxz "UPKEEP_RUN=$order-$id" /proc/[0-9]*/environ 2>/dev/null | cut -d / -f 3; }
if mkdir "$run" 2>/dev/null; then
  eval "set -- $(printf %s ${encoded} | base64 -d)"
${takesInput ? DECRYPT : ''}  (
    trap '' HUP
    {
      docker exec ${takesInput ? '-i -e "UPKEEP_PHASE=$phase" ' : ''}-e "UPKEEP_RUN=$order-$id" -e "UPKEEP_MARKER=$marker" "$id" "$@" <${takesInput ? '"$run/input"' : '/dev/null'}
      echo "exit $?" >"$run/exit"
${takesInput ? '      rm -f "$run/input"\n' : ''}    } 2>&1 | { head -c ${SHOWN} >"$run/head"; tail -c ${SHOWN} >"$run/tail"; }
    [ -e "$run/timed-out" ] && echo timed-out >"$run/exit"
    mv "$run/exit" "$run/status"
  ) >/dev/null 2>&1 &
  echo $! >"$run/pid"
fi
waited=0
while [ ! -e "$run/status" ]; do
  sleep 1
  waited=$((waited + 1))
  if [ $waited -eq $seconds ]; then
    : >"$run/timed-out"
    kill $(processes)
  elif [ $waited -gt $((seconds + ${KILL_AFTER_SECONDS})) ]; then
    kill -9 $(processes)
    [ $waited -gt $((seconds + 2 * ${KILL_AFTER_SECONDS})) ] && { answer lost; exit 0; }
  elif [ -s "$run/pid" ] && ! kill -0 "$(cat "$run/pid")" && [ ! -e "$run/status" ]; then
    answer lost
    exit 0
  fi
done 2>/dev/null
status=$(cat "$run/status")
[ "$status" = 'exit 0' ] || running || status=gone
answer "$status"
cat "$run/head"
[ "$(wc -c <"$run/tail")" -eq ${SHOWN} ] && printf '\\n[…]\\n'
cat "$run/tail"
exit 0
`;
}

const PHASE_AND_INPUT = `phase='{{ phase }}'
input='{{ input }}'
`;

/** One for each order, so that nobody can use it again. */
const KEY = `if [ "$phase" = ${KEY_PHASE} ]; then
  openssl genrsa -out "$run.key" 2048 2>/dev/null && public=$(openssl rsa -in "$run.key" -pubout 2>/dev/null) || { answer no-openssl; exit 0; }
  answer exit 0
  printf '%s\\n' "$public"
  exit 0
fi
`;

/** What {@link sealFor} has made; every OpenSSL since 1.0.2 can undo it. */
const DECRYPT = `  : >"$run/input"
  if [ -n "$input" ]; then
    printf %s "\${input%%.*}" | base64 -d | openssl pkeyutl -decrypt -inkey "$run.key" -pkeyopt rsa_padding_mode:oaep -out "$run/phrase" 2>/dev/null
    printf %s "\${input#*.}" | base64 -d | openssl enc -d -aes-256-cbc -md sha256 -pass "file:$run/phrase" >"$run/input" 2>/dev/null
    rm -f "$run.key" "$run/phrase"
  fi
`;

/** From the first signal, TERM, to the second, KILL, and from that until it is given up. */
const KILL_AFTER_SECONDS = 10;

/** What Run Command's own timeout must exceed, so that the script's is the one that counts. */
export const HOST_SCRIPT_EXTRA_SECONDS = 3 * KILL_AFTER_SECONDS + 30;

/** What the script said. */
export type HostAnswer =
  | { answer: 'exit'; exitCode: number; output: string }
  | { answer: 'timed-out'; output: string }
  | { answer: 'gone' | 'no-docker' | 'no-folder' | 'no-openssl' | 'lost' }
  | { answer: 'docker-failed'; detail: string }
  | { answer: 'none' };

/** Reads what the script printed. */
export function readHostOutput(text: string): HostAnswer {
  const end = text.indexOf('\n');
  const [first, word, ...rest] = (end === -1 ? text : text.slice(0, end)).trimEnd().split(' ');
  const output = end === -1 ? '' : text.slice(end + 1);
  if (first !== ANSWER) return { answer: 'none' };
  switch (word) {
    case 'exit':
      return { answer: 'exit', exitCode: Number(rest[0]), output };
    case 'timed-out':
      return { answer: 'timed-out', output };
    case 'gone':
    case 'no-docker':
    case 'no-folder':
    case 'no-openssl':
    case 'lost':
      return { answer: word };
    case 'docker-failed':
      return { answer: 'docker-failed', detail: rest.join(' ') };
    default:
      return { answer: 'none' };
  }
}

function quoted(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}
