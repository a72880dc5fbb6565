# Plays the host for the book's blocks, in namespaces of its own: read-only but for a few places, which are empty.
# Says `furnished` when it is ready, and waits.
set -e
umask 022
mount --make-rprivate /
cut -d' ' -f5 /proc/self/mountinfo | sort -u | while read -r place; do
    case $place in /proc | /proc/*) ;; *) mount -o remount,bind,ro "$place" 2>/dev/null || true ;; esac
done
if (: > /etc/writable) 2>/dev/null; then echo "the host can be written to"; exit 1; fi

mount -t tmpfs -o mode=755 tmpfs /run
mkdir /run/bin /run/refusing /run/repository /run/kernel /run/rustup /run/cargo
mount --bind "$REPOSITORY" /run/repository
: > /run/bin/workshop
mount --bind "$WORKSHOP" /run/bin/workshop
printf '#!/bin/sh\nexec "$@"\n' > /run/bin/sudo
printf '#!/bin/sh\nexec sh "/run/repository/%s" "$@"\n' "$SOLUTION" > /run/bin/PROGRAM
chmod +x /run/bin/sudo /run/bin/PROGRAM
[ -z "$KERNEL" ] || mount --bind "$KERNEL" /run/kernel
[ ! -d "$HOME/.rustup" ] || { mount --bind "$HOME/.rustup" /run/rustup; mount --bind "$HOME/.cargo" /run/cargo; }
# A host on which nobody gets a namespace.
printf '#!/bin/sh\necho "unshare: unshare failed: Operation not permitted" >&2\nexit 1\n' > /run/refusing/unshare
chmod +x /run/refusing/unshare

for place in /tmp /var/tmp /dev/shm /mnt /home /root; do
    [ ! -d $place ] || mount -t tmpfs -o mode=1777 tmpfs $place
done
echo mark > /mnt/mark
mkdir -p /home/you/workshop/book
mount --bind /run/repository/book /home/you/workshop/book
# For exercises: a root filesystem, and PROGRAM, which is the solution.
mkdir -p /home/you/workshop/DIR/bin
cp "$(command -v busybox)" /home/you/workshop/DIR/bin/
for program in sh ls cat rm ip ps printf; do ln -s busybox /home/you/workshop/DIR/bin/$program; done
mkdir /home/you/workshop/DIR/dev /home/you/workshop/DIR/etc /home/you/workshop/DIR/home \
    /home/you/workshop/DIR/proc /home/you/workshop/DIR/sys /home/you/workshop/DIR/tmp
mount --bind /run/kernel /boot

mount -t sysfs -o ro sysfs /sys
# Hierarchies with a group of the test's own as their root: NAME OPTIONS for v1, or . for the one tree of v2.
case $TREES in .*) mount -t cgroup2 cgroup2 /sys/fs/cgroup; mkdir /sys/fs/cgroup/session ;; *)
    mount -t tmpfs -o mode=755 tmpfs /sys/fs/cgroup
    echo "$TREES" | while read -r name options; do
        mkdir "/sys/fs/cgroup/$name"
        case $options in
            '') mount -t cgroup2 cgroup2 "/sys/fs/cgroup/$name" ;;
            *) mount -t cgroup -o "$options" cgroup "/sys/fs/cgroup/$name" ;;
        esac
        mkdir "/sys/fs/cgroup/$name/session"
    done ;;
esac
for file in /sys/fs/cgroup/session/cgroup.procs /sys/fs/cgroup/*/session/cgroup.procs; do
    [ ! -e "$file" ] || echo 0 > "$file"
done

hostname host
ipcmk -Q > /dev/null
[ ! -e /proc/sys/net/ipv6 ] || echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6
ip link set lo up
ip link add lan0 type veth peer name lan1
ip address add 192.168.7.2/24 dev lan0
ip link set lan0 up
ip link set lan1 up
ip route add default via 192.168.7.1
nft add table ip keep
nft add chain ip keep out '{ type filter hook output priority 0; }'
echo 0 > /proc/sys/net/ipv4/ip_forward
echo furnished
while read -r _; do :; done
