//! The told calls held against those that strace saw.

use std::collections::BTreeMap;

use serde_json::Value;

use super::strace::Seen;
use super::{netlink, steps};

/// A `call` event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    pub step: String,
    pub actor: String,
    pub name: String,
    pub args: Vec<String>,
    pub result: String,
    pub ok: bool,
}

/// The `call` events of a JSON run.
pub fn told(events: &[Value]) -> Vec<Told> {
    let text = |event: &Value, field: &str| event[field].as_str().expect(field).to_owned();
    let args = |event: &Value| {
        let args = event["args"].as_array().expect("args");
        args.iter().map(|arg| arg.as_str().expect("an argument is a string").to_owned()).collect()
    };
    let calls = events.iter().filter(|event| event["event"] == "call");
    calls
        .map(|event| Told {
            step: text(event, "step"),
            actor: text(event, "actor"),
            name: text(event, "name"),
            args: args(event),
            result: text(event, "result"),
            ok: event["ok"].as_bool().expect("ok"),
        })
        .collect()
}

/// Which call in strace's log each told one is.
#[derive(Debug)]
pub struct Held {
    pub indices: Vec<usize>,
    pub host: i32,
    /// The first process, and with `--init` the child of it that becomes the program.
    pub container: Vec<i32>,
}

/// Finds every told call in the log: by name, process, arguments and result, one after the other.
pub fn hold(told: &[Told], seen: &[Seen]) -> Result<Held, String> {
    let host = seen.first().ok_or("strace saw nothing")?.pid;
    let mut held = Held { indices: Vec::new(), host, container: Vec::new() };
    let mut links = [BTreeMap::new(), BTreeMap::new()];
    let mut from = 0;
    for call in told {
        let inside = call.actor == "container";
        // The process that becomes a machine is in no container: what it does, the host does.
        let new = inside || (call.name == "execve" && !steps::named(&call.step).is_part);
        let pids = if new { &held.container[..] } else { &[host][..] };
        let mut near = String::from("it made no such call");
        let found = (from..seen.len()).find(|at| {
            let other = &seen[*at];
            if !pids.contains(&other.pid) || other.name != call.name {
                return false;
            }
            same(call, other, &mut links[usize::from(inside)]).map_err(|why| near = why).is_ok()
        });
        let at = found.ok_or_else(|| format!("told, but not seen from there on: {call:#?}\n{near}"))?;
        if call.name == "clone3" && call.ok {
            held.container = family(call.result.parse().map_err(|_| "clone3 without a PID")?, seen);
        }
        held.indices.push(at);
        from = at + 1;
    }
    Ok(held)
}

/// Whether the two are the same call, as far as one line can tell.
pub fn same(told: &Told, seen: &Seen, links: &mut BTreeMap<String, u32>) -> Result<(), String> {
    let differs = |what: &str| Err(format!("{what} differs from {seen:#?}"));
    if told.result != seen.result {
        return differs("the result");
    }
    if told.ok == seen.result.starts_with('-') {
        return differs("whether it succeeded");
    }
    if told.args.len() != seen.args.len() {
        return differs("the number of arguments");
    }
    for (told, seen) in told.args.iter().zip(&seen.args) {
        match told.contains("nlmsg_len=") && seen.contains("nlmsg_len=") {
            true => netlink::same(told, seen, links)?,
            false if told == seen => {}
            false => return differs(&format!("the argument {told}")),
        }
    }
    Ok(())
}

/// How many calls of that name the same process had made by then, this one included.
pub fn nth(at: usize, seen: &[Seen]) -> usize {
    seen[..=at].iter().filter(|call| call.pid == seen[at].pid && call.name == seen[at].name).count()
}

/// A process and its children. A PID that strace translates stands in a comment behind the number that
/// the caller got in its own PID namespace.
fn family(first: i32, seen: &[Seen]) -> Vec<i32> {
    let forks =
        seen.iter().filter(|call| call.pid == first && matches!(&*call.name, "clone" | "fork" | "vfork"));
    let born = |call: &Seen| match call.result.split_once("/* ") {
        Some((_, translated)) => translated.split(' ').next()?.parse().ok(),
        None => call.result.parse().ok(),
    };
    std::iter::once(first).chain(forks.filter_map(born)).collect()
}

