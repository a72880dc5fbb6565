//! Hosts that namespaces of the test's own are enough for.

use std::os::unix::process::CommandExt;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::common::child::command;
use crate::common::elsewhere::{NOTHING, ROOT, USER, changed_for, install_filter};
use crate::common::{Ran, Who, am_root, home, place, run};
use crate::told::{Row, Told, arguments};

/// Who runs the workshop there. All are in a user namespace, and root of it at first.
#[derive(Clone, Copy)]
enum Caller {
    Root,
    /// Without any privilege.
    User,
    /// Root that has lost some capabilities: options of setpriv(1).
    Without(&'static [&'static str]),
}

struct Host {
    name: &'static str,
    caller: Caller,
    /// More options of unshare(1).
    unshare: &'static [&'static str],
    /// What changes it.
    change: &'static str,
    /// A call that a filter refuses, and the error.
    filter: Option<(i64, i32)>,
    commands: &'static [&'static str],
}

const PLAIN: Host =
    Host { name: "", caller: Caller::Root, unshare: &[], change: ":", filter: None, commands: &[] };

/// A user namespace of one's own has limits of its own, which nobody else feels (namespaces(7)).
macro_rules! none_of {
    ($kind:literal, $caller:expr, $commands:expr) => {
        Host {
            name: concat!("user.max_", $kind, "_namespaces = 0"),
            caller: $caller,
            change: concat!("echo 0 > /proc/sys/user/max_", $kind, "_namespaces"),
            commands: &$commands,
            ..PLAIN
        }
    };
}

const NO_NET_ADMIN: &[&str] = &["--inh-caps=-net_admin", "--bounding-set=-net_admin"];
/// A chroot's /dev, with all but one of what is usually there.
const NO_NULL: &str = "mkdir -p $XDG_CACHE_HOME; mount --rbind /dev $XDG_CACHE_HOME; mount -t tmpfs dev /dev
    for name in zero full random urandom tty; do touch /dev/$name; mount --bind $XDG_CACHE_HOME/$name /dev/$name; done
    umount -l $XDG_CACHE_HOME";
const READ_ONLY: &str = "mount --rbind / /; export HOME=/nonexistent; unset XDG_CACHE_HOME
    sed 's/^\\([^ ]* \\)\\{4\\}\\([^ ]*\\).*/\\2/' /proc/self/mountinfo | sort -u | while read -r dir; do
    mount -o remount,bind,ro \"$dir\" 2>/dev/null || :; done";

const HOSTS: &[Host] = &[
    none_of!("user", Caller::User, ["step 1", "run true", "doctor", "tour", "check 1"]),
    none_of!(
        "user",
        Caller::Root,
        ["step 8", "step 6", "run --userns true", "run true", "doctor", "check 8"]
    ),
    none_of!("mnt", Caller::User, ["step 1", "tour"]),
    none_of!("mnt", Caller::Root, ["step 1"]),
    none_of!("net", Caller::User, ["step 1", "check 1"]),
    none_of!("net", Caller::Root, ["step 1"]),
    none_of!("pid", Caller::User, ["step 1", "run true", "doctor", "tour", "check 1"]),
    none_of!(
        "uts",
        Caller::Root,
        ["step 3", "step 2", "run true", "run --step 2 true", "doctor", "tour", "check 3"]
    ),
    none_of!("ipc", Caller::User, ["step 3", "run true"]),
    Host {
        name: "masked /proc",
        caller: Caller::User,
        change: "mount -t tmpfs -o ro none /proc/irq",
        commands: &[
            "step 2",
            "step 1",
            "run true",
            "run --step 1 true",
            "doctor",
            "tour",
            "check 1",
            "check all",
        ],
        ..PLAIN
    },
    Host {
        name: "masked /sys",
        caller: Caller::User,
        change: "mount -t tmpfs -o ro none /sys/devices",
        commands: &["step 3", "run true", "check 3"],
        ..PLAIN
    },
    Host {
        name: "/proc with subset=pid",
        caller: Caller::User,
        unshare: &["--pid", "--fork"],
        change: "mount -t proc -o subset=pid proc /proc",
        commands: &["step 2", "step 6", "run true", "doctor", "tour", "check 2"],
        ..PLAIN
    },
    Host {
        name: "/proc with subset=pid",
        unshare: &["--pid", "--fork"],
        change: "mount -t proc -o subset=pid proc /proc",
        commands: &["step 2", "step 6", "run true", "doctor", "tour", "check 2"],
        ..PLAIN
    },
    Host {
        name: "/proc not mounted",
        change: "mount -t tmpfs none /proc",
        commands: &["step 1", "run true", "doctor", "tour", "check 1"],
        ..PLAIN
    },
    Host {
        name: "read-only /proc/sys",
        change: "mount --bind /proc/sys /proc/sys; mount -o remount,bind,ro /proc/sys",
        commands: &["step 6", "run true", "run --no-net true", "doctor", "tour", "check 6"],
        ..PLAIN
    },
    Host {
        name: "root without CAP_NET_ADMIN",
        caller: Caller::Without(NO_NET_ADMIN),
        commands: &["step 6"],
        ..PLAIN
    },
    Host {
        name: "root without CAP_NET_ADMIN and user namespaces",
        caller: Caller::Without(NO_NET_ADMIN),
        change: "echo 0 > /proc/sys/user/max_user_namespaces",
        commands: &["step 1", "run true", "tour", "check 1"],
        ..PLAIN
    },
    Host {
        name: "root without capabilities",
        caller: Caller::Without(&NOTHING),
        commands: &["step 1"],
        ..PLAIN
    },
    Host {
        name: "a filter that refuses unshare(2)",
        caller: Caller::User,
        filter: Some((libc::SYS_unshare, libc::EPERM)),
        commands: &["step 1", "run true", "check 1"],
        ..PLAIN
    },
    Host {
        name: "a filter that refuses unshare(2)",
        filter: Some((libc::SYS_unshare, libc::EPERM)),
        commands: &["step 1", "tour"],
        ..PLAIN
    },
    Host {
        name: "a filter that hides clone3(2)",
        filter: Some((libc::SYS_clone3, libc::ENOSYS)),
        commands: &["step 1", "run true", "doctor", "tour", "check 1"],
        ..PLAIN
    },
    Host {
        name: "a filter that refuses clone3(2)",
        filter: Some((libc::SYS_clone3, libc::EPERM)),
        commands: &["step 1"],
        ..PLAIN
    },
    Host {
        name: "a filter that refuses mount(2)",
        filter: Some((libc::SYS_mount, libc::EPERM)),
        commands: &["step 1", "check 1"],
        ..PLAIN
    },
    Host {
        name: "a filter that refuses pivot_root(2)",
        filter: Some((libc::SYS_pivot_root, libc::EPERM)),
        commands: &["step 3", "run true", "run --step 2 true", "doctor", "tour", "check 3"],
        ..PLAIN
    },
    Host {
        name: "a filter that refuses setns(2)",
        filter: Some((libc::SYS_setns, libc::EPERM)),
        commands: &["step 1", "run true", "check 1"],
        ..PLAIN
    },
    Host {
        name: "no /dev/null",
        change: NO_NULL,
        commands: &["step 3", "run true", "run --step 2 true", "doctor", "tour", "check 3"],
        ..PLAIN
    },
    Host {
        name: "no /dev/pts",
        change: "mount -t tmpfs none /dev/pts",
        commands: &["step 3", "tour"],
        ..PLAIN
    },
    Host {
        name: "everything read-only",
        change: READ_ONLY,
        commands: &["step 1", "tour", "check 1"],
        ..PLAIN
    },
];

