//! Hosts that take another kernel, or groups of their own: states of one virtual machine, one after the other. Its
//! kernel is without a part while the module of it is out, since there is no modprobe(8) that could bring it back.

use crate::common::guest::Guest;
use crate::common::{Who, have, skip};
use crate::told::{Row, Told, arguments};

struct Host {
    name: &'static str,
    /// What makes it, and what takes it back.
    change: &'static str,
    back: &'static str,
    caller: Caller,
    commands: &'static [&'static str],
}

#[derive(Clone, Copy)]
enum Caller {
    Root,
    /// An ordinary user, in a group of their own.
    User,
    /// Root who sees that group as the top, as in a container.
    Contained,
}

/// Modules are put back in the order in which they were loaded at first.
const LOAD: &str =
    "for module in /lib/modules/workshop/*; do /root/busybox insmod $module 2> /dev/null; done; :";

/// A group that belongs to an ordinary user, as a login has one, and one in it for what is running.
macro_rules! group {
    ($controllers:literal, $more:literal) => {
        concat!(
            "cd /sys/fs/cgroup && echo '",
            $controllers,
            "' > cgroup.subtree_control && mkdir mine mine/session &&
             chown 65534 mine mine/session mine/cgroup.* mine/session/cgroup.* && ",
            $more
        )
    };
}
const NO_GROUP: &str = "cd /sys/fs/cgroup && /root/busybox rmdir mine/session mine &&
    echo '-memory -pids -cpu' > cgroup.subtree_control";

const HOSTS: &[Host] = &[
    Host {
        name: "a kernel without overlay",
        change: "/root/busybox rmmod overlay",
        back: LOAD,
        caller: Caller::Root,
        commands: &[
            "step 5",
            "step 6",
            "run true",
            "run --step 4 true",
            "doctor",
            "tour",
            "check 5",
            "check 6",
        ],
    },
    Host {
        name: "a kernel without veth",
        change: "/root/busybox rmmod veth",
        back: LOAD,
        caller: Caller::Root,
        commands: &["step 6", "run true", "check 6"],
    },
    Host {
        name: "a kernel without bridge",
        change: "/root/busybox rmmod bridge",
        back: LOAD,
        caller: Caller::Root,
        commands: &["step 6", "run true", "run --no-net true", "doctor", "check 6"],
    },
    Host {
        name: "a kernel without nft_masq",
        change: "/root/busybox rmmod nft_masq",
        back: ":",
        caller: Caller::Root,
        commands: &["step 6", "run true", "check 6"],
    },
    Host {
        name: "a kernel without nf_tables",
        change: "/root/busybox rmmod nft_chain_nat && /root/busybox rmmod nf_tables",
        back: ":",
        caller: Caller::Root,
        commands: &["step 6", "run true"],
    },
    Host {
        name: "a kernel without nfnetlink",
        change: "/root/busybox rmmod nfnetlink",
        back: LOAD,
        caller: Caller::Root,
        commands: &["step 6"],
    },
    Host {
        name: "no cgroup mounted",
        change: "umount /sys/fs/cgroup",
        // By the command that is named.
        back: "workshop step 4 --format json | grep -o 'sudo mount -t cgroup2[^`]*' | sed s/sudo// | sh",
        caller: Caller::Root,
        commands: &["step 4", "step 5", "run --memory 64M true", "doctor", "check 4"],
    },
    Host {
        name: "user.max_cgroup_namespaces = 0",
        change: "echo 0 > /proc/sys/user/max_cgroup_namespaces",
        back: "echo 1000 > /proc/sys/user/max_cgroup_namespaces",
        caller: Caller::Root,
        commands: &["step 4", "run --memory 64M true", "run true", "check 4"],
    },
    Host {
        name: "a threaded group",
        change: group!("+memory +pids +cpu", "echo threaded > mine/session/cgroup.type"),
        back: NO_GROUP,
        caller: Caller::User,
        commands: &["step 4", "check 4"],
    },
    Host {
        name: "cgroup.max.descendants = 0",
        change: group!("+memory +pids +cpu", "echo 0 > mine/cgroup.max.descendants"),
        back: NO_GROUP,
        caller: Caller::User,
        commands: &["step 4", "run --memory 64M true", "check 4"],
    },
    Host {
        name: "no pids controller handed on",
        change: group!("+memory +cpu", ":"),
        back: ":",
        caller: Caller::User,
        commands: &["step 4", "run --memory 64M true", "run --memory 64M --pids 8 true", "check 4"],
    },
    Host {
        name: "no pids controller",
        change: ":",
        back: NO_GROUP,
        caller: Caller::Contained,
        commands: &["step 4", "run --memory 64M true", "run --memory 64M --pids 8 true", "check 4"],
    },
];

/// The rows, or `None` and skipped aloud where they can't be made.
pub fn rows() -> Option<Vec<Row>> {
    if !have("busybox", "busybox-static") {
        return None;
    }
    let pieces: Vec<(String, String)> = HOSTS.iter().flat_map(pieces).collect();
    let said = Guest::new(Who::User).with(&["--copy", "/bin/busybox", "--timeout", "1200"]).script(&pieces);
    let mut said = said.into_iter();
    HOSTS.iter().map(|host| row(host, &mut said)).collect()
}

fn pieces(host: &Host) -> Vec<(String, String)> {
    let piece = |code: String| (host.name.to_owned(), code);
    let runs = host.commands.iter().map(|command| piece(run(host.caller, command)));
    [piece(host.change.into())].into_iter().chain(runs).chain([piece(host.back.into())]).collect()
}

/// A command of the workshop's, by whoever runs it. Only what it says itself counts.
fn run(caller: Caller, command: &str) -> String {
    let words = format!("workshop {} 2> /dev/null", arguments(command).join(" "));
    match caller {
        Caller::Root => words,
        Caller::User => format!(
            "mkdir -p /tmp/home; chown 65534 /tmp/home
             sh -c 'echo 0 > /sys/fs/cgroup/mine/session/cgroup.procs || echo 0 > /sys/fs/cgroup/mine/cgroup.procs
             HOME=/tmp/home exec setpriv --reuid 65534 --regid 65534 --clear-groups {words}'"
        ),
        Caller::Contained => {
            format!("unshare --mount sh -c 'mount --bind /sys/fs/cgroup/mine /sys/fs/cgroup; exec {words}'")
        }
    }
}

fn row(host: &Host, said: &mut impl Iterator<Item = (String, String, i32)>) -> Option<Row> {
    let mut next = || said.next().expect("a piece");
    let (_, words, made) = next();
    let runs = host.commands.iter().map(|command| {
        let (_, said, status) = next();
        Told::new(command, status, &said, true)
    });
    let runs = runs.collect();
    let (_, more, back) = next();
    if (made, back) != (0, 0) {
        skip(&format!("{}: {words}{more}", host.name), "Boot a kernel that has its parts as modules");
        return None;
    }
    let by = if matches!(host.caller, Caller::User) { ", an ordinary user" } else { "" };
    Some(Row { name: format!("{}{by}", host.name), runs })
}
