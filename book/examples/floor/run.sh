#!/usr/bin/env bash
# Builds floor.c and measures what each part of a container costs, as root, in mount and network namespaces of its own.
# Takes cc with a static C library, and busybox. Groups are made in the host's hierarchies, and removed again. What a start
# takes as a whole, beside other runtimes, is measured by `cargo bench --bench start`.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
base=$(mktemp -d)
group=floor-$$
# The groups of containers are gone by then.
trap 'rm -rf "$base"; rmdir /sys/fs/cgroup/{pids,memory,cpu}/"$group" 2>/dev/null || true' EXIT
cc -O2 -static -w -DBASE="\"$base\"" -DGROUP="\"$group\"" -o "$base/floor" "$here/floor.c"

root=$base/bundle/rootfs
mkdir -p "$root"/{bin,dev,etc,proc,sys,tmp,root} "$base"/{tm,ext}
cp "$(command -v busybox)" "$root/bin/busybox"
for name in sh true sleep; do ln -s busybox "$root/bin/$name"; done

if [[ $# -eq 0 ]]; then
  # From a bare process to the whole container, one part after the other.
  # shellcheck disable=SC2054 # commas are part of a spec
  parts=(ns= ns=m,priv ns=pmui,priv ns=pmui,priv,ovlv,piv ns=pmui,priv,ovlv,piv,proc,dev,sys)
  parts+=("${parts[-1]/pmui/pmuin}" "${parts[-1]/pmui/pmuin},veth6")
  # The groups of cgroup v1, where the host has those.
  if [[ -d /sys/fs/cgroup/pids ]]; then parts+=("${parts[-1]},cg=pids+memory+cpu,cglim"); fi
  set -- "${parts[@]}"
fi
# shellcheck disable=SC2016 # the inner shell expands them
unshare --mount --net --propagation private sh -c '
  base=$1; shift
  mount -t tmpfs -o mode=755 none "$base/tm" && mkdir "$base/tm/m" "$base/tm/dev"
  exec "$base/floor" -n "${ROUNDS:-60}" -w 5 -g "${GAP:-40000}" "$@"' sh "$base" "$@"
