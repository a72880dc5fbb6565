dir=$(mktemp -d)
cd "$dir"
umask 022
mkdir -p layer/app
echo 'print("hello")' > layer/app/main.py
pack() {
  tar --format=ustar --sort=name --mtime=@0 \
    --owner=0 --group=0 --numeric-owner -C layer -c .
}
pack | sha256sum
touch layer/app/main.py         # the clock goes on, the content does not
pack | sha256sum
chmod 600 layer/app/main.py     # the mode is part of the layer
pack | sha256sum
rm -r "$dir"
