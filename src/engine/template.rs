//! How the containers of one step are made, as many as its checks need.

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

use super::extras::Extras;
use super::ids::{Files as Owned, Ids};
use super::op::Command;
use super::owned;
use super::parts::overlay::{self, escaped};
use super::spec::{Root, Spec};
use super::{Container, Exit, OnHost, Plan, Process, Program, Site, Stdio, create};
use fault::{Doing, Fault};
use image::Image;
use kernel::told::{Listener, Silence};
use kernel::visit::hear;
use lab::Lab;
use lab::folders::Folders;

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

/// The number, on its network, of the container that is shown; 1 is the bridge's.
pub const FIRST: u16 = 2;
/// That of a second one beside it.
pub const SECOND: u16 = 3;
/// That of the containers that experiments are made in, one after the other.
pub const EXPERIMENT: u16 = 9;

/// How to make the containers of one step, as many as are needed.
pub struct Template<'l> {
    pub lab: &'l Lab,
    pub spec: Spec,
    /// `None` before step 3, where the container still has the host's files.
    pub files: Option<Files>,
}

impl<'l> Template<'l> {
    /// A template for what is wanted but for the files, which are asked for where they are.
    pub fn new(
        lab: &'l Lab,
        wanted: Wanted,
        files: impl FnOnce() -> Result<Files, Fault>,
    ) -> Result<Template<'l>, Fault> {
        let mut spec = wanted.spec;
        let files = match (wanted.root, wanted.layers) {
            (true, true) => Some(with_ours(lab, files()?)?),
            (true, false) => Some(files()?),
            (false, _) => None,
        };
        spec.ids = wanted.users.then(|| Ids::here(lab.rootless)).transpose()?;
        spec.root = match &files {
            Some(files) => Some(root(lab, files, wanted.layers, &mut spec)?),
            None => None,
        };
        owned::show_volumes(&mut spec);
        Ok(Template { lab, spec, files })
    }

    /// What is wanted of a container with this program.
    pub fn with(&self, argv: Vec<OsString>) -> Spec {
        Spec { command: Some(command(&self.spec, argv)), ..self.spec.clone() }
    }

    /// Makes one of them.
    pub fn create(
        &self,
        spec: &Spec,
        process: Process,
        listener: &mut dyn Listener,
    ) -> Result<Container, Fault> {
        let site = Site::in_lab(self.lab, spec)?;
        create(Plan::new(spec, &site)?, process, OnHost::new(spec, &site)?, self.lab, listener)
    }

    /// A container whose program does nothing but wait for its standard input to close, for looking
    /// at. The second value is what keeps it waiting.
    pub fn resident(&self, number: u16, listener: &mut dyn Listener) -> Result<(Container, OwnedFd), Fault> {
        let spec = self.with(waiting()).at(number);
        let (stdio, hold) = Stdio::quiet()?;
        let process = Process { stdio, ..Process::new(Program::Planned) };
        let mut container = self.create(&spec, process, listener)?;
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
        let (reported, run) = report(run)?;
        let stdio = Stdio::quiet()?.0;
        let process = Process { init, stdio, ..Process::new(Program::Call(Box::new(run))) };
        reported.by(self.create(&self.spec.at(EXPERIMENT), process, &mut Silence)?)
    }
}

/// A function as a container's program, and where to hear what it returned.
pub fn report<'p, T: Serialize>(
    run: impl FnOnce() -> T + 'p,
) -> Result<(Reported, impl FnOnce() -> i32 + 'p), Fault> {
    let (reader, writer) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).doing("make a pipe")?;
    let run = move || {
        let mut writer = File::from(writer);
        let text = serde_json::to_vec(&run()).unwrap_or_default();
        i32::from(writer.write_all(&text).is_err())
    };
    Ok((Reported(reader), run))
}

/// Where a container's function is heard.
pub struct Reported(OwnedFd);

impl Reported {
    /// Starts the container, and waits for what its function has to say and for its end.
    pub fn by<T: DeserializeOwned>(self, mut container: Container) -> Result<Experiment<T>, Fault> {
        container.start(&mut Silence)?;
        // One that hangs is ended when its container is dropped.
        let text = hear(self.0)?.unwrap_or_default();
        let exit = container.wait_at_most(std::time::Duration::from_secs(10))?;
        Ok(Experiment { seen: serde_json::from_slice(&text).ok(), exit, container })
    }
}

