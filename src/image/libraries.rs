//! Where a program's loader looks for the libraries that the program needs (ld.so(8)). Files are read and nothing is
//! run, unlike with ldd(1).

use std::collections::{HashSet, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};

use super::elf::Elf;
use super::inside::resolve_inside;

/// The name Linux distributions give this machine in their library directories.
const TRIPLET: &str = if cfg!(target_arch = "x86_64") {
    "x86_64-linux-gnu"
} else if cfg!(target_arch = "aarch64") {
    "aarch64-linux-gnu"
} else if cfg!(target_arch = "riscv64") {
    "riscv64-linux-gnu"
} else {
    "linux-gnu"
};

/// A program's loader (PT_INTERP) as it works in a root.
pub(super) struct Loader<'a> {
    root: &'a Path,
    name: String,
    /// LD_LIBRARY_PATH.
    environment: Vec<PathBuf>,
    /// The directories that it searches for any program: those that it is told of in /etc, and its own.
    directories: Vec<PathBuf>,
}

/// A library that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Library {
    /// As DT_NEEDED has it: a name, or a path.
    pub name: String,
    /// The path inside the root at which the loader finds it.
    pub place: PathBuf,
    /// The file on the host, all links followed.
    pub file: PathBuf,
}

/// What a program needs, and what its libraries need in turn, by name.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Libraries {
    pub found: Vec<Library>,
    pub missing: Vec<String>,
}

/// A file that needs libraries, and the directories that it is to be given by those that need it.
struct Needy {
    file: PathBuf,
    elf: Elf,
    inherited: Vec<PathBuf>,
}

