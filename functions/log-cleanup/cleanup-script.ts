import { archiveScript } from './archive-script.ts';
import type { LogFolders } from './contract.ts';
import { quoted } from './quoted.ts';

/** A live log this many times over its limit was not rotated when it should have been. */
const BROKEN_ROTATION_FACTOR = 3;
/** Most lines of either kind that a measurement prints, so that all of them get through any channel. */
const OVERSIZED_SHOWN = 20;
const ARCHIVED_SHOWN = 60;
/** For each of the two measurements, in a container's own time. */
const MEASURING_SECONDS = 60;

/**
 * The script for one container: measures its logs, runs the clean-up, measures again, and ends with the clean-up's
 * exit status. It needs a POSIX shell and `ls`, `stat` or `df`, as busybox has them.
 *
 * The measurements are lines that begin with the marker in `UPKEEP_MARKER`, which the clean-up does not get to know:
 *
 *     MARKER before|after blocks SIZE TOTAL FREE AVAILABLE INODES FREE_INODES ID
 *                                                         of each folder's file system
 *     MARKER before|after space USED AVAILABLE MOUNT      in KiB, where `stat` cannot tell
 *     MARKER before|after live|archive FILES BYTES
 *     MARKER before|after oversized BYTES PATH            live logs far over their limit
 *     MARKER before|after archived FILES LOG              rotated files of a log, in runs of the same name
 *     MARKER before|after measured                        it came to its end in time
 *
 * Where rotated logs are kept, they are on their way before: see {@link archiveScript}.
 *
 * `stat` looks at the folders alone, where `df` reads every mount, of which one can hang. A measurement has its own
 * time limit, after which the clean-up goes on without it: also if what measures can no longer be killed.
 */
export function cleanupScript(
  script: string,
  folders: LogFolders,
  keeping?: { nearlyFullPercent: number },
): string {
  const keep =
    keeping && archiveScript(heldFolder(folders.archive, rootsOf(folders)), keeping.nearlyFullPercent);
  return `${measuringScript(folders, keep)}
${
  keeping
    ? `guarded ${quoted(script)}`
    : `${quoted(script)} </dev/null
status=$?`
}
within_limit after
exit $status
`;
}

/**
 * Only the first of the two measurements, for who wants to know how it is.
 * @param keeping functions of the shell by which rotated logs are kept; what they leave is not counted. @default none are kept
 */
export function measuringScript({ logs, archive, rotation }: LogFolders, keeping?: string): string {
  const folders = [...new Set([...logs, archive])];
  const roots = rootsOf({ logs, archive });
  return `marker=$UPKEEP_MARKER
unset UPKEEP_MARKER
archive=${quoted(archive)}
${keeping ?? ''}note() { printf '%s %s %s\\n' "$marker" "$when" "$*"; }
archived() {
[ "$count" -gt 0 ] && [ "$groups" -lt ${ARCHIVED_SHOWN} ] && note archived "$count" "$log"
groups=$((groups + 1))
}
space() {
set -- "$1" "$(stat -f -c '%S %b %f %a %c %d %i' "$1" 2>/dev/null)"
case $2 in
*' '*' '*' '*' '*' '*' '*) note blocks "$2" ;;
*)
df -P -k "$1" 2>/dev/null | while read -r device blocks used available capacity mount; do
case $available in
''|*[!0-9]*) ;;
*) note space "$used" "$available" "$mount" ;;
esac
done
;;
esac
}
within_limit() {
trap : ALRM
measure "$1" &
measuring=$!
{
sleep ${MEASURING_SECONDS} &
trap "kill $!; exit" TERM
wait $! && kill -ALRM $$
} >/dev/null 2>&1 &
watching=$!
when=$1
if wait $measuring; then note measured; else kill -KILL $measuring; fi
kill $watching
wait $watching
trap - ALRM
} 2>/dev/null
measure() {
# What changes the words of ls and df.
unset TIME_STYLE BLOCK_SIZE BLOCKSIZE LS_BLOCK_SIZE DF_BLOCK_SIZE QUOTING_STYLE LS_COLORS POSIXLY_CORRECT
LC_ALL=C
export LC_ALL
when=$1
echo
for folder in ${folders.map(quoted).join(' ')}; do
[ -d "$folder" ] && space "$folder"
done
ls -lnAR ${roots.map((root) => quoted(`${root}/`)).join(' ')} 2>/dev/null | {
set -f
folder= files=0 bytes=0 oldFiles=0 oldBytes=0 oversized=0 count=0 log= groups=0
while IFS= read -r line; do
case $line in
/*:) folder=\${line%:} ;;
-*)
set -- $line
size=$5
shift 8
${
  keeping
    ? `[ "$1" = .upkeep-kept ] && continue
`
    : ''
}case "$folder/" in
"$archive"/*)
oldFiles=$((oldFiles + 1)) oldBytes=$((oldBytes + size))
name=\${1#\${1%%[!0-9_.-]*}}
name=\${name%%[-._][0-9]*}
[ "$name" = "$log" ] || { archived; log=$name count=0; }
count=$((count + 1))
;;
*)
files=$((files + 1)) bytes=$((bytes + size))
if [ "$size" -gt ${BROKEN_ROTATION_FACTOR * rotation.maximumBytes} ] && [ "$oversized" -lt ${OVERSIZED_SHOWN} ]; then
oversized=$((oversized + 1))
note oversized "$size" "\${folder%/}/$*"
fi
;;
esac
;;
esac
done
archived
note live "$files" "$bytes"
note archive "$oldFiles" "$oldBytes"
}
}
within_limit before`;
}

/** A folder inside another is listed with it. */
function rootsOf({ logs, archive }: Pick<LogFolders, 'logs' | 'archive'>): string[] {
  const folders = [...new Set([...logs, archive])];
  return folders.filter((one) => !folders.some((other) => one.startsWith(`${other}/`)));
}

/** Beside the folder that is cleaned, and not in it: a clean-up can look into all that lies under it. */
function heldFolder(archive: string, roots: string[]): string {
  const root = roots.find((each) => archive === each || archive.startsWith(`${each}/`)) ?? archive;
  return `${root.slice(0, root.lastIndexOf('/'))}/.upkeep-held`;
}
