//! The whole container at a glance: what is its own, and what it shares with the host.

use super::Scene;
use engine::Spec;
use engine::spec::Root;

/// Something that a container has of its own, or shares with the host.
pub struct Aspect {
    /// Key of its name in the words.
    pub key: &'static str,
    shown_by: Sign,
}

/// What shows that it is the container's own.
enum Sign {
    /// Another namespace of this kind (namespaces(7)).
    Namespace(&'static str),
    /// That it was asked for.
    Wanted(fn(&Spec) -> bool),
    /// Nothing: one kernel runs both.
    Nothing,
}

const fn aspect(key: &'static str, shown_by: Sign) -> Aspect {
    Aspect { key, shown_by }
}

/// All of it, in the order in which it is shown.
pub const ASPECTS: &[Aspect] = &[
    aspect("part-processes", Sign::Namespace("pid")),
    aspect("part-mounts", Sign::Namespace("mnt")),
    aspect("part-files", Sign::Wanted(|spec| spec.root.is_some())),
    aspect("part-writes", Sign::Wanted(|spec| matches!(spec.root, Some(Root::Layers(_))))),
    aspect("part-hostname", Sign::Namespace("uts")),
    aspect("part-ipc", Sign::Namespace("ipc")),
    aspect("part-groups", Sign::Namespace("cgroup")),
    aspect("part-network", Sign::Namespace("net")),
    aspect("part-users", Sign::Namespace("user")),
    aspect("part-clock", Sign::Namespace("time")),
    aspect("part-limits", Sign::Wanted(|spec| spec.limits.is_some())),
    aspect("part-kernel", Sign::Nothing),
];

impl Aspect {
    /// Whether it is this container's own.
    pub fn is_own(&self, scene: &Scene) -> bool {
        match self.shown_by {
            Sign::Namespace(kind) => {
                let (outside, inside) = scene.namespaces(kind);
                outside != inside
            }
            Sign::Wanted(asks) => asks(&scene.template.spec),
            Sign::Nothing => false,
        }
    }
}
