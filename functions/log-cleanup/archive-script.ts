import { quoted } from './quoted.ts';

/** Of one upload from the container, in seconds: of a rotated log, which has some megabytes. */
const UPLOAD_SECONDS = 300;

/** The parts of the script that keeps rotated logs. */
export const PHASES = {
  /** Lists so many rotated files at most that are not known to be kept, after so many that are left out. */
  list: (leftOut: number, most: number) => `list-${leftOut}-${most}`,
  /** Uploads the files of its standard input to the addresses there. */
  keep: 'keep',
  /** Takes the checksums of its standard input for those of files that are kept. */
  known: 'known',
  /** The clean-up itself. */
  clean: 'clean',
};

/**
 * What comes before the clean-up in its script, where rotated logs are kept: the other {@link PHASES}, by
 * `UPKEEP_PHASE`, and `guarded`, by which the clean-up loses no file that was not kept.
 * It needs a POSIX shell, `find`, `sed`, `sort`, `ls`, `ln`, and `sha256sum` or `openssl`; to upload, `curl` or GNU `wget`.
 *
 * A file is known by its checksum, for rotation renames it. Those that were kept are on record in `.upkeep-kept` in
 * the folder of the rotated logs. An upload's standard input: what the addresses' queries have in common, where they begin, and for
 * each file `SHA256 CHECKSUM SIGNATURE DAY PATH NAME`. The lines that it prints:
 *
 *     MARKER file SHA256 BYTES DAY NAME      of a list; the day is that of its last change, or -
 *     MARKER more                            there are others
 *     MARKER kept FILES BYTES                of uploads
 *     MARKER refused STATUS SHA256 BYTES DAY NAME
 *     MARKER archive unkept FILES BYTES      of the clean-up: what it found that was not kept
 *     MARKER archive unnamed FILES           of these such as have no checksum
 *     MARKER archive restored FILES          which the clean-up would have deleted
 *     MARKER archive deleted FILES           which it deleted, for the disk was nearly full
 *     MARKER archive emptied FILES           which it cut off where they are: a second name is of no help then
 *     MARKER archive withheld                so there was no clean-up: what was not kept could not be held
 *
 * @param held a folder outside those that are cleaned, on the same file system.
 */
