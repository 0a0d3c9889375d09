import { chmodSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import type { Container } from './container.ts';

/** How Docker knows a container. */
interface Known {
  /** 64 hexadecimal digits. */
  id: string;
  labels: Record<string, string>;
}

/** An EC2 instance with Docker: a folder with a `docker` command that leads into {@link Container}s. */
export class DockerHost {
  /** Like `i-0123456789abcdef0`. */
  readonly instanceId: string;
  readonly tags: Record<string, string>;
  /** Of the ECS agent. A fault can change it. */
  ecsAgentVersion = '1.86.0';
  readonly folder: string;

  constructor(options: { instanceId: string; folder: string; tags?: Record<string, string> }) {
    this.instanceId = options.instanceId;
    this.tags = options.tags ?? {};
    this.folder = options.folder;
    mkdirSync(this.programs, { recursive: true });
    mkdirSync(this.#registry, { recursive: true });
    mkdirSync(join(this.folder, 'run'), { recursive: true });
    const docker = join(this.programs, 'docker');
    writeFileSync(docker, dockerScript(this.#registry));
    chmodSync(docker, 0o755);
  }

  /** The folder that holds `docker`. */
  get programs(): string {
    return join(this.folder, 'bin');
  }

  get #registry(): string {
    return join(this.folder, 'containers');
  }

  /** Docker knows a container as long as it runs. */
  add(container: Container, { id, labels }: Known): void {
    const folder = join(this.#registry, id);
    const { entrance, environment, rewrittenTo } = container.way;
    const program = join(import.meta.dirname, `start-rewritten${extname(import.meta.filename)}`);
    const way = rewrittenTo === undefined ? entrance : [process.execPath, program, rewrittenTo];
    mkdirSync(folder);
    writeFileSync(join(folder, 'labels'), lines(pairs(labels)));
    writeFileSync(join(folder, 'entrance'), `set -- "$@" ${quoted(way)}\n`);
    writeFileSync(join(folder, 'start'), `exec env -i ${quoted(pairs(environment))} "$@"\n`);
    void container.stopped.then(() => rmSync(folder, { recursive: true, force: true }));
  }
}

/**
 * The `docker` command: `ps` with `--quiet --no-trunc` and filters by id and label, and `exec` with `-e` and `-i`. In
 * messages and exit codes it is as Docker's own.
 */
function dockerScript(registry: string): string {
  return `#!/bin/sh
registry=${quoted([registry])}
fail() { printf '%s\\n' "$1" >&2; exit "$2"; }

# Whether the container in a folder has a label: NAME=VALUE, or NAME with whatever value.
has_label() {
  while IFS= read -r label; do
    case $2 in
      *=*) [ "$label" = "$2" ] && return ;;
      *) [ "\${label%%=*}" = "$2" ] && return ;;
    esac
  done <"$1/labels"
  return 1
}

list() {
  quiet= whole= filters=
  while [ $# -gt 0 ]; do
    case $1 in
      --quiet | -q) quiet=yes ;;
      --no-trunc) whole=yes ;;
      --filter | -f)
        case \${2-} in id=* | label=*) ;; *) fail "invalid filter '\${2%%=*}'" 1 ;; esac
        filters="$filters$2
"
        shift ;;
      *) fail "unknown flag: $1" 125 ;;
    esac
    shift
  done
  [ "$quiet$whole" = yesyes ] || fail 'only ids are listed here, in full' 125
  for folder in "$registry"/*; do
    id=\${folder##*/}
    printf %s "$filters" | while IFS= read -r filter; do
      case $filter in
        id=*) case $id in "\${filter#id=}"*) ;; *) exit 1 ;; esac ;;
        *) has_label "$folder" "\${filter#label=}" || exit 1 ;;
      esac
    done && [ -d "$folder" ] && printf '%s\\n' "$id"
  done
  exit 0
}

case \${1-} in
  ps) shift; list "$@" ;;
  exec) shift ;;
  *) fail "docker: '\${1-}' is not a docker command." 1 ;;
esac
# What is to be in the environment is put behind the words, then the way into the container, and then the words again.
added=0
while :; do
  case \${1-} in
    -i) shift ;;
    -e)
      case $2 in *=*) ;; *) fail "no value is given for $2" 125 ;; esac
      set -- "$@" "$2"
      shift 2
      added=$((added + 1)) ;;
    *) break ;;
  esac
done
known=$registry/$1
[ $# -gt "$added" ] && [ -d "$known" ] || fail "Error response from daemon: No such container: $1" 1
shift
words=$(($# - added))
. "$known/entrance"
while [ "$words" -gt 0 ]; do
  set -- "$@" "$1"
  shift
  words=$((words - 1))
done
cd /
# A shell tells of a child that a signal ends: Docker does not.
exec 3>&2 2>/dev/null
(
  exec 2>&3 3>&-
  . "$known/start"
)
exit $?
`;
}

function pairs(record: Record<string, string>): string[] {
  return Object.entries(record).map(([name, value]) => `${name}=${value}`);
}

function lines(texts: string[]): string {
  return texts.map((text) => `${text}\n`).join('');
}

/** For a shell. */
function quoted(words: string[]): string {
  return words.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(' ');
}
