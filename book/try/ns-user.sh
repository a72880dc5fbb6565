unshare --user id -u
unshare --user --map-root-user id -u
unshare --user --map-root-user cat /proc/self/uid_map
