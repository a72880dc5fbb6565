//! What a container is made of, one file a step: each says which operations the things that are wanted take.

pub mod cgroup_limit;
pub mod extras;
pub mod mount_proc;
pub mod overlay;
pub mod pivot_root;
pub mod unshare_pid;
pub mod user_map;
pub mod veth_bridge;

use super::op::Op;
use super::site::Site;
use super::spec::Spec;
use fault::Fault;

/// One part of a container: what one step of the course adds, or options of `run`.
#[derive(Clone, Copy)]
pub struct Part {
    /// The step's slug, or what stands in its place.
    pub slug: &'static str,
    /// What is to be done for what is wanted; nothing if that is not this part's.
    pub operations: fn(&Spec, &Site) -> Result<Vec<Op>, Fault>,
}

/// All parts, in the order of their steps. Operations of one stage are carried out in this order.
pub const PARTS: &[Part] = &[
    Part { slug: unshare_pid::SLUG, operations: unshare_pid::operations },
    Part { slug: mount_proc::SLUG, operations: mount_proc::operations },
    Part { slug: pivot_root::SLUG, operations: pivot_root::operations },
    Part { slug: cgroup_limit::SLUG, operations: cgroup_limit::operations },
    Part { slug: overlay::SLUG, operations: overlay::operations },
    Part { slug: veth_bridge::SLUG, operations: veth_bridge::operations },
    Part { slug: user_map::SLUG, operations: user_map::operations },
    Part { slug: extras::SLUG, operations: extras::operations },
];
