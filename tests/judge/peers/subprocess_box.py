#!/usr/bin/env python3
"""unshare(1) by subprocess, with its output caught and printed."""
import subprocess
import sys

args = sys.argv[2:]
options = ["--pid", "--fork", "--mount-proc", "--kill-child"]
if args[0] == "--rootfs":
    options, args = options + ["--uts", "--ipc", f"--root={args[1]}"], args[2:]
done = subprocess.run(["unshare", *options, "--", *args], capture_output=True)
sys.stdout.buffer.write(done.stdout)
sys.stderr.buffer.write(done.stderr)
sys.exit(done.returncode)
