#!/bin/sh
# box.sh run [OPTIONS] CMD [ARGS…]: runs CMD in a container.
set -eu

run() {
    status=125 # Docker's, too, for a container that did not start
    trap 'clean_up; exit $status' EXIT
    # A PID 1 gets no signal that it has no handler for, except SIGKILL from outside.
    trap 'until kill -KILL "$(pid_1)" 2>/dev/null || ! kill -0 $!; do sleep 0.1; done' HUP TERM
    trap : INT # Ctrl-C is for CMD
    exec 3<&0
    (
        exec <&3 3<&- # the input of what runs in the background is /dev/null
        exec "$0" prepare $$ "$@"
    ) &
    while kill -0 $! 2>/dev/null; do wait $! && status=0 || status=$?; done # a signal ends it early
}

pid_1() { grep -ls "^PPid:.$!\$" /proc/[0-9]*/status | cut -d / -f 3; }

clean_up() {
    for tree in '' memory pids cpu; do rmdir "/sys/fs/cgroup/$tree/box$$" 2>/dev/null || :; done
    ip link delete "box$$" 2>/dev/null || :
}

# Does what each option asks for outside; then makes all namespaces at once, for the user namespace to own.
prepare() {
    id=$1 root=/ layer='' net='' users='' limits=''; shift
    while [ $# -gt 0 ]; do
        case $1 in
        --rootfs) root=$2; shift 2 ;;
        --memory) limits="$limits memory=limit_in_bytes=$2"; shift 2 ;;
        --pids) limits="$limits pids=max=$2"; shift 2 ;;
        --cpus) limits="$limits cpu=cfs_quota_us=$(echo "$2" | awk '{ print int($1 * 100000) }')"; shift 2 ;;
        --image) root=$2 layer=yes; shift 2 ;;
        --net) net=--net; shift ;;
        --userns) users='--user --keep-caps'; shift ;; # until it is root, execve would take them
        *)
            ({ "$0" outside "$id" $$ "$root" "$net" "$users" || kill -KILL $$; } &)
            for one in $limits; do limit $(echo "$one" | tr = ' '); done # not for the part outside
            exec 4<"$0" # whoever we become may not come here by the path
            # Its own network for a /sys of its own. This shell's first child is PID 1.
            exec unshare $users ${users:+--net} $net \
                --pid --mount --propagation private --uts --ipc --cgroup sh -c '"$@"; exit $?' \
                sh sh /proc/self/fd/4 enter "$root" "$layer" "$id" "$net" "$users" "$@" ;;
        esac
    done
    usage
}

# Joins a group with this limit: cgroup v1 has a tree for each controller, v2 one for all.
limit() {
    group=/sys/fs/cgroup/$1/box$id file=$1.$2
    [ ! -e /sys/fs/cgroup/cgroup.controllers ] || group=/sys/fs/cgroup/box$id file=$1.max
    mkdir -p "$group"
    echo "$3" >"$group/$file"
    for file in swap.max swappiness; do [ ! -e "$group/memory.$file" ] || echo 0 >"$group/memory.$file"; done
    echo 0 >"$group/cgroup.procs" # whoever writes it
}

# With the host's privileges, for the process that makes the namespaces, once it has.
outside() {
    id=$1 maker=$2 root=$3 net=$4 users=$5
    until [ "$(readlink "/proc/$maker/ns/mnt")" != "$(readlink /proc/self/ns/mnt)" ]; do sleep 0.1; done
    [ ! "$net" ] || bridge
    if [ ! "$users" ]; then
        :
    elif grep -q 4294967295 /proc/self/uid_map; then # all ids are ours to give
        nsenter --target "$maker" --mount sh -ec 'cd "$0"; mount -t tmpfs tmpfs "$0"; cp -a . "$0"
            chown -hR 524288:524288 "$0"' "$root" # or an id-mapped mount, which no tool here makes
        echo 0 524288 65536 >"/proc/$maker/uid_map"; echo 0 524288 65536 >"/proc/$maker/gid_map"
    else
        echo deny >"/proc/$maker/setgroups"
        echo 0 "$(id -u)" 1 >"/proc/$maker/uid_map"; echo 0 "$(id -g)" 1 >"/proc/$maker/gid_map"
    fi
    trap - EXIT
}

bridge() {
    subnet=10.$((id / 256 % 256)).$((id % 256))
    ip link add "box$id" up type bridge
    ip address add "$subnet.1/24" dev "box$id"
    ip link add "veth$id" up master "box$id" type veth peer name eth0 netns "$maker"
}

overlay() {
    cd "$root"; root=/tmp
    mount -t tmpfs tmpfs /tmp
    mkdir /tmp/upper /tmp/work
    grep -q 4294967295 /proc/self/uid_map || xattr=,userxattr # a user namespace's way
    mount -t overlay -o "lowerdir=.,upperdir=/tmp/upper,workdir=/tmp/work${xattr-}" overlay /tmp
}

network() {
    subnet=10.$((id / 256 % 256)).$((id % 256))
    until ip link show eth0 >/dev/null 2>&1; do sleep 0.1; done
    ip link set lo up; ip link set eth0 up
    ip address add "$subnet.2/24" dev eth0; ip route add default via "$subnet.1"
}

# Completes the root, and becomes CMD.
enter() {
    root=$1 layer=$2 id=$3 net=$4 users=$5; shift 5
    if [ "$users" ]; then
        until grep -q . /proc/self/gid_map; do sleep 0.1; done
        grep -q deny /proc/self/setgroups && groups=--keep-groups || groups=--clear-groups
        exec setpriv --reuid 0 --regid 0 $groups \
            sh /proc/self/fd/4 enter "$root" "$layer" "$id" "$net" '' "$@"
    fi
    [ ! "$net" ] || network
    [ ! "$layer" ] || overlay
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
run | prepare | outside | enter) trap 'exit 125' EXIT; "$@" ;;
*) usage ;;
esac
