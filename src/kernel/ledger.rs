//! The undo ledger: what must be taken back on the real host, written down *before* it is done.
//!
//! Links and mounts live in the lab and end with it. A cgroup does not, nor does a directory in the cache,
//! and a container may outlive us if its guard is killed with us. Each is a line in a file named for the
//! process that made it; the file outlives a `kill -9`, and whoever runs the workshop next undoes what a dead
//! owner left.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::statfs::{CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC, statfs};
use nix::unistd::{Pid, geteuid};
use serde::{Deserialize, Serialize};

use super::process::Owner;
use super::{cgroup, pidfd, tree};
use crate::fault::{Doing, Fault};

/// One thing to take back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "undo", rename_all = "kebab-case")]
pub enum Undo {
    /// Remove a cgroup that we made, after ending what is still in it.
    RemoveGroup { path: PathBuf },
    /// v2: hand controllers on no longer (`cgroup.subtree_control`), which we had enabled.
    Disable { path: PathBuf, controllers: Vec<String> },
    /// Remove the directory in the cache that a container wrote to.
    RemoveBox { path: PathBuf },
    /// End a container's first process. Normally it dies with us, by the signal that it asked for (prctl(2),
    /// `PR_SET_PDEATHSIG`) or by its guard's. This is the second line of defence: a program that no longer
    /// has that signal outlives us if its guard is killed with us, as `pkill -9 -f workshop` does.
    EndProcess { process: Owner },
    /// The line above stands for something that was refused, and so is not ours to take back.
    Retract,
}

/// The cache's directory for what containers write, where the lab has no room for it.
pub const BOXES: &str = "boxes";

/// The directory name that every cgroup of ours begins with; nothing else is ever removed.
pub const GROUP_PREFIX: &str = "workshop-";

/// The open page of one process.
pub struct Ledger {
    file: Option<File>,
    path: PathBuf,
}

impl Ledger {
    /// A page for the calling process's container number `number`, in `dir`. No file is made
    /// before the first line.
    pub fn open(dir: &Path, number: u32) -> Result<Ledger, Fault> {
        let me = Owner::me().doing("read /proc/self/stat")?;
        Ok(Ledger {
            file: None,
            path: dir.join(format!("{}-{}-{}-{number}.jsonl", me.pid, me.started, me.namespace)),
        })
    }

    /// Writes one line, which must reach the file before the thing itself is done.
    pub fn record(&mut self, undo: &Undo) -> Result<(), Fault> {
        let doing = || format!("write the undo ledger {}", self.path.display());
        if self.file.is_none() {
            if let Some(dir) = self.path.parent() {
                fs::create_dir_all(dir).doing(doing())?;
            }
            self.file = Some(File::options().create(true).append(true).open(&self.path).doing(doing())?);
        }
        let line = serde_json::to_string(undo).doing(doing())? + "\n";
        match &mut self.file {
            Some(file) => file.write_all(line.as_bytes()).doing(doing()),
            None => Ok(()),
        }
    }

