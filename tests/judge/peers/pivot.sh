#!/bin/bash
# With a trap that ends the container, and a root that is changed by the shell inside.
shift
root=
while [[ ${1-} == --* ]]; do
    case $1 in
        --rootfs) root=$2; shift 2 ;;
        *) shift ;;
    esac
done
inside='
root=$1; shift
if [ -n "$root" ]; then
    mount --bind "$root" "$root" && cd "$root" || exit 125
    mount -t proc proc proc && mount -t sysfs -o ro sysfs sys && mount -t tmpfs tmpfs dev || exit 125
    for node in null zero full random urandom tty; do
        : >"dev/$node" && mount --bind "/dev/$node" "dev/$node" || exit 125
    done
    pivot_root . . && umount -l . && cd / || exit 125
else
    mount -t proc proc /proc || exit 125
fi
exec "$@" 3<&- 9<&-'
exec 3<&0
unshare --pid --fork --kill-child --mount --uts --ipc bash -c "$inside" box "$root" "$@" <&3 &
child=$!
trap 'kill -KILL $child' TERM
wait $child; status=$?
# The trap interrupts the first one.
while kill -0 $child 2>/dev/null; do wait $child; status=$?; done
exit $status
