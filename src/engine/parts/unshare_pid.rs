//! Step 1: a PID namespace, and the fork that enters it.
//!
//! unshare(2) with `CLONE_NEWPID` does not move the caller, since a process's PID can't change; only
//! children born afterwards are in the new namespace. clone3(2) does both at once: the child is
//! born as PID 1 of a namespace of its own (pid_namespaces(7)).

use nix::sched::CloneFlags;

use crate::op::{Call, Op, Ops};
use crate::plan::Stage;
use crate::site::Site;
use crate::spec::Spec;
use fault::Fault;

/// The step's slug.
pub const SLUG: &str = "unshare-pid";

/// A process tree of its own, and the program in it.
pub fn operations(spec: &Spec, _: &Site) -> Result<Vec<Op>, Fault> {
    let mut ops = Ops::of(SLUG);
    if spec.processes {
        ops.add(Stage::Clone, "clone", Call::Namespace(CloneFlags::CLONE_NEWPID));
    }
    if spec.processes && !spec.outlives_its_maker {
        // ANCHOR: unshare-pid-pdeathsig
        // PID 1's end is the end of its namespace, so this one signal takes all of the container with us, even when
        // we get a SIGKILL that we never see.
        ops.add(Stage::Group, "pdeathsig", Call::ParentDeathSignal);
        // ANCHOR_END: unshare-pid-pdeathsig
    }
    if let Some(command) = &spec.command {
        ops.add(Stage::Exec, "exec", Call::Execute(command.clone()));
    }
    Ok(ops.list())
}
