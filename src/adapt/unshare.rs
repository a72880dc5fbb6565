//! unshare(1) of util-linux: the namespaces, a /proc, and with `--root` chroot(2), not pivot_root(2).

use std::path::Path;
use std::process::Command;

use super::{Files, Order, child};
use fault::Fault;

/// Runs the order's command under unshare.
pub fn run(program: &Path, order: &Order) -> Result<i32, Fault> {
    let mut command = Command::new(program);
    // Its own end would not be its child's.
    command.args(["--fork", "--pid", "--kill-child=TERM"]);
    match &order.files {
        Files::Directory(dir) => {
            command.args(["--uts", "--ipc", "--cgroup", "--mount-proc"]).arg("--root").arg(dir);
        }
        _ => {
            command.arg("--mount-proc");
        }
    }
    command.arg("--").args(&order.argv);
    child::run(command)
}
