//! A container on disk: what must be known of one that outlives its maker, by whoever comes to start it, signal it or
//! take it away. The same that the [ledger](kernel::undo) knows of one that is tied to us.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use super::gate::{self, Gate, Kind};
use fault::{Doing, Fault};
use kernel::child::{pidfd_open, pidfd_send_signal};
use kernel::process::{Owner, never_executed};
use kernel::undo::Undo;

/// The version of the file's form.
const VERSION: u32 = 1;

/// How long a killed process may take to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is written down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    version: u32,
    /// The first process.
    pub process: Owner,
    /// When it was made, in seconds since 1970.
    pub created: u64,
    /// How to take back what outlives its namespaces, in the order in which it was made.
    pub undo: Vec<Undo>,
}

/// How far a container has come, in the words of the OCI runtime specification ("State").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It waits at its gate.
    Created,
    /// Its program runs.
    Running,
    /// Its first process has ended.
    Stopped,
}

/// A place for a container's state, made before the container is.
pub struct Place {
    dir: PathBuf,
}

impl Place {
    /// Makes the place of a new container, which nobody else may look into.
    ///
    /// # Errors
    /// A [`Fault::Usage`] where a container has this name already.
    pub fn make(root: &Path, id: &str) -> Result<Place, Fault> {
        let dir = root.join(id);
        let doing = || format!("make {}", dir.display());
        fs::DirBuilder::new().recursive(true).mode(0o700).create(root).doing(doing())?;
        match fs::DirBuilder::new().mode(0o700).create(&dir) {
            Err(e) if e.raw_os_error() == Some(Errno::EEXIST as i32) => {
                Err(Fault::usage("container-exists", &[("id", id)]))
            }
            made => made.doing(doing()).map(|()| Place { dir }),
        }
    }

    /// A gate for the container in it.
    pub fn gate(&self, kind: Kind) -> Result<Gate, Fault> {
        Gate::make(&self.dir, kind)
    }

    /// Writes down a container that was made. From here on it is known by this place alone.
    pub fn record(&self, process: Owner, undo: Vec<Undo>) -> Result<(), Fault> {
        let created = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        write(&self.dir, &Record { version: VERSION, process, created, undo })
    }

