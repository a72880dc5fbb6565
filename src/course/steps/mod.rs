//! The registry of steps, one file a step: its number and slug, what it builds and claims, its row in the picture, and
//! what its exercise asks. Everything else asks here.

pub mod boot_vm;
mod cgroup_limit;
mod mount_proc;
mod overlay;
mod pivot_root;
pub mod run;
mod unshare_pid;
mod user_map;
mod veth_bridge;

use super::Step;

/// All steps in order. A later one is added at the end.
pub const STEPS: &[Step] = &[
    unshare_pid::STEP,
    mount_proc::STEP,
    pivot_root::STEP,
    cgroup_limit::STEP,
    overlay::STEP,
    veth_bridge::STEP,
    boot_vm::STEP,
    user_map::STEP,
];
