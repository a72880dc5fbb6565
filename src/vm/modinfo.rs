//! What a module's file says about itself: its `.modinfo` section, the lines that modinfo(8) prints.

use std::io::{self, Read};

use object::read::elf::ElfFile64;
use object::{Endianness, Object, ObjectSection};

/// What a module wants to be loaded before it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Needs {
    /// `depends=`: modules whose symbols it uses. The kernel refuses to load it without them.
    pub hard: Vec<String>,
    /// `softdep=pre:`: modules that it works better with, or that it asks for while it runs. May be
    /// aliases, and modules that this kernel was built without (modprobe.d(5)).
    pub soft: Vec<String>,
}

/// Reads the needs of a module; None if the bytes are no module.
pub(super) fn needs(module: &[u8]) -> Option<Needs> {
    let elf = ElfFile64::<Endianness>::parse(module).ok()?;
    let section = elf.section_by_name(".modinfo")?.data().ok()?;
    let mut needs = Needs::default();
    for line in section.split(|byte| *byte == 0) {
        let line = String::from_utf8_lossy(line);
        match line.split_once('=') {
            Some(("depends", names)) => {
                needs.hard.extend(names.split(',').filter(|name| !name.is_empty()).map(str::to_owned));
            }
            Some(("softdep", words)) => needs.soft.extend(before(words)),
            _ => {}
        }
    }
    Some(needs)
}

/// The names after `pre:`, up to `post:`.
fn before(words: &str) -> Vec<String> {
    let mut names = words.split_whitespace().skip_while(|word| *word != "pre:").skip(1);
    names.by_ref().take_while(|word| *word != "post:").map(str::to_owned).collect()
}

/// A module as the kernel wants it: distributions store them compressed, each in its own way. The
/// first bytes say which, as they do for file(1).
pub(super) fn decompress(stored: Vec<u8>) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if stored.starts_with(&[0x1f, 0x8b]) {
        flate2::read::MultiGzDecoder::new(&stored[..]).read_to_end(&mut bytes)?;
    } else if stored.starts_with(b"\xfd7zXZ\0") {
        lzma_rust2::XzReader::new(&stored[..], true).read_to_end(&mut bytes)?;
    } else if stored.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        let mut reader = ruzstd::decoding::StreamingDecoder::new(&stored[..]).map_err(io::Error::other)?;
        reader.read_to_end(&mut bytes)?;
    } else {
        return Ok(stored);
    }
    Ok(bytes)
}
