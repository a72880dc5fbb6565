#!/bin/sh
# box.sh run [OPTIONS] CMD [ARGS…]: runs CMD. Step by step it becomes a container runtime.
set -eu

run() {
    [ $# -gt 0 ] || usage
    exec "$@" # its exit status is ours then, and signals to us reach it
}

usage() { echo 'usage: box.sh run [OPTIONS] CMD [ARGS...]' >&2; exit 125; }

case ${1-} in
run) "$@" ;;
*) usage ;;
esac
