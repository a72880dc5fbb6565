//! What an init does before anything else can work: filesystems, drivers, a root that can be left, names.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::unistd::{chroot, sethostname};
use rustix::termios::{OptionalActions, speed, tcgetattr, tcsetattr};

use fault::{Doing, Fault};
use kernel::cgroup::Controller;
use lab::loopback_up;

/// The modules in the order in which they must be loaded, named by their place: `00-nfnetlink.ko`.
pub const MODULES: &str = "/lib/modules/workshop";
/// Where the guest's groups are.
const CGROUP: &str = "/sys/fs/cgroup";

/// /dev with the kernel's devices in it (devtmpfs), and the links that programs expect beside them.
pub fn devices() -> Result<(), Fault> {
    put("devtmpfs", "/dev", "devtmpfs", MsFlags::MS_NOSUID, "mode=755")?;
    for (name, target) in [("fd", "fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2")] {
        let _ = symlink(format!("/proc/self/{target}"), Path::new("/dev").join(name));
    }
    Ok(())
}

/// Opens a serial line as a plain pipe for bytes: no echo, no line editing, no signals (cfmakeraw(3)).
pub fn serial_line(path: &Path) -> Result<File, Fault> {
    let line = File::options().read(true).write(true).open(path).doing(format!("open {}", path.display()))?;
    let mut modes = tcgetattr(&line).map_err(io::Error::from).doing("tcgetattr")?;
    modes.make_raw();
    // An emulated line is as fast as it is; only waits are reckoned by this.
    modes.set_speed(speed::B115200).map_err(io::Error::from).doing("set the line's speed")?;
    tcsetattr(&line, OptionalActions::Now, &modes).map_err(io::Error::from).doing("tcsetattr")?;
    Ok(line)
}

/// Everything else.
pub fn whole() -> Result<(), Fault> {
    let strict = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    leave_rootfs()?;
    put("proc", "/proc", "proc", strict, "")?;
    put("sysfs", "/sys", "sysfs", strict, "")?;
    put("cgroup2", CGROUP, "cgroup2", strict, "nsdelegate")?;
    put(
        "devpts",
        "/dev/pts",
        "devpts",
        MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC,
        "ptmxmode=666,gid=5,mode=620",
    )?;
    put("tmpfs", "/dev/shm", "tmpfs", MsFlags::MS_NOSUID | MsFlags::MS_NODEV, "mode=1777")?;
    put("tmpfs", "/run", "tmpfs", MsFlags::MS_NOSUID | MsFlags::MS_NODEV, "mode=755")?;
    put("tmpfs", "/tmp", "tmpfs", MsFlags::MS_NOSUID | MsFlags::MS_NODEV, "mode=1777")?;
    load_modules()?;
    loopback_up()?;
    sethostname("guest").doing("sethostname")
}

/// Mounts a filesystem of the kernel's on a directory, which is made first.
fn put(source: &str, target: &str, fstype: &str, flags: MsFlags, options: &str) -> Result<(), Fault> {
    fs::create_dir_all(target).doing(format!("make {target}"))?;
    mount(Some(source), target, Some(fstype), flags, Some(options))
        .doing(format!("mount {fstype} on {target}"))
}

/// The kernel's first root filesystem, where the initramfs was unpacked, has no mount below it that could take
/// its place, so pivot_root(2) can't leave it. A bind mount of it, moved over `/`, is a mount like any other,
/// and has the same files without a copy.
fn leave_rootfs() -> Result<(), Fault> {
    let none: Option<&str> = None;
    const ASIDE: &str = "/run/root";
    fs::create_dir_all(ASIDE).doing(format!("make {ASIDE}"))?;
    // With what is mounted on it already: /dev.
    mount(Some("/"), ASIDE, none, MsFlags::MS_BIND | MsFlags::MS_REC, none).doing("bind the root")?;
    std::env::set_current_dir(ASIDE).doing("chdir")?;
    mount(Some("."), "/", none, MsFlags::MS_MOVE, none).doing("move the root over /")?;
    chroot(".").doing("chroot")?;
    std::env::set_current_dir("/").doing("chdir")
}

