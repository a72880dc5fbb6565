//! Which programs go into the image, and where the host keeps them.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::unistd::{AccessFlags, access};

use kernel::signals::reset_in;

/// The programs that the steps run themselves.
pub const REQUIRED: &[&str] = &[
    "sh", "ls", "cat", "ps", "id", "hostname", "mount", "ip", "stat", "echo", "sleep", "mkdir", "rm",
    "touch", "env", "kill", "head",
];

/// The programs that make a shell in the container pleasant, taken when the host has them.
pub const OPTIONAL: &[&str] = &[
    "bash",
    "umount",
    "ln",
    "cp",
    "mv",
    "grep",
    "wc",
    "tail",
    "uname",
    "pwd",
    "true",
    "false",
    "test",
    "readlink",
    "chmod",
    "chown",
    "dd",
    "df",
    "du",
    "sed",
    "cut",
    "sort",
    "uniq",
    "tr",
    "find",
    "which",
    "whoami",
    "tty",
    "date",
    "yes",
    "nproc",
    "top",
    "free",
    "seq",
    "awk",
    "xargs",
    "tee",
    "basename",
    "dirname",
    "printf",
    "nc",
    "ping",
    "ss",
    "getconf",
    "ldd",
    "ipcs",
    "ipcmk",
    "ipcrm",
    "unshare",
    "nsenter",
    "lsns",
    "findmnt",
    "setpriv",
    "less",
    "vi",
    "clear",
    "reset",
    "stty",
    "hexdump",
    "od",
    "sha256sum",
];

/// One binary that is many programs: it looks at the name it is called by (busybox(1)).
const BUSYBOX: &str = "busybox";

/// Directories whose programs are wrappers that only work on the host: NixOS's setuid wrappers,
/// and links that all lead to `snap`.
const WRAPPERS: &[&str] = &["/run/wrappers", "/snap", "/var/lib/snapd"];

/// What the host has, without copying anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Survey {
    /// Each program found: its name in the image and the host's file for it.
    pub found: Vec<(&'static str, PathBuf)>,
    /// Required programs the host lacks.
    pub missing: Vec<&'static str>,
    /// Optional programs the host lacks.
    pub missing_optional: Vec<&'static str>,
    /// The host's file for `sh`, without which there is no image.
    pub shell: Option<PathBuf>,
}

