//! Step 2: a mount namespace, private propagation, and a /proc of its own.
//!
//! A new mount namespace starts as a copy of the old one, and copies of shared mounts stay in touch:
//! what is mounted in one appears in the other (mount_namespaces(7)). So making everything private
//! comes before the first mount.

use nix::mount::MsFlags;
use nix::sched::CloneFlags;

use crate::op::{Call, Op, Ops};
use crate::plan::Stage;
use crate::site::Site;
use crate::spec::Spec;
use fault::Fault;

/// The step's slug.
pub const SLUG: &str = "mount-proc";

/// A mount table of its own, and the view of the process tree that goes with step 1.
pub fn operations(spec: &Spec, site: &Site) -> Result<Vec<Op>, Fault> {
    let mut ops = Ops::of(SLUG);
    if !spec.mounts {
        return Ok(ops.list());
    }
    // ANCHOR: mount-proc-clone
    ops.add(Stage::Clone, "clone", Call::Namespace(CloneFlags::CLONE_NEWNS));
    // ANCHOR_END: mount-proc-clone
    // ANCHOR: mount-proc-private
    let everything = Call::Mount {
        source: None,
        target: "/".into(),
        fstype: None,
        flags: MsFlags::MS_REC | MsFlags::MS_PRIVATE,
        data: None,
    };
    ops.add(Stage::Propagation, "private", everything);
    // ANCHOR_END: mount-proc-private
    // ANCHOR: mount-proc-proc
    // procfs shows the PID namespace of the process that mounts it (proc(5)).
    let proc = Call::Mount {
        source: Some("proc".into()),
        target: spec.new_root(site).join("proc"),
        fstype: Some("proc"),
        flags: MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC,
        data: None,
    };
    ops.add(Stage::Mounts, "proc", proc);
    // ANCHOR_END: mount-proc-proc
    Ok(ops.list())
}
