//! A real virtual machine: a kernel of its own, started by QEMU.
//!
//! | file | idea |
//! |---|---|
//! | `kernel` | which kernel to boot, and where its modules are |
//! | `image_file` | what a kernel's file says about itself |
//! | `modules`, `modinfo` | the modules that it needs, in the order in which they can be loaded |
//! | `initramfs` | the first root filesystem, as the archive that the kernel unpacks |

mod image_file;
mod initramfs;
mod kernel;
mod modinfo;
mod modules;

#[cfg(test)]
mod tests;

pub use initramfs::Initramfs;
pub use kernel::Kernel;
pub use modules::{Module, modules};
