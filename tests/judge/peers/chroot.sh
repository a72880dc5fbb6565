#!/bin/bash
# As many a tutorial does it: unshare(1), chroot, and a /proc.
shift
root=/
while [[ ${1-} == --* ]]; do
    case $1 in
        --rootfs) root=$2; shift 2 ;;
        *) shift ;;
    esac
done
if [ "$root" = / ]; then
    exec unshare --pid --fork --kill-child --mount-proc "$@"
fi
exec unshare --pid --fork --kill-child --mount --uts --ipc --root "$root" --mount-proc "$@"
