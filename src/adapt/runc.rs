//! runc: the reference implementation of the OCI runtime specification, in Go.

use std::path::Path;

use super::Order;
use super::bundle::Bundle;
use fault::Fault;

/// Runs the order's command by runc.
pub fn run(program: &Path, order: &Order) -> Result<i32, Fault> {
    // A controller whose groups we may not make, of the many that v1 has, is left out instead of being an error.
    Bundle::new(order)?.run(program, &["--rootless", "true"])
}
