//! The kernel as the workshop meets it: calls that are told, facts read from /proc and /sys, and
//! what must be undone.

pub mod attributes;
pub mod breakable;
pub mod caller;
pub mod cgroup;
pub mod child;
pub mod freezer;
pub mod icmp;
pub mod in_root;
pub mod lacks;
pub mod ledger;
pub mod mounts;
pub mod netlink;
pub mod page_cache;
pub mod process;
mod removal;
pub mod rlimits;
pub mod root;
pub mod signals;
pub mod strace;
pub mod systemd;
pub mod told;
pub mod tree;
pub mod undo;
pub mod users;
pub mod visit;
pub mod wait;
pub mod xtables;
