#!/bin/sh
# box.sh run [OPTIONS] CMD [ARGS…]: runs CMD in a container.
set -eu

run() {
    status=125 # Docker's, too, for a container that did not start
    trap 'exit $status' EXIT
    # A PID 1 gets no signal that it has no handler for, except SIGKILL from outside.
    trap 'until kill -KILL "$(pid_1)" 2>/dev/null || ! kill -0 $!; do sleep 0.1; done' HUP TERM
    trap : INT # Ctrl-C is for CMD
    exec 3<&0
    (
        exec <&3 3<&- # the input of what runs in the background is /dev/null
        exec unshare --pid \
            sh -c '"$@"; exit $?' sh "$0" enter "$@" # this shell's first child is PID 1
    ) &
    while kill -0 $! 2>/dev/null; do wait $! && status=0 || status=$?; done # a signal ends it early
}

pid_1() { grep -ls "^PPid:.$!\$" /proc/[0-9]*/status | cut -d / -f 3; }

# As PID 1: becomes CMD.
enter() {
    [ $# -gt 0 ] || usage
    trap - EXIT
    exec "$@"
}

usage() { echo 'usage: box.sh run [OPTIONS] CMD [ARGS...]' >&2; exit 125; }

case ${1-} in
run | enter) trap 'exit 125' EXIT; "$@" ;;
*) usage ;;
esac
