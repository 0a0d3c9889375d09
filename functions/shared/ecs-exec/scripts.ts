/**
 * The shell scripts that run in the container: for any POSIX shell, and calling no other program where none is
 * there. All variables begin with `ee_`, so that none of the command's own environment is overwritten.
 *
 * A run has two files. The lock, `FOLDER/ecs-exec-RUN.lock`, which only one can create (`set -C`):
 *
 *     STATUS, padded to twelve characters
 *     PID START TOKEN
 *
 * Its room is taken at the start, and the status is later written over the first line in place, so that it arrives
 * although the disk is full by then. The output, `FOLDER/ecs-exec-RUN.TOKEN`: the token is typed into the terminal and
 * stands in no command line, so nobody can have a file waiting there.
 *
 * STATUS: `starting` (the command's own process is not there yet), `running`, `exit N`, `refused` (no process could be
 * made for it), `void` (not a run: there was no room, or it is forgotten and could not be removed).
 */

/**
 * `k` looks for the run and sets `ee_p`, the path that its files begin with; a file that is not ours does not count.
 * `a PID START` is true if that process is alive, and not a zombie; without `/proc` there is no start time, and only
 * the process id counts. `g` is true if anything lives in the command's process group or session.
 */
export const COMMON = `h() {
{ read -r ee_s ee_c; read -r ee_q ee_t ee_k; } <"$ee_l"
ee_o=$ee_p.$ee_k
[ "$ee_k" ]
}
k() {
eval "set -- $ee_F"
for ee_p; do
ee_p=$ee_p/$ee_i ee_l=$ee_p.lock
[ -s "$ee_l" ] && [ -O "$ee_l" ] && [ ! -L "$ee_l" ] && h && [ "$ee_s" != void ] && return
done
ee_p=
return 1
}
a() {
[ "$2" != - ] || { kill -0 "$1"; return; }
read -r ee_r <"/proc/$1/stat" || return 1
ee_r=\${ee_r##*\\) }
set -- "$2" $ee_r
[ "$2" != Z ] && [ "\${21}" = "$1" ]
}
g() {
[ -r /proc/self/stat ] || { kill -0 "-$ee_q"; return; }
for ee_f in /proc/[0-9]*; do
read -r ee_r <"$ee_f/stat" || continue
set -- \${ee_r##*\\) }
[ "$1" = Z ] || [ "$3" != "$ee_q" ] && [ "$4" != "$ee_q" ] || return 0
done
return 1
}`;

/**
 * Finds what there is to read files with. `d` is `dd`, which reads from a place and no more than is asked for; without
 * it the shell reads line by line.
 */
export const READING = `ee_d=
if command -v dd; then ee_d=1; d() { dd "$@"; }
elif command -v busybox && busybox dd </dev/null; then ee_d=1; d() { busybox dd "$@"; }
fi >/dev/null 2>&1
z() { stat -c %s "$1" || busybox stat -c %s "$1" || wc -c <"$1" || busybox wc -c <"$1" || printf "-"; }`;

/** `c COUNT` copies so many bytes at most of descriptor 3, `ee_e` says in what form. */
export const TEXT = `ee_e=raw
c() {
if [ "$ee_d" ]; then d bs=4096 count="$(($1 / 4096))" <&3
else
ee_x=0 ee_r=
while IFS= read -r ee_r; do
printf "%s\\n" "$ee_r"
ee_x=$((ee_x + \${#ee_r} + 1)) ee_r=
[ "$ee_x" -ge "$1" ] && return
done <&3
ee_x=$((ee_x + \${#ee_r}))
printf %s "$ee_r"
fi
}`;

export const BYTES = `b() { :; }
if command -v base64 >/dev/null; then ee_e=base64; b() { base64; }
elif command -v od >/dev/null; then ee_e=hex; b() { od -An -v -tx1; }
elif command -v busybox >/dev/null && busybox base64 </dev/null >/dev/null 2>&1; then ee_e=base64; b() { busybox base64; }
elif command -v busybox >/dev/null && busybox od </dev/null >/dev/null 2>&1; then ee_e=hex; b() { busybox od -An -v -tx1; }
else ee_e=
fi
c() {
if [ "$ee_d" ]; then d bs=4096 count="$(($1 / 4096))" <&3 | b
else b <&3
fi
}`;

/**
 * For a run that is given input: `q` looks for the file that it was brought in, `ee_j`, `v` brings more of it
 * (`put TOKEN PLACE COUNT LINE`, and the further lines), and `t` is true if all of it is there. A line that comes again, over
 * another session, finds the file longer than it says, and is dropped; so are all behind one that is not as long as it
 * says, so that what there is, is the input's beginning. `y` removes what has not been used. ksh93 can lose what is typed
 * ahead, and takes 1,023 characters, so it says that it is to get lines alone.
 */
