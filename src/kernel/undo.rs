//! What one container's start changed on the host's side, and the way back, last thing first.
//!
//! What must be taken back on the real host is written down *before* it is done. Links and mounts live in the lab and end
//! with it. A cgroup does not, nor does a directory in the cache, and a container may outlive us if its guard is killed
//! with us. Each is a line on a page of the ledger, a file named for the process that made it; it outlives a `kill -9`,
//! and whoever runs the workshop next undoes what a dead owner [left](super::ledger).

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::mount::{MntFlags, umount2};
use serde::{Deserialize, Serialize};

use super::ledger::to_disable;
use super::netlink::nft::nft_delete_table;
use super::netlink::route::delete_link;
use super::netlink::{Device, Family, Name, NetlinkError, NetlinkSocket};
use super::process::{Owner, boot};
use super::removal::{disable, end, is_box_of_ours, is_group_of_ours, is_out_of_sight, remove_group};
use super::tree;
use fault::{Doing, Fault};

/// One thing to take back that outlives the lab: a line of the ledger.
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
    pub(super) path: PathBuf,
}

impl Ledger {
    /// A page in `dir` for container number `number` of the process that makes it. No file is made before the first line.
    pub fn of(owner: Owner, number: u32, dir: &Path) -> Ledger {
        let Owner { pid, started, namespace } = owner;
        let page = format!("{pid}-{started}-{namespace}-{number}-{}.jsonl", boot());
        Ledger { file: None, path: dir.join(page) }
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
        let Some(file) = &mut self.file else { return Ok(()) };
        let whole = file.metadata().doing(doing())?.len();
        file.write_all(line.as_bytes())
            // Half a line would spoil the next one, which may fit.
            .inspect_err(|_| drop(file.set_len(whole)))
            .doing(doing())
    }

    /// What takes back that controllers are handed on in `control`, if a page beside this one says that one of us
    /// did it.
    pub fn to_disable(&self, control: &Path) -> Option<Undo> {
        to_disable(self.path.parent()?, control)
    }