/// A program for a container that is only looked at: it waits for its standard input to close.
pub fn waiting() -> Vec<OsString> {
    ["sh", "-c", "read _"].map(OsString::from).into()
}

/// A program for a container. An environment of its own comes with its own files.
pub fn command(spec: &Spec, argv: Vec<OsString>) -> Command {
    let Extras { environment, user, .. } = spec.extras.clone();
    Command { argv, own_environment: spec.root.is_some(), environment, user }
}

/// What is wanted of a container in a lab that nobody has made: its files are where they would be.
pub fn planned(
    folders: &Folders,
    wanted: Wanted,
    files: impl FnOnce() -> Result<Files, Fault>,
) -> Result<Spec, Fault> {
    let root = match (wanted.root, wanted.layers) {
        (true, true) => Some(Root::Layers(files()?.layers())),
        (true, false) => Some(Root::Directory(folders.lab().join("rootfs-1"))),
        (false, _) => None,
    };
    let rootless = lab::takes_a_user_namespace();
    let ids = wanted.users.then(|| Ids::here(rootless)).transpose()?;
    let ids = match (ids, &root) {
        (Some(ids), Some(Root::Layers(layers))) => {
            let site = Site::planned(folders, rootless, 1, &Spec::default())?;
            Some(owned::ids_for(layers, ids, &site, true))
        }
        (ids, _) => ids,
    };
    let mut spec = Spec { root, ids, ..wanted.spec };
    owned::show_volumes(&mut spec);
    Ok(spec)
}

/// What steps or options ask for. Files are asked for without saying which.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    pub spec: Spec,
    /// A root filesystem of its own.
    pub root: bool,
    /// It stays as it is, under a layer that is written to.
    pub layers: bool,
    /// Users of its own.
    pub users: bool,
}

/// What came of an experiment.
pub struct Experiment<T> {
    pub seen: Option<T>,
    /// `None` if it had not ended after ten seconds.
    pub exit: Option<Exit>,
    pub container: Container,
}

/// What the container's `/` is made of, and how it comes to own that.
fn root(lab: &Lab, files: &Files, layers: bool, spec: &mut Spec) -> Result<Root, Fault> {
    let others = spec.ids.filter(Ids::are_others);
    match (layers, others) {
        (true, None) => Ok(Root::Layers(files.layers())),
        // Without an overlay it gets a copy of the files that may be written to.
        (false, None) => Ok(Root::Directory(writable_copy(lab, files)?)),
        (true, Some(ids)) => {
            let dir = lab.fresh_dir("trial")?;
            let ids = spec.ids.insert(owned::ids_for(&files.layers(), ids, &lab_site(lab, &dir)?, false));
            let _ = fs::remove_dir_all(dir);
            Ok(Root::Layers(match ids.files {
                Owned::Copied => owned::copies(lab, &files.layers(), ids, false)?,
                _ => files.layers(),
            }))
        }
        (false, Some(ids)) => {
            let ids = spec.ids.insert(super::ids::Ids { files: Owned::Copied, ..ids });
            let copies = owned::copies(lab, &files.layers(), ids, true)?;
            let broken = || Fault::broken("copy an image", "it has no layers");
            copies.into_iter().next().map(Root::Directory).ok_or_else(broken)
        }
    }
}

/// A site in a directory of the lab's, to try things out at.
fn lab_site(lab: &Lab, dir: &Path) -> Result<Site, Fault> {
    Ok(Site { dir: dir.into(), writes_to_cache: false, ..Site::in_lab(lab, &Spec::default())? })
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
    let options =
        format!("lowerdir={},upperdir={},workdir={}{xattr}", escaped(lower), escaped(&upper), escaped(&work));
    mount(Some("overlay"), dir, Some("overlay"), MsFlags::empty(), Some(options.as_str())).map_err(|errno| {
        let path = lower.display().to_string();
        if errno == Errno::ENODEV {
            return Fault::unable("no-overlay", &[]).of_step(overlay::SLUG);
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