/// finit_module(2) of each, in order. One that is there already is none of our business.
fn load_modules() -> Result<(), Fault> {
    let mut files: Vec<PathBuf> = match fs::read_dir(MODULES) {
        Ok(entries) => entries.flatten().map(|entry| entry.path()).collect(),
        Err(_) => Vec::new(),
    };
    files.sort();
    for path in files {
        let file = File::open(&path).doing(format!("open {}", path.display()))?;
        // SAFETY: an open descriptor, an empty string of parameters, no flags.
        let done = unsafe { libc::syscall(libc::SYS_finit_module, file.as_raw_fd(), c"".as_ptr(), 0) };
        match Errno::result(done) {
            Ok(_) | Err(Errno::EEXIST) => {}
            Err(e) => return Err(Fault::broken(format!("load the module {}", path.display()), e)),
        }
    }
    Ok(())
}

/// Where a user is at home.
pub fn home(user: Option<u32>) -> PathBuf {
    user.map_or_else(|| "/root".into(), |user| format!("/home/{user}").into())
}

/// The group that belongs to an ordinary user, as systemd would make one for a login (`Delegate=`): the user may
/// make groups below it and move own processes about in it (cgroup-v2.rst, "Delegation").
fn delegated(user: u32) -> PathBuf {
    Path::new(CGROUP).join(format!("user-{user}"))
}

/// The group in it that holds the user's processes, so that it has none itself and may have limited children.
const SESSION: &str = "session";

/// Makes an ordinary user with a home, a name and a delegated group, unless that was done before.
pub fn delegate(user: u32) -> Result<(), Fault> {
    let (group, home) = (delegated(user), home(Some(user)));
    if group.exists() {
        return Ok(());
    }
    let give =
        |path: &Path| chown(path, Some(user), Some(user)).doing(format!("give {} away", path.display()));
    let controllers = Controller::ALL.map(|c| format!("+{}", c.name())).join(" ");
    let control = Path::new(CGROUP).join("cgroup.subtree_control");
    fs::write(&control, controllers).doing(format!("write {}", control.display()))?;
    fs::create_dir(&group).doing(format!("make {}", group.display()))?;
    let session = group.join(SESSION);
    fs::create_dir(&session).doing(format!("make {}", session.display()))?;
    for dir in [&group, &session] {
        give(dir)?;
        for file in ["cgroup.procs", "cgroup.threads", "cgroup.subtree_control"] {
            give(&dir.join(file))?;
        }
    }
    fs::create_dir_all(&home).doing(format!("make {}", home.display()))?;
    fs::set_permissions(&home, fs::Permissions::from_mode(0o700)).doing("chmod")?;
    give(&home)?;
    name_user(user, &home).doing("write /etc/passwd")
}

/// Gives the user a line in passwd(5) and group(5), if there is none yet.
fn name_user(user: u32, home: &Path) -> io::Result<()> {
    let home = home.display();
    let lines = [
        ("/etc/passwd", format!("learner:x:{user}:{user}::{home}:/bin/sh\n")),
        ("/etc/group", format!("learner:x:{user}:\n")),
    ];
    for (file, line) in lines {
        let text = fs::read_to_string(file).unwrap_or_default();
        if !text.lines().any(|line| line.split(':').nth(2) == Some(&user.to_string())) {
            fs::write(file, text + &line)?;
        }
    }
    Ok(())
}

/// Puts the calling process into the user's group.
pub fn join_delegated(user: u32) -> Result<(), Fault> {
    let file = delegated(user).join(SESSION).join("cgroup.procs");
    fs::write(&file, "0").doing(format!("write {}", file.display()))
}
