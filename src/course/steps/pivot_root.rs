//! Step 3: a root of its own, no way back to the old one, and names of its own.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::errno::Errno;
use nix::unistd::{AccessFlags, access, chdir, chroot, gethostname};
use serde::{Deserialize, Serialize};

use super::mount_proc;
use crate::checks::{Fact, Report, Scene, broken_devices};
use crate::course::language::Phrase;
use crate::course::{Build, Part, Row, Step};
use crate::engine::OwnFiles;
use crate::engine::parts;
use crate::engine::parts::pivot_root::DEVICES;
use crate::fault::{Doing, Fault};
use crate::judge::claims::{Need, claim, files, own_namespace, unchanged};
use crate::judge::{Asked, Task};
use crate::kernel::mounts;

/// The host name of the lessons' containers.
const HOSTNAME: &str = "box";

pub const STEP: Step = Step {
    number: 3,
    slug: parts::pivot_root::SLUG,
    builds: Build::Part(Part {
        wants: |wanted, _| {
            wanted.root = true;
            wanted.spec.hostname = HOSTNAME.into();
        },
        facts,
        checks,
        after: mount_proc::after,
        row: Row { host: Phrase::new("files", "파일"), own: Phrase::new("root", "루트") },
        owns: &["part-files", "part-hostname", "part-ipc"],
        options: &["--rootfs"],
        way_on: Some("run-without-root"),
    }),
    permit: None,
    exercise: Some(Task {
        asks: Asked { root: true, ..Asked::NOTHING },
        claims: &[
            claim("own-root", Need::Look, files::own_root),
            claim("pivoted", Need::Look, files::pivoted),
            claim("old-root-gone", Need::Look, files::old_root_gone),
            claim("inside-cwd", Need::Look, files::inside_cwd),
            claim("devices", Need::Look, files::devices),
            claim("sys", Need::Look, files::sys),
            claim("own-names", Need::Look, |case| own_namespace(case, "uts")),
            claim("own-ipc", Need::Look, |case| own_namespace(case, "ipc")),
            claim("names-same", Need::Talk, |case| unchanged(case, |o| &o.traces.names)),
            claim("no-descriptors", Need::Look, files::no_descriptors),
        ],
    }),
};

/// What can be seen from one side.
#[derive(Serialize, Deserialize)]
struct View {
    root: String,
    mounts: usize,
    hostname: String,
    kernel: String,
    home: String,
    devices: usize,
}

fn view() -> View {
    let table = mounts::mine().unwrap_or_default();
    let count = |dir: &str| fs::read_dir(dir).map(|entries| entries.count());
    let fstype = mounts::at(&table, "/").map_or("?".into(), |m| m.fstype.clone());
    View {
        root: fs::metadata("/").map_or("?".into(), |m| format!("inode {} on {fstype}", m.ino())),
        mounts: table.len(),
        hostname: gethostname().map_or("?".into(), |name| name.to_string_lossy().into_owned()),
        kernel: nix::sys::utsname::uname().map_or("?".into(), |u| u.release().to_string_lossy().into_owned()),
        home: count("/home").map_or_else(|e| format!("({})", e.kind()), |n| n.to_string()),
        devices: count("/dev").unwrap_or(0),
    }
}

pub fn facts(scene: &Scene) -> Result<Vec<Fact>, Fault> {
    let (out, inside) = (view(), scene.container.look(view)?);
    let (ipc_out, ipc_in) = scene.namespaces("ipc");
    Ok(vec![
        Fact::new("root", out.root, inside.root),
        Fact::new("mounts", out.mounts, inside.mounts),
        Fact::new("hostname", out.hostname, inside.hostname),
        Fact::new("ipc", ipc_out, ipc_in),
        Fact::new("home", out.home, inside.home),
        Fact::new("devices", out.devices, inside.devices),
        Fact::new("kernel", out.kernel, inside.kernel),
    ])
}

pub fn checks(scene: &Scene, report: &mut Report) -> Result<(), Fault> {
    // Every mount inside must lie on the new root: of the lab's filesystems only the device nodes
    // that were bound one by one may show.
    let old = scene.container.look(old_mounts)?;
    report.equal(
        "old-root-gone",
        "no line",
        if old.is_empty() { "no line".into() } else { old.join(", ") },
    )?;

    let secret = scene.lab.dir.join("only-on-the-host");
    File::create(&secret).doing(format!("make {}", secret.display()))?;
    let found = scene.container.look(|| secret.exists())?;
    report.equal("host-files", "not found", if found { "found" } else { "not found" })?;
    report.equal("escape", "the same root", scene.container.change(|own| escape(own, &secret))?)?;
    fs::remove_file(&secret).doing(format!("remove {}", secret.display()))?;

    let broken = scene.container.look(broken_devices)?;
    let expected = format!("{} devices, ptmx, pts, shm", DEVICES.len());
    report.tell(
        "devices",
        broken.is_empty(),
        expected,
        if broken.is_empty() { "all work".into() } else { broken.join(", ") },
    )?;
    let errno = scene.container.look(|| match access("/sys", AccessFlags::W_OK) {
        Err(Errno::EROFS) => "EROFS".to_owned(),
        other => format!("{other:?}"),
    })?;
    report.equal("sys-read-only", "EROFS", errno)?;
    own_names(scene, report)?;
    report.equal("descriptors", "none", inherited(&scene.pid())?)?;
    let (out, inside) = (view(), scene.container.look(view)?);
    report.equal("same-kernel", out.kernel, inside.kernel)
}

