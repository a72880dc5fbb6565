//! Step N's container: the first N layers, with what each of them needs.

use std::fs::{self, File};
use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use nix::mount::{MsFlags, mount};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Container, Exit, Plan, Program, Stdio, create};
use crate::fault::{Doing, Fault};
use crate::image::Image;
use crate::kernel::cgroup::Limits;
use crate::kernel::told::{Listener, Silence};
use crate::kernel::visit::hear;
use crate::lab::Lab;
use crate::layers::{CgroupLimit, Layer, MountProc, Network, Overlay, PivotRoot, UnsharePid, VethBridge};

/// Where the container's files come from.
pub enum Files {
    /// The image that was put together from the host's programs.
    Image(Image),
    /// A directory of the learner's.
    Directory(PathBuf),
}

impl Files {
    /// The read-only layers, lowest first.
    pub fn layers(&self) -> Vec<PathBuf> {
        match self {
            Files::Image(image) => image.layers.clone(),
            Files::Directory(dir) => vec![dir.clone()],
        }
    }
}

/// How to make the containers of one step, as many as are needed.
pub struct Recipe<'l> {
    pub lab: &'l Lab,
    /// The steps whose layers it has, in order.
    pub steps: Vec<&'static str>,
    /// `None` before step 3, where the container still has the host's files.
    pub files: Option<Files>,
    /// Steps 3 and 4 have no overlay yet: a copy of the files that may be written to.
    pub copy: Option<PathBuf>,
    pub limits: Limits,
    pub hostname: String,
}

impl<'l> Recipe<'l> {
    /// A recipe for the given steps. `files` is only asked for where a step needs them.
    pub fn new(
        lab: &'l Lab,
        steps: Vec<&'static str>,
        limits: Limits,
        files: impl FnOnce() -> Result<Files, Fault>,
    ) -> Result<Recipe<'l>, Fault> {
        let has = |slug: &str| steps.contains(&slug);
        let files = if has("pivot-root") { Some(files()?) } else { None };
        let copy = match &files {
            Some(files) if !has("overlay") => Some(writable_copy(lab, files)?),
            _ => None,
        };
        Ok(Recipe { lab, steps, files, copy, limits, hostname: "box".into() })
    }

    /// Whether the container has this step's layer.
    pub fn has(&self, slug: &str) -> bool {
        self.steps.contains(&slug)
    }

    /// Fresh layers, in the order of their steps. This is the one place where a step's slug meets
    /// its layer.
    fn layers(&self, seat: u8) -> Vec<Box<dyn Layer>> {
        let lowers = self.files.as_ref().map(Files::layers).unwrap_or_default();
        let root = self.copy.clone().unwrap_or_default();
        let make = |slug: &str| -> Option<Box<dyn Layer>> {
            Some(match slug {
                "unshare-pid" => Box::new(UnsharePid),
                "mount-proc" => Box::new(MountProc),
                "pivot-root" => Box::new(PivotRoot::new(root.clone(), &self.hostname)),
                "cgroup-limit" => Box::new(CgroupLimit::new(self.limits)),
                "overlay" => Box::new(Overlay::new(lowers.clone(), self.lab.rootless)),
                "veth-bridge" => Box::new(VethBridge::new(Network::default(), seat)),
                _ => return None,
            })
        };
        self.steps.iter().filter_map(|slug| make(slug)).collect()
    }

    /// A plan for a container with these layers. `seat` tells containers on one network apart.
    pub fn plan<'p>(&self, program: Program<'p>, seat: u8) -> Plan<'p> {
        Plan { layers: self.layers(seat), program, init: false, stdio: Stdio::default(), terminal: false }
    }

    /// A program to run: the container's own environment comes with its own files.
    pub fn exec<'p>(&self, argv: Vec<String>) -> Program<'p> {
        Program::Exec { argv, own_environment: self.has("pivot-root") }
    }

    /// A container whose program does nothing but wait for its standard input to close, for looking
    /// at. The second value is what keeps it waiting.
    pub fn resident(&self, seat: u8, listener: &mut dyn Listener) -> Result<(Container, OwnedFd), Fault> {
        let mut plan = self.plan(self.exec(["sh", "-c", "read _"].map(String::from).into()), seat);
        let (stdio, hold) = Stdio::quiet()?;
        plan.stdio = stdio;
        let mut container = create(plan, self.lab, listener)?;
        container.start(listener)?;
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
        let mut plan = self.plan(Program::Call(Box::new(report)), 9);
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
        // It may be large: an overlay in the lab makes a copy of what is written, and only of that.
        Files::Directory(lower) => lend(lab, lower, &dir)?,
    }
    Ok(dir)
}

fn lend(lab: &Lab, lower: &Path, dir: &Path) -> Result<(), Fault> {
    let (upper, work) = (lab.fresh_dir("upper")?, lab.fresh_dir("work")?);
    let xattr = if lab.rootless { ",userxattr" } else { "" };
    let escaped = crate::layers::escaped;
    let options =
        format!("lowerdir={},upperdir={},workdir={}{xattr}", escaped(lower), escaped(&upper), escaped(&work));
    mount(Some("overlay"), dir, Some("overlay"), MsFlags::empty(), Some(options.as_str())).map_err(|errno| {
        let path = lower.display().to_string();
        Fault::unable("rootfs-not-lent", &[("path", &path), ("errno", &format!("{errno:?}"))])
    })
}

/// Copies a tree of directories, files and links, permissions included.
fn copy_tree(from: &Path, to: &Path) -> std::io::Result<()> {
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
