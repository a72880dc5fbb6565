//! The judge against programs that are right in odd ways, and such that mean harm: all get a verdict in time, and none
//! changes or leaves anything.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Instant;

use crate::common::watch::PATIENCE;
use crate::common::{self, Who, have, place, run, workshop};
use crate::{check, each, script};

/// Programs that mean harm, and what is said of them as step 0.
const HOSTILE: [(&str, &str, &str); 10] = [
    ("forks without end", "b() { b | b & }; while :; do b; done", "more than 512 processes"),
    ("floods its output", "exec yes", "more than 64 MiB"),
    ("floods standard error", "exec yes >&2", "more than 64 MiB"),
    ("hangs, and ignores SIGTERM", "trap '' TERM INT HUP; while :; do sleep 1; done", "nothing happened"),
    ("stops itself", "kill -STOP $$", "nothing happened"),
    (
        "freezes itself, where it can reach a freezer",
        "mkdir /run/f; mount -t cgroup -o freezer freezer /run/f && mkdir /run/f/harm || exit 3
         echo $$ >/run/f/harm/cgroup.procs; echo FROZEN >/run/f/harm/freezer.state; sleep 100",
        "nothing happened|ended with status 3",
    ),
    ("dies of a real-time signal", "exec perl -e 'kill 40, $$; sleep 20'", "killed by signal 40"),
    ("kills its parent and everybody else", "kill -9 $PPID; kill -9 -1; exit 3", "ended"),
    ("takes all memory", "exec perl -e 'while (1) { push @a, \"x\" x (1 << 24) }'", "more than 1 GiB"),
    (
        "changes the host",
        "hostname harm; ip link delete lo; mount -t tmpfs tmpfs /usr; rm -rf /etc/hostname; kill -KILL $$",
        "killed by signal 9",
    ),
];

#[test]
fn programs_that_mean_harm_are_ended_in_time_and_change_nothing() {
    if !have("perl", "perl") {
        return;
    }
    let read = |file: &str| fs::read_to_string(file).ok();
    let host = || ["/proc/sys/kernel/hostname", "/proc/self/mountinfo", "/etc/hostname"].map(read);
    for who in common::who() {
        let before = host();
        each(&HOSTILE, |(name, text, said)| {
            let began = Instant::now();
            let file = script(name, &format!("#!/bin/sh\n{text}\n"));
            let verdict = check(who, "0", &file);
            assert_eq!((verdict.status, &verdict.failed[..]), (1, &["starts".to_owned()][..]), "{name}");
            let actual =
                verdict.events.iter().find(|e| e["name"] == "starts").and_then(|e| e["actual"].as_str());
            let known = said.split('|').any(|said| actual.is_some_and(|actual| actual.contains(said)));
            assert!(known, "{name}: {actual:?}");
            assert!(verdict.skipped > 0, "{name}");
            assert!(began.elapsed() < PATIENCE, "{name}: {:?}", began.elapsed());
        });
        assert_eq!(before, host(), "the host's name and mounts");
        assert!(!Path::new("/sys/fs/cgroup/freezer/harm").exists(), "a group was left on the host");
    }
}

/// Programs that are right as step 0, in a way that few are.
const ODD: [(&str, &str); 4] = [
    (
        "gets a real-time signal",
        "import os, signal, sys
signal.signal(34, lambda *_: None)
os.kill(os.getpid(), 34)
os.execvp(sys.argv[2], sys.argv[2:])",
    ),
    (
        "changes the group of all its threads, which the C library does by real-time signals",
        "import os, sys, threading, time
for _ in range(3): threading.Thread(target=time.sleep, args=[20], daemon=True).start()
os.setresgid(os.getgid(), os.getgid(), os.getgid())
os.execvp(sys.argv[2], sys.argv[2:])",
    ),
    (
        "has much memory and many threads",
        "import os, signal, subprocess, sys, threading, time
memory = bytearray(60 << 20)
for _ in range(40): threading.Thread(target=time.sleep, args=[20], daemon=True).start()
cmd = subprocess.Popen(sys.argv[2:])
signal.signal(signal.SIGTERM, lambda *_: cmd.terminate())
time.sleep(0.2)
status = cmd.wait()
os._exit(status if status >= 0 else 128 - status)",
    ),
    (
        "executes CMD in another thread than its first",
        "import os, sys, threading, time
threading.Thread(target=os.execvp, args=[sys.argv[2], sys.argv[2:]]).start()
time.sleep(20)",
    ),
];

