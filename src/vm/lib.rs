//! A real virtual machine: a kernel of its own, started by QEMU, with our program as its init.
//!
//! | file | idea |
//! |---|---|
//! | `kernel` | which kernel to boot, and where its modules are |
//! | `image_file` | what a kernel's file says about itself |
//! | `modules`, `modinfo` | the modules that it needs, in the order in which they can be loaded |
//! | `initramfs` | the first root filesystem, as the archive that the kernel unpacks |
//! | `pack` | what is in it: the steps' root filesystem, our program, the modules |
//! | `qemu` | the hypervisor, and the machine that it is asked for |
//! | `machine` | a machine from its start to its end, as the host sees it |
//! | `voice` | what its console says, and QEMU itself |
//! | `session` | a program in it: its streams, its terminal, its end |
//! | `timeline` | when each stage of the boot was reached |
//! | `wire` | what host and guest say to each other over a serial line |
//! | `guest` | the other side: init in the guest |

pub mod guest;
mod image_file;
mod initramfs;
mod kernel;
mod machine;
mod modinfo;
mod modules;
mod pack;
mod qemu;
mod session;
pub mod timeline;
mod voice;
pub mod wire;

#[cfg(test)]
mod tests;

pub use kernel::Kernel;
pub use machine::{Machine, Plan};
pub use pack::{Extra, pack};
pub use qemu::{Accelerator, find as find_qemu};
pub use session::{Session, Streams, terminal_size};
pub use timeline::Booted;

use fault::Fault;

/// Whether this host has what a machine takes, QEMU and a kernel; if not, what is missing.
pub fn permitted() -> Result<(), Fault> {
    find_qemu()?;
    Kernel::find(None).map(drop)
}
