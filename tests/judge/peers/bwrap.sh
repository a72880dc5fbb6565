#!/bin/sh
# bubblewrap, as an ordinary user's sandbox.
shift
if [ "$1" = --rootfs ]; then
    root=$2; shift 2
    exec bwrap --unshare-pid --unshare-uts --unshare-ipc --die-with-parent --bind "$root" / --proc /proc --dev /dev "$@"
fi
exec bwrap --unshare-pid --die-with-parent --bind / / --dev-bind /dev /dev --proc /proc "$@"
