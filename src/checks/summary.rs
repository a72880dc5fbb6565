//! The whole container at a glance: what is its own, what it shares with the host, by which step.

use super::Scene;

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
    let layer = |key, slug: &str| {
        let own = scene.recipe.has(slug);
        Part { key, own, step: number(slug).filter(|_| own) }
    };
    let mut parts: Vec<Part> = KINDS
        .iter()
        .map(|(kind, key, slug)| {
            let (outside, inside) = scene.namespaces(kind);
            let own = outside != inside;
            Part { key, own, step: number(slug).filter(|_| own) }
        })
        .collect();
    parts.insert(2, layer("part-files", "pivot-root"));
    parts.insert(3, layer("part-writes", "overlay"));
    parts.push(layer("part-limits", "cgroup-limit"));
    parts.push(Part { key: "part-kernel", own: false, step: None });
    parts
}
