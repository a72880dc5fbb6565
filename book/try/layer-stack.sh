mount -t tmpfs tmpfs /mnt
cd /mnt
mkdir base deps app upper1 work1 box1 upper2 work2 box2
echo 'shipped' > base/config
echo 'ours' > deps/config       # the same name, one layer higher
echo 'flask' > deps/packages
echo 'print("hi")' > app/main.py
mount -t overlay overlay box1 \
  -o lowerdir=app:deps:base,upperdir=upper1,workdir=work1
mount -t overlay overlay box2 \
  -o lowerdir=app:deps:base,upperdir=upper2,workdir=work2
ls box1
cat box1/config
rm box1/packages
echo 'written in box1' > box1/log
find upper1 -mindepth 1 -printf '%y %P\n' | sort
ls box2
ls deps