/// The rows, or `None` and skipped aloud where they can't be made.
pub fn rows() -> Option<Vec<Row>> {
    // The image is made once, and not by all at the same time.
    row(&Host { commands: &["step 3"], ..PLAIN })?;
    let next = AtomicUsize::new(0);
    let worker = || {
        std::iter::from_fn(|| {
            let place = next.fetch_add(1, Ordering::Relaxed);
            HOSTS.get(place).map(|host| (place, row(host)))
        })
    };
    let all: Vec<_> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..4).map(|_| scope.spawn(|| worker().collect::<Vec<_>>())).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("rows")).collect()
    });
    let mut rows: Vec<(usize, Row)> =
        all.into_iter().map(|(place, row)| Some((place, row?))).collect::<Option<_>>()?;
    rows.sort_by_key(|(place, _)| *place);
    Some(rows.into_iter().map(|(_, row)| row).collect())
}

fn row(host: &Host) -> Option<Row> {
    let caller = match host.caller {
        Caller::Root => "",
        Caller::User => ", an ordinary user",
        Caller::Without(_) => "",
    };
    let runs = host.commands.iter().map(|command| told(host, command)).collect::<Option<_>>()?;
    Some(Row { name: format!("{}{caller}", host.name), runs })
}

/// The tour would boot a machine.
const WITHOUT_QEMU: &str =
    "for name in qemu-system-x86_64 qemu-kvm; do for dir in /usr/bin /usr/local/bin /usr/libexec; do
    if [ -e $dir/$name ]; then mount --bind /dev/zero $dir/$name; fi; done; done";

fn told(host: &Host, command: &str) -> Option<Told> {
    let (who, less): (&[&str], &[&str]) = match host.caller {
        Caller::Root => (&ROOT, &[]),
        Caller::User => (&USER, &NOTHING),
        Caller::Without(options) => (&ROOT, options),
    };
    let unshare = [who, host.unshare].concat();
    // Two lines: what hides QEMU needs a whole /dev.
    let change = format!("{WITHOUT_QEMU}\n{}", host.change);
    let myself = std::env::current_exe().expect("the test's own file");
    let program = if host.filter.is_some() { &myself } else { &place().program };
    let mut made = changed_for(&unshare, less, &change, program)?;
    let files = home(if am_root() { Who::Root } else { Who::User });
    made.env("HOME", &files).env("XDG_CACHE_HOME", files.join(".cache"));
    let words = arguments(command);
    match host.filter {
        // setpriv(1) and unshare(1) would meet it too, so that it comes last.
        Some((call, errno)) => {
            made.args(["--exact", "here::behind_a_filter", "--nocapture"]);
            made.env(FILTER, format!("{call} {errno}")).env(WORDS, words.join("\n"));
            made.env(PROGRAM, &place().program);
        }
        None => drop(made.args(words)),
    }
    let Ran { status, stdout, .. } = run(&mut made);
    Some(Told::new(command, status, &stdout, false))
}

const FILTER: &str = "WORKSHOP_TEST_FILTER";
const PROGRAM: &str = "WORKSHOP_TEST_PROGRAM";
const WORDS: &str = "WORKSHOP_TEST_WORDS";

/// Becomes the workshop behind a filter, where the test above has started it; nothing to do otherwise.
#[test]
fn behind_a_filter() {
    let (Ok(filter), Ok(words)) = (std::env::var(FILTER), std::env::var(WORDS)) else { return };
    let (call, errno) = filter.split_once(' ').expect("two numbers");
    install_filter(call.parse().expect("a number"), errno.parse().expect("a number")).expect("a filter");
    let program = std::env::var_os(PROGRAM).expect("the workshop");
    panic!("{}", command(program).args(words.split('\n')).exec());
}
