//! Step N's container: the first N layers, with what each of them needs.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Container, Exit, Plan, Program, Stdio, Tty, create};
use crate::fault::{Doing, Fault};
use crate::image::Image;
use crate::kernel::cgroup::Limits;
use crate::kernel::told::{Listener, Silence};
use crate::kernel::visit::hear;
use crate::lab::Lab;
use crate::layers::{Ingredients, Maker};

/// Where the container's files come from.
pub enum Files {
    /// The image that was put together from the host's programs.
    Image(Image),
    /// A directory of the learner's.
    Directory(PathBuf),
    /// A directory of somebody else's, and above it a layer with copies of ours.
    Layered(Vec<PathBuf>),
}

impl Files {
    /// The read-only layers, lowest first.
    pub fn layers(&self) -> Vec<PathBuf> {
        match self {
            Files::Image(image) => image.layers.clone(),
            Files::Directory(dir) => vec![dir.clone()],
            Files::Layered(layers) => layers.clone(),
        }
    }
}

/// The largest file that is copied into a layer of our own, in bytes.
const LARGEST_SETTING: u64 = 1 << 16;

/// The seat of the container that is shown; 1 is the bridge's.
pub const FIRST_SEAT: u8 = 2;
/// The seat of a second one beside it.
pub const SECOND_SEAT: u8 = 3;
/// The seat of the containers that experiments are made in, one after the other.
pub const EXPERIMENT_SEAT: u8 = 9;

/// How to make the containers of one step, as many as are needed.
pub struct Recipe<'l> {
    pub lab: &'l Lab,
    /// What layers it has, in order: the slugs of their steps, and how each is made.
    layers: Vec<(&'static str, Maker)>,
    /// `None` before step 3, where the container still has the host's files.
    pub files: Option<Files>,
    pub ingredients: Ingredients,
}

impl<'l> Recipe<'l> {
    /// A recipe for the given layers. `files` is only asked for where one of them needs them.
    pub fn new(
        lab: &'l Lab,
        layers: Vec<(&'static str, Maker)>,
        limits: Limits,
        files: impl FnOnce() -> Result<Files, Fault>,
    ) -> Result<Recipe<'l>, Fault> {
        let has = |slug: &str| layers.iter().any(|(layer, _)| *layer == slug);
        let files = match has("pivot-root") {
            true if has("overlay") => Some(with_ours(lab, files()?)?),
            true => Some(files()?),
            false => None,
        };
        // Without an overlay it gets a copy of the files that may be written to.
        let root = match &files {
            Some(files) if !has("overlay") => writable_copy(lab, files)?,
            _ => PathBuf::from("/"),
        };
        let lowers = files.as_ref().map(Files::layers).unwrap_or_default();
        let (hostname, rootless) = ("box".to_owned(), lab.rootless);
        let ingredients = Ingredients { root, lowers, hostname, limits, rootless, seat: FIRST_SEAT };
        Ok(Recipe { lab, layers, files, ingredients })
    }

    /// Whether the container has this step's layer.
    pub fn has(&self, slug: &str) -> bool {
        self.layers.iter().any(|(layer, _)| *layer == slug)
    }

    /// A plan for a container with these layers. `seat` tells containers on one network apart.
    pub fn plan<'p>(&self, program: Program<'p>, seat: u8) -> Plan<'p> {
        self.plan_from(program, &Ingredients { seat, ..self.ingredients.clone() })
    }

    /// A plan for a container with the same layers, made of other ingredients.
    pub fn plan_from<'p>(&self, program: Program<'p>, ingredients: &Ingredients) -> Plan<'p> {
        let layers = self.layers.iter().map(|(_, make)| make(ingredients)).collect();
        Plan {
            layers,
            program,
            init: false,
            stdio: Stdio::default(),
            tty: Tty::Unused,
            passes_signals_on: false,
        }
    }

    /// A program to run: the container's own environment comes with its own files.
    pub fn exec<'p>(&self, argv: Vec<OsString>) -> Program<'p> {
        Program::Exec { argv, own_environment: self.has("pivot-root") }
    }

    /// A container whose program does nothing but wait for its standard input to close, for looking
    /// at. The second value is what keeps it waiting.
    pub fn resident(&self, seat: u8, listener: &mut dyn Listener) -> Result<(Container, OwnedFd), Fault> {
        let mut plan = self.plan(self.exec(["sh", "-c", "read _"].map(OsString::from).into()), seat);
        let (stdio, hold) = Stdio::quiet()?;
        plan.stdio = stdio;
        let mut container = create(plan, self.lab, listener)?;
        container.start(listener).map_err(|fault| match fault {
            Fault::Program { .. } => Fault::unable("rootfs-no-shell", &[]),
            fault => fault,
        })?;
        Ok((container, hold))
    }

    /// Runs a function as the container's program, untold. `seen` is what it returned, if it lived
    /// to return; the container is still there to be looked at.
    pub fn experiment<T: Serialize + DeserializeOwned>(
        &self,
        init: bool,
        run: impl FnOnce() -> T,
    ) -> Result<Experiment<T>, Fault> {
        let (reader, writer) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).doing("make a pipe")?;
        let report = move || {
            let mut writer = File::from(writer);
            let text = serde_json::to_vec(&run()).unwrap_or_default();
            i32::from(writer.write_all(&text).is_err())
        };
        let mut plan = self.plan(Program::Call(Box::new(report)), EXPERIMENT_SEAT);
        plan.init = init;
        plan.stdio = Stdio::quiet()?.0;
        let mut container = create(plan, self.lab, &mut Silence)?;
        container.start(&mut Silence)?;
        // One that hangs is ended when its container is dropped.
        let text = hear(reader)?.unwrap_or_default();
        let exit = container.wait_at_most(std::time::Duration::from_secs(10))?;
        Ok(Experiment { seen: serde_json::from_slice(&text).ok(), exit, container })
    }
}

