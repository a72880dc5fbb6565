//! crun: the same specification, in C.

use std::path::Path;

use super::Order;
use super::bundle::Bundle;
use fault::Fault;

/// Runs the order's command by crun.
pub fn run(program: &Path, order: &Order) -> Result<i32, Fault> {
    // Without limits nothing has to be in a group.
    let manager = if order.limits_anything() { "cgroupfs" } else { "disabled" };
    Bundle::new(order)?.run(program, &["--cgroup-manager", manager])
}