/// What the first process must tell of: whatever makes it a container.
const INSIDE: [&str; 20] = [
    "mount",
    "umount2",
    "move_mount",
    "mount_setattr",
    "open_tree",
    "fchdir",
    "setgroups",
    "setresgid",
    "setresuid",
    "pivot_root",
    "unshare",
    "setns",
    "clone3",
    "sethostname",
    "setdomainname",
    "chdir",
    "chroot",
    "prctl",
    "write",
    "execve",
];

/// What the host's side must tell of, besides groups, settings and requests to the network.
const OUTSIDE: [&str; 8] =
    ["mount", "umount2", "open_tree", "mount_setattr", "move_mount", "pivot_root", "unshare", "setns"];

/// Every call that makes the container is told. `held` is of a run that tells every step.
pub fn complete(held: &Held, seen: &[Seen]) -> Result<usize, String> {
    let born = held.container.first().ok_or("no container was told")?;
    let start = lab_is_up(held.host, seen).ok_or("no lab was made")?;
    let execve = |at: &usize| seen[*at].name == "execve";
    let end = *held.indices.iter().rev().find(|at| !execve(at)).ok_or("nothing was told")?;
    let program = *held.indices.iter().find(|at| execve(at)).ok_or("no program was told")?;
    let mut counted = 0;
    for (at, call) in seen.iter().enumerate() {
        let must = if call.pid == held.host {
            (start..=end).contains(&at) && must_outside(at, seen, *born)
        } else {
            call.pid == *born && at <= program && must_inside(call)
        };
        if must && !held.indices.contains(&at) {
            return Err(format!("seen, but not told: {call:#?}"));
        }
        counted += usize::from(must);
    }
    Ok(counted)
}

fn must_inside(call: &Seen) -> bool {
    INSIDE.contains(&&*call.name) || netlink_change(call) || netlink_socket(call)
}

fn must_outside(at: usize, seen: &[Seen], born: i32) -> bool {
    let call = &seen[at];
    // That of a helper of ours, which is there for its map alone, is not the container's.
    let is_of = |path: &str, pid: i32| path.starts_with(&format!("\"/proc/{pid}/"));
    let in_kernel = |path: &str| path.starts_with("\"/sys/fs/cgroup/") || path.starts_with("\"/proc/sys/");
    match &*call.name {
        "mkdir" => in_kernel(&call.args[0]),
        // Without a namespace it only starts a helper.
        "clone3" => call.args[0].contains("CLONE_NEW"),
        "write" => opened(at, seen).is_some_and(|path| in_kernel(&path) || is_of(&path, born)),
        name => OUTSIDE.contains(&name) || netlink_change(call),
    }
}

/// The path behind the descriptor that a call is made on.
fn opened(at: usize, seen: &[Seen]) -> Option<String> {
    let (pid, fd) = (seen[at].pid, seen[at].args.first()?);
    let before = seen[..at].iter().rev().filter(|call| call.pid == pid);
    let open = before.clone().find(|call| call.name == "openat" && call.result == *fd)?;
    Some(open.args[1].clone())
}

/// A request that changes something wants to know whether it was done; questions get an answer anyway.
fn netlink_change(call: &Seen) -> bool {
    call.name == "sendto" && call.args[1].starts_with('[') && call.args[1].contains("NLM_F_ACK")
}

fn netlink_socket(call: &Seen) -> bool {
    call.name == "socket" && call.args[0] == "AF_NETLINK"
}

/// Where the lab is finished: its tmpfs is mounted, and after that its loopback interface is up.
fn lab_is_up(host: i32, seen: &[Seen]) -> Option<usize> {
    let ours = |at: &usize| seen[*at].pid == host;
    let tmpfs = (0..seen.len())
        .filter(ours)
        .find(|at| seen[*at].name == "mount" && seen[*at].args[0] == "\"workshop\"")?;
    let set_flags = |call: &Seen| call.name == "ioctl" && call.args[1] == "SIOCSIFFLAGS";
    let loopback = (tmpfs..seen.len()).filter(ours).find(|at| set_flags(&seen[*at]))?;
    Some(loopback + 1)
}
