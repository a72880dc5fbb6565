//! Step 1: a PID namespace, and the fork that enters it.
//!
//! unshare(2) with `CLONE_NEWPID` does not move the caller, since a process's PID can't change; only
//! children born afterwards are in the new namespace. clone3(2) does both at once: the child is
//! born as PID 1 of a namespace of its own (pid_namespaces(7)).

use nix::sched::CloneFlags;

use super::{Inside, Layer, Stage};
use crate::fault::Fault;

/// A process tree of its own.
pub struct UnsharePid;

impl Layer for UnsharePid {
    fn slug(&self) -> &'static str {
        "unshare-pid"
    }

    fn namespaces(&self) -> CloneFlags {
        CloneFlags::CLONE_NEWPID
    }

    // ANCHOR: unshare-pid-pdeathsig
    fn enter(&self, stage: Stage, inside: &mut Inside) -> Result<(), Fault> {
        if stage == Stage::Group {
            // PID 1's end is the end of its namespace, so this one signal takes all of the
            // container with us, even when we get a SIGKILL that we never see.
            inside.calls.parent_death_signal("pdeathsig")?;
        }
        Ok(())
    }
    // ANCHOR_END: unshare-pid-pdeathsig
}
