//! Step 2: a mount namespace, private propagation, and a /proc of its own.
//!
//! A new mount namespace starts as a copy of the old one, and copies of shared mounts stay in touch:
//! what is mounted in one appears in the other (mount_namespaces(7)). So making everything private
//! comes before the first mount.

use std::path::Path;

use nix::mount::MsFlags;
use nix::sched::CloneFlags;

use super::{Inside, Layer, Stage};
use crate::fault::Fault;

/// A mount table of its own, and the view of the process tree that goes with step 1.
pub struct MountProc;

impl Layer for MountProc {
    fn slug(&self) -> &'static str {
        "mount-proc"
    }

    // ANCHOR: mount-proc-clone
    fn namespaces(&self) -> CloneFlags {
        CloneFlags::CLONE_NEWNS
    }
    // ANCHOR_END: mount-proc-clone

    // ANCHOR: mount-proc-private
    fn enter(&self, stage: Stage, inside: &mut Inside) -> Result<(), Fault> {
        match stage {
            Stage::Propagation => {
                let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
                inside.calls.mount("private", None, Path::new("/"), None, private, None)
            }
            Stage::Mounts => {
                // procfs shows the PID namespace of the process that mounts it (proc(5)).
                let target = inside.root.join("proc");
                let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
                inside.calls.mount("proc", Some(Path::new("proc")), &target, Some("proc"), flags, None)
            }
            _ => Ok(()),
        }
    }
    // ANCHOR_END: mount-proc-private
}