/// Mounts that are neither the container's root nor below it, by what a root filesystem has: any
/// second mount of `/`, or one whose place is not reachable from the root.
fn old_mounts() -> Vec<String> {
    let table = mounts::mine().unwrap_or_default();
    let ours = ["/proc", "/dev", "/sys"];
    let below =
        |target: &str| ours.iter().any(|dir| target == *dir || target.starts_with(&format!("{dir}/")));
    let roots = table.iter().filter(|m| m.target == "/").count();
    let mut old: Vec<String> =
        table.iter().filter(|m| m.target != "/" && !below(&m.target)).map(|m| m.target.clone()).collect();
    old.extend((1..roots).map(|_| "/".to_owned()));
    old
}

/// The classic escape from chroot(2): keep the working directory outside of a second root, and climb.
fn escape(own: &OwnFiles, secret: &Path) -> String {
    let identity = || fs::metadata("/").map(|m| (m.dev(), m.ino())).ok();
    let before = identity();
    // A filesystem of the container's own: in a root that belongs to somebody else nothing can be made.
    let place = match own.directory("/dev/shm") {
        Ok(place) => place,
        Err(problem) => return problem,
    };
    if place.make("jail").is_err() || chroot("/dev/shm/jail").is_err() {
        return "no second chroot".into();
    }
    for _ in 0..64 {
        let _ = chdir("..");
    }
    if chroot(".").is_err() {
        return "no third chroot".into();
    }
    let out = identity() != before || secret.exists();
    let _ = place.remove("jail");
    if out { "the host's root".into() } else { "the same root".into() }
}

/// Host name and System V IPC: a queue that is made inside is not there outside.
fn own_names(scene: &Scene, report: &mut Report) -> Result<(), Fault> {
    const KEY: i32 = 0x776f726b;
    // SAFETY: msgget(2) takes integers.
    let make = || unsafe { libc::msgget(KEY, libc::IPC_CREAT | 0o600) } >= 0;
    // SAFETY: the call takes integers.
    let find = || unsafe { libc::msgget(KEY, 0) } >= 0;
    let (ipc_out, ipc_in) = scene.namespaces("ipc");
    if ipc_out == ipc_in {
        // What is made there would be made here.
        return report.tell("own-names", false, "an IPC namespace of its own", ipc_in);
    }
    let (name, made) = scene.container.look(|| (view().hostname, make()))?;
    let leaked = find();
    scene.container.look(|| {
        // The program that comes next need not find it. SAFETY: msgctl(2) with IPC_RMID reads no pointer.
        unsafe { libc::msgctl(libc::msgget(KEY, 0), libc::IPC_RMID, std::ptr::null_mut()) }
    })?;
    let (uts_out, uts_in) = scene.namespaces("uts");
    let actual = format!("{name}, queue {}", if leaked { "seen outside" } else { "not seen outside" });
    let passed = made && !leaked && uts_out != uts_in && name == scene.template.spec.hostname;
    report.tell(
        "own-names",
        passed,
        format!("{}, queue not seen outside", scene.template.spec.hostname),
        actual,
    )
}

/// Descriptors above standard error that the program has or would get by execve(2).
fn inherited(pid: &str) -> Result<String, Fault> {
    let dir = format!("/proc/{pid}/fdinfo");
    let mut open = Vec::new();
    for entry in fs::read_dir(&dir).doing(format!("read {dir}"))?.flatten() {
        let number = entry.file_name().to_string_lossy().into_owned();
        let flags = fs::read_to_string(entry.path()).unwrap_or_default();
        let flags = flags
            .lines()
            .find_map(|l| l.strip_prefix("flags:"))
            .and_then(|f| i32::from_str_radix(f.trim(), 8).ok());
        let closes = flags.is_some_and(|flags| flags & libc::O_CLOEXEC != 0);
        if number.parse::<i32>().is_ok_and(|n| n > 2) && !closes {
            open.push(number);
        }
    }
    Ok(if open.is_empty() { "none".into() } else { open.join(", ") })
}
