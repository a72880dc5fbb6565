mount -t tmpfs tmpfs /mnt
cd /mnt
mkdir -p image/data volume upper work root
echo 'from the image' > image/data/seed
start() {
  mount -t overlay overlay root \
    -o lowerdir=image,upperdir=upper,workdir=work
  mount --bind volume root/data
}
remove() {
  umount root/data root
  rm -r upper work
  mkdir upper work
}
start
ls root/data                    # the mount hides what the image has here
echo 'visit 1' > root/data/visits
echo 'started' > root/log
ls root
remove
start
ls root
cat root/data/visits
