//! `box run [OPTIONS] CMD [ARGS…]`: runs CMD in a container.
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::sys::{prctl, signal::SigSet, signal::Signal, signal::kill, wait::wait};
use nix::unistd::{Pid, chdir, pivot_root, setgroups, sethostname, setresgid, setresuid};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::{env::args_os, fs, io::Error, io::ErrorKind, io::Result, process, process::Command, thread};

fn main() -> process::ExitCode {
    let outcome = match args_os().nth(1).unwrap_or_default().to_str() {
        Some("prepare") => prepare(),
        Some("inside") => inside(),
        _ => run(),
    };
    outcome.inspect_err(|error| eprintln!("box: {error}")).unwrap_or(125).into() // 125 as Docker
}

fn run() -> Result<u8> {
    let stop = SigSet::from_iter([Signal::SIGHUP, Signal::SIGTERM]); // Ctrl-C, SIGINT, is for CMD
    (stop | SigSet::from(Signal::SIGINT)).thread_block()?; // they wait until the thread below asks for them
    let id = process::id().to_string();
    prctl::set_child_subreaper(true)?; // whom the maker leaves is ours
    let mut maker = Command::new("/proc/self/exe").args(["prepare", &id]).args(args_os().skip(2)).spawn()?;
    let pid = Pid::from_raw(maker.id() as i32);
    thread::spawn(move || stop.wait().and_then(|_| kill(pid, Signal::SIGKILL))); // and PID 1 dies with it
    let status = maker.wait()?;
    while wait().is_ok() {} // and for PID 1, which is in the group as long as it dies
    let _ = ["", "memory", "pids", "cpu"].map(|dir| fs::remove_dir(format!("/sys/fs/cgroup/{dir}/box{id}")));
    let _ = Command::new("ip").args(["link", "delete", &format!("box{id}")]).output();
    Ok(status.code().or(status.signal().map(|signal| 128 + signal)).unwrap_or(125) as u8)
}

/// What the options ask for outside; then all namespaces at once, so that they belong to the user namespace.
fn prepare() -> Result<u8> {
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    let (mut args, mut root, mut image) = (args_os().skip(2), "/".to_string(), "");
    let usage = || Error::other("usage: box run [OPTIONS] CMD [ARGS...]");
    let mut next = || args.next().and_then(|word| word.into_string().ok()).ok_or_else(usage);
    let (id, mut net, mut users) = (next()?, CloneFlags::empty(), CloneFlags::empty());
    let mut limits = Vec::new();
    let program = loop {
        match next()?.as_str() {
            "--rootfs" => root = next()?,
            "--memory" => limits.push(("memory", "memory.limit_in_bytes", next()?, 1.0)),
            "--pids" => limits.push(("pids", "pids.max", next()?, 1.0)),
            "--cpus" => limits.push(("cpu", "cpu.cfs_quota_us", next()?, 100_000.0)),
            "--image" => (root, image) = (next()?, "image"),
            "--net" => net = CloneFlags::CLONE_NEWNET,
            "--userns" => users = CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNET, // a /sys takes both
            program => break program.to_string(),
        }
    };
    let all_ids = fs::read_to_string("/proc/self/uid_map")?.contains("4294967295"); // else ours alone
    let ids = if users.is_empty() {
        ""
    } else if all_ids {
        "range"
    } else {
        "one"
    };
    let (me, asks_net) = (process::id().to_string(), if net.is_empty() { "" } else { "net" });
    let words = [&*id, &*me, &*root, ids, asks_net];
    let mut outside = Command::new("sh");
    let mut outside = outside.args(["-ec", OUTSIDE]).args(words).stdin(process::Stdio::piped()).spawn()?;
    for (controller, v1, value, unit) in limits {
        limit(&id, controller, v1, &value, unit)?; // which do not hold for the part outside
    }
    let names = CloneFlags::CLONE_NEWUTS | CloneFlags::CLONE_NEWIPC | CloneFlags::CLONE_NEWCGROUP;
    unshare(users | net | names | CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWNS)?;
    drop(outside.stdin.take()); // that is what it waits for
    outside.wait()?.success().then_some(()).ok_or_else(|| Error::other("the part outside failed"))?;
    if ids == "range" {
        setgroups(&[])?;
        setresgid(0.into(), 0.into(), 0.into()).and(setresuid(0.into(), 0.into(), 0.into()))?;
        prctl::set_pdeathsig(Signal::SIGKILL)?; // another user is not told of a parent's death any more
    }
    let inside = ["inside", &*root, image, if net.is_empty() { "" } else { &*id }, &*program];
    let status = Command::new("/proc/self/exe").args(inside).args(args).status()?;
    Ok(status.code().or(status.signal().map(|signal| 128 + signal)).unwrap_or(125) as u8)
}

/// With the host's privileges, once process $1 is in its namespaces: a network, a copy of $2, the maps.
const OUTSIDE: &str = r#"
    read -r _ || net=10.$(($0 / 256 % 256)).$(($0 % 256)) range=524288
    if [ "$4" ]; then
        ip link add box$0 up type bridge; ip address add $net.1/24 dev box$0
        ip link add veth$0 up master box$0 type veth peer name eth0 netns $1
    fi
    case $3 in
    range) # an id-mapped mount would do, where kernel and filesystem have them
        nsenter --target $1 --mount sh -ec 'cd "$0"; mount -t tmpfs tmpfs "$0"; cp -a . "$0"
            chown -hR "$1:$1" "$0"' "$2" $range
        echo 0 $range 65536 >/proc/$1/uid_map; echo 0 $range 65536 >/proc/$1/gid_map ;;
    one) echo deny >/proc/$1/setgroups
        echo 0 $(id -u) 1 >/proc/$1/uid_map; echo 0 $(id -g) 1 >/proc/$1/gid_map ;;
    esac"#;

fn inside() -> Result<u8> {
    prctl::set_pdeathsig(Signal::SIGKILL).and_then(|()| SigSet::all().thread_unblock())?;
    let mut args = args_os().skip(2);
    let mut next = || args.next().and_then(|word| word.into_string().ok()).unwrap_or_default();
    let (mut root, image, id, program) = (next(), next(), next(), next());
    attach("", "/", MsFlags::MS_REC | MsFlags::MS_PRIVATE, "")?; // the host must not see what we mount
    if !id.is_empty() {
        network(&id)?;
    }
    if !image.is_empty() {
        root = overlay(&root)?;
    }
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

fn network(id: &str) -> Result<()> {
    let script = "net=10.$(($0 / 256 % 256)).$(($0 % 256)); ip link set lo up; ip link set eth0 up
        ip address add $net.2/24 dev eth0; ip route add default via $net.1";
    let made = Command::new("sh").args(["-ec", script, id]).status()?.success();
    made.then_some(()).ok_or_else(|| Error::other("the network could not be made"))
}
