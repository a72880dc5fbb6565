#!/bin/sh
# box.sh run [OPTIONS] CMD [ARGS…]: runs CMD. Step by step it becomes a container runtime.
set -eu

usage() {
    echo "usage: box.sh run [OPTIONS] CMD [ARGS...]" >&2
    exit 2
}

[ "${1-}" = run ] || usage
shift

while [ $# -gt 0 ]; do
    case $1 in
    # An option with a value: --name) name=$2; shift 2 ;;
    -*) usage ;;
    # The first word that is no option is CMD, and all behind it is CMD's.
    *) break ;;
    esac
done
[ $# -gt 0 ] || usage

# CMD takes the place of this shell: its exit status is ours, and signals to us reach it.
exec "$@"
