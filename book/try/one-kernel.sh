# How many different answers do host and namespaces give?
{ uname -r; unshare --uts --pid --fork uname -r; } | sort -u | wc -l
boot=/proc/sys/kernel/random/boot_id
{ cat $boot; unshare --mount --pid --fork --mount-proc cat $boot; } | sort -u | wc -l
pids='readlink /proc/self/ns/pid'
{ $pids; unshare --pid --fork --mount-proc $pids; } | sort -u | wc -l
