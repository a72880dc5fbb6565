//! Step 5's claims: writes land in the upper layer, and the image stays as it is.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::{Fact, Report, Scene};
use crate::container::recipe::Files;
use crate::fault::{Doing, Fault};
use crate::image::tree_digest;
use crate::kernel::mounts;
use crate::kernel::told::Silence;

/// A file of the image that the demonstration deletes, one that it changes, and one that it adds.
const DELETED: &str = "etc/os-release";
const CHANGED: &str = "etc/hosts";
const ADDED: &str = "root/mine";

/// What the demonstration does as the container: the three kinds of write.
fn write_inside() -> Vec<String> {
    let at_root = |name: &str| Path::new("/").join(name);
    let deleted = fs::remove_file(at_root(DELETED));
    let append = File::options().append(true).open(at_root(CHANGED));
    let changed = append.and_then(|mut file| file.write_all(b"127.0.0.1 changed\n"));
    let added = fs::write(at_root(ADDED), "mine\n");
    [(DELETED, deleted), (CHANGED, changed), (ADDED, added)]
        .into_iter()
        .filter_map(|(name, outcome)| outcome.err().map(|e| format!("/{name}: {e}")))
        .collect()
}

/// Files and bytes below a directory.
fn usage(dir: &Path) -> (u64, u64) {
    let Ok(entries) = fs::read_dir(dir) else { return (0, 0) };
    let sizes = entries.flatten().filter_map(|entry| {
        let meta = entry.path().symlink_metadata().ok()?;
        Some(if meta.is_dir() { usage(&entry.path()) } else { (1, meta.len()) })
    });
    sizes.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
}

/// One number for all layers of the image.
fn digest(layers: &[PathBuf]) -> Result<String, Fault> {
    let each = layers.iter().map(|dir| tree_digest(dir).doing(format!("read {}", dir.display())));
    Ok(each.collect::<Result<Vec<_>, _>>()?.join(" "))
}

/// The first hexadecimal digits, as `docker images` shows them.
fn short(digest: &str) -> String {
    digest.trim_start_matches("sha256:").chars().take(12).collect()
}

fn layers(scene: &Scene) -> Vec<PathBuf> {
    scene.recipe.files.as_ref().map(Files::layers).unwrap_or_default()
}

fn size(bytes: u64) -> String {
    if bytes < 10_000 { format!("{bytes} bytes") } else { format!("{:.1} MB", bytes as f64 / 1e6) }
}

pub fn facts(scene: &Scene) -> Result<Vec<Fact>, Fault> {
    let layers = layers(scene);
    let before = digest(&layers)?;
    // A learner's own directory may lack these files; what can't be done is not shown as done.
    scene.container.look(write_inside)?;
    let root = || mounts::mine().ok().and_then(|t| mounts::at(&t, "/").map(|m| m.fstype.clone())).unwrap_or_default();
    let seen = |path: PathBuf| if path.exists() { "present" } else { "gone" }.to_owned();
    let shared: u64 = layers.iter().map(|dir| usage(dir).1).sum();
    let upper = scene.container.made.upper.clone().unwrap_or_default();
    let (files, own) = usage(&upper);
    let image = layers.iter().rev().map(|dir| dir.join(DELETED)).find(|p| p.exists()).unwrap_or_default();
    let inside = scene.container.look(|| (root(), seen(Path::new("/").join(DELETED))))?;
    Ok(vec![
        Fact::new("root", root(), inside.0),
        Fact::new("layers", format!("{} read-only", layers.len()), "1 tree"),
        Fact::new("shared", size(shared), "all of it seen"),
        Fact::new("own", format!("{} in {files} files", size(own)), "written here"),
        Fact::new("seen", seen(image), inside.1),
        Fact::new("digest", short(&before), short(&digest(&layers)?)),
    ])
}

pub fn checks(scene: &Scene, report: &mut Report) -> Result<(), Fault> {
    let layers = layers(scene);
    let before = digest(&layers)?;
    let upper = scene.container.made.upper.clone().unwrap_or_default();
    // Once more, so that the checks do not lean on what the facts did before.
    scene.container.look(write_inside)?;

    let written = fs::read_to_string(upper.join(ADDED)).unwrap_or_else(|e| e.kind().to_string());
    report.equal("upper-write", "mine", written.trim())?;
    let mark = fs::symlink_metadata(upper.join(DELETED));
    let mark = mark.map_or_else(|e| e.kind().to_string(), |m| {
        let kind = if m.file_type().is_char_device() { "character device" } else { "something else" };
        format!("{kind} {}/{}", nix::sys::stat::major(m.rdev()), nix::sys::stat::minor(m.rdev()))
    });
    report.equal("whiteout", "character device 0/0", mark)?;

    let lower = layers.iter().rev().map(|dir| dir.join(CHANGED)).find(|p| p.exists());
    let original = lower.and_then(|p| fs::read_to_string(p).ok()).unwrap_or_default();
    let copy = fs::read_to_string(upper.join(CHANGED)).unwrap_or_default();
    let copied = copy.starts_with(&original) && copy.len() > original.len();
    report.equal("copy-up", "the old text and a new line", if copied { "the old text and a new line" } else { "something else" })?;

    let (other, _held) = scene.recipe.resident(3, &mut Silence)?;
    let there = |name: &str| Path::new("/").join(name).exists();
    let seen = other.look(|| {
        let fresh = there(DELETED) && !there(ADDED);
        fresh && fs::write("/root/theirs", "theirs\n").is_ok()
    })?;
    let theirs = scene.container.look(|| Path::new("/root/theirs").exists())?;
    report.equal("two-apart", "neither sees the other's", if seen && !theirs { "neither sees the other's" } else { "one sees the other's" })?;
    drop(other);
    report.equal("image-same", short(&before), short(&digest(&layers)?))
}