export const INPUT = `ee_j=
q() {
eval "set -- $ee_F"
for ee_j; do
ee_j=$ee_j/$ee_i.$ee_a.in
[ -f "$ee_j" ] && [ -O "$ee_j" ] && [ ! -L "$ee_j" ] && return
done
ee_j=
return 1
}
i() {
eval "set -- $ee_F"
for ee_j; do
ee_j=$ee_j/$ee_i.$ee_a.in
( umask 077; set -C; : >"$ee_j" ) && return
done
ee_j=
return 1
}
v() {
ee_c=\${ee_b#* }
set -- "\${ee_b%% *}" "\${ee_c%% *}"
ee_c=\${ee_c#* } ee_h=
case $KSH_VERSION in
*" 93"*) ee_z="absent alone" ;;
*) [ "$1" = 0 ] && stty -echo 2>/dev/null ;;
esac
if q || { [ "$1" = 0 ] && i 2>/dev/null; }; then [ "$(z "$ee_j" 2>/dev/null)" = "$1" ] && ee_h=1; fi
ee_r=$2
while [ "$ee_r" -gt 0 ]; do
ee_m=\${ee_c%%:*} ee_c=\${ee_c#*:}
[ "$ee_m" = "\${#ee_c}" ] || ee_h=
[ "$ee_h" ] && { printf %b "$ee_c" 2>/dev/null >>"$ee_j" || ee_h=; }
ee_r=$((ee_r - 1))
[ "$ee_r" = 0 ] || IFS= read -r ee_c || return
done
}
t() {
[ -z "$ee_b" ] || { q && [ "$(z "$ee_j")" = "$ee_b" ]; }
}
y() {
[ "$ee_a" ] && q && { rm -f "$ee_j" || busybox rm -f "$ee_j"; }
}`;

/** For a run without. */
export const NO_INPUT = `ee_j=
t() { :; }
y() { :; }`;

/**
 * `s` starts the keeper, in a session of its own, so that neither it nor the command has a terminal; without
 * `setsid` in a process group of its own, where the terminal cannot stop it. A new shell, for one that has used the
 * terminal keeps it open, and with it the session.
 *
 * @param keeper the command line of the keeper, which gets the run's id, its folders, the umask and the command
 */
export function startFunction(keeper: string): string {
  return `s() {
export ECS_EXEC_TOKEN="$ee_a" ECS_EXEC_INPUT="$ee_j"
ee_u=$(umask)
umask 077
if command -v setsid >/dev/null; then ( exec setsid ${keeper} ) </dev/null >/dev/null 2>&1 &
elif command -v busybox >/dev/null && busybox setsid true >/dev/null 2>&1; then ( exec busybox setsid ${keeper} ) </dev/null >/dev/null 2>&1 &
else
( set -m ) 2>/dev/null && set -m 2>/dev/null
( trap "" TTIN TTOU; exec ${keeper} ) </dev/null >/dev/null 2>&1 &
set +m
fi
umask "$ee_u"
}
`;
}

/**
 * Takes the run's lock, runs the command and keeps its status. Input is opened and its file removed. A folder counts if it also has room for some output,
 * at first; `ee_b` is that room. ksh93 says 256 + N for the signal N, others 128 + N.
 */
export const KEEPER = `trap "" HUP
ee_i=$1 ee_F=$2 ee_u=$3 ee_w=$4
shift 4
ee_k=$ECS_EXEC_TOKEN ee_j=$ECS_EXEC_INPUT
unset ECS_EXEC_TOKEN ECS_EXEC_INPUT
m() {
ee_m="$$ -"
read -r ee_r </proc/$$/stat || return
ee_r=\${ee_r##*\\) }
set -- $ee_r
ee_m="$$ \${20}"
}
n() {
printf "%-12s" "$1" 1<>"$ee_l"
}
l() {
eval "set -- $ee_F"
for ee_p; do
ee_p=$ee_p/$ee_i ee_l=$ee_p.lock ee_o=$ee_p.$ee_k
if [ -e "$ee_l" ] || [ -L "$ee_l" ]; then
[ -O "$ee_l" ] && [ ! -L "$ee_l" ] || continue
for ee_r in 1 2 3; do [ -s "$ee_l" ] || sleep 1; done
[ -s "$ee_l" ] || continue
read -r ee_r ee_c <"$ee_l"
[ "$ee_r" = void ] && continue
exit
fi
ee_h=
{ ee_h=1; printf "%-12s\\n%s %s\\n" starting "$ee_m" "$ee_k" && ee_h=2; } >"$ee_l"
[ -z "$ee_h" ] && { [ -O "$ee_l" ] && exit; continue; }
if [ "$ee_h" = 2 ] && printf %s "$ee_b" >"$ee_o"; then
printf "" >|"$ee_o"
return 0
fi
n void
rm -f "$ee_l" "$ee_o" || busybox rm -f "$ee_l" "$ee_o"
done
return 1
}
f() {
eval "set -- $ee_F"
for ee_f; do
for ee_f in "$ee_f/ecs-exec-$ee_w"*.lock; do
[ "$ee_f" != "$ee_l" ] && [ -O "$ee_f" ] && [ ! -L "$ee_f" ] || continue
{ read -r ee_r ee_c; read -r ee_h ee_c ee_m; } <"$ee_f"
case $ee_r in exit|void|refused) rm -f "$ee_f" "\${ee_f%lock}$ee_m" ;; esac
done
done
}
m
set -C
ee_b=0123456789abcdef
while [ "\${#ee_b}" -lt 8192 ]; do ee_b=$ee_b$ee_b; done
l || { ee_b=; l; } || exit
[ "$ee_w" ] && f
set +C
if [ "$ee_j" ]; then
exec <"$ee_j" || exit
rm -f "$ee_j" || busybox rm -f "$ee_j"
fi
trap "ee_r=1" TERM
(
n running
trap "" HUP
trap - TERM
umask "$ee_u"
exec "$@" 2>&1
) >>"$ee_o"
ee_c=$?
[ "$ee_c" -gt 256 ] && ee_c=$((ee_c - 128))
read -r ee_r ee_h <"$ee_l"
if [ "$ee_r" = running ]; then n "exit $ee_c"; else n refused; fi`;