    /// All is taken back: the page goes.
    pub fn close(&mut self) {
        if self.file.take().is_some() {
            // A page that stays is read once more by the next run, which finds nothing to do.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// What a dead owner left behind.
#[derive(Debug)]
pub struct Leftover {
    pub owner: Owner,
    pub undo: Vec<Undo>,
    page: PathBuf,
}

/// The pages in `dir` whose owners are gone.
pub fn leftovers(dir: &Path) -> Vec<Leftover> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    entries.flatten().filter_map(|entry| leftover(entry.path())).collect()
}

/// The owners of pages from other PID namespaces, such as a container's that shares our home. Whether they
/// live can't be told from here, so what they left is left to a workshop over there.
pub fn elsewhere(dir: &Path) -> Vec<Owner> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    entries.flatten().filter_map(|entry| owner(&entry.path())).filter(|owner| !owner.within_sight()).collect()
}

/// Whose page it is, by its name.
fn owner(page: &Path) -> Option<Owner> {
    let mut name = page.file_name()?.to_str()?.strip_suffix(".jsonl")?.split('-');
    let (pid, mut number) = (name.next()?.parse().ok()?, || name.next()?.parse().ok());
    Some(Owner { pid, started: number()?, namespace: number()? })
}

fn leftover(page: PathBuf) -> Option<Leftover> {
    let owner = owner(&page)?;
    if !owner.is_gone() {
        return None;
    }
    let undo = lines(&fs::read_to_string(&page).ok()?);
    Some(Leftover { owner, undo, page })
}

/// What takes back that controllers are handed on in `control`, if a page in `dir` says that one of us did it.
pub fn to_disable(dir: &Path, control: &Path) -> Option<Undo> {
    let pages = fs::read_dir(dir).ok()?.flatten();
    let mut all = pages.filter_map(|page| fs::read_to_string(page.path()).ok()).flat_map(|text| lines(&text));
    all.find(|undo| matches!(undo, Undo::Disable { path, .. } if path == control))
}

/// The things on a page that are still there. A line cut short by a kill stands for something that was not
/// done yet.
fn lines(text: &str) -> Vec<Undo> {
    let mut undo = Vec::new();
    for line in text.lines().filter_map(|line| serde_json::from_str(line).ok()) {
        match line {
            Undo::Retract => drop(undo.pop()),
            line => undo.push(line),
        }
    }
    undo.retain(Undo::is_still_there);
    undo
}

impl Leftover {
    /// Undoes it, last thing first, and forgets the page when all of it is gone.
    pub fn undo(self) -> Result<(), Fault> {
        for undo in self.undo.iter().rev() {
            undo.carry_out()?;
        }
        match fs::remove_file(&self.page) {
            // Another workshop was here at the same time.
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other.doing(format!("remove {}", self.page.display())),
        }
    }
}

impl Undo {
    /// Takes the thing back. What is already gone is fine.
    pub fn carry_out(&self) -> Result<(), Fault> {
        match self {
            Undo::RemoveGroup { path } if is_group_of_ours(path) => {
                remove_group(path).doing(format!("remove the cgroup {}", path.display()))
            }
            Undo::Disable { path, controllers } if path.ends_with("cgroup.subtree_control") => {
                disable(path, controllers).doing(format!("write {}", path.display()))
            }
            Undo::RemoveBox { path } if is_box_of_ours(path) => match tree::remove_closed(path) {
                Err(e) if e.raw_os_error() == Some(Errno::EXDEV as i32) => {
                    Err(Fault::unable("mounted-inside", &[("path", &path.display().to_string())]))
                }
                other => other.doing(format!("remove {}", path.display())),
            },
            Undo::EndProcess { process } => end(process).doing(format!("end process {}", process.pid)),
            // There was nothing to take back.
            Undo::Retract => Ok(()),
            // A ledger that names anything else was not written by us.
            Undo::RemoveGroup { .. } | Undo::Disable { .. } | Undo::RemoveBox { .. } => Ok(()),
        }
    }

    /// Whether there is anything left to take back. A process may have ended by itself; and where systemd gave
    /// us a scope, it has removed all groups in it when the last process ended.
    fn is_still_there(&self) -> bool {
        match self {
            Undo::RemoveGroup { path } | Undo::Disable { path, .. } | Undo::RemoveBox { path } => {
                path.exists()
            }
            Undo::EndProcess { process } => process.is_alive(),
            Undo::Retract => false,
        }
    }