/// Looks for every wanted program in SEARCH.
///
/// Costs an access(2) for each name and directory; busybox is asked for its applets only when
/// something is missing.
pub fn survey(search: &[PathBuf]) -> Survey {
    let mut found = lookup(search);
    let gaps = lacking(&found);
    found.extend(applets(&gaps, search));
    let shell = path_of(&found, "sh").map(Path::to_path_buf);
    found.retain(|(name, _)| *name != BUSYBOX);
    let lacks = |list: &[&'static str]| -> Vec<&'static str> {
        let lacks = |name: &&str| path_of(&found, name).is_none();
        list.iter().copied().filter(lacks).collect()
    };
    Survey { missing: lacks(REQUIRED), missing_optional: lacks(OPTIONAL), shell, found }
}

/// The directories of `PATH`, then the ones that hold system programs.
///
/// An ordinary user's `PATH` often leaves out the `sbin` directories, where `ip` may be.
pub fn host_search_path() -> Vec<PathBuf> {
    const SYSTEM: [&str; 6] = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut search: Vec<PathBuf> = Vec::new();
    for dir in std::env::split_paths(&path).chain(SYSTEM.iter().map(PathBuf::from)) {
        if dir.is_absolute() && !search.contains(&dir) {
            search.push(dir);
        }
    }
    search
}

/// The first file in SEARCH for each wanted name, and for busybox, which may stand in for others.
pub(super) fn lookup(search: &[PathBuf]) -> Vec<(&'static str, PathBuf)> {
    let dirs: Vec<&PathBuf> = search.iter().filter(|dir| usable(dir)).collect();
    let names = REQUIRED.iter().chain(OPTIONAL).chain([&BUSYBOX]);
    names
        .filter_map(|name| {
            let mut candidates = dirs.iter().map(|dir| dir.join(name));
            Some((*name, candidates.find(|path| is_program(path))?))
        })
        .collect()
}

/// Whether something in SEARCH has a wanted name and comes before what was FOUND, but can't be taken: a link that leads
/// nowhere, or a file that we may not execute. It can become a program without a change of its directory.
pub(super) fn passed_over(search: &[PathBuf], found: &[(&'static str, PathBuf)]) -> bool {
    let names = REQUIRED.iter().chain(OPTIONAL).chain([&BUSYBOX]);
    names.into_iter().any(|name| {
        let taken = path_of(found, name);
        let places = search.iter().map(|dir| dir.join(name));
        places
            .take_while(|place| Some(place.as_path()) != taken)
            .any(|place| place.symlink_metadata().is_ok())
    })
}

/// The wanted names that FOUND has no file for.
pub(super) fn lacking(found: &[(&'static str, PathBuf)]) -> Vec<&'static str> {
    let names = REQUIRED.iter().chain(OPTIONAL).copied();
    names.filter(|name| path_of(found, name).is_none()).collect()
}

/// Those of NAMES that the busybox in SEARCH can be, each with busybox's own path.
///
/// A busybox that comes without links tells its applets itself: `busybox --list`.
pub(super) fn applets(names: &[&'static str], search: &[PathBuf]) -> Vec<(&'static str, PathBuf)> {
    let mut candidates = search.iter().filter(|dir| usable(dir)).map(|dir| dir.join(BUSYBOX));
    let Some(busybox) = candidates.find(|path| is_program(path)) else {
        return Vec::new();
    };
    if names.is_empty() {
        return Vec::new();
    }
    let mut list = Command::new(&busybox);
    reset_in(&mut list).arg("--list").stdin(Stdio::null()).stderr(Stdio::null());
    // Whatever goes wrong here only means that busybox stands in for nothing.
    let Ok(output) = list.output() else {
        return Vec::new();
    };
    let text = String::from_utf8_lossy(&output.stdout);
    let offers: Vec<&str> = text.lines().map(str::trim).collect();
    let stands_in = |name: &&&str| offers.contains(*name);
    names.iter().filter(stands_in).map(|name| (*name, busybox.clone())).collect()
}

/// The file that FOUND has for NAME.
fn path_of<'a>(found: &'a [(&'static str, PathBuf)], name: &str) -> Option<&'a Path> {
    let entry = found.iter().find(|(found, _)| *found == name)?;
    Some(&entry.1)
}

/// An absolute directory that is there, that the manifest can name, and whose programs also work
/// in an image.
fn usable(dir: &Path) -> bool {
    let wrapper = WRAPPERS.iter().any(|prefix| dir.starts_with(prefix));
    dir.is_absolute() && dir.to_str().is_some() && !wrapper && dir.is_dir()
}

/// A regular file that we may execute, and read, or it couldn't be copied (setuid programs are
/// mode 4711 on some systems).
fn is_program(path: &Path) -> bool {
    access(path, AccessFlags::R_OK | AccessFlags::X_OK).is_ok() && path.is_file()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn finds_the_first_program_and_names_what_is_missing() {
        let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        symlink("/bin/sh", second.path().join("sh")).unwrap();
        symlink("/bin/ls", first.path().join("ls")).unwrap();
        symlink("/bin/sh", second.path().join("ls")).unwrap();
        std::fs::write(first.path().join("cat"), "not executable").unwrap();
        std::fs::create_dir(first.path().join("ps")).unwrap();

        let search = [first.path().to_path_buf(), second.path().to_path_buf()];
        let survey = survey(&search);
        assert_eq!(survey.shell, Some(second.path().join("sh")));
        assert!(survey.found.contains(&("ls", first.path().join("ls"))));
        assert!(survey.missing.contains(&"cat") && survey.missing.contains(&"ps"));
        assert!(survey.missing_optional.contains(&"bash"));
    }

    #[test]
    fn relative_and_wrapper_directories_are_left_out() {
        assert!(usable(Path::new("/usr/bin")));
        assert!(!usable(Path::new("bin")));
        assert!(!usable(Path::new("/run/wrappers/bin")));
        assert!(host_search_path().contains(&PathBuf::from("/sbin")));
    }
}
