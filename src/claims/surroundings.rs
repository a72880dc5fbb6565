//! What a container stands in: the cell of a judged program, or the lab. Both are a host to it, and are asked the same.

use std::path::Path;

use nix::unistd::Pid;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::sight::{Identity, Network};
use fault::Fault;
use kernel::cgroup::{Controller, Group};

/// A host of a container.
pub trait Surroundings {
    /// A process whose namespaces are the outside's.
    fn pid(&self) -> Pid;

    /// The groups that a container's own lie in: what holds in these, and above, is not the container's.
    fn groups(&self) -> &[Group];

    /// The group below one of those that whoever makes containers may be in itself.
    fn leaf(&self) -> Option<&str>;

    /// PIDs of the processes that a container here may consist of.
    fn processes(&self) -> Vec<i32>;

    /// Looks around there.
    fn look<T: Serialize + DeserializeOwned>(&self, look: impl FnOnce() -> T) -> Result<T, Fault>;

    /// What lies below the root of its mount namespace, covered by it.
    fn roots_below(&self) -> Result<Vec<Identity>, Fault>;

    /// The network that the one of CMD is outside of.
    fn network(&self, cmd: Pid) -> Result<Network, Fault>;

    /// The group that a container's own lies in, for a controller.
    fn top(&self, controller: Controller) -> Option<&Group> {
        self.groups().iter().find(|group| group.wanted.contains(&controller))
    }

    /// Whether a group, named from the outside's own, is that or the one of whoever makes containers.
    fn is_outside(&self, name: &Path) -> bool {
        name == Path::new("") || self.leaf().is_some_and(|leaf| name == Path::new(leaf))
    }
}
