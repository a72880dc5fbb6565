outside=$(cut -d. -f1 /proc/uptime)
inside=$(unshare --time --fork --boottime 864000 cut -d. -f1 /proc/uptime)
echo "$(( (inside - outside) / 86400 )) days ahead"
