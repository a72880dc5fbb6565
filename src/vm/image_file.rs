//! What a kernel's file says about itself (kernel: Documentation/arch/x86/boot.rst).
//!
//! A bzImage begins with real-mode code, and in its second sector has the setup header, where the
//! kernel tells a boot loader what it is:
//!
//! ```text
//! 0x202  "HdrS"                     4 bytes
//! 0x206  boot protocol version      2 bytes, 0x020f is 2.15
//! 0x20e  pointer to the version     2 bytes, counted from 0x200
//! 0x236  extended load flags        2 bytes, from protocol 2.12 on; bit 0: it can start in 64-bit mode
//! ```

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use object::elf::ELFDATA2MSB;

use image::machine_name;

/// Bytes from the beginning of the file that hold the header and the version that it points to:
/// the pointer has 16 bits, and a version is shorter than a sector.
const HEAD: u64 = 0x200 + 0xffff + 512;

/// XLF_KERNEL_64: the kernel has a 64-bit entry point.
const KERNEL_64: u16 = 1;

/// Why a file is no kernel that we can boot.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NotKernel {
    Missing,
    Directory,
    /// It is there, but we may not read it.
    Closed,
    /// Reading it failed with this error.
    Broken(String),
    Empty,
    Text,
    /// An ELF file for this machine, as the linker leaves a kernel (vmlinux) and any program.
    Elf(String),
    /// A kernel for this machine.
    OtherMachine(&'static str),
    /// It is in this format.
    Format(&'static str),
    Unknown,
}

/// The release of the kernel in FILE, as `uname -r` prints it once it runs.
pub(super) fn release(file: &Path) -> Result<String, NotKernel> {
    let head = head(file)?;
    if head.get(0x202..0x206) != Some(b"HdrS") {
        return Err(other_format(&head));
    }
    let protocol = word(&head, 0x206).unwrap_or(0);
    let flags = word(&head, 0x236).filter(|_| protocol >= 0x020c).unwrap_or(0);
    if flags & KERNEL_64 == 0 {
        return Err(NotKernel::OtherMachine("i386"));
    }
    version(&head).ok_or(NotKernel::Unknown)
}

/// The first word of the version text; the rest says who built it, and when.
fn version(head: &[u8]) -> Option<String> {
    let start = 0x200 + usize::from(word(head, 0x20e).filter(|pointer| *pointer != 0)?);
    let text = head.get(start..)?.split(|byte| *byte == 0).next()?;
    let text = std::str::from_utf8(text).ok()?;
    let release = text.split_whitespace().next()?;
    // It becomes a part of paths.
    (release.starts_with(|c: char| c.is_ascii_digit()) && !release.contains('/')).then(|| release.to_owned())
}

/// The first bytes of FILE.
fn head(file: &Path) -> Result<Vec<u8>, NotKernel> {
    let why = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => NotKernel::Missing,
        io::ErrorKind::PermissionDenied => NotKernel::Closed,
        io::ErrorKind::IsADirectory => NotKernel::Directory,
        _ => NotKernel::Broken(error.to_string()),
    };
    // Looked at first: opening a FIFO would wait for a writer.
    let metadata = std::fs::metadata(file).map_err(why)?;
    if metadata.is_dir() {
        return Err(NotKernel::Directory);
    }
    if !metadata.is_file() {
        return Err(NotKernel::Unknown);
    }
    let mut head = Vec::new();
    File::open(file).and_then(|file| file.take(HEAD).read_to_end(&mut head)).map_err(why)?;
    Ok(head)
}

/// The 16-bit number at OFFSET, least significant byte first.
fn word(head: &[u8], offset: usize) -> Option<u16> {
    let bytes = head.get(offset..offset + 2)?.try_into().ok()?;
    Some(u16::from_le_bytes(bytes))
}

/// What a file is that has no setup header: the marks by which file(1) knows them, too.
fn other_format(head: &[u8]) -> NotKernel {
    // (offset, bytes, meaning): the more particular first, since an EFI program begins all alike.
    let marks: [(usize, &[u8], NotKernel); 11] = [
        (0x38, b"ARM\x64", NotKernel::OtherMachine("aarch64")),
        (0x30, b"RISCV\0\0\0", NotKernel::OtherMachine("riscv64")),
        (0x24, &[0x18, 0x28, 0x6f, 0x01], NotKernel::OtherMachine("arm")),
        (0, b"MZ\0\0zimg", NotKernel::Format("EFI zboot")),
        (0, b"MZ", NotKernel::Format("EFI (PE/COFF)")),
        (0, &[0x27, 0x05, 0x19, 0x56], NotKernel::Format("U-Boot uImage")),
        (0, &[0x1f, 0x8b], NotKernel::Format("gzip")),
        (0, b"\xfd7zXZ\0", NotKernel::Format("xz")),
        (0, &[0x28, 0xb5, 0x2f, 0xfd], NotKernel::Format("zstd")),
        (0, b"070701", NotKernel::Format("cpio (initramfs)")),
        (0, b"!<arch>\n", NotKernel::Format("ar (.deb)")),
    ];
    if head.is_empty() {
        return NotKernel::Empty;
    }
    if head.starts_with(b"\x7fELF") {
        return NotKernel::Elf(elf_machine(head));
    }
    let has = |(offset, bytes, _): &(usize, &[u8], NotKernel)| {
        head.get(*offset..).is_some_and(|rest| rest.starts_with(bytes))
    };
    if let Some((_, _, what)) = marks.into_iter().find(has) {
        return what;
    }
    // A character may be cut where our part of the file ends.
    let text = match std::str::from_utf8(head) {
        Ok(_) => true,
        Err(error) => error.error_len().is_none(),
    };
    if text && !head.contains(&0) { NotKernel::Text } else { NotKernel::Unknown }
}

/// The name of the machine that an ELF file is for, its number if it has none.
fn elf_machine(head: &[u8]) -> String {
    // e_machine lies at the same place in 32- and 64-bit files; EI_DATA, the sixth byte, says which of its
    // bytes comes first.
    let number = word(head, 18).unwrap_or(0);
    let big_endian = head.get(5) == Some(&ELFDATA2MSB.0);
    let machine = if big_endian { number.swap_bytes() } else { number };
    machine_name(machine).map_or_else(|| machine.to_string(), str::to_owned)
}
