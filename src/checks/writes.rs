//! A container of ours that writes (step 5).

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use nix::sys::stat::{Mode, major, minor};

use super::Scene;
use claims::evidence::{Upper, Written};
use engine::template::{SECOND, is_foreign};
use engine::{Container, OwnFiles};
use fault::Fault;
use kernel::told::Silence;
use lab::Lab;

/// Files of the image that the demonstration deletes and changes, where it has them.
const DELETED: &str = "etc/os-release";
const CHANGED: &str = "etc/hosts";

/// The file that it adds.
const ADDED: &str = "mine";

/// The files that are written to: one that goes, one that changes.
pub struct Victims {
    pub deleted: PathBuf,
    pub changed: PathBuf,
}

impl Victims {
    /// Picks from the image's layers: the usual files, or in a learner's own root the first others.
    pub fn pick(layers: &[PathBuf], lab: &Lab) -> Result<Victims, Fault> {
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

impl Victims {
    /// A container of its own that has been written to, so that the learner's program finds its own as the image has
    /// it. The last value keeps it there.
    pub fn write_in_another(&self, scene: &Scene) -> Result<(Container, PathBuf, OwnedFd), Fault> {
        let (container, held) = scene.template.resident(SECOND, &mut Silence)?;
        container.change(|own| self.write(own))?;
        let upper = container.on_host.upper.clone().unwrap_or_default();
        Ok((container, upper, held))
    }

    /// Which of the three writes are to be seen below `/`.
    fn seen(&self, changed: &[u8]) -> [bool; 3] {
        let there = |name: &Path| Path::new("/").join(name);
        let is_changed = |m: &fs::Metadata, text: Vec<u8>| text != changed || m.mode() & 0o7777 == 0o700;
        let file = there(&self.changed);
        let changed =
            fs::metadata(&file).is_ok_and(|m| fs::read(&file).is_ok_and(|text| is_changed(&m, text)));
        [there(Path::new(ADDED)).exists(), changed, there(&self.deleted).symlink_metadata().is_err()]
    }

    /// What lies in the upper directory after the writes.
    fn found_in(&self, upper: &Path, original: &[u8]) -> Upper {
        let text = |e: std::io::Error| e.kind().to_string();
        let added = fs::read_to_string(upper.join(ADDED)).map_or_else(text, |text| text.trim().into());
        let deleted = fs::symlink_metadata(upper.join(&self.deleted)).map_or_else(text, |m| {
            match m.file_type().is_char_device() {
                true => format!("{}/{}", major(m.rdev()), minor(m.rdev())),
                false => "something else".into(),
            }
        });
        let copy = fs::read(upper.join(&self.changed)).unwrap_or_default();
        Upper { added, deleted, copied: !original.is_empty() && copy.starts_with(original) }
    }

    /// The file that is changed, as the image has it.
    fn original(&self, layers: &[PathBuf]) -> Vec<u8> {
        let lower = layers.iter().rev().map(|dir| dir.join(&self.changed)).find(|path| path.exists());
        lower.and_then(|path| fs::read(path).ok()).unwrap_or_default()
    }
}

/// What came of the writes of one container, whether another had the image's own files, and whether the image has.
pub struct Wrote {
    pub written: Written,
    pub again: bool,
    pub image_same: bool,
}

/// Lets a container write beside the step's own.
pub fn write(scene: &Scene) -> Result<Wrote, Fault> {
    let layers = scene.layers();
    let victims = Victims::pick(&layers, scene.lab)?;
    let original = victims.original(&layers);
    let before = scene.digest()?;
    let (other, upper, _held) = victims.write_in_another(scene)?;
    let upper = victims.found_in(&upper, &original);
    let seen = other.look(|| victims.seen(&original))?;
    let again = scene.container.look(|| victims.seen(&original) == [false; 3])?;
    drop(other);
    Ok(Wrote {
        written: Written { seen, exceeded: None, upper: Some(upper) },
        again,
        image_same: before == scene.digest()?,
    })
}
