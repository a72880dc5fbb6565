ls /proc/self/ns
