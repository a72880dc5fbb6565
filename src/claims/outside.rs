//! What a container could leave behind outside: mounts, links, firewall tables, files, groups, processes, and other
//! traces.

use super::traces::Traces;

/// The outside of a container at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outside {
    /// Lines of its mountinfo.
    pub mounts: Vec<String>,
    pub links: Vec<String>,
    pub tables: Vec<String>,
    /// Files and directories in places that may be written to, where those are nobody else's.
    pub files: Vec<String>,
    /// Groups that containers have made.
    pub groups: Vec<String>,
    pub processes: Vec<i32>,
    pub traces: Traces,
}

impl Outside {
    /// What is in a list now that was not there BEFORE.
    pub fn new_in<'o>(now: &'o [String], before: &[String]) -> Vec<&'o str> {
        now.iter().filter(|name| !before.contains(name)).map(String::as_str).collect()
    }
}
