//! `box run [OPTIONS] CMD [ARGS…]`: runs CMD in a container.
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::{prctl, signal::SigSet, signal::Signal, signal::kill};
use nix::unistd::{Pid, chdir, pivot_root, sethostname};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::{env::args_os, fs, io::Error, io::ErrorKind, io::Result, process, process::Command, thread};

fn main() -> process::ExitCode {
    let outcome = if args_os().nth(1).is_some_and(|word| word == "inside") { inside() } else { run() };
    outcome.inspect_err(|error| eprintln!("box: {error}")).unwrap_or(125).into() // 125 as Docker
}

fn run() -> Result<u8> {
    let stop = SigSet::from_iter([Signal::SIGHUP, Signal::SIGTERM]); // Ctrl-C, SIGINT, is for CMD
    (stop | SigSet::from(Signal::SIGINT)).thread_block()?; // they wait until the thread below asks for them
    let (own, id) = (fs::File::open("/proc/self/ns/pid")?, process::id().to_string());
    unshare(CloneFlags::CLONE_NEWPID)?; // is for children: the first one is PID 1 there
    let mut init = Command::new("/proc/self/exe").args(["inside", &id]).args(args_os().skip(2)).spawn()?;
    setns(own, CloneFlags::CLONE_NEWPID)?; // the thread is to be here again
    let pid = Pid::from_raw(init.id() as i32);
    thread::spawn(move || stop.wait().and_then(|_| kill(pid, Signal::SIGKILL))); // PID 1 may ignore others
    let status = init.wait()?;
    let _ = ["", "memory", "pids", "cpu"].map(|dir| fs::remove_dir(format!("/sys/fs/cgroup/{dir}/box{id}")));
    Ok(status.code().or(status.signal().map(|signal| 128 + signal)).unwrap_or(125) as u8)
}

fn inside() -> Result<u8> {
    prctl::set_pdeathsig(Signal::SIGKILL).and_then(|()| SigSet::all().thread_unblock())?;
    unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWUTS | CloneFlags::CLONE_NEWIPC)?;
    attach("", "/", MsFlags::MS_REC | MsFlags::MS_PRIVATE, "")?; // the host must not see what we mount
    let (mut args, mut root) = (args_os().skip(2), "/".to_string());
    let usage = || Error::other("usage: box run [OPTIONS] CMD [ARGS...]");
    let mut next = || args.next().and_then(|word| word.into_string().ok()).ok_or_else(usage);
    let id = next()?;
    let program = loop {
        match next()?.as_str() {
            "--rootfs" => root = next()?,
            "--memory" => limit(&id, "memory", "memory.limit_in_bytes", &next()?, 1.0)?,
            "--pids" => limit(&id, "pids", "pids.max", &next()?, 1.0)?,
            "--cpus" => limit(&id, "cpu", "cpu.cfs_quota_us", &next()?, 100_000.0)?,
            "--image" => root = overlay(&next()?)?,
            program => break program.to_string(),
        }
    };
    unshare(CloneFlags::CLONE_NEWCGROUP)?; // rooted at the groups that we are in by now
    attach(&root, "/tmp", MsFlags::MS_BIND | MsFlags::MS_REC, "")?; // pivot_root(2) wants a mount point
    chdir("/tmp")?;
    attach("proc", "proc", MsFlags::empty(), "")?;
    attach("sysfs", "sys", MsFlags::MS_RDONLY, "")?;
    attach("tmpfs", "dev", MsFlags::MS_NOSUID, "mode=755")?;
    for node in ["null", "zero", "full", "random", "urandom", "tty"] {
        fs::write(format!("dev/{node}"), "")?;
        attach(&format!("/dev/{node}"), &format!("dev/{node}"), MsFlags::MS_BIND, "")?;
    }
    pivot_root(".", ".").and_then(|()| umount2(".", MntFlags::MNT_DETACH))?; // the old root was on top
    sethostname("box")?;
    // SAFETY: 0 to 2 stay
    unsafe { nix::libc::syscall(nix::libc::SYS_close_range, 3, u32::MAX, 0) };
    let error = Command::new(&program).args(args).exec();
    eprintln!("box: {program}: {error}");
    Ok(if error.kind() == ErrorKind::NotFound { 127 } else { 126 })
}

fn attach(src: &str, at: &str, flags: MsFlags, data: &str) -> Result<()> {
    mount(Some(src), at, Some(src), flags, Some(data)).map_err(|e| Error::other(format!("mount {src}: {e}")))
}

fn limit(id: &str, controller: &str, v1: &str, value: &str, unit: f64) -> Result<()> {
    let v2 = fs::exists("/sys/fs/cgroup/cgroup.controllers")?; // one tree for all; v1 has one for each
    let (tree, file) = if v2 { ("", format!("{controller}.max")) } else { (controller, v1.to_string()) };
    let group = format!("/sys/fs/cgroup/{tree}/box{id}");
    fs::create_dir_all(&group)?;
    fs::write(format!("{group}/{file}"), (value.parse::<f64>().map_err(Error::other)? * unit).to_string())?;
    let _ = ["swap.max", "swappiness"].map(|file| fs::write(format!("{group}/memory.{file}"), "0"));
    fs::write(format!("{group}/cgroup.procs"), "0") // whoever writes it
}

fn overlay(image: &str) -> Result<String> {
    chdir(image).map_err(|error| Error::other(format!("{image}: {error}")))?;
    attach("tmpfs", "/tmp", MsFlags::empty(), "")?;
    fs::create_dir("/tmp/upper").and(fs::create_dir("/tmp/work"))?;
    let mapped = fs::read_to_string("/proc/self/uid_map")?;
    let xattr = if mapped.contains("4294967295") { "" } else { ",userxattr" }; // a user namespace's way
    let layers = format!("lowerdir=.,upperdir=/tmp/upper,workdir=/tmp/work{xattr}");
    attach("overlay", "/tmp", MsFlags::empty(), &layers).map(|()| "/tmp".to_string())
}
