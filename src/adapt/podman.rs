//! podman: a container manager without a daemon. Its storage and settings are a container's own here
//! (containers.conf(5), storage.conf(5)), since nothing may be left behind.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::network::Network;
use super::scratch::Scratch;
use super::{Files, Order, child};
use fault::{Doing, Fault};

/// Runs the order's command by podman.
pub fn run(program: &Path, order: &Order) -> Result<i32, Fault> {
    let mut scratch = Scratch::new()?;
    let root = match &order.files {
        Files::Callers => scratch.mirror()?.into_os_string(),
        Files::Directory(dir) => dir.clone().into_os_string(),
        Files::Image(dir) => {
            // An overlay of podman's own on a root filesystem of somebody else's.
            let mut root = dir.clone().into_os_string();
            root.push(":O");
            root
        }
    };
    // Its own bridges keep their books in /var/lib, which is read-only where programs are judged.
    let network = order.net.then(Network::new).transpose()?;
    let mut command = Command::new(program);
    settle(&scratch, &mut command)?;
    command.args(["run", "--rm", "--interactive", "--cgroupns", "private"]);
    match &network {
        Some(network) => command.arg(format!("--network=ns:{}", network.path().display())),
        None => command.arg("--network=host"),
    };
    let numbers = [("memory", order.memory), ("memory-swap", order.memory), ("pids-limit", order.pids)];
    for (option, value) in numbers.iter().filter_map(|(option, value)| Some((option, (*value)?))) {
        command.arg(format!("--{option}={value}"));
    }
    command.args(order.cpus.map(|cpus| format!("--cpus={cpus}")));
    if !order.files.are_own() {
        // By name alone it passes on what it has itself (podman-run(1)).
        command.args(["--env", "PATH"]);
    }
    command.arg("--rootfs").arg(root).args(&order.argv);
    child::run(command)
}

/// Gives podman places of its own for all that it keeps.
fn settle(scratch: &Scratch, command: &mut Command) -> Result<(), Fault> {
    let place = |name: &str| scratch.make(name).map(|dir| dir.display().to_string());
    let (home, storage, running) = (place("home")?, place("storage")?, place("running")?);
    let (library, transient) = (place("library")?, place("transient")?);
    let write = |name: &str, text: String| {
        let file = scratch.dir.join(name);
        fs::write(&file, text).doing(format!("write {}", file.display())).map(|()| file)
    };
    let engine = format!(
        "[engine]\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"none\"\nlock_type = \"file\"\n\
         static_dir = \"{library}\"\nvolume_path = \"{library}/volumes\"\ntmp_dir = \"{transient}\"\n\
         [containers]\nlog_driver = \"none\"\n"
    );
    let store =
        format!("[storage]\ndriver = \"overlay\"\nrunroot = \"{running}\"\ngraphroot = \"{storage}\"\n");
    command.env("CONTAINERS_CONF", write("containers.conf", engine)?);
    command.env("CONTAINERS_STORAGE_CONF", write("storage.conf", store)?);
    command.env("HOME", &home).env("XDG_RUNTIME_DIR", &home);
    command.args(["--root", &storage, "--runroot", &running]);
    Ok(())
}
