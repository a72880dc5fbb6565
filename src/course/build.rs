//! Packs the lessons for [`embedded`](embedded.rs), which makes them part of the program: as plain text they would be
//! a twelfth of it.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::DeflateEncoder;

const LESSONS: &str = "../../lessons";

/// The folder of the program's own words.
const WORDS: &str = "words";

/// The tables of words that are said only when something is wrong: two thirds of all. A start that says another word looks
/// it up where it stands.
const OF_FAULTS: [&str; 2] = ["[fault.", "[errno."];

/// What ends the beginning of a lesson: its first section.
const SECTION: &str = "\n## ";

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed={LESSONS}");
    let out = std::env::var_os("OUT_DIR").map(PathBuf::from).ok_or(io::ErrorKind::NotFound)?;
    for made in ["lessons", WORDS].map(|name| out.join(name)) {
        if made.exists() {
            fs::remove_dir_all(&made)?;
        }
        fs::create_dir(made)?;
    }
    for entry in fs::read_dir(LESSONS)? {
        let entry = entry?;
        let to = out.join("lessons").join(entry.file_name());
        match entry.file_name() == WORDS {
            true => split_words(&entry.path(), &out.join(WORDS), &to)?,
            false => pack(&entry.path(), &to)?,
        }
    }
    Ok(())
}

/// Writes the words of faults, packed, into one folder, and all others into another as they are.
fn split_words(from: &Path, plain: &Path, packed: &Path) -> io::Result<()> {
    fs::create_dir_all(packed)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let text = fs::read_to_string(entry.path())?;
        let tables = text.split_inclusive("\n[").map(|table| table.strip_suffix('[').unwrap_or(table));
        let (mut faults, mut others) = (String::new(), String::new());
        for (number, table) in tables.enumerate() {
            let table = if number == 0 { table.into() } else { format!("[{table}") };
            let is_of_faults = OF_FAULTS.iter().any(|name| table.starts_with(name));
            (if is_of_faults { &mut faults } else { &mut others }).push_str(&table);
        }
        fs::write(plain.join(entry.file_name()), others)?;
        deflate(&faults, &packed.join(entry.file_name()))?;
    }
    Ok(())
}

fn deflate(text: &str, to: &Path) -> io::Result<()> {
    let mut packed = DeflateEncoder::new(fs::File::create(to)?, Compression::best());
    packed.write_all(text.as_bytes())?;
    packed.finish().map(drop)
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
    deflate(&text, to)?;
    match text.split_once(SECTION) {
        Some((beginning, _)) if to.extension().is_some_and(|extension| extension == "md") => {
            fs::write(to.with_extension("beginning"), beginning)
        }
        _ => Ok(()),
    }
}