    /// All is taken back: the page goes.
    pub fn close(&mut self) {
        if self.file.take().is_some() {
            // A page that stays is read once more by the next run, which finds nothing to do.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// One thing to take back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reversal {
    /// Lives outside the lab: it is in the ledger too.
    Outside(Undo),
    /// A directory tree in the lab.
    Tree(PathBuf),
    /// A mount in the lab's mount table.
    Mount(PathBuf),
    /// A link in the lab's network namespace; a veth pair goes with either of its ends.
    Link(String),
    /// An nftables table in the lab's network namespace.
    Table(String),
    /// A setting in /proc/sys, and what it said before: read when the change is about to be made.
    Setting { file: PathBuf, before: Option<String> },
    /// cgroup v2: go back into the group that we had left.
    MoveBack { group: PathBuf },
}

/// The list, filled before each change.
pub struct Undos {
    list: Vec<Reversal>,
    ledger: Ledger,
}

impl Undos {
    pub fn new(ledger: Ledger) -> Undos {
        Undos { list: Vec::new(), ledger }
    }

    /// Notes what would take back a change that is about to be made.
    pub fn before(&mut self, reversal: Reversal) -> Result<(), Fault> {
        if let Reversal::Outside(undo) = &reversal {
            self.ledger.record(undo)?;
        }
        self.list.push(reversal.completed_now()?);
        Ok(())
    }

    /// What takes back that controllers are handed on in `control`, if any of us did it.
    pub fn of_handing_on(&self, control: &Path) -> Option<Undo> {
        self.ledger.to_disable(control)
    }

    /// The change that was noted last was refused: it is not ours to take back.
    pub fn retract(&mut self) -> Result<(), Fault> {
        match self.list.pop() {
            Some(Reversal::Outside(_)) => self.ledger.record(&Undo::Retract),
            _ => Ok(()),
        }
    }

    /// What outlives the lab, in the order in which it was made; not the process itself.
    pub fn outside(&self) -> Vec<Undo> {
        let outside = self.list.iter().filter_map(|reversal| match reversal {
            Reversal::Outside(Undo::EndProcess { .. }) => None,
            Reversal::Outside(undo) => Some(undo.clone()),
            _ => None,
        });
        outside.collect()
    }

    /// Somebody else knows of all of it: nothing is ours to take back any more.
    pub fn forget(&mut self) {
        self.list.clear();
        self.ledger.close();
    }

    /// Takes back what outlives the lab, and leaves the rest to the lab's end.
    pub fn carry_out_outside(&mut self) -> Result<(), Fault> {
        self.list.retain(Reversal::outlives_the_lab);
        self.carry_out()
    }

    /// Takes everything back. Goes on after a failure, and returns the first. What failed stays on the list,
    /// and in the ledger: it may be tried again, and must not be forgotten.
    pub fn carry_out(&mut self) -> Result<(), Fault> {
        let mut first = Ok(());
        let mut failed = Vec::new();
        while let Some(reversal) = self.list.pop() {
            if let Err(fault) = reversal.carry_out() {
                failed.push(reversal);
                first = first.and(Err(fault));
            }
        }
        failed.reverse();
        self.list = failed;
        if first.is_ok() {
            self.ledger.close();
        }
        first
    }
}

impl Reversal {
    /// With what can only be known now.
    fn completed_now(self) -> Result<Reversal, Fault> {
        match self {
            Reversal::Setting { file, before: None } => match fs::read_to_string(&file) {
                Ok(before) => Ok(Reversal::Setting { file, before: Some(before) }),
                // Nothing is there to be changed: whoever opens it for writing says so, and why that may be.
                Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Reversal::Setting { file, before: None }),
                Err(e) => Err(e).doing(format!("read {}", file.display())),
            },
            other => Ok(other),
        }
    }

    /// Whether it is about something that does not go with the lab.
    fn outlives_the_lab(&self) -> bool {
        matches!(self, Reversal::Outside(_) | Reversal::MoveBack { .. })
    }

    /// What it does, for people, with paths as `shown` gives them.
    pub fn what(&self, shown: impl Fn(&Path) -> String) -> String {
        match self {
            Reversal::Outside(Undo::RemoveGroup { path }) => format!("rmdir {}", shown(path)),
            Reversal::Outside(Undo::Disable { path, controllers }) => {
                let names: Vec<_> = controllers.iter().map(|name| format!("-{name}")).collect();
                format!("write {} {}", shown(path), names.join(" "))
            }
            Reversal::Outside(undo) => format!("remove {}", undo.what()),
            Reversal::Tree(dir) => format!("remove {}", shown(dir)),
            Reversal::Mount(target) => format!("umount2 {} MNT_DETACH", shown(target)),
            Reversal::Link(name) => format!("RTM_DELLINK {name}"),
            Reversal::Table(name) => format!("NFT_MSG_DELTABLE {name}"),
            Reversal::Setting { file, before } => {
                format!("write {} {}", shown(file), before.as_deref().unwrap_or("as before").trim())
            }
            Reversal::MoveBack { group } => format!("write {} 0", shown(&group.join("cgroup.procs"))),
        }
    }

    /// Takes the thing back. What is already gone is fine.
    pub fn carry_out(&self) -> Result<(), Fault> {
        match self {
            Reversal::Outside(undo) => undo.carry_out(),
            Reversal::Tree(dir) => match fs::remove_dir_all(dir) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => {
                    Err(e).doing(format!("remove {}", dir.display()))
                }
                _ => Ok(()),
            },
            Reversal::Mount(target) => match umount2(target, MntFlags::MNT_DETACH) {
                // Nothing is mounted there any more, or it is gone with what it was mounted on.
                Err(Errno::EINVAL | Errno::ENOENT) => Ok(()),
                other => other.doing(format!("unmount {}", target.display())),
            },
            Reversal::Link(name) => remove_link(name).doing(format!("remove the link {name}")),
            Reversal::Table(name) => remove_table(name).doing(format!("remove the nftables table {name}")),
            Reversal::Setting { before: None, .. } => Ok(()),
            Reversal::Setting { file, before: Some(before) } => {
                fs::write(file, before).doing(format!("write {}", file.display()))
            }
            Reversal::MoveBack { group } => fs::write(group.join("cgroup.procs"), "0")
                .doing(format!("move back into {}", group.display())),
        }
    }
}

/// Removes a link of the lab's, unless it is gone already.
fn remove_link(name: &str) -> Result<(), NetlinkError> {
    let Ok(device) = Device::find(&Name::new(name)?) else { return Ok(()) };
    let mut socket = NetlinkSocket::open(Family::Route)?;
    let request = delete_link(&mut socket.sequence, &device);
    match socket.send(&request) {
        // A veth goes when the namespace of its other end does, which may be just now.
        Err(e) if e.errno != Errno::ENODEV => Err(e),
        _ => Ok(()),
    }
}

/// Removes an nftables table of the lab's, unless it was never made.
fn remove_table(name: &str) -> Result<(), NetlinkError> {
    let mut socket = NetlinkSocket::open(Family::Netfilter)?;
    let request = nft_delete_table(&mut socket.sequence, &Name::new(name)?);
    match socket.send(&request) {
        Err(e) if e.errno != Errno::ENOENT => Err(e),
        _ => Ok(()),
    }
}

impl Undo {
    /// Takes the thing back. What is already gone is fine. Says that it is done only when it is: the page goes then,
    /// and with it all that anybody knows of the thing.
    pub fn carry_out(&self) -> Result<(), Fault> {
        match self {
            Undo::RemoveGroup { path } if is_group_of_ours(path) => {
                remove_group(path).doing(format!("remove the cgroup {}", path.display()))
            }
            Undo::RemoveGroup { path } if is_out_of_sight(path) => {
                Err(Fault::unable("group-out-of-sight", &[("path", &path.display().to_string())]))
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
    pub(super) fn is_still_there(&self) -> bool {
        match self {
            Undo::RemoveGroup { path } => path.exists() || is_out_of_sight(path),
            Undo::Disable { path, .. } | Undo::RemoveBox { path } => path.exists(),
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
