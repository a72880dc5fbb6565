//! Packs the lessons for [`embedded`](embedded.rs), which makes them part of the program: as plain text they would be
//! a twelfth of it.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::DeflateEncoder;

const LESSONS: &str = "../../lessons";

/// The program's own words: a start that says one looks it up where it stands.
const UNPACKED: &str = "words";

/// What ends the beginning of a lesson: its first section.
const SECTION: &str = "\n## ";

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed={LESSONS}");
    let out = std::env::var_os("OUT_DIR").map(PathBuf::from).ok_or(io::ErrorKind::NotFound)?.join("lessons");
    if out.exists() {
        fs::remove_dir_all(&out)?;
    }
    for entry in fs::read_dir(LESSONS)? {
        let entry = entry?;
        if entry.file_name() != UNPACKED {
            pack(&entry.path(), &out.join(entry.file_name()))?;
        }
    }
    Ok(())
}

/// Writes a file deflated, and all files below a folder. The beginning of a lesson lies beside it as it is: every start
/// of the program names the steps.
fn pack(from: &Path, to: &Path) -> io::Result<()> {
    if from.is_dir() {
        fs::create_dir_all(to)?;
        return fs::read_dir(from)?.try_for_each(|entry| {
            let entry = entry?;
            pack(&entry.path(), &to.join(entry.file_name()))
        });
    }
    let text = fs::read_to_string(from)?;
    let mut packed = DeflateEncoder::new(fs::File::create(to)?, Compression::best());
    packed.write_all(text.as_bytes())?;
    packed.finish()?;
    match text.split_once(SECTION) {
        Some((beginning, _)) if to.extension().is_some_and(|extension| extension == "md") => {
            fs::write(to.with_extension("beginning"), beginning)
        }
        _ => Ok(()),
    }
}
