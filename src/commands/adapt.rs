//! `workshop adapt NAME [PROGRAM] run [OPTIONS] CMD`: another runtime, made to obey the contract.

use crate::adapt::{Files, Order};
use crate::cli::{AdaptOptions, Contract};
use crate::fault::Fault;
use crate::kernel::root::refuse_chroot;

use super::Output;

/// Runs CMD in a container of the runtime's.
pub fn run(out: &mut Output, options: AdaptOptions) -> Result<i32, Fault> {
    out.passes_status = true;
    refuse_chroot()?;
    let Contract::Run(asked) = options.contract;
    let files = match (asked.rootfs, asked.image) {
        (_, Some(image)) => Files::Image(image),
        (Some(rootfs), None) => Files::Directory(rootfs),
        (None, None) => Files::Callers,
    };
    let order = Order {
        files,
        memory: asked.memory,
        pids: asked.pids,
        cpus: asked.cpus,
        net: asked.net,
        users: asked.userns,
        argv: asked.program,
    };
    let program = options.program.map_or_else(|| options.name.find(), Ok)?;
    options.name.run(&program, &order)
}
