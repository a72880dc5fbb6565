//! What the guest gets to see: the same root filesystem as the steps' containers, with our program as its init and
//! the kernel's modules, written as an initramfs that no disk ever sees.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use super::guest::MODULES;
use super::initramfs::Initramfs;
use super::kernel::Kernel;
use super::modules::{Module, modules};
use fault::{Doing, Fault};
use image::own_binary;
use kernel::caller::Caller;

/// Where our program is in the guest: in everybody's PATH, and the kernel's `rdinit=`.
const PROGRAM: &str = "/bin/workshop";

/// The drivers that the steps need: Debian's cloud kernel has all of them as modules, others have some built in.
const DRIVERS: [&str; 6] = ["overlay", "veth", "bridge", "nf_tables", "nft_chain_nat", "nft_masq"];

/// Files of the caller's that go along: from where on the host to where in the guest.
pub type Extra = (PathBuf, PathBuf);

/// How many bytes of files a guest may have, whatever its memory. They lie in the host's memory too.
const MOST: u64 = 1 << 30;

// ANCHOR: boot-vm-initramfs
/// Writes the initramfs into a file in memory (memfd_create(2)), which is gone when the last descriptor of it is.
pub fn pack(
    calls: &mut Caller,
    kernel: &Kernel,
    layers: &[PathBuf],
    extras: &[Extra],
) -> Result<OwnedFd, Fault> {
    let file = calls.memfd_create("initramfs", c"initramfs")?;
    let writer = BufWriter::new(File::from(file.try_clone().doing("duplicate a file")?));
    let mut archive = Initramfs::new(writer).within(MOST);
    write(&mut archive, kernel, layers, extras)?;
    archive.finish()?.flush().doing("write the initramfs")?;
    Ok(file)
}
// ANCHOR_END: boot-vm-initramfs

fn write(
    archive: &mut Initramfs<BufWriter<File>>,
    kernel: &Kernel,
    layers: &[PathBuf],
    extras: &[Extra],
) -> Result<(), Fault> {
    archive.directory("/dev", 0o755)?;
    // The kernel opens it for init's standard streams, before anything is mounted.
    archive.node("/dev/console", libc::S_IFCHR | 0o600, libc::makedev(5, 1))?;
    for dir in ["/proc", "/sys", "/run", "/root", "/home", MODULES] {
        archive.directory(dir, 0o755)?;
    }
    archive.directory("/tmp", 0o1777)?;
    for layer in layers {
        archive.tree(layer, "/")?;
    }
    for file in own_binary(Path::new(PROGRAM)).doing("take our own program along")? {
        archive.file_from(&file.place, 0o755, &file.source)?;
    }
    for (number, module) in drivers(kernel)?.iter().enumerate() {
        archive.file(format!("{MODULES}/{number:02}-{}.ko", module.name), 0o644, &module.bytes)?;
    }
    for (source, place) in extras {
        // As cp(1) does: a file goes into a directory that is there, and not in its place.
        let into = archive.has_directory(place) && !source.is_dir();
        let name = source.file_name().filter(|_| into);
        archive.copy(source, &name.map_or_else(|| place.clone(), |name| place.join(name)))?;
    }
    Ok(())
}

/// Those of [`DRIVERS`] that this kernel has. A step that lacks one says so itself.
fn drivers(kernel: &Kernel) -> Result<Vec<Module>, Fault> {
    let mut found: Vec<Module> = Vec::new();
    for name in DRIVERS {
        match modules(kernel, &[name]) {
            Ok(more) => {
                found.extend(
                    more.into_iter().filter(|m| !found.iter().any(|f| f.name == m.name)).collect::<Vec<_>>(),
                );
            }
            Err(Fault::Unable { .. }) => {}
            Err(fault) => return Err(fault),
        }
    }
    Ok(found)
}
