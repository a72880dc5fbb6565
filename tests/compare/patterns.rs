//! What differs between two comparisons.

/// The parts of a comparison that differ from host to host and from run to run, and what takes their place.
pub const PATTERNS: [(&str, &str); 7] = [
    (r"[█▏▎▍▌▋▊▉]+ *", "[bar]  "),
    (r"\d+(\.\d+)?( (ns|µs|ms|s\b|KiB|MiB|GiB)|초)", "[amount]"),
    (r"×\d+(\.\d)?", "×[n]"),
    (r"(?s)(processor|프로세서)(:?) .*?\n( |- )(kernel|커널)", "$1$2 [processor]\n$3$4"),
    (r"(?m)^( |- )(container|컨테이너)(:?) +(all|여섯|한도).*$", "$1$2$3 [steps]"),
    (r"(processes inside|안쪽 프로세스)( +| \| )\d+", "$1$2[n]"),
    (r" {2,}", "  "),
];
