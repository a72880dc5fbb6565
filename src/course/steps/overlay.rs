//! Step 5: writes land in the upper layer, and the image stays as it is.

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use nix::sys::stat::Mode;

use crate::checks::{Fact, Report, Scene, nothing_after};
use crate::course::language::Phrase;
use crate::course::{Build, Part, Row, Step};
use crate::engine::parts;
use crate::engine::template::{Files, SECOND, is_foreign};
use crate::engine::{Container, OwnFiles};
use crate::fault::{Doing, Fault};
use crate::image::tree_digest;
use crate::judge::claims::{Need, claim, files};
use crate::judge::{Asked, Task};
use crate::kernel::mounts;
use crate::kernel::told::Silence;
use crate::lab::Lab;

pub const STEP: Step = Step {
    number: 5,
    slug: parts::overlay::SLUG,
    builds: Build::Part(Part {
        wants: |wanted, _| wanted.layers = true,
        facts,
        checks,
        after: nothing_after,
        row: Row { host: Phrase::new("image", "이미지"), own: Phrase::new("layers", "레이어") },
        owns: &["part-writes"],
        options: &[],
        way_on: Some("run-without-overlay"),
    }),
    permit: Some(parts::overlay::permitted),
    exercise: Some(Task {
        asks: Asked { layers: true, ..Asked::NOTHING },
        claims: &[
            claim("overlay-root", Need::Look, files::overlay_root),
            claim("writable", Need::Write, files::writable),
            claim("image-same", Need::Write, files::image_same),
            claim("fresh", Need::Write, files::fresh),
            claim("no-files", Need::Talk, files::no_files),
        ],
    }),
};

/// Files of the image that the demonstration deletes and changes, where it has them.
const DELETED: &str = "etc/os-release";
const CHANGED: &str = "etc/hosts";
/// The file that it adds.
const ADDED: &str = "mine";

/// The files that are written to: one that goes, one that changes.
struct Victims {
    deleted: PathBuf,
    changed: PathBuf,
}

impl Victims {
    /// Picks from the image's layers: the usual files, or in a learner's own root the first others.
    fn pick(layers: &[PathBuf], lab: &Lab) -> Result<Victims, Fault> {
        // A user namespace maps one user. What belongs to another can be read, but not copied up.
        let (foreign, layers): (Vec<_>, Vec<_>) = layers.iter().partition(|dir| is_foreign(lab, dir));
        if let (Some(dir), true) = (foreign.first(), layers.is_empty()) {
            return Err(Fault::unable("rootfs-not-yours", &[("path", &dir.display().to_string())]));
        }
        let mut files = Vec::new();
        for layer in &layers {
            list_files(layer, Path::new(""), &mut files);
        }
        // The program that runs next needs the rest: settings in etc are missed least.
        let usual = |file: &Path| file == Path::new(DELETED) || file == Path::new(CHANGED);
        files.sort_by_key(|file: &PathBuf| (!usual(file), !file.starts_with("etc"), file.clone()));
        files.dedup();
        let wanted =
            |name: &str| files.iter().find(|file| *file == Path::new(name)).or(files.first()).cloned();
        // Only a file can be added to, and only what it held before shows that it was copied up; a link, or
        // an empty file, will do for what is deleted.
        let has_content = |file: &&PathBuf| {
            let holds = |m: fs::Metadata| m.is_file() && m.len() > 0;
            layers.iter().any(|dir| dir.join(file).symlink_metadata().is_ok_and(holds))
        };
        let changed = wanted(CHANGED)
            .filter(|file| has_content(&file))
            .or_else(|| files.iter().find(has_content).cloned());
        let deleted = wanted(DELETED).filter(|d| Some(d) != changed.as_ref());
        let deleted = deleted.or_else(|| files.iter().find(|d| Some(*d) != changed.as_ref()).cloned());
        match (deleted, changed) {
            (Some(deleted), Some(changed)) => Ok(Victims { deleted, changed }),
            _ => Err(Fault::unable("rootfs-empty", &[])),
        }
    }

    /// The three kinds of write, as the container.
    fn write(&self, own: &OwnFiles) {
        // What fails here shows in the checks: nothing has landed in the upper layer then.
        let _ = own.remove(&self.deleted);
        if own.append(&self.changed, "changed\n").is_err() {
            // A program that runs can't be written to (ETXTBSY); its mode can be changed all the same.
            let _ = own.set_mode(&self.changed, Mode::S_IRWXU);
        }
        let _ = own.write(Path::new(ADDED), "mine\n");
    }
}

