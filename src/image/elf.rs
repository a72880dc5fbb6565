//! What an ELF file says about itself: machine, loader, libraries (elf(5)).

use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use object::elf::{
    DT_NEEDED, DT_NULL, DT_RPATH, DT_RUNPATH, DT_STRTAB, DynamicTag, FileHeader32, FileHeader64, PT_LOAD,
};
use object::read::elf::{Dyn, FileHeader, ProgramHeader};
use object::{Endianness, FileKind, ReadCache, ReadRef};

/// The parts of an ELF file that decide whether it starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Elf {
    /// `e_machine`: the processor it is for.
    pub machine: u16,
    /// 64-bit, not 32-bit.
    pub wide: bool,
    /// PT_INTERP: the path at which the kernel looks for the loader; None in a static program.
    pub loader: Option<PathBuf>,
    /// DT_NEEDED: the libraries, by name or path.
    pub needed: Vec<String>,
    /// DT_RPATH: directories to look for them first; may start with `$ORIGIN`.
    pub rpath: Vec<String>,
    /// DT_RUNPATH: the same for its own libraries and not for theirs; where it is there, DT_RPATH counts for nothing.
    pub runpath: Vec<String>,
}

type Cache = ReadCache<File>;

impl Elf {
    /// Reads FILE; None if it is no ELF file, or a damaged one.
    pub(super) fn read(file: &Path) -> Option<Elf> {
        let cache = ReadCache::new(File::open(file).ok()?);
        match FileKind::parse(&cache).ok()? {
            FileKind::Elf32 => parse::<FileHeader32<Endianness>>(&cache),
            FileKind::Elf64 => parse::<FileHeader64<Endianness>>(&cache),
            _ => None,
        }
    }
}

/// Reads by program headers, as the kernel and the loader do: section headers may be stripped.
fn parse<H: FileHeader<Endian = Endianness>>(data: &Cache) -> Option<Elf> {
    let header = H::parse(data).ok()?;
    let endian = header.endian().ok()?;
    let segments = header.program_headers(endian, data).ok()?;
    let loader = segments.iter().find_map(|segment| segment.interpreter(endian, data).ok()?);
    let dynamic = segments.iter().find_map(|segment| segment.dynamic(endian, data).ok()?);
    let entries: Vec<(DynamicTag, u64)> = dynamic
        .unwrap_or_default()
        .iter()
        .map(|entry| (entry.d_tag(endian), entry.d_val(endian).into()))
        .take_while(|(tag, _)| *tag != DT_NULL)
        .collect();

    let table = entries.iter().find(|(tag, _)| *tag == DT_STRTAB).map(|(_, address)| *address);
    let table = table.and_then(|address| offset_of::<H>(segments, endian, address));
    let text = |tag: DynamicTag| -> Vec<String> {
        let offsets = entries.iter().filter(|(other, _)| *other == tag).map(|(_, value)| *value);
        offsets.filter_map(|offset| string_at(data, table?.checked_add(offset)?)).collect()
    };
    let directories = |tag| -> Vec<String> {
        text(tag).iter().flat_map(|dirs| dirs.split(':')).map(str::to_string).collect()
    };
    Some(Elf {
        machine: header.e_machine(endian).0,
        wide: header.is_class_64(),
        loader: loader.map(|path| PathBuf::from(OsStr::from_bytes(path))),
        needed: text(DT_NEEDED),
        rpath: directories(DT_RPATH),
        runpath: directories(DT_RUNPATH),
    })
}

/// The offset in the file of what is loaded at ADDRESS.
fn offset_of<H: FileHeader>(segments: &[H::ProgramHeader], endian: H::Endian, address: u64) -> Option<u64> {
    segments.iter().filter(|segment| segment.p_type(endian) == PT_LOAD).find_map(|segment| {
        let within = address.checked_sub(segment.p_vaddr(endian).into())?;
        let (offset, size) = segment.file_range(endian);
        (within < size).then(|| offset.checked_add(within))?
    })
}

/// The text at OFFSET, up to its zero byte.
fn string_at(data: &Cache, offset: u64) -> Option<String> {
    let bytes = data.read_bytes_at_until(offset..data.len().ok()?, 0).ok()?;
    Some(String::from_utf8_lossy(bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_this_very_program() {
        let elf = Elf::read(Path::new("/proc/self/exe")).unwrap();
        assert_eq!(elf.wide, cfg!(target_pointer_width = "64"));
        let dynamic = elf.loader.is_some();
        assert_eq!(dynamic, elf.needed.iter().any(|name| name.starts_with("libc.")));
    }

    #[test]
    fn other_files_are_no_elf() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        for content in ["", "text", "\x7fELF", "\x7fELF\x02\x01\x01 and then something else"] {
            std::fs::write(&file, content).unwrap();
            assert_eq!(Elf::read(&file), None, "{content:?}");
        }
    }
}
