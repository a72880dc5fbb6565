#!/bin/sh
# The applets of busybox, one after the other.
shift
if [ "$1" = --rootfs ]; then
    root=$2; shift 2
    exec busybox unshare -p -f -m -u -i sh -c 'busybox mount -t proc proc "$0/proc"; exec busybox chroot "$0" "$@"' "$root" "$@"
fi
exec busybox unshare -p -f -m sh -c 'busybox mount -t proc proc /proc; exec "$@"' box "$@"