/// Files and links below a directory, as paths relative to it.
fn list_files(top: &Path, below: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(top.join(below)).into_iter().flatten().flatten() {
        let path = below.join(entry.file_name());
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => list_files(top, &path, files),
            Ok(kind) if kind.is_file() || kind.is_symlink() => files.push(path),
            _ => {}
        }
    }
}

/// Bytes in the files below a directory.
fn usage(dir: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(dir) else { return 0 };
    let sizes = entries.flatten().filter_map(|entry| {
        let meta = entry.path().symlink_metadata().ok()?;
        Some(if meta.is_dir() { usage(&entry.path()) } else { meta.len() })
    });
    sizes.sum()
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
    scene.template.files.as_ref().map(Files::layers).unwrap_or_default()
}

fn size(bytes: u64) -> String {
    if bytes < 10_000 { format!("{bytes} B") } else { format!("{:.1} MB", bytes as f64 / 1e6) }
}

/// A container of its own that has been written to, so that the learner's program finds its own as the image
/// has it. The last value keeps it there.
fn written_to(scene: &Scene, victims: &Victims) -> Result<(Container, PathBuf, OwnedFd), Fault> {
    let (container, held) = scene.template.resident(SECOND, &mut Silence)?;
    container.change(|own| victims.write(own))?;
    let upper = container.on_host.upper.clone().unwrap_or_default();
    Ok((container, upper, held))
}

pub fn facts(scene: &Scene) -> Result<Vec<Fact>, Fault> {
    let layers = layers(scene);
    let victims = Victims::pick(&layers, scene.lab)?;
    let before = digest(&layers)?;
    let (container, upper, _held) = written_to(scene, &victims)?;
    let root = || {
        mounts::mine().ok().and_then(|t| mounts::at(&t, "/").map(|m| m.fstype.clone())).unwrap_or_default()
    };
    let seen = |path: PathBuf| if path.exists() { "present" } else { "gone" }.to_owned();
    let shared: u64 = layers.iter().map(|dir| usage(dir)).sum();
    let own = usage(&upper);
    let image =
        layers.iter().rev().map(|dir| dir.join(&victims.deleted)).find(|p| p.exists()).unwrap_or_default();
    let inside = container.look(|| (root(), seen(Path::new("/").join(&victims.deleted))))?;
    Ok(vec![
        Fact::new("root", root(), inside.0),
        Fact::new("layers", layers.len(), ""),
        Fact::new("shared", size(shared), ""),
        Fact::new("own", size(own), ""),
        Fact::new("seen", seen(image), inside.1),
        Fact::new("digest", short(&before), short(&digest(&layers)?)),
    ])
}

pub fn checks(scene: &Scene, report: &mut Report) -> Result<(), Fault> {
    let layers = layers(scene);
    let victims = Victims::pick(&layers, scene.lab)?;
    let before = digest(&layers)?;
    let (other, upper, _held) = written_to(scene, &victims)?;

    let written = fs::read_to_string(upper.join(ADDED)).unwrap_or_else(|e| e.kind().to_string());
    report.equal("upper-write", "mine", written.trim())?;
    let mark = fs::symlink_metadata(upper.join(&victims.deleted));
    let mark = mark.map_or_else(
        |e| e.kind().to_string(),
        |m| {
            let kind = if m.file_type().is_char_device() { "character device" } else { "something else" };
            format!("{kind} {}/{}", nix::sys::stat::major(m.rdev()), nix::sys::stat::minor(m.rdev()))
        },
    );
    report.equal("whiteout", "character device 0/0", mark)?;

    let lower = layers.iter().rev().map(|dir| dir.join(&victims.changed)).find(|p| p.exists());
    let original = lower.and_then(|p| fs::read(p).ok()).unwrap_or_default();
    let copy = fs::read(upper.join(&victims.changed)).unwrap_or_default();
    let copied = !original.is_empty() && copy.starts_with(&original);
    let words = |yes| if yes { "the old content, in the upper" } else { "something else" };
    report.equal("copy-up", words(true), words(copied))?;

    let there = |name: &Path| Path::new("/").join(name).exists();
    let fresh = scene.container.look(|| there(&victims.deleted) && !there(Path::new(ADDED)))?;
    let other_way = other.look(|| !there(&victims.deleted) && there(Path::new(ADDED)))?;
    let words = |apart| if apart { "neither sees the other's" } else { "one sees the other's" };
    report.equal("two-apart", words(true), words(fresh && other_way))?;
    drop(other);
    report.equal("image-same", short(&before), short(&digest(&layers)?))
}
