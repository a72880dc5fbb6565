//! The plan of the program layer: which host file goes where.

use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::ImageError;
use super::closure::{Closure, Placed};
use super::layer::{LINKS_TO_BIN, Layer};
use super::wanted;

/// Directories that a root filesystem is expected to have, with their permission bits.
const DIRECTORIES: [(&str, u32); 13] = [
    ("bin", 0o755),
    ("dev", 0o755),
    ("etc", 0o755),
    ("home", 0o755),
    ("mnt", 0o755),
    ("proc", 0o755),
    ("root", 0o700),
    ("run", 0o755),
    ("srv", 0o755),
    ("sys", 0o755),
    ("tmp", 0o1777),
    ("usr", 0o755),
    ("var/tmp", 0o1777),
];

/// A wanted program that can run in the image.
struct Program {
    name: &'static str,
    /// The file behind the name, all links followed.
    file: PathBuf,
    needs: Vec<Placed>,
}

/// The program layer of the programs FOUND in SEARCH, and the required names that it lacks.
///
/// # Errors
/// `NoShell` if none of them is a `sh` that can run in the image, `Io` if a file can't be looked at.
pub(super) fn programs(
    found: &[(&'static str, PathBuf)],
    search: &[PathBuf],
) -> Result<(Layer, Vec<&'static str>), ImageError> {
    let programs = runnable(found, search);
    let has = |name: &str| programs.iter().any(|program| program.name == name);
    if !has("sh") {
        let searched = search.to_vec();
        return Err(ImageError::NoShell { searched });
    }
    let required = wanted::REQUIRED.iter().copied();
    let missing = required.filter(|name| !has(name)).collect();
    Ok((layer(&programs)?, missing))
}

/// The programs that can run in the image; where the host's can't, busybox stands in.
fn runnable(found: &[(&'static str, PathBuf)], search: &[PathBuf]) -> Vec<Program> {
    let closure = Closure::new();
    // Many names may lead to one file, whose libraries need to be looked up only once.
    let mut known: HashMap<PathBuf, Option<Vec<Placed>>> = HashMap::new();
    let mut program = |(name, path): &(&'static str, PathBuf)| {
        let file = path.canonicalize().ok()?;
        let needs = known.entry(file.clone()).or_insert_with(|| closure.of(&file)).clone()?;
        Some(Program { name, file, needs })
    };
    let mut programs: Vec<Program> = found.iter().filter_map(&mut program).collect();
    let run: Vec<_> = programs.iter().map(|program| (program.name, program.file.clone())).collect();
    let stand_ins = wanted::applets(&wanted::lacking(&run), search);
    programs.extend(stand_ins.iter().filter_map(&mut program));
    programs
}

/// The layer with PROGRAMS in /bin, what they need at its literal place, and the directories of a
/// root filesystem.
fn layer(programs: &[Program]) -> Result<Layer, ImageError> {
    let mut layer = Layer::default();
    for (place, mode) in DIRECTORIES {
        layer.directory(place, mode);
    }
    for place in LINKS_TO_BIN {
        layer.link(place, "bin");
    }
    let homes = homes(programs);
    for program in programs {
        if let Some(home) = homes.get(program.file.as_path()) {
            let home = Path::new("bin").join(home);
            layer.copy(&program.file, &home)?;
            layer.link(Path::new("bin").join(program.name), home);
        }
    }
    for need in programs.iter().flat_map(|program| &program.needs) {
        layer.copy(&need.source, &need.place)?;
    }
    Ok(layer)
}

/// The name in /bin under which each program file is kept: its own (`busybox`, `dash`), unless
/// that name is another program's; then the first name that leads to it.
fn homes(programs: &[Program]) -> HashMap<&Path, OsString> {
    let owner: HashMap<&OsStr, &Path> =
        programs.iter().map(|program| (OsStr::new(program.name), program.file.as_path())).collect();
    let mut homes: HashMap<&Path, OsString> = HashMap::new();
    let mut taken: HashSet<OsString> = HashSet::new();
    for program in programs {
        let file = program.file.as_path();
        if homes.contains_key(file) {
            continue;
        }
        let own = file.file_name().unwrap_or(OsStr::new(program.name));
        let free = !taken.contains(own) && owner.get(own).is_none_or(|owner| *owner == file);
        let home = if free { own } else { OsStr::new(program.name) };
        taken.insert(home.to_os_string());
        homes.insert(file, home.to_os_string());
    }
    homes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(name: &'static str, file: &str) -> Program {
        Program { name, file: PathBuf::from(file), needs: Vec::new() }
    }

    #[test]
    fn a_file_keeps_its_name_unless_another_program_has_it() {
        let programs = [
            program("sh", "/usr/bin/dash"),
            program("cat", "/opt/one/ls"),
            program("ls", "/usr/bin/ls"),
            program("ps", "/opt/one/tool"),
            program("id", "/opt/two/tool"),
        ];
        let homes = homes(&programs);
        let home = |file: &str| homes[Path::new(file)].to_str().unwrap();
        assert_eq!(home("/usr/bin/dash"), "dash");
        assert_eq!(home("/opt/one/ls"), "cat");
        assert_eq!(home("/usr/bin/ls"), "ls");
        assert_eq!(home("/opt/one/tool"), "tool");
        assert_eq!(home("/opt/two/tool"), "id");
    }
}
