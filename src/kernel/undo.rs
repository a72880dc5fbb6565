//! What one container's start changed on the host's side, and the way back, last thing first.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use nix::errno::Errno;

use super::ledger::{Ledger, Undo};
use super::netlink::nft::nft_delete_table;
use super::netlink::route::delete_link;
use super::netlink::{Device, Family, Name, NetlinkError, NetlinkSocket};
use fault::{Doing, Fault};

/// One thing to take back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reversal {
    /// Lives outside the lab: it is in the ledger too.
    Outside(Undo),
    /// A directory tree in the lab.
    Tree(PathBuf),
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