    /// Takes the place away again: no container came of it.
    pub fn abandon(self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// A container that was found on disk. Nobody else changes it as long as it is held (flock(2)).
pub struct Found {
    dir: PathBuf,
    pub record: Record,
    _held: Flock<File>,
}

impl Found {
    /// Opens the state of a container.
    ///
    /// # Errors
    /// A [`Fault::Usage`] where there is none of this name.
    pub fn open(root: &Path, id: &str) -> Result<Found, Fault> {
        let dir = root.join(id);
        let unknown = || Fault::usage("container-unknown", &[("id", id)]);
        let opened = File::open(&dir).map_err(|_| unknown())?;
        let held = Flock::lock(opened, FlockArg::LockExclusive)
            .map_err(|(_, errno)| Fault::broken(format!("hold {}", dir.display()), errno))?;
        let text = fs::read_to_string(file(&dir)).map_err(|_| unknown())?;
        let record = serde_json::from_str(&text).doing(format!("read {}", file(&dir).display()))?;
        Ok(Found { dir, record, _held: held })
    }

    /// How far it has come.
    pub fn status(&self) -> Status {
        match self.record.process.is_alive() {
            false => Status::Stopped,
            true if never_executed(Pid::from_raw(self.record.process.pid)) => Status::Created,
            true => Status::Running,
        }
    }

    /// Lets it become its program.
    pub fn start(&self) -> Result<(), Fault> {
        self.must_be(Status::Created)?;
        gate::open_gate(&self.dir)
    }

    /// Sends a signal to its first process.
    pub fn signal(&self, signal: i32) -> Result<(), Fault> {
        if self.status() == Status::Stopped {
            return Err(self.is_not("created or running"));
        }
        let process = pidfd_open(Pid::from_raw(self.record.process.pid)).doing("pidfd_open")?;
        // Between the two calls its PID could have become another's.
        if !self.record.process.is_alive() {
            return Err(self.is_not("created or running"));
        }
        pidfd_send_signal(&process, signal).doing("signal the container")
    }

    /// Takes back what it changed, and forgets it. One that has not stopped is ended first if `by_force`.
    pub fn delete(self, by_force: bool) -> Result<(), Fault> {
        if self.status() != Status::Stopped {
            if !by_force {
                return Err(self.is_not("stopped"));
            }
            self.end()?;
        }
        // What can't be taken back now is still written down.
        self.record.undo.iter().rev().map(Undo::carry_out).fold(Ok(()), Result::and)?;
        fs::remove_dir_all(&self.dir).doing(format!("remove {}", self.dir.display()))
    }

    fn end(&self) -> Result<(), Fault> {
        match self.signal(libc::SIGKILL) {
            Err(_) if self.status() == Status::Stopped => return Ok(()),
            sent => sent?,
        }
        let until = Instant::now() + PATIENCE;
        while self.status() != Status::Stopped {
            if Instant::now() > until {
                return Err(Fault::broken("end the container", Errno::ETIMEDOUT));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    fn must_be(&self, status: Status) -> Result<(), Fault> {
        if self.status() == status { Ok(()) } else { Err(self.is_not(name(status))) }
    }

    fn is_not(&self, wanted: &str) -> Fault {
        let id = self.dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Fault::usage("container-is-not", &[("id", &id), ("status", name(self.status())), ("wanted", wanted)])
    }
}

/// Its name in the specification.
pub fn name(status: Status) -> &'static str {
    match status {
        Status::Created => "created",
        Status::Running => "running",
        Status::Stopped => "stopped",
    }
}

fn file(dir: &Path) -> PathBuf {
    dir.join("state.json")
}

/// Written beside its place and renamed, so that nobody reads half of it.
fn write(dir: &Path, record: &Record) -> Result<(), Fault> {
    let (file, draft) = (file(dir), dir.join("state.json.new"));
    let doing = || format!("write {}", file.display());
    let text = serde_json::to_vec_pretty(record).doing(doing())?;
    let mut opened = File::create(&draft).doing(doing())?;
    opened.write_all(&text).and_then(|()| opened.sync_all()).doing(doing())?;
    fs::rename(&draft, &file).doing(doing())
}

#[cfg(test)]
mod tests {
    use nix::sys::prctl::set_child_subreaper;
    use nix::sys::wait::waitpid;
    use nix::unistd::geteuid;

    use super::*;
    use crate::op::Command;
    use crate::program::Ties;
    use crate::{OnHost, Plan, Process, Program, Site, Spec, Stdio, create};
    use kernel::cgroup::{Limits, places};
    use kernel::lacks;
    use kernel::signals::Signals;
    use kernel::told::Silence;
    use lab::Lab;
    use lab::folders::Folders;
    use testing::skip;

    /// What is wanted of it: limits too, where they can be had, since a group is what has to be taken back.
    fn spec(argv: &[&str]) -> Spec {
        let limits = Limits { pids: Some(16), ..Limits::NONE };
        let limits = places(&limits.controllers()).is_ok().then_some(limits);
        let argv = argv.iter().map(Into::into).collect();
        let command = Some(Command { argv, ..Command::default() });
        Spec { processes: true, mounts: true, outlives_its_maker: true, command, limits, ..Spec::default() }
    }

    /// Makes a container in a process that ends with that, and returns its groups.
    fn make(folders: &Folders, id: &str, kind: Kind, on_host: bool, argv: &[&str]) -> Vec<PathBuf> {
        let made = lacks::aside(|| -> Result<Vec<PathBuf>, Fault> {
            let signals = Signals::take().doing("take signals")?;
            let lab = match on_host {
                true => Lab::on_host(folders.clone(), signals)?,
                false => Lab::enter(folders.clone(), signals)?,
            };
            let spec = spec(argv);
            let site = Site::in_lab(&lab, &spec)?;
            let place = Place::make(&folders.state.join("containers"), id)?;
            let gate = place.gate(kind)?;
            let mut process = Process::new(Program::Planned);
            process.ties = Ties::None { place, gate };
            process.stdio = Stdio::quiet()?.0;
            create(Plan::new(&spec, &site)?, process, OnHost::new(&spec, &site)?, &lab, &mut Silence)?;
            Ok(site.groups().into_iter().map(|group| group.dir).collect())
        });
        made.and_then(|made| made).unwrap_or_else(|fault| panic!("{fault}"))
    }

    fn found(folders: &Folders, id: &str) -> Found {
        Found::open(&folders.state.join("containers"), id).unwrap_or_else(|fault| panic!("{fault}"))
    }

    /// Waits until a container that was left to us is what it is to be.
    fn wait_for(folders: &Folders, id: &str, status: Status) {
        let until = Instant::now() + Duration::from_secs(30);
        while found(folders, id).status() != status {
            assert!(Instant::now() < until, "it is {}", name(found(folders, id).status()));
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Its whole life, each part of it by somebody who knows nothing but its state.
    fn live(kind: Kind, on_host: bool) {
        let dir = tempfile::tempdir().unwrap();
        let folders = Folders::at(dir.path());
        let groups = make(&folders, "one", kind, on_host, &["sleep", "1000"]);
        assert_eq!(found(&folders, "one").status(), Status::Created);
        assert!(!folders.ledger.exists() || fs::read_dir(&folders.ledger).unwrap().next().is_none());
        assert!(groups.iter().all(|group| group.exists()));
        assert!(found(&folders, "one").delete(false).is_err(), "it has not stopped");

        found(&folders, "one").start().unwrap_or_else(|fault| panic!("{fault}"));
        wait_for(&folders, "one", Status::Running);
        assert!(found(&folders, "one").start().is_err(), "it runs already");

        found(&folders, "one").signal(libc::SIGKILL).unwrap();
        wait_for(&folders, "one", Status::Stopped);
        let pid = Pid::from_raw(found(&folders, "one").record.process.pid);
        let _ = waitpid(pid, None);
        found(&folders, "one").delete(false).unwrap_or_else(|fault| panic!("{fault}"));
        assert!(groups.iter().all(|group| !group.exists()), "its groups are gone");
        assert!(Found::open(&folders.state.join("containers"), "one").is_err());
    }

    #[test]
    fn a_container_outlives_its_maker_and_is_started_ended_and_deleted_by_others() {
        set_child_subreaper(true).unwrap();
        for kind in [Kind::Socket, Kind::Fifo] {
            live(kind, false);
            if geteuid().is_root() {
                live(kind, true);
            } else {
                skip("a container on the host itself takes root", "Run the tests as root");
            }
        }
    }

    #[test]
    fn who_opens_the_gate_hears_why_it_could_not_become_its_program() {
        let dir = tempfile::tempdir().unwrap();
        let folders = Folders::at(dir.path());
        make(&folders, "none", Kind::Socket, false, &["/no/such/program"]);
        let fault = found(&folders, "none").start().unwrap_err();
        assert_eq!(fault.status(), 127, "{fault}");
        found(&folders, "none").delete(true).unwrap();
    }

    #[test]
    fn a_container_that_only_waits_can_be_deleted_by_force_and_its_name_given_again() {
        let dir = tempfile::tempdir().unwrap();
        let folders = Folders::at(dir.path());
        make(&folders, "two", Kind::Socket, false, &["true"]);
        let root = folders.state.join("containers");
        assert!(Place::make(&root, "two").is_err(), "the name is taken");
        found(&folders, "two").delete(true).unwrap();
        Place::make(&root, "two").unwrap().abandon();
        assert!(!root.join("two").exists());
    }
}
