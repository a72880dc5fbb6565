//! What options of `run` ask for that no step of the course adds.

use std::ffi::OsString;
use std::path::PathBuf;

use super::user::User;
use kernel::rlimits::Limit;

/// All of it. Nothing is there unless it is asked for, and what isn't costs nothing.
#[derive(Clone, Debug, Default)]
pub struct Extras {
    /// Variables for the program: `NAME=VALUE`.
    pub environment: Vec<OsString>,
    /// Who runs it, by the image's own users.
    pub user: Option<User>,
    /// Where it starts.
    pub directory: Option<PathBuf>,
    pub rlimits: Vec<Limit>,
    /// Mounts besides those that make a container, in the order in which they are made.
    pub mounts: Vec<Volume>,
    /// The network is that of whoever runs it, and no part makes it another.
    pub hosts_network: bool,
    /// Its root can't be written to, whatever is mounted in it can.
    pub read_only: bool,
}

/// A mount of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    /// Where, as it is called inside.
    pub target: PathBuf,
    pub what: What,
    /// `MOUNT_ATTR_…`
    pub attributes: u64,
}

/// What is mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A directory or a file of the host's. `shown`: by an id-mapped mount, its owners are the container's.
    Bind { source: PathBuf, directory: bool, shown: bool },
    /// A filesystem in memory, with these options.
    Tmpfs(Vec<(String, String)>),
}

impl Volume {
    pub fn is_read_only(&self) -> bool {
        self.attributes & libc::MOUNT_ATTR_RDONLY != 0
    }
}
