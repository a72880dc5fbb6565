# Which processes are there inside?
unshare --pid --fork --mount-proc sh -c 'echo /proc/[0-9]*'
# How many answers are there to the question how much memory there is?
memory='grep MemTotal /proc/meminfo'
{ $memory; unshare --pid --fork --mount-proc $memory; } | sort -u | wc -l