export function archiveScript(held: string, nearlyFullPercent: number): string {
  return `phase=$UPKEEP_PHASE
unset UPKEEP_PHASE
kept=$archive/.upkeep-kept
held=${quoted(held)}
newline='
'
cr=$(printf '\\r')
say() { printf '%s %s\\n' "$marker" "$*"; }
size() { set -- $(ls -ln -- "$1" 2>/dev/null); echo "\${5:-0}"; }
is_known() {
case $known in *"$newline$1$newline"*) return 0 ;; esac
return 1
}
rotated() { find . -type f ! -name '.upkeep-*' "$@" 2>/dev/null; }
sums() {
if command -v sha256sum >/dev/null 2>&1; then rotated -exec sha256sum {} +
else rotated -exec openssl dgst -sha256 -r {} +
fi | sed -n -e "/$cr/d" -e 's/^\\([0-9a-f]\\{64\\}\\) [ *]\\.\\//\\1 /p' | LC_ALL=C sort -k 2
}
curl_words() {
for line in $files; do
read_line "$line"
printf 'next\\nurl = "%s%s?%s&X-Amz-Signature=%s"\\n' "$root" "$path" "$query" "$signature"
printf 'header = "x-amz-checksum-sha256: %s"\\nheader = "if-none-match: *"\\n' "$checksum"
printf 'upload-file = "./%s"\\n' "$(printf %s "$name" | sed 's/[\\\\"]/\\\\&/g')"
printf 'silent\\ngloboff\\noutput = "/dev/null"\\nwrite-out = "%%{http_code}\\\\n"\\nconnect-timeout = 10\\nmax-time = ${UPLOAD_SECONDS}\\n'
done | sed 1d
}
wget_each() {
for line in $files; do
read_line "$line"
printf '%s%s?%s&X-Amz-Signature=%s\\n' "$root" "$path" "$query" "$signature" |
wget --no-verbose --server-response --output-document=/dev/null --method=PUT --body-file="./$name" --header="x-amz-checksum-sha256: $checksum" --header='if-none-match: *' --tries=1 --timeout=60 --input-file=- 2>&1 |
sed -n 's/^ *HTTP[^ ]* \\([0-9][0-9]*\\).*/\\1/p' | tail -n 1 | grep . || echo 000
done
}
read_line() {
hash=\${1%% *} rest=\${1#* }
checksum=\${rest%% *} rest=\${rest#* }
signature=\${rest%% *} rest=\${rest#* }
day=\${rest%% *} rest=\${rest#* }
path=\${rest%% *} name=\${rest#* }
}
case $phase in
?*)
known=$newline$(cat "$kept" 2>/dev/null)$newline
;;
esac
case $phase in
known)
cat >>"$kept"
exit
;;
list-*|keep)
cd "$archive" 2>/dev/null || exit 0
set -f
;;
esac
case $phase in
list-*)
most=\${phase##*-} skip=\${phase#list-} shown=0
skip=\${skip%-*}
IFS=$newline
for line in $(sums); do
unset IFS
hash=\${line%% *} name=\${line#* }
is_known "$hash" && continue
known=$known$hash$newline
[ "$skip" -gt 0 ] && { skip=$((skip - 1)); continue; }
[ "$shown" -lt "$most" ] || { say more; break; }
shown=$((shown + 1))
day=$(date -u -r "./$name" +%Y-%m-%d 2>/dev/null)
say file "$hash" "$(size "./$name")" "\${day:--}" "$name"
done
exit 0
;;
keep)
IFS= read -r query
IFS= read -r root
asked=$(cat) files= sent=0 bytes=0
IFS=$newline
# curl gives all up that follow one which is not there any more.
for line in $asked; do
read_line "$line"
[ ! -r "./$name" ] || files=$files$line$newline
done
if command -v curl >/dev/null 2>&1; then statuses=$(curl_words | curl -q --fail-early --config - 2>/dev/null)
elif wget --help 2>&1 | grep -q -e --body-file; then statuses=$(wget_each)
else statuses=none
fi
for line in $files; do
read_line "$line"
status=\${statuses%%"$newline"*}
case $statuses in
*"$newline"*) statuses=\${statuses#*"$newline"} ;;
none) ;;
*) statuses= ;;
esac
unset IFS
bytes_here=$(size "./$name")
case $status in
200|412)
if printf '%s\\n' "$hash" 2>/dev/null >>"$kept"; then
sent=$((sent + 1)) bytes=$((bytes + bytes_here))
continue
fi
status=unrecorded
;;
esac
say refused "\${status:-000}" "$hash" "$bytes_here" "$day" "$name"
done
say kept "$sent" "$bytes"
exit 0
;;
esac
nearly_full() {
set -- $(stat -f -c '%S %b %f %a %c %d %i' "$archive" 2>/dev/null)
if [ $# -ge 4 ]; then used=$(($2 - $3)) free=$4
else
set -- $(df -P -k "$archive" 2>/dev/null | tail -n 1)
used=$3 free=$4
fi
case $used$free in ''|*[!0-9]*) return 1 ;; esac
[ $((free * 100)) -lt $(((used + free) * ${nearlyFullPercent})) ]
}
release() {
[ -d "$held" ] || return 0
restored=0
while IFS= read -r line; do
hash=\${line%% *} name=\${line#* }
[ -f "$held/$hash" ] || continue
set -- $(ls -ln "$held/$hash")
if [ "\${2:-1}" -gt 1 ]; then rm -f "$held/$hash"
else
target=$archive/$name
[ -e "$target" ] && target=$archive/$hash
mkdir -p "\${target%/*}" && mv "$held/$hash" "$target" && restored=$((restored + 1))
fi
done 2>/dev/null <"$held/names"
rm -f "$held/names"
rmdir "$held" 2>/dev/null
[ "$restored" -eq 0 ] || say archive restored "$restored"
}
hold() {
[ "$unnamed" -eq 0 ] && mkdir -p "$held" || return 1
IFS=$newline
for line in $unkept; do
[ -e "$held/\${line%% *}" ] || ln "$archive/\${line#* }" "$held/\${line%% *}" || return 1
printf '%s\\n' "$line" >>"$held/names" || return 1
done 2>/dev/null
unset IFS
}
# Those that cannot be read, and those with a line's end in their name, have no sum; none has where nothing makes sums.
count_unnamed() {
[ -d "$archive" ] || { unnamed=0; return; }
all=$(cd "$archive" && sums)
unnamed=$(($(cd "$archive" && rotated -exec sh -c 'for file; do echo; done' sh {} + | wc -l) - $(printf '%s' "$all" | grep -c .)))
}
guarded() {
release
set -f
unkept= sizes= files=0 bytes=0 unnamed=0
if [ -d "$archive" ]; then
count_unnamed
IFS=$newline
for line in $all; do
is_known "\${line%% *}" && continue
own=$(unset IFS; size "$archive/\${line#* }")
unkept=$unkept$newline$line sizes=$sizes$own$newline
files=$((files + 1)) bytes=$((bytes + own))
done
unset IFS
files=$((files + unnamed))
fi
[ "$files" -eq 0 ] || say archive unkept "$files" "$bytes"
[ "$unnamed" -eq 0 ] || say archive unnamed "$unnamed"
full=
nearly_full && full=1
if [ "$files" -eq 0 ] || [ "$full" ] || hold; then
set +f
"$@" </dev/null
status=$?
echo
set -f
gone=0 emptied=0
IFS=$newline
for line in $unkept; do
own=\${sizes%%"$newline"*} sizes=\${sizes#*"$newline"}
if [ "$full" ]; then
[ -s "$archive/\${line#* }" ] || { [ "$own" -eq 0 ] && [ -e "$archive/\${line#* }" ]; } || gone=$((gone + 1))
elif [ "$(unset IFS; size "$held/\${line%% *}")" -lt "$own" ]; then emptied=$((emptied + 1))
fi
done
unset IFS
[ "$emptied" -eq 0 ] || say archive emptied "$emptied"
if [ "$full" ] && [ "$unnamed" -gt 0 ]; then
were=$unnamed
count_unnamed
[ "$unnamed" -ge "$were" ] || gone=$((gone + were - unnamed))
fi
[ "$gone" -eq 0 ] || say archive deleted "$gone"
else
unset IFS
say archive withheld
status=0
fi
set +f
release
}
`;
}
