#!/usr/bin/env python3
"""box.py run [OPTIONS] CMD [ARGS…]: runs CMD. Step by step it becomes a container runtime."""

import os
import signal
import sys
from dataclasses import dataclass, field

SIGNALS = {signal.SIGCHLD, signal.SIGTERM}


@dataclass
class Options:
    """What the command line asks for."""

    command: list[str] = field(default_factory=list)


def parse(words: list[str]) -> Options:
    options = Options()
    if words[:1] != ["run"]:
        usage()
    words = words[1:]
    while words and words[0].startswith("-"):
        match words.pop(0):
            # An option with a value: case "--name" if words: options.name = words.pop(0)
            case _:
                usage()
    # The first word that is no option is CMD, and all behind it is CMD's.
    if not words:
        usage()
    options.command = words
    return options


def usage():
    print("usage: box.py run [OPTIONS] CMD [ARGS...]", file=sys.stderr)
    sys.exit(2)


def start(command: list[str]):
    """Becomes CMD."""
    # Python ignores these two, and what is ignored stays so through execve(2).
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    try:
        os.execvp(command[0], command)
    except OSError as error:
        print(f"box.py: {command[0]}: {error.strerror}", file=sys.stderr)
        os._exit(127 if isinstance(error, FileNotFoundError) else 126)


def run(options: Options) -> int:
    """Runs CMD and returns the exit status to end with."""
    # Blocked signals wait until they are asked for, so none is lost between fork and wait.
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    child = os.fork()
    if child == 0:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        start(options.command)
    while True:
        came = signal.sigwait(SIGNALS)
        if came != signal.SIGCHLD:
            os.kill(child, came)
            continue
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid == child:
            code = os.waitstatus_to_exitcode(status)
            return 128 - code if code < 0 else code


if __name__ == "__main__":
    sys.exit(run(parse(sys.argv[1:])))