    /// What it is about, for people.
    pub fn what(&self) -> String {
        match self {
            Undo::RemoveGroup { path } | Undo::Disable { path, .. } | Undo::RemoveBox { path } => {
                path.display().to_string()
            }
            Undo::EndProcess { process } => format!("PID {}", process.pid),
            Undo::Retract => String::new(),
        }
    }
}

/// Hands controllers on no longer, unless another group of ours still has limits by them: then that one's page
/// says the same, and its end is the time.
fn disable(control: &Path, controllers: &[String]) -> io::Result<()> {
    let Some(group) = control.parent().filter(|group| group.is_dir()) else { return Ok(()) };
    let _held = cgroup::hold(group);
    let limited = |name: &str| name.starts_with(GROUP_PREFIX) && !name.ends_with(cgroup::LEAF);
    if fs::read_dir(group)?.flatten().any(|entry| entry.file_name().to_str().is_some_and(limited)) {
        return Ok(());
    }
    let text = controllers.iter().map(|c| format!("-{c}")).collect::<Vec<_>>().join(" ");
    match fs::write(control, text) {
        // Somebody else has come to need the controllers since.
        Err(e) if e.raw_os_error() == Some(Errno::EBUSY as i32) => Ok(()),
        other => other,
    }
}

/// Whether a path is one that only the workshop makes, in a cgroup filesystem.
fn is_group_of_ours(path: &Path) -> bool {
    let named = path.file_name().and_then(|n| n.to_str()).is_some_and(|n| n.starts_with(GROUP_PREFIX));
    let plain = !path.components().any(|c| c == std::path::Component::ParentDir);
    let mounted = statfs(path).map(|found| found.filesystem_type());
    named && plain && matches!(mounted, Ok(CGROUP_SUPER_MAGIC | CGROUP2_SUPER_MAGIC))
}

/// Whether a path is one that only the workshop makes, in a cache of the caller's own: a directory that is named for a
/// process and the number of its container.
fn is_box_of_ours(path: &Path) -> bool {
    let named = path.file_name().and_then(|name| name.to_str());
    let numbers = named.is_some_and(|name| name.split('-').all(|n| n.parse::<u64>().is_ok()));
    let plain = !path.components().any(|c| c == std::path::Component::ParentDir);
    let ours = fs::symlink_metadata(path).is_ok_and(|m| m.is_dir() && m.uid() == geteuid().as_raw());
    numbers && plain && ours && path.parent().is_some_and(|dir| dir.ends_with(BOXES))
}

/// SIGKILL to a process that still is the one that is meant. Held by its descriptor, it can't become another meanwhile.
fn end(process: &Owner) -> nix::Result<()> {
    let pidfd = match pidfd::open(Pid::from_raw(process.pid)) {
        Err(Errno::ESRCH) => return Ok(()),
        pidfd => pidfd?,
    };
    if process.is_alive() { pidfd::send_signal(&pidfd, libc::SIGKILL) } else { Ok(()) }
}

/// rmdir(2) of a group and of groups that a program made below it. A process that was killed leaves
/// its group only once it is gone altogether, so EBUSY is waited out, for 5 seconds at most.
fn remove_group(path: &Path) -> io::Result<()> {
    let until = Instant::now() + Duration::from_secs(5);
    let entries = match fs::read_dir(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries.flatten() {
        if entry.file_type()?.is_dir() {
            remove_group(&entry.path())?;
        }
    }
    loop {
        match fs::remove_dir(path) {
            Err(e) if e.raw_os_error() == Some(Errno::EBUSY as i32) && Instant::now() < until => {
                end_members(path);
                std::thread::sleep(Duration::from_micros(200));
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => return other,
        }
    }
}

/// Kills what is left in a group of ours: it was put there by us, or is a child of what was. v2 has a file for
/// that, which no process that forks on and on escapes (cgroup-v2.rst, "cgroup.kill", Linux 5.14).
fn end_members(path: &Path) {
    if fs::write(path.join("cgroup.kill"), "1").is_ok() {
        return;
    }
    let members = fs::read_to_string(path.join("cgroup.procs")).unwrap_or_default();
    // 0 is a process that our PID namespace has no number for.
    for pid in members.lines().filter_map(|l| l.parse().ok()).filter(|pid| *pid > 0) {
        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// Of a process that has our PID namespace and can't be alive.
    fn page_of_the_dead() -> String {
        format!("1-1-{}-1.jsonl", Owner::me().unwrap().namespace)
    }

    #[test]
    fn only_a_dead_owners_page_is_a_leftover() {
        let dir = tempfile::tempdir().unwrap();
        let mut mine = Ledger::open(dir.path(), 1).unwrap();
        let boxed = tempfile::tempdir().unwrap();
        let undo = Undo::RemoveBox { path: boxed.path().join(BOXES).join("1-1") };
        fs::create_dir_all(boxed.path().join(BOXES).join("1-1")).unwrap();
        mine.record(&undo).unwrap();
        assert!(leftovers(dir.path()).is_empty(), "I am alive");

        fs::copy(&mine.path, dir.path().join(page_of_the_dead())).unwrap();
        let found = leftovers(dir.path());
        assert_eq!(found[0].undo, [undo]);
        found.into_iter().for_each(|l| l.undo().unwrap());
        assert!(leftovers(dir.path()).is_empty());
        mine.close();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_ledger_can_name_nothing_but_a_cgroup_of_ours() {
        let dir = tempfile::tempdir().unwrap();
        let precious = dir.path().join("workshop-precious");
        fs::create_dir_all(precious.join("empty")).unwrap();
        // A file of this name makes no group of a directory.
        fs::write(precious.join("cgroup.procs"), "").unwrap();
        Undo::RemoveGroup { path: precious.clone() }.carry_out().unwrap();
        assert!(precious.join("empty").exists());
    }

    #[test]
    fn a_ledger_can_name_no_directory_but_a_box_of_ours() {
        let dir = tempfile::tempdir().unwrap();
        let boxes = dir.path().join(BOXES);
        fs::create_dir_all(boxes.join("photos/2024")).unwrap();
        fs::create_dir_all(boxes.join("7-1/work")).unwrap();
        fs::create_dir(dir.path().join("7-2")).unwrap();
        std::os::unix::fs::symlink("photos", boxes.join("7-3")).unwrap();
        for name in ["photos", "7-3", "7-1/../photos", "7-1/../../7-2"] {
            Undo::RemoveBox { path: boxes.join(name) }.carry_out().unwrap();
        }
        assert!(boxes.join("photos/2024").exists() && dir.path().join("7-2").exists());
        assert!(boxes.join("7-3").is_symlink());
        Undo::RemoveBox { path: boxes.join("7-1") }.carry_out().unwrap();
        assert!(!boxes.join("7-1").exists());
    }

    #[test]
    fn what_was_refused_is_not_taken_back() {
        let dir = tempfile::tempdir().unwrap();
        let group = Undo::RemoveGroup { path: dir.path().into() };
        let lines = [&group, &Undo::Retract].map(|undo| serde_json::to_string(undo).unwrap()).join("\n");
        fs::write(dir.path().join(page_of_the_dead()), lines).unwrap();
        assert_eq!(leftovers(dir.path())[0].undo, []);
    }

    #[test]
    fn what_has_gone_by_itself_is_not_left_over() {
        let dir = tempfile::tempdir().unwrap();
        let gone = Undo::RemoveGroup { path: "/sys/fs/cgroup/workshop-gone".into() };
        fs::write(dir.path().join(page_of_the_dead()), serde_json::to_string(&gone).unwrap()).unwrap();
        let found = leftovers(dir.path());
        assert_eq!(found[0].undo, []);
        found.into_iter().for_each(|l| l.undo().unwrap());
        assert!(leftovers(dir.path()).is_empty(), "the page goes as well");
    }

    #[test]
    fn a_page_from_another_pid_namespace_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("1-1-42-1.jsonl"), "").unwrap();
        assert!(leftovers(dir.path()).is_empty());
        assert_eq!(elsewhere(dir.path())[0].namespace, 42);
    }

    #[test]
    fn a_box_goes_though_parts_of_it_are_closed() {
        let dir = tempfile::tempdir().unwrap();
        let closed = dir.path().join(BOXES).join("7-1/work/work");
        fs::create_dir_all(closed.join("deep")).unwrap();
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();
        let undo = |path: PathBuf| Undo::RemoveBox { path }.carry_out().unwrap();
        undo(dir.path().to_path_buf());
        undo(dir.path().join(BOXES).join("7-1"));
        undo(dir.path().join(BOXES).join("7-1"));
        assert_eq!(fs::read_dir(dir.path().join(BOXES)).unwrap().count(), 0);
    }

    #[test]
    fn a_line_cut_short_is_left_out() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(page_of_the_dead()), "{\"undo\":\"remove-gr").unwrap();
        assert_eq!(leftovers(dir.path())[0].undo, []);
    }
}
