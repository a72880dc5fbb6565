//! The pages of the [ledger](super::undo) that a dead owner has left: who that was, and what is still to be taken back.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::process::{Owner, boot, need_own_proc};
use super::undo::Undo;
use fault::{Doing, Fault};

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
    let pages = entries.flatten().map(|entry| entry.path()).filter(|page| !is_of_another_boot(page));
    pages.filter_map(|page| owner(&page)).filter(|owner| !owner.within_sight()).collect()
}

/// Whose page it is, by its name.
fn owner(page: &Path) -> Option<Owner> {
    let mut name = page.file_name()?.to_str()?.strip_suffix(".jsonl")?.split('-');
    let (pid, mut number) = (name.next()?.parse().ok()?, || name.next()?.parse().ok());
    Some(Owner { pid, started: number()?, namespace: number()? })
}

/// Whether the machine was started anew since the page was begun: then its owner is gone, whoever has the number
/// now, and so is all that lived in the kernel's memory, cgroups and processes.
fn is_of_another_boot(page: &Path) -> bool {
    let name = page.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
    let (then, now) = (name.split('-').nth(4).unwrap_or_default(), boot());
    !then.is_empty() && !now.is_empty() && then != now && need_own_proc().is_ok()
}

fn leftover(page: PathBuf) -> Option<Leftover> {
    let (owner, outlived) = (owner(&page)?, is_of_another_boot(&page));
    if !outlived && !owner.is_gone() {
        return None;
    }
    let mut undo = lines(&fs::read_to_string(&page).ok()?);
    undo.retain(|undo| !outlived || matches!(undo, Undo::RemoveBox { .. }));
    Some(Leftover { owner, undo, page })
}

/// What takes back that controllers are handed on in `control`, if a page in `dir` says that one of us did it.
pub(super) fn to_disable(dir: &Path, control: &Path) -> Option<Undo> {
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
    /// Undoes it, last thing first, and forgets the page when all of it is gone. Goes on after a failure, and returns
    /// the first.
    pub fn undo(self) -> Result<(), Fault> {
        self.undo.iter().rev().map(Undo::carry_out).fold(Ok(()), Result::and)?;
        match fs::remove_file(&self.page) {
            // Another workshop was here at the same time.
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other.doing(format!("remove {}", self.page.display())),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::undo::{BOXES, Ledger};

    /// Of a process that has our PID namespace and can't be alive.
    fn page_of_the_dead() -> String {
        format!("1-1-{}-1.jsonl", Owner::me().unwrap().namespace)
    }

    #[test]
    fn only_a_dead_owners_page_is_a_leftover() {
        let dir = tempfile::tempdir().unwrap();
        let mut mine = Ledger::of(Owner::me().unwrap(), 1, dir.path());
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

    /// A directory of a cgroup filesystem, if there is one.
    fn groups() -> Option<PathBuf> {
        let mounts = crate::mounts::mine().unwrap();
        mounts.into_iter().find(|mount| mount.fstype.starts_with("cgroup")).map(|mount| mount.target.into())
    }

    fn write_page(dir: &Path, name: &str, lines: &[&Undo]) {
        let lines: Vec<_> = lines.iter().map(|undo| serde_json::to_string(undo).unwrap()).collect();
        fs::write(dir.join(name), lines.join("\n")).unwrap();
    }

    fn full_box(dir: &Path) -> Undo {
        let path = dir.join(BOXES).join("1-1");
        fs::create_dir_all(path.join("upper")).unwrap();
        Undo::RemoveBox { path }
    }

    #[test]
    fn a_group_that_may_be_elsewhere_keeps_its_page_and_nothing_else_from_being_undone() {
        let (dir, hidden) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let group = Undo::RemoveGroup { path: hidden.path().join("pids/workshop-1-1-1") };
        let boxed = full_box(hidden.path());
        write_page(dir.path(), &page_of_the_dead(), &[&boxed, &group, &boxed]);
        let refusal = leftovers(dir.path()).remove(0).undo().unwrap_err();
        assert!(matches!(refusal, Fault::Unable { key, .. } if key == "group-out-of-sight"));
        assert_eq!(leftovers(dir.path())[0].undo, [group], "the box is gone, the group is still to be found");
    }

    #[test]
    fn of_another_boot_only_what_is_on_a_disk_can_be_left() {
        let (dir, disk) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let me = Owner::me().unwrap();
        let group = Undo::RemoveGroup { path: disk.path().join("pids/workshop-1-1-1") };
        let lines = [&full_box(disk.path()), &group, &Undo::EndProcess { process: me }];
        write_page(
            dir.path(),
            &format!("{}-{}-{}-1-00000000.jsonl", me.pid, me.started, me.namespace),
            &lines,
        );
        write_page(dir.path(), "7-7-7-1-00000000.jsonl", &lines[1..]);
        assert!(elsewhere(dir.path()).is_empty());
        leftovers(dir.path()).into_iter().for_each(|leftover| leftover.undo().unwrap());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "and we live");
        assert_eq!(fs::read_dir(disk.path().join(BOXES)).unwrap().count(), 0);
    }

    #[test]
    fn a_process_is_ended_when_that_is_said() {
        let mut child = testing::command("sleep").arg("1000").spawn().unwrap();
        let process = Owner::of(child.id() as i32).unwrap();
        Undo::EndProcess { process }.carry_out().unwrap();
        assert!(!process.is_alive());
        child.wait().unwrap();
    }

    #[test]
    fn what_has_gone_by_itself_is_not_left_over() {
        let dir = tempfile::tempdir().unwrap();
        let Some(groups) = groups() else {
            return testing::skip("no cgroup filesystem is mounted", "Mount one");
        };
        let gone = Undo::RemoveGroup { path: groups.join("gone.slice/workshop-gone") };
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
