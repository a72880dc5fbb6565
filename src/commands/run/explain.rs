//! `run --explain`: what this command line would isolate, and what it would leave open, without running anything.

use std::io::{self, IsTerminal};

use nix::unistd::getgroups;

use crate::course::posture::Posture;
use crate::engine::template::Wanted;
use crate::fault::Fault;
use crate::lab;

use super::Output;

/// Prints it, the worst first.
pub fn print(out: &mut Output, wanted: &Wanted) -> Result<i32, Fault> {
    let own = nix::unistd::getegid();
    let groups = getgroups().unwrap_or_default().into_iter().filter(|gid| *gid != own);
    let groups = groups.map(|gid| gid.as_raw()).collect();
    let posture = Posture::asked(wanted, lab::takes_a_user_namespace(), groups, io::stdin().is_terminal());
    for finding in posture.findings() {
        let words = out.words.explained(&finding.key, &finding.with);
        out.show.finding(&finding, &words).map_err(Fault::output)?;
    }
    Ok(0)
}
