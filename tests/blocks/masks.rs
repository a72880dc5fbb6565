//! What a block prints differently on each machine and in each run. In its place stands `…`, in the records too.

use regex::{Captures, Regex};

/// The first namespaces of a kernel have these numbers (include/uapi/linux/nsfs.h); not all kernels give them to others.
const FIRST: [(&str, &str); 4] =
    [("cgroup", "4026531835"), ("pid", "4026531836"), ("uts", "4026531838"), ("ipc", "4026531839")];

const PATTERNS: [(&str, &str); 16] = [
    (r"(?m)[ \t]+$", ""),
    (r"\b\d+ (processes|mounts)\b", "… $1"),
    (r"(?m)^(NSpid:\t)\d+", "${1}…"),
    // Releases of kernels, and how long they had run.
    (r"(?m)^\d+\.\d+\.\d+\S*$", "…"),
    (r"\[ *\d+\.\d+\] reboot", "[    …] reboot"),
    // Times.
    (r"(?m)^(real|user|sys)\t.*$", "$1\t…"),
    (r"(?m)^\d+\.\d+ s$", "… s"),
    (r"time \d+ms", "time …ms"),
    (r"(rtt \S+ = )\S+", "${1}…"),
    (r"(?m)^(nr_\w+) \d+$", "$1 …"),
    (r"(?m)^throttled_\w+ \d+$", "throttled_usec …"),
    // Links by number, devices, processes.
    (r"(?m)^\d+: (veth\d)@if\d+: (.* cost )\d+ *$", "…: $1@if…: ${2}…"),
    (r"(eth0@if)\d+", "${1}…"),
    (r"(device |/proc/|shared:)\d\d+", "${1}…"),
    // util-linux 2.38 says so, others don't.
    (r"(?m)^unshare: sigprocmask.*\n?", ""),
    // No limit: v1 has a number for it. And who was killed is told in another way by each shell.
    (r"\b9223372036854771712\b", "max"),
];

/// What was printed, as another machine would have printed it. `namespaces` are those that play a host's first ones.
pub fn masked(namespaces: &[String], text: &str) -> String {
    let link = Regex::new(r"\b([a-z]+):\[(\d+)\]").expect("a pattern");
    let text = link.replace_all(text, |found: &Captures| {
        let first = FIRST.iter().find(|(kind, _)| *kind == &found[1]);
        let own = namespaces.iter().any(|link| *link == found[0])
            || first.is_some_and(|(_, number)| *number == &found[2]);
        let number = first.filter(|_| own).map_or("…", |(_, number)| number);
        format!("{}:[{number}]", &found[1])
    });
    let process = Regex::new(r"(?m)^( *\d+)( +(?:\d+ )?(?:ps|runc)\b)").expect("a pattern");
    let text =
        process.replace_all(&text, |found: &Captures| format!("{:>1$}{2}", "…", found[1].len(), &found[2]));
    let mut seen = Vec::new();
    let id = Regex::new("[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}").expect("a pattern");
    let text = id.replace_all(&text, |found: &Captures| {
        let at = seen.iter().position(|id| *id == found[0]).unwrap_or_else(|| {
            seen.push(found[0].to_owned());
            seen.len() - 1
        });
        format!("…{}", "′".repeat(at))
    });
    let killed = Regex::new(r"(?m)^(?:sh: line \d+: +\d+ )?Killed\b.*$").expect("a pattern");
    let text = killed.replace_all(&text, "Killed").into_owned();
    PATTERNS.iter().fold(text, |text, (pattern, with)| {
        Regex::new(pattern).expect(pattern).replace_all(&text, *with).into_owned()
    })
}
