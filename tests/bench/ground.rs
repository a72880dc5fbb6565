//! Where containers are started: a root filesystem for all of them; for root also a mount and a network namespace of our
//! own, and a group in each hierarchy, so that nothing of the host's is touched and nothing stays.

use std::cell::RefCell;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};

use crate::common::{am_root, child, path_of};

/// Which groups the floor's limits are set in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Groups {
    V1,
    V2,
}

const CGROUP: &str = "/sys/fs/cgroup";
const CONTROLLERS: [&str; 3] = ["pids", "memory", "cpu"];

/// What is needed around everything that is started.
pub struct Ground {
    dir: tempfile::TempDir,
    pub program: PathBuf,
    /// The floor's program, built for this ground.
    pub floor: Option<PathBuf>,
    pub limits: Option<Groups>,
    /// Groups of ours, removed in the end.
    groups: Vec<PathBuf>,
    /// What is left out, and what it would need.
    pub left_out: RefCell<Vec<(String, String)>>,
}

impl Ground {
    /// Makes it.
    ///
    /// # Errors
    /// Says what is missing or what was refused.
    pub fn make(program: PathBuf) -> Result<Ground, String> {
        let dir =
            tempfile::Builder::new().prefix("workshop-bench-").tempdir().map_err(said("a directory"))?;
        let mut ground = Ground {
            dir,
            program,
            floor: None,
            limits: None,
            groups: Vec::new(),
            left_out: RefCell::default(),
        };
        ground.fill()?;
        if am_root() {
            ground.enclose()?;
            ground.make_groups();
            ground.build_floor();
        } else {
            ground.leave_out("floor; limits", "root");
        }
        Ok(ground)
    }

    /// An OCI bundle.
    pub fn bundle(&self) -> PathBuf {
        self.dir.path().join("bundle")
    }

    pub fn rootfs(&self) -> PathBuf {
        self.bundle().join("rootfs")
    }

    /// The home of what is started.
    pub fn home(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    /// A command with nothing of the caller's in its environment.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = child::command(program);
        self.at_home(&mut command);
        command
    }

    /// Gives a command an environment with a home of ours.
    pub fn at_home(&self, command: &mut Command) {
        let path = std::env::var_os("PATH").unwrap_or_default();
        command.env_clear().env("PATH", path).env("HOME", self.home()).env("LANG", "C.UTF-8");
        command.current_dir(self.dir.path());
    }

    /// Where a peer is, if it is installed; if not, that is noted.
    pub fn installed(&self, name: &str) -> Option<PathBuf> {
        let found = path_of(name);
        if found.is_none() {
            self.leave_out(name, name);
        }
        found
    }

    pub fn leave_out(&self, what: &str, needs: &str) {
        self.left_out.borrow_mut().push((what.into(), needs.into()));
    }

    /// The root filesystem of busybox, and directories to work in.
    fn fill(&self) -> Result<(), String> {
        let root = self.rootfs();
        for name in ["bin", "dev", "etc", "proc", "sys", "tmp", "root"] {
            fs::create_dir_all(root.join(name)).map_err(said(name))?;
        }
        for name in ["home", "tm", "ext"] {
            fs::create_dir(self.dir.path().join(name)).map_err(said(name))?;
        }
        let busybox = path_of("busybox").ok_or("busybox is missing. Install busybox-static")?;
        fs::copy(busybox, root.join("bin/busybox")).map_err(said("busybox"))?;
        for name in ["sh", "true", "cat", "sleep"] {
            symlink("busybox", root.join("bin").join(name)).map_err(said(name))?;
        }
        Ok(())
    }

    /// A private view: links stay in a network namespace that ends with us. The group hierarchies of a hybrid host look
    /// as those of a plain v1 host: crun refuses a hybrid one.
    fn enclose(&self) -> Result<(), String> {
        unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWNET).map_err(said("namespaces"))?;
        let none: Option<&str> = None;
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)
            .map_err(said("private mounts"))?;
        let tmpfs = |at: &Path| mount(Some("bench"), at, Some("tmpfs"), MsFlags::empty(), Some("mode=755"));
        let scratch = self.dir.path().join("tm");
        tmpfs(&scratch).map_err(said("a tmpfs"))?;
        for name in ["m", "dev"] {
            fs::create_dir(scratch.join(name)).map_err(said(name))?;
        }
        let unified = Path::new(CGROUP).join("unified");
        if unified.is_dir() {
            tmpfs(&unified).map_err(said("a tmpfs"))?;
        }
        Ok(())
    }

    /// A group of ours in each hierarchy that the floor's limits take, for the groups of its containers.
    fn make_groups(&mut self) {
        let root = Path::new(CGROUP);
        let name = self.group();
        let v1 = CONTROLLERS.iter().all(|controller| root.join(controller).join("cgroup.procs").exists());
        let places = if v1 { CONTROLLERS.map(|name| root.join(name)).to_vec() } else { vec![root.into()] };
        for place in places {
            let group = place.join(&name);
            if fs::create_dir(&group).is_ok() {
                self.groups.push(group);
            }
        }
        let enabled = |group: &PathBuf| {
            v1 || fs::write(group.join("cgroup.subtree_control"), "+memory +pids +cpu").is_ok()
        };
        if !self.groups.is_empty() && self.groups.iter().all(enabled) {
            self.limits = Some(if v1 { Groups::V1 } else { Groups::V2 });
        } else {
            self.leave_out("limits", "cgroups");
        }
    }

    fn build_floor(&mut self) {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("book/examples/floor/floor.c");
        let program = self.dir.path().join("floor");
        let define = |name: &str, value: &str| format!("-D{name}=\"{value}\"");
        let base = define("BASE", &self.dir.path().display().to_string());
        let built = run(child::command("cc")
            .args(["-O2", "-static", "-w", &base, &define("GROUP", &self.group()), "-o"])
            .args([&program, &source]));
        match built {
            Ok(()) => self.floor = Some(program),
            Err(problem) => self.leave_out("floor", &format!("cc, libc.a ({problem})")),
        }
    }

    fn group(&self) -> String {
        format!("workshop-bench-{}", std::process::id())
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        for group in &self.groups {
            // The groups of containers are gone by now; one that isn't keeps this one, and says so by being there.
            let _ = fs::remove_dir(group);
        }
        if am_root() {
            let _ = umount2(&self.dir.path().join("tm"), MntFlags::MNT_DETACH);
        }
    }
}

/// Runs a command that must do well.
///
/// # Errors
/// What it said on standard error.
pub fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("{:?}: {error}", command.get_program()))?;
    if output.status.success() {
        return Ok(());
    }
    Err(String::from_utf8_lossy(&output.stderr).lines().next().unwrap_or("it failed").to_owned())
}

fn said<E: std::fmt::Display>(what: &str) -> impl Fn(E) -> String + '_ {
    move |error| format!("{what}: {error}")
}
