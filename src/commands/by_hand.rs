//! What the blocks of commands in lessons and book are written with.

use crate::course::words::Words;
use crate::image::host_search_path;

/// Programs, and the packages that have them in Debian and Ubuntu. Other distributions' names are in the book's Set-up.
const PROGRAMS: [(&str, &str); 11] = [
    ("unshare", "util-linux"),
    ("ps", "procps"),
    ("ip", "iproute2"),
    ("nft", "nftables"),
    ("ping", "iputils-ping"),
    ("getfattr", "attr"),
    ("jq", "jq"),
    ("runc", "runc"),
    ("busybox", "busybox-static"),
    ("perl", "perl-base"),
    ("strace", "strace"),
];

/// Whether they are all there, or what is missing and what has it. No step needs them.
pub fn programs(words: &Words) -> String {
    let search = host_search_path();
    let missing = |(name, _): &&(&str, &str)| !search.iter().any(|folder| folder.join(name).is_file());
    let missing: Vec<_> = PROGRAMS.iter().filter(missing).collect();
    if missing.is_empty() {
        return words.say("doctor-by-hand-found").to_owned();
    }
    let list =
        |of: fn(&(&str, &str)) -> String| missing.iter().map(|pair| of(pair)).collect::<Vec<_>>().join(" ");
    let (names, packages) = (list(|(name, _)| name.to_string()), list(|(_, package)| package.to_string()));
    words.fill("doctor-by-hand-missing", &[("names", &names), ("packages", &packages)])
}
