# Tells all that a block must leave as it is.
show() { echo "==== $1"; shift; "$@" 2>&1; }
show mounts cat /proc/self/mountinfo
show links ip -o link
show addresses ip -o address
show routes ip route show table all
show nftables nft list ruleset
show sysctls sh -c 'grep -rs . /proc/sys/net | grep -v conntrack_count
    cd /proc/sys/kernel && grep -s . hostname domainname core_pattern pid_max shm* msg* sem unprivileged* apparmor*'
show ipc cat /proc/sysvipc/msg /proc/sysvipc/sem /proc/sysvipc/shm
show groups find /sys/fs/cgroup -type d
show controllers sh -c 'cat /sys/fs/cgroup/cgroup.subtree_control /sys/fs/cgroup/unified/cgroup.subtree_control'
show etc find /etc -printf '%p %m %s %T@\n'
show dev find /dev -xdev -printf '%p %m %y\n'
# Not what the pages say the workshop and the runtimes keep, nor the folder that the shell stands in.
show files find /tmp /var/tmp /dev/shm /mnt /home /root /run \( -path /home/you/workshop -o -path /run/bin -o -path /run/kernel -o -path /run/repository \
    -o -path /run/rustup -o -path /run/cargo -o -path /run/runc -o -path /run/crun -o -path /root/.cache -o -path /root/.local -o -path /root/.cargo \) \
    -prune -o ! -type d -printf '%p %m %s\n' -o -printf '%p %m\n'