impl<'a> Loader<'a> {
    /// The loader at PATH in ROOT. `environment` has the directories of LD_LIBRARY_PATH.
    pub(super) fn new(root: &'a Path, path: &Path, environment: Vec<PathBuf>) -> Loader<'a> {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        let mut directories = configured_directories(root, &name);
        directories.extend(default_directories());
        directories.extend(path.parent().map(Path::to_path_buf));
        Loader { root, name, environment, directories }
    }

    /// The libraries of a PROGRAM in FILE, and theirs, in the order in which they are loaded: each name once, so that the
    /// first to need a library decides where it is looked for.
    pub(super) fn libraries(&self, file: &Path, program: Elf) -> Libraries {
        let mut result = Libraries::default();
        let mut seen = HashSet::new();
        let program = Needy { file: file.to_path_buf(), elf: program, inherited: Vec::new() };
        let mut waiting = VecDeque::from([program]);
        while let Some(needy) = waiting.pop_front() {
            let own = self.own_directories(&needy);
            for name in needy.elf.needed.iter().filter(|name| seen.insert(name.to_string())) {
                match self.find(name, &own, &needy.elf) {
                    Some((library, elf)) => {
                        let (file, inherited) = (library.file.clone(), own.inherited.clone());
                        waiting.push_back(Needy { file, elf, inherited });
                        result.found.push(library);
                    }
                    None if self.provides(name) => {}
                    None => result.missing.push(name.clone()),
                }
            }
        }
        result.found.sort_by(|a, b| a.name.cmp(&b.name));
        result.missing.sort();
        result
    }

    /// The library NAME for a USER, and what is in it: one for another machine is passed over.
    fn find(&self, name: &str, own: &Own, user: &Elf) -> Option<(Library, Elf)> {
        let literal = name.contains('/').then(|| PathBuf::from(name));
        let searched = [&own.before, &self.environment, &own.after, &self.directories];
        let searched = searched.into_iter().flatten().map(|directory| directory.join(name));
        literal.into_iter().chain(searched).find_map(|place| {
            let file = resolve_inside(self.root, &place).ok()?;
            let elf = Elf::read(&file)?;
            let fits = elf.machine == user.machine && elf.wide == user.wide;
            fits.then(|| (Library { name: name.to_owned(), place, file }, elf))
        })
    }

    /// The directories that a file names for its own libraries.
    fn own_directories(&self, needy: &Needy) -> Own {
        let expanded = |dirs: &[String]| -> Vec<PathBuf> {
            dirs.iter().filter_map(|dir| expand(self.root, &needy.file, dir)).collect()
        };
        let (rpath, runpath) = (expanded(&needy.elf.rpath), expanded(&needy.elf.runpath));
        if self.is_musl() {
            // Both are one, and all are inherited.
            let all = [&runpath, &rpath, &needy.inherited].into_iter().flatten().cloned().collect::<Vec<_>>();
            return Own { before: Vec::new(), after: all.clone(), inherited: all };
        }
        if !runpath.is_empty() {
            return Own { before: Vec::new(), after: runpath, inherited: needy.inherited.clone() };
        }
        let inherited = [&rpath[..], &needy.inherited].concat();
        Own { before: inherited.clone(), after: runpath, inherited }
    }

    fn is_musl(&self) -> bool {
        self.name.starts_with("ld-musl-")
    }

    /// Whether NAME is the loader itself: it is one file with musl's C library, and glibc's library names its loader among
    /// its needs.
    fn provides(&self, name: &str) -> bool {
        const IN_MUSL: [&str; 7] =
            ["libc.", "libpthread.", "librt.", "libm.", "libdl.", "libutil.", "libxnet."];
        name == self.name || (self.is_musl() && IN_MUSL.iter().any(|library| name.starts_with(library)))
    }
}

/// The directories of one file: searched before and after those of the environment, and by its libraries.
struct Own {
    before: Vec<PathBuf>,
    after: Vec<PathBuf>,
    inherited: Vec<PathBuf>,
}

/// A directory of an rpath of FILE's, as it is called in ROOT; `$ORIGIN` is the one that FILE is in.
fn expand(root: &Path, file: &Path, dir: &str) -> Option<PathBuf> {
    let origin = Path::new("/").join(file.parent()?.strip_prefix(root).ok()?);
    let origin = origin.to_str()?;
    let dir = PathBuf::from(dir.replace("${ORIGIN}", origin).replace("$ORIGIN", origin));
    let found = dir.is_absolute().then(|| resolve_inside(root, &dir).ok())??;
    Some(Path::new("/").join(found.strip_prefix(root).ok()?))
}

/// The directories that a loader searches without being told to, on one system or another.
fn default_directories() -> impl Iterator<Item = PathBuf> {
    let multiarch = ["/lib", "/usr/lib"].map(|dir| Path::new(dir).join(TRIPLET));
    let plain = ["/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib"].map(PathBuf::from);
    multiarch.into_iter().chain(plain)
}

/// The directories that a loader of this name is told of in ROOT: by /etc/ld-musl-ARCH.path, else by /etc/ld.so.conf and
/// what is in /etc/ld.so.conf.d.
fn configured_directories(root: &Path, loader: &str) -> Vec<PathBuf> {
    let files = match loader.strip_prefix("ld-musl-").and_then(|rest| rest.split('.').next()) {
        Some(machine) => vec![PathBuf::from(format!("/etc/ld-musl-{machine}.path"))],
        None => configurations_of_glibc(root),
    };
    let files = files.iter().filter_map(|file| resolve_inside(root, file).ok());
    let texts: Vec<String> = files.filter_map(|file| fs::read_to_string(file).ok()).collect();
    let lines = texts.iter().flat_map(|text| text.lines());
    // What is behind `#` is a comment; `include` leads to the files of ld.so.conf.d, which are there already.
    let lines = lines.filter_map(|line| line.split('#').next()).filter(|line| !line.starts_with("include"));
    let words = lines.flat_map(|line| line.split([':', ',', ' ', '\t']));
    words.filter(|word| word.starts_with('/')).map(PathBuf::from).collect()
}

fn configurations_of_glibc(root: &Path) -> Vec<PathBuf> {
    let directory = Path::new("/etc/ld.so.conf.d");
    let entries = resolve_inside(root, directory).ok().and_then(|on_host| fs::read_dir(on_host).ok());
    let names = entries.into_iter().flatten().flatten().map(|entry| entry.file_name());
    let mut included: Vec<PathBuf> = names.map(|name| directory.join(name)).collect();
    included.retain(|file| file.extension().is_some_and(|extension| extension == "conf"));
    included.sort();
    [vec![PathBuf::from("/etc/ld.so.conf")], included].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A root with this host's C library in /one and in /two, what /bin/sh is, and its loader's name.
    fn root() -> Option<(tempfile::TempDir, Elf, PathBuf)> {
        let shell = Path::new("/bin/sh").canonicalize().ok()?;
        let elf = Elf::read(&shell)?;
        // A static shell has none.
        let loader = elf.loader.clone()?;
        let host = Loader::new(Path::new("/"), &loader, Vec::new()).libraries(&shell, elf.clone());
        let root = tempfile::tempdir().ok()?;
        fs::create_dir(root.path().join("bin")).ok()?;
        for dir in ["one", "two"] {
            fs::create_dir(root.path().join(dir)).ok()?;
            for library in &host.found {
                fs::copy(&library.file, root.path().join(dir).join(&library.name)).ok()?;
            }
        }
        Some((root, elf, loader))
    }

    /// The directories in which the libraries of ELF in /bin/sh are found in ROOT.
    fn found_in(root: &Path, elf: &Elf, loader: &Path, environment: &[&str]) -> Vec<PathBuf> {
        let loader = Loader::new(root, loader, environment.iter().map(PathBuf::from).collect());
        let libraries = loader.libraries(&root.join("bin/sh"), elf.clone());
        let places = libraries.found.iter().filter_map(|library| library.place.parent());
        let mut dirs: Vec<PathBuf> = places.map(Path::to_path_buf).collect();
        dirs.dedup();
        dirs
    }

    #[test]
    fn the_order_of_directories_is_the_loaders() {
        let Some((root, elf, loader)) = root() else { return };
        let root = root.path();
        let found = |elf: &Elf, environment: &[&str]| found_in(root, elf, &loader, environment);
        assert_eq!(found(&elf, &[]), [] as [&Path; 0]);
        assert_eq!(found(&elf, &["/two", "/one"]), [Path::new("/two")]);

        fs::create_dir_all(root.join("etc/ld.so.conf.d")).unwrap();
        fs::write(root.join("etc/ld.so.conf"), "include /etc/ld.so.conf.d/*.conf\n# /one\n").unwrap();
        fs::write(root.join("etc/ld.so.conf.d/b.conf"), "/one\n").unwrap();
        fs::write(root.join("etc/ld.so.conf.d/a.conf"), "/two\n").unwrap();
        assert_eq!(found(&elf, &[]), [Path::new("/two")]);
        assert_eq!(found(&elf, &["/one"]), [Path::new("/one")]);

        // An rpath comes before the environment and is inherited; a runpath comes after it, is not, and silences the rpath.
        let one = vec!["$ORIGIN/../one".to_owned()];
        let rpath = Elf { rpath: one.clone(), ..elf.clone() };
        assert_eq!(found(&rpath, &["/two"]), [Path::new("/one")]);
        let runpath = Elf { runpath: one.clone(), ..elf.clone() };
        assert_eq!(found(&runpath, &["/two"]), [Path::new("/two")]);
        assert!(found(&runpath, &[]).contains(&PathBuf::from("/one")));
        let both = Elf { runpath: vec!["/two".into()], ..rpath };
        assert_eq!(found(&both, &[]), [Path::new("/two")]);
    }

    #[test]
    fn what_is_nowhere_is_missing_but_for_the_loader_itself() {
        let Some((root, elf, loader)) = root() else { return };
        let missing = |needed: &[&str], loader: &str| {
            let elf = Elf { needed: needed.iter().map(ToString::to_string).collect(), ..elf.clone() };
            Loader::new(root.path(), Path::new(loader), Vec::new())
                .libraries(&root.path().join("bin/sh"), elf)
                .missing
        };
        let own = loader.file_name().unwrap().to_str().unwrap();
        assert_eq!(missing(&["libb.so", own, "liba.so"], loader.to_str().unwrap()), ["liba.so", "libb.so"]);
        let musl = "/lib/ld-musl-x86_64.so.1";
        assert_eq!(missing(&["libc.musl-x86_64.so.1", "libz.so.1"], musl), ["libz.so.1"]);
        assert_eq!(missing(&["libz.so.1"], musl), ["libz.so.1"]);
        fs::create_dir(root.path().join("etc")).unwrap();
        fs::write(root.path().join("etc/ld-musl-x86_64.path"), "/lib:/one\n").unwrap();
        let known = elf.needed[0].clone();
        assert_eq!(missing(&[&known], musl), [] as [&str; 0]);
    }
}