/// What came of an experiment.
pub struct Experiment<T> {
    pub seen: Option<T>,
    /// `None` if it had not ended after ten seconds.
    pub exit: Option<Exit>,
    pub container: Container,
}

/// Files for a container without an overlay of its own, which may write to them: a throw-away copy
/// in the lab, so that neither the cached image nor the learner's directory is changed.
fn writable_copy(lab: &Lab, files: &Files) -> Result<PathBuf, Fault> {
    let dir = lab.fresh_dir("rootfs")?;
    match files {
        Files::Image(image) => {
            for layer in &image.layers {
                copy_tree(layer, &dir).doing(format!("copy {} to {}", layer.display(), dir.display()))?;
            }
        }
        Files::Layered(layers) => {
            layers.iter().try_for_each(|layer| copy_tree(layer, &dir)).doing("copy the layers")?;
        }
        // It may be large: an overlay in the lab makes a copy of what is written, and only of that.
        Files::Directory(lower) => lend(lab, lower, &dir)?,
    }
    Ok(dir)
}

/// Whether a directory belongs to a user whom the lab's user namespace doesn't map: what is in it can be read, but
/// not copied up.
pub fn is_foreign(lab: &Lab, dir: &Path) -> bool {
    lab.rootless && fs::metadata(dir).is_ok_and(|found| found.uid() != 0)
}

/// A root filesystem of somebody else's with a layer of our own above it, as a Dockerfile adds one: copies of its
/// settings, which can be changed and deleted then. A root without two settings that can be read stays as it is.
fn with_ours(lab: &Lab, files: Files) -> Result<Files, Fault> {
    let Files::Directory(dir) = &files else { return Ok(files) };
    if !is_foreign(lab, dir) {
        return Ok(files);
    }
    let ours = lab.fresh_dir("ours")?;
    let etc = ours.join("etc");
    fs::create_dir(&etc).doing(format!("make {}", etc.display()))?;
    let mut copied = 0;
    for entry in fs::read_dir(dir.join("etc")).into_iter().flatten().flatten() {
        let small = |found: fs::Metadata| found.is_file() && (1..LARGEST_SETTING).contains(&found.len());
        if entry.metadata().is_ok_and(small) && fs::copy(entry.path(), etc.join(entry.file_name())).is_ok() {
            copied += 1;
        }
    }
    Ok(if copied < 2 { files } else { Files::Layered(vec![dir.clone(), ours]) })
}

fn lend(lab: &Lab, lower: &Path, dir: &Path) -> Result<(), Fault> {
    let (upper, work) = (lab.fresh_dir("upper")?, lab.fresh_dir("work")?);
    let xattr = if lab.rootless { ",userxattr" } else { "" };
    let escaped = crate::layers::escaped;
    let options =
        format!("lowerdir={},upperdir={},workdir={}{xattr}", escaped(lower), escaped(&upper), escaped(&work));
    mount(Some("overlay"), dir, Some("overlay"), MsFlags::empty(), Some(options.as_str())).map_err(|errno| {
        let path = lower.display().to_string();
        if errno == Errno::ENODEV {
            return Fault::unable("no-overlay", &[]).of_step("overlay");
        }
        Fault::unable("rootfs-not-lent", &[("path", &path), ("errno", &format!("{errno:?}"))])
    })
}

/// Copies a tree of directories, files and links, permissions included.
pub fn copy_tree(from: &Path, to: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (source, target, kind) = (entry.path(), to.join(entry.file_name()), entry.file_type()?);
        if kind.is_symlink() {
            // A later layer's link takes the place of an earlier one's.
            let _ = fs::remove_file(&target);
            std::os::unix::fs::symlink(fs::read_link(&source)?, &target)?;
        } else if kind.is_dir() {
            if !target.is_dir() {
                fs::create_dir(&target)?;
            }
            copy_tree(&source, &target)?;
            fs::set_permissions(&target, entry.metadata()?.permissions())?;
        } else {
            fs::copy(&source, &target)?;
        }
    }
    Ok(())
}
