//! What is tried in a container of ours that has mounts, a root and names of its own (steps 2 and 3).

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::unistd::{chdir, chroot};

use super::Scene;
use claims::evidence::{Escape, Mounted, Queue};
use engine::template::SECOND;
use engine::{OwnFiles, OwnMounts};
use fault::{Doing, Fault};
use kernel::mounts;
use kernel::told::Silence;

/// The file that only the outside has: what tells its files from a container's.
pub fn secret(scene: &Scene) -> PathBuf {
    scene.lab.dir.join("only-on-the-host")
}

/// Whether the way led out, or why it could not be tried.
type Tried = Result<bool, String>;

/// Tries it in the container.
pub fn escape(scene: &Scene) -> Result<Escape, Fault> {
    let secret = secret(scene);
    File::create(&secret).doing(format!("make {}", secret.display()))?;
    let tried: Tried = scene.container.change(|own| climb(own, &secret))?;
    fs::remove_file(&secret).doing(format!("remove {}", secret.display()))?;
    Ok(match tried {
        Ok(false) => Escape::SameRoot,
        Ok(true) => Escape::Out,
        Err(problem) => Escape::Untried(problem),
    })
}

/// The classic escape from chroot(2): keep the working directory outside of a second root, and climb.
fn climb(own: &OwnFiles, secret: &Path) -> Tried {
    let identity = || fs::metadata("/").map(|m| (m.dev(), m.ino())).ok();
    let before = identity();
    // A filesystem of the container's own: in a root that belongs to somebody else nothing can be made.
    let place = own.directory("/dev/shm")?;
    if place.make("jail").is_err() || chroot("/dev/shm/jail").is_err() {
        return Err("no second chroot".into());
    }
    for _ in 0..64 {
        let _ = chdir("..");
    }
    if chroot(".").is_err() {
        return Err("no third chroot".into());
    }
    let out = identity() != before || secret.exists();
    let _ = place.remove("jail");
    Ok(out)
}

/// Makes a System V queue inside, and looks for it outside. `None` where both have the same: what is made there would
/// be made here.
pub fn queue(scene: &Scene) -> Result<Option<Queue>, Fault> {
    const KEY: i32 = 0x776f726b;
    // SAFETY: msgget(2) takes integers.
    let make = || unsafe { libc::msgget(KEY, libc::IPC_CREAT | 0o600) } >= 0;
    // SAFETY: the call takes integers.
    let find = || unsafe { libc::msgget(KEY, 0) } >= 0;
    let (outside, inside) = scene.namespaces("ipc");
    if outside == inside {
        return Ok(None);
    }
    let made = scene.container.look(make)?;
    let seen_outside = find();
    scene.container.look(|| {
        // The program that comes next need not find it. SAFETY: msgctl(2) with IPC_RMID reads no pointer.
        unsafe { libc::msgctl(libc::msgget(KEY, 0), libc::IPC_RMID, std::ptr::null_mut()) }
    })?;
    Ok(Some(Queue { made, seen_outside }))
}

/// Mounts a tmpfs in a container of its own: the learner's program would find the mount.
pub fn mounted(scene: &Scene) -> Result<Mounted, Fault> {
    let outside = || mounts::mine().map(|table| table.len()).doing("read the lab's mount table");
    let before = outside()?;
    let (other, _held) = scene.template.resident(SECOND, &mut Silence)?;
    let inside = other.change(|own: &OwnMounts| {
        let _ = own.mount_tmpfs("visit", Path::new("/tmp"));
        mounts::mine().unwrap_or_default().iter().filter(|m| m.source == "visit").count()
    })?;
    Ok(Mounted { inside, outside: (before, outside()?) })
}
