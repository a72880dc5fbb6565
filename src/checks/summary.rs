//! The whole container at a glance: what is its own, what it shares with the host, by which step.

use super::Scene;
use crate::engine::spec::Root;

/// One line of the summary.
pub struct Part {
    /// Key of the part's name in the words.
    pub key: &'static str,
    pub own: bool,
    /// Number of the step that made it its own.
    pub step: Option<u32>,
}

/// The kinds of namespaces(7), each with the part that it separates.
const KINDS: [(&str, &str, &str); 8] = [
    ("pid", "part-processes", "unshare-pid"),
    ("mnt", "part-mounts", "mount-proc"),
    ("uts", "part-hostname", "pivot-root"),
    ("ipc", "part-ipc", "pivot-root"),
    ("cgroup", "part-groups", "cgroup-limit"),
    ("net", "part-network", "veth-bridge"),
    ("user", "part-users", ""),
    ("time", "part-clock", ""),
];

/// Compares the two sides, kind by kind. `number` gives the number of the step with a slug.
pub fn summary(scene: &Scene, number: impl Fn(&str) -> Option<u32>) -> Vec<Part> {
    let spec = &scene.template.spec;
    let part = |key, own: bool, slug: &str| Part { key, own, step: number(slug).filter(|_| own) };
    let mut parts: Vec<Part> = KINDS
        .iter()
        .map(|(kind, key, slug)| {
            let (outside, inside) = scene.namespaces(kind);
            let own = outside != inside;
            Part { key, own, step: number(slug).filter(|_| own) }
        })
        .collect();
    parts.insert(2, part("part-files", spec.root.is_some(), "pivot-root"));
    parts.insert(3, part("part-writes", matches!(spec.root, Some(Root::Layers(_))), "overlay"));
    parts.push(part("part-limits", spec.limits.is_some(), "cgroup-limit"));
    parts.push(Part { key: "part-kernel", own: false, step: None });
    parts
}
