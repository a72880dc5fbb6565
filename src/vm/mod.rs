//! A real virtual machine: a kernel of its own, started by QEMU.
//!
//! | file | idea |
//! |---|---|
//! | `kernel` | which kernel to boot, and where its modules are |
//! | `image_file` | what a kernel's file says about itself |

mod image_file;
mod kernel;

pub use kernel::Kernel;
