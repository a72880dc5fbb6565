dir=$(mktemp -d)
cd "$dir"
echo 'only root reads this' > file
chmod 000 file
id -u
cat file
setpriv --bounding-set=-dac_override,-dac_read_search cat file
grep NoNewPrivs /proc/self/status
setpriv --no-new-privs grep NoNewPrivs /proc/self/status
rm -r "$dir"
