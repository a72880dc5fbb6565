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
        exec unshare --pid --mount --propagation private --uts --ipc \
            sh -c '"$@"; exit $?' sh "$0" prepare "$@" # this shell's first child is PID 1
    ) &
    while kill -0 $! 2>/dev/null; do wait $! && status=0 || status=$?; done # a signal ends it early
}

pid_1() { grep -ls "^PPid:.$!\$" /proc/[0-9]*/status | cut -d / -f 3; }

# As PID 1: does what each option asks for.
prepare() {
    root=/
    while [ $# -gt 0 ]; do
        case $1 in
        --rootfs) root=$2; shift 2 ;;
        *) enter "$@" ;;
        esac
    done
    usage
}

# Completes the root, and becomes CMD.
enter() {
    mount --rbind "$root" /tmp; cd /tmp # pivot_root wants a mount point
    mount -t proc proc proc
    mount -t sysfs -o ro sysfs sys
    mount -t tmpfs -o mode=755 tmpfs dev
    for node in null zero full random urandom tty; do : >dev/$node; mount --bind /dev/$node dev/$node; done
    hostname box
    # Once its root is the new one, this shell finds no umount. A helper in a copy of the mount namespace
    # keeps the old root; and who enters our namespace starts in whatever lies on top, the old root again.
    unshare --mount sh -ec '
        nsenter --mount=proc/1/ns/mnt pivot_root /tmp /tmp
        nsenter --mount=proc/1/ns/mnt umount -l /'
    cd /; trap - EXIT
    exec 3<&- 4<&- 5<&- 6<&- 7<&- 8<&- 9<&-
    exec "$@"
}

usage() { echo 'usage: box.sh run [OPTIONS] CMD [ARGS...]' >&2; exit 125; }

case ${1-} in
run | prepare) trap 'exit 125' EXIT; "$@" ;;
*) usage ;;
esac
