#!/usr/bin/env python3
"""A workshop's exercise: unshare(2) by ctypes, a fork, and the new root mounted by hand."""
import ctypes
import os
import sys

libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWPID = 0x20000, 0x4000000, 0x8000000, 0x20000000
MS_BIND, MS_REC, MS_PRIVATE, MNT_DETACH = 4096, 16384, 1 << 18, 2
PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}[os.uname().machine]


def call(name, *args):
    args = [arg.encode() if isinstance(arg, str) else arg for arg in args]
    if getattr(libc, name)(*args) < 0:
        errno = ctypes.get_errno()
        raise OSError(errno, f"{name}: {os.strerror(errno)}")


def contain(root, command):
    call("mount", None, "/", None, MS_REC | MS_PRIVATE, None)
    if root:
        call("mount", root, root, None, MS_BIND, None)
        os.chdir(root)
        call("mount", "proc", "proc", "proc", 0, None)
        call("mount", "sysfs", "sys", "sysfs", 1, None)
        call("mount", "tmpfs", "dev", "tmpfs", 0, "mode=755")
        for name, minor in [("null", 3), ("zero", 5), ("full", 7), ("random", 8), ("urandom", 9)]:
            os.mknod(f"dev/{name}", 0o020666, os.makedev(1, minor))
        os.mknod("dev/tty", 0o020666, os.makedev(5, 0))
        call("syscall", PIVOT_ROOT, ".", ".")
        call("umount2", ".", MNT_DETACH)
        os.chdir("/")
        call("sethostname", "python", 6)
    else:
        call("mount", "proc", "/proc", "proc", 0, None)
    os.closerange(3, 64)
    os.execvp(command[0], command)


def main(args):
    root = None
    if args[0] == "--rootfs":
        root, args = args[1], args[2:]
    call("unshare", CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID)
    pid = os.fork()
    if pid == 0:
        try:
            contain(root, args)
        except OSError as error:
            print("ctypes_box:", error, file=sys.stderr)
            os._exit(127)
    _, status = os.waitpid(pid, 0)
    sys.exit(os.waitstatus_to_exitcode(status))


main(sys.argv[2:])
