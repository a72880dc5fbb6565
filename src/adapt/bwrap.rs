//! bubblewrap (bwrap(1)): namespaces and mounts by options, in the order in which they are given. It is made for
//! sandboxes of desktop programs: no limits, no network but an empty one, no root of another's writes.

use std::path::Path;
use std::process::Command;

use super::{Files, Order, child};
use fault::Fault;

/// Runs the order's command in bubblewrap.
pub fn run(program: &Path, order: &Order) -> Result<i32, Fault> {
    let mut command = Command::new(program);
    command.args(["--die-with-parent", "--unshare-pid"]);
    match &order.files {
        Files::Directory(dir) => {
            command.args(["--unshare-uts", "--unshare-ipc", "--unshare-cgroup", "--hostname", "box"]);
            command.arg("--bind").arg(dir).arg("/");
            // A sysfs of the container's network is none of its options.
            command.args(["--dev", "/dev", "--proc", "/proc", "--ro-bind", "/sys", "/sys", "--chdir", "/"]);
        }
        // Its root is always a new one: here, all of the caller's.
        _ => {
            command.args(["--dev-bind", "/", "/", "--proc", "/proc"]);
        }
    }
    command.arg("--").args(&order.argv);
    child::run(command)
}