/// Programs that start CMD and do it or its host harm, and a check that must find it.
const MEAN: [(&str, &str, &str); 6] = [
    ("leaves a flood behind", "#!/bin/sh\nshift\nyes &\n\"$@\"", "nothing-running"),
    ("floods later", "#!/bin/sh\nshift\n(sleep 0.3; exec yes) &\nexec \"$@\"", "nothing-running"),
    ("starts CMD only to be looked at", "#!/bin/sh\nshift\n[ $4 != rest ] || exec \"$@\"", "starts"),
    (
        "kills CMD, mostly before its first instruction",
        "#!/bin/sh\nshift\n\"$@\" &\nuntil grep -q act /proc/$!/cmdline; do :; done\nkill -9 $!; wait $!",
        "starts|streams",
    ),
    (
        "ends its host's first process by ptrace",
        "#!/usr/bin/env python3
import ctypes, os, sys, time
ptrace = ctypes.CDLL(None).ptrace
ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
if sys.argv[5] == 'talk' and os.fork() == 0:
    time.sleep(0.3)
    ptrace(16, 1, None, None)
    time.sleep(0.1)
    ptrace(7, 1, None, 9)
    os._exit(0)
os.execvp(sys.argv[2], sys.argv[2:])",
        "nothing-running",
    ),
    (
        "stops its host's first process by ptrace",
        "#!/usr/bin/env python3
import ctypes, os, sys
ptrace = ctypes.CDLL(None).ptrace
ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
ptrace(16, 1, None, None)
if os.fork() == 0:
    os.execvp(sys.argv[2], sys.argv[2:])
status = os.waitstatus_to_exitcode(os.wait()[1])
os._exit(status % 256)",
        "death-status",
    ),
];

#[test]
fn odd_programs_pass() {
    if !have("python3", "python3") {
        return;
    }
    for who in common::who() {
        each(&ODD, |(name, text)| {
            let verdict = check(who, "0", &script(name, &format!("#!/usr/bin/env python3\n{text}\n")));
            assert_eq!((verdict.status, verdict.skipped), (0, 0), "{name}: {:?}", verdict.events);
        });
    }
}

#[test]
fn programs_that_do_harm_once_cmd_runs_fail_in_time() {
    if !have("python3", "python3") {
        return;
    }
    for who in common::who() {
        each(&MEAN, |(name, text, found)| {
            let began = Instant::now();
            let verdict = check(who, "0", &script(name, &format!("{text}\n")));
            assert_eq!(verdict.status, 1, "{name}: {:?}", verdict.events);
            assert!(
                verdict.failed.iter().any(|failed| found.split('|').any(|found| failed == found)),
                "{name}: {:?}",
                verdict.failed
            );
            assert!(began.elapsed() < PATIENCE, "{name}: {:?}", began.elapsed());
        });
    }
}

#[test]
fn a_program_that_may_be_run_need_not_be_readable() {
    let dir = place().dir.join("unreadable");
    fs::create_dir_all(&dir).expect("a folder");
    let program = dir.join("box");
    fs::copy("/usr/bin/env", &program).expect("a program that runs another");
    for path in [&program, &dir] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o711)).expect("close it to readers");
    }
    let ran = run(workshop(Who::User).args(["check", "0", "--"]).arg(&program));
    assert_eq!(ran.status, 1, "judged, and found not to know `run`: {}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("PROGRAM ended with status 12"), "{}", ran.stdout);
}
