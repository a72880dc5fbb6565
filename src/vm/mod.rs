//! A real virtual machine: a kernel of its own, started by QEMU.
//!
//! | file | idea |
//! |---|---|
//! | `kernel` | which kernel to boot, and where its modules are |
//! | `image_file` | what a kernel's file says about itself |
//! | `modules`, `modinfo` | the modules that it needs, in the order in which they can be loaded |

mod image_file;
mod kernel;
mod modinfo;
mod modules;

pub use kernel::Kernel;
pub use modules::{Module, modules};
