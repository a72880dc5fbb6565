unshare --uts sleep 30 &
sleep 1
nsenter --target $! --uts hostname box
nsenter --target $! --uts hostname
[ "$(hostname)" != box ] && echo "outside, the name is another"
kill $!