/**
 * Answers questions, a line each: `NONCE QUESTION A B`. An answer is a line `NONCE:ENCODING PLACE`, what was asked for
 * of the output, and a line `NONCE:SIZE NEXT STATE`: the size of the output (of the input, to `put`), and the place behind what was sent; `-` where
 * the container cannot tell. A command that is not there yet is not sent TERM, which would miss it: the state is then
 * `running early`. A look at a command that has printed nothing new starts no process.
 */
export const ANSWERS = `w() {
ee_s=$ee_z ee_y=- ee_o=
if [ -z "$ee_e" ]; then ee_s=no-encoder
elif k; then
ee_g=
[ "$ee_s" = starting ] && ee_o=
case $ee_s in
starting|running)
if a "$ee_q" "$ee_t"; then
ee_g=1
case $ee_s in starting) ee_g=early ee_s="running early" ;; esac
elif k; then
case $ee_s in
starting) ee_s=refused ee_o= ;;
running) if g; then ee_s=orphaned ee_g=1; else ee_s=died; fi ;;
esac
fi
;;
esac
case $ee_v$ee_g in
TERM1|KILL1|KILLearly) kill "-$ee_v" "-$ee_q" || kill "-$ee_v" "$ee_q" ;;
esac
[ "$ee_s" = exit ] && ee_s="exit $ee_c"
[ -O "$ee_o" ] && [ ! -L "$ee_o" ] && [ -r "$ee_o" ] || ee_o=
if [ "$ee_o" ] && [ "$ee_v" != check ]; then
ee_y=0
[ -s "$ee_o" ] && ee_y=$(z "$ee_o")
fi
fi
[ "$ee_v" = put ] && [ "$ee_j" ] && ee_y=$(z "$ee_j")
ee_h=
if [ "$ee_v" = more ] && [ "$ee_o" ] && [ "$ee_y" != "$ee_a" ]; then
ee_h=1
if [ "$ee_x" != "$ee_a" ]; then
exec 3<"$ee_o"
ee_x=0
[ "$ee_d" ] && [ "$ee_a" != 0 ] && d bs=1 skip="$ee_a" count=0 <&3 && ee_x=$ee_a
fi
fi
printf "\\n%s:%s %s\\n" "$ee_n" "$ee_e" "$ee_x"
if [ "$ee_h" ]; then
ee_h=$ee_x
c "$ee_b"
if [ -r "/proc/$$/fdinfo/3" ]; then read -r ee_r ee_x <"/proc/$$/fdinfo/3"
elif [ "$ee_d" ]; then ee_x=-
else ee_x=$((ee_h + ee_x))
fi
fi
if [ "$ee_v" = forget ]; then
case $ee_s in
exit*|died|refused)
rm -f "$ee_l" "$ee_o" || busybox rm -f "$ee_l" "$ee_o" || { printf "%-12s" void 1<>"$ee_l"; printf "" >|"$ee_o"; }
ee_s=forgotten
esac
fi
printf "\\n%s:%s %s %s\\n" "$ee_n" "$ee_y" "\${ee_x:--}" "$ee_s"
}
printf "ecs-exec\\n"
ee_x= ee_z=absent
while read -r ee_n ee_v ee_a ee_b; do
case $ee_v in
start) [ "$ee_e" ] && { k || if t 2>/dev/null; then ee_z=absent; s "$@"; else ee_z=no-input; fi; } ;;
put) v ;;
esac
w 2>/dev/null
case $ee_v in
forget|leave) y 2>/dev/null; break ;;
esac
done
`;
