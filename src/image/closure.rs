//! What a program needs besides itself: its loader and libraries, or its script interpreter.
//!
//! An ELF program names its loader in the PT_INTERP program header and its libraries in DT_NEEDED
//! entries (elf(5)). The kernel opens the loader at that literal path, and the loader looks for
//! the libraries in its search path (ld.so(8)). A file that starts with `#!` names the program
//! that reads it (execve(2), "Interpreter scripts").

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use super::elf::Elf;
use super::libraries::{Library, Loader};

/// A host file and the absolute path in the image at which it will be looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    pub source: PathBuf,
    pub place: PathBuf,
}

/// Finds what programs need. Reads files only; runs nothing, unlike ldd(1).
pub(super) struct Closure {
    /// LD_LIBRARY_PATH: where the host's loader looks, for a library that no configuration names.
    environment: Vec<PathBuf>,
}

/// Interpreters that are useless as a single file: each reads a library of modules of its own.
const MANY_FILES: [&str; 6] = ["perl", "python", "ruby", "node", "guile", "tclsh"];

impl Closure {
    pub(super) fn new() -> Closure {
        let paths = std::env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
        Closure { environment: std::env::split_paths(&paths).filter(|dir| dir.is_absolute()).collect() }
    }

    /// What the file PROGRAM (no symlink) needs; nothing for a static binary, None for a file that
    /// could not run in the image: it is no program, or the host itself lacks a part of it.
    pub(super) fn of(&self, program: &Path) -> Option<Vec<Placed>> {
        match first_bytes(program)?.as_slice() {
            [0x7f, b'E', b'L', b'F', ..] => self.of_elf(program),
            [b'#', b'!', line @ ..] => self.of_script(line),
            _ => None,
        }
    }

    /// The loader at its literal path, and each library where the loader will find it.
    fn of_elf(&self, program: &Path) -> Option<Vec<Placed>> {
        let elf = Elf::read(program)?;
        let Some(path) = elf.loader.clone() else { return Some(Vec::new()) };
        let mut needs = vec![Placed { source: path.canonicalize().ok()?, place: path.clone() }];
        let loader = Loader::new(Path::new("/"), &path, self.environment.clone());
        let libraries = loader.libraries(program, elf);
        if !libraries.missing.is_empty() {
            return None;
        }
        let libc = directory_of_libc(&libraries.found);
        needs.extend(libraries.found.iter().flat_map(|library| place_library(library, libc.as_deref())));
        needs.extend(libc.as_deref().and_then(name_service));
        Some(needs)
    }

    /// The interpreter that a script's first line (after `#!`) names, and what it needs in turn.
    fn of_script(&self, line: &[u8]) -> Option<Vec<Placed>> {
        let place = script_interpreter(line)?;
        let name = place.file_name()?.to_str()?;
        if MANY_FILES.iter().any(|many| name.starts_with(many)) {
            return None;
        }
        let source = place.canonicalize().ok()?;
        // One level, as is usual: an interpreter that is a script itself is left alone.
        if !first_bytes(&source)?.starts_with(b"\x7fELF") {
            return None;
        }
        let mut needs = self.of_elf(&source)?;
        needs.push(Placed { source, place });
        Some(needs)
    }
}

/// The interpreter that a `#!` line names, LINE being what follows these two bytes.
pub(super) fn script_interpreter(line: &[u8]) -> Option<PathBuf> {
    let line = line.split(|byte| *byte == b'\n').next()?;
    let mut words = line.split(|byte| matches!(byte, b' ' | b'\t')).filter(|word| !word.is_empty());
    Some(PathBuf::from(OsStr::from_bytes(words.next()?)))
}

/// The first 256 bytes of a file, as many as execve(2) looks at to find out what it is.
pub(super) fn first_bytes(file: &Path) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(file).ok()?.take(256).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// The directory in which the C library was found.
///
/// Every loader searches it without being told: it is compiled into both.
fn directory_of_libc(libraries: &[Library]) -> Option<PathBuf> {
    let is_libc = |name: &str| name.starts_with("libc.so.") || name.starts_with("libc.musl-");
    let libc = libraries.iter().find(|library| is_libc(&library.name))?;
    libc.place.parent().map(Path::to_path_buf)
}

/// LIBRARY where it was found, and also next to the C library: the image has no ld.so.conf, and
/// `$ORIGIN` in an rpath means another directory once the program has moved to /bin.
fn place_library(library: &Library, libc: Option<&Path>) -> Vec<Placed> {
    let source = library.file.clone();
    let climbs = library.place.components().any(|part| part == Component::ParentDir);
    let place = if climbs { source.clone() } else { library.place.clone() };
    let beside = libc.filter(|libc| !library.name.contains('/') && place.parent() != Some(*libc));
    let beside = beside.map(|libc| Placed { source: source.clone(), place: libc.join(&library.name) });
    [Placed { source, place }].into_iter().chain(beside).collect()
}

/// The part of the C library that reads /etc/passwd, which no program names: glibc before 2.34
/// opens it by name when it is first asked for a user (nsswitch.conf(5)).
fn name_service(libc: &Path) -> Option<Placed> {
    let place = libc.join("libnss_files.so.2");
    let source = place.canonicalize().ok()?;
    Some(Placed { source, place })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dynamic_program_needs_its_loader_and_its_c_library() {
        let shell = Path::new("/bin/sh").canonicalize().unwrap();
        let needs = Closure::new().of(&shell).unwrap();
        let static_shell = needs.is_empty();
        assert!(static_shell || needs.iter().any(|need| need.place.to_string_lossy().contains("ld-")));
        assert!(needs.iter().all(|need| need.source.is_file()));
    }

    #[test]
    fn a_script_needs_its_interpreter() {
        let dir = tempfile::tempdir().unwrap();
        let script = dir.path().join("script");
        std::fs::write(&script, "#! /bin/sh -e\necho\n").unwrap();
        let needs = Closure::new().of(&script).unwrap();
        assert_eq!(needs.last().unwrap().place, Path::new("/bin/sh"));

        std::fs::write(&script, "#!/nowhere/sh\n").unwrap();
        assert_eq!(Closure::new().of(&script), None);
        std::fs::write(&script, "just text").unwrap();
        assert_eq!(Closure::new().of(&script), None);
    }

    #[test]
    fn the_interpreter_is_the_first_word_of_the_line() {
        let of = |line: &str| script_interpreter(line.as_bytes());
        assert_eq!(of(" /bin/sh -e\nrest"), Some(PathBuf::from("/bin/sh")));
        assert_eq!(of("/bin/sh\r\n"), Some(PathBuf::from("/bin/sh\r")));
        assert_eq!(of(" \n/bin/sh"), None);
    }

    #[test]
    fn a_library_found_elsewhere_is_also_placed_next_to_the_c_library() {
        let library = Library {
            name: "libx.so".to_string(),
            place: PathBuf::from("/opt/x/libx.so"),
            file: PathBuf::from("/opt/x/libx.so.1.2"),
        };
        let places = place_library(&library, Some(Path::new("/lib/here")));
        let places: Vec<PathBuf> = places.into_iter().map(|placed| placed.place).collect();
        assert_eq!(places, [Path::new("/opt/x/libx.so"), Path::new("/lib/here/libx.so")]);
    }
}
