//! Options of `run` that mount something: `--volume`, `--mount`, `--tmpfs`.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::cli::RunOptions;
use crate::engine::extras::{Volume, What};
use crate::fault::Fault;

use super::super::bytes;
use super::program::inside;

/// What is the kernel's own: see [`crate::kernel::in_root::is_the_kernels`], which sees through links too.
const THE_KERNELS: [&str; 3] = ["/", "/proc", "/sys"];

/// Neither set-user-ID programs nor devices of the host's work in what is mounted.
const HARMLESS: u64 = libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV;

/// All of them, those that others lie in first.
pub fn asked_for(options: &RunOptions) -> Result<Vec<Volume>, Fault> {
    let volumes = options.volume.iter().map(|text| volume(text));
    let mounts = options.mount.iter().map(|text| mount(text));
    let tmpfs = options.tmpfs.iter().map(|text| tmpfs(text));
    let mut all = volumes.chain(mounts).chain(tmpfs).collect::<Result<Vec<_>, _>>()?;
    all.sort_by_key(|volume| volume.target.components().count());
    for (at, volume) in all.iter().enumerate() {
        let path = volume.target.display().to_string();
        if all.iter().take(at).any(|other| other.target == volume.target) {
            return Err(Fault::usage("mount-twice", &[("path", &path)]));
        }
        let below = |own: &&str| *own != "/" && volume.target.starts_with(own);
        if path == "/" || THE_KERNELS.iter().any(below) {
            return Err(Fault::usage("mount-on-the-kernels", &[("path", &path)]));
        }
    }
    Ok(all)
}

fn bad(text: &OsStr) -> Fault {
    Fault::usage("bad-mount", &[("value", &text.to_string_lossy())])
}

/// `SRC:DST[:ro|rw]`.
fn volume(text: &OsStr) -> Result<Volume, Fault> {
    let parts: Vec<&[u8]> = text.as_bytes().split(|byte| *byte == b':').collect();
    let (source, target, read_only) = match parts[..] {
        [source, target] | [source, target, b"rw"] => (source, target, false),
        [source, target, b"ro"] => (source, target, true),
        _ => return Err(bad(text)),
    };
    if !source.starts_with(b"/") && !source.starts_with(b".") {
        return Err(Fault::usage("volume-by-name", &[("value", &String::from_utf8_lossy(source))]));
    }
    bind(OsStr::from_bytes(source), OsStr::from_bytes(target), read_only)
}

fn bind(source: &OsStr, target: &OsStr, read_only: bool) -> Result<Volume, Fault> {
    let path = std::path::absolute(source).unwrap_or_else(|_| source.into());
    // Named as it is, where that can be told: what a link or `..` leads to is what is shown.
    let path = path.canonicalize().unwrap_or(path);
    let found = path.metadata().map_err(|problem| {
        let with = [("path", &*path.display().to_string()), ("problem", &problem.to_string())];
        Fault::usage("volume-missing", &with)
    })?;
    let attributes = HARMLESS | if read_only { libc::MOUNT_ATTR_RDONLY } else { 0 };
    let what = What::Bind { source: path, directory: found.is_dir(), shown: false };
    Ok(Volume { target: inside(Path::new(target))?, what, attributes })
}

/// `type=bind,src=…,dst=…[,ro]` or `type=tmpfs,dst=…`.
fn mount(text: &OsStr) -> Result<Volume, Fault> {
    let (mut kind, mut source, mut target, mut read_only) = (None, None, None, false);
    let mut options: Vec<OsString> = Vec::new();
    for field in text.as_bytes().split(|byte| *byte == b',') {
        let (key, value) = match field.iter().position(|byte| *byte == b'=') {
            Some(at) => field.split_at(at),
            None => (field, &b"=true"[..]),
        };
        let value = OsStr::from_bytes(value.get(1..).unwrap_or_default());
        match key {
            b"type" => kind = value.to_str(),
            b"src" | b"source" => source = Some(value),
            b"dst" | b"destination" | b"target" => target = Some(value),
            b"ro" | b"readonly" => match value.as_bytes() {
                b"true" | b"1" => read_only = true,
                b"false" | b"0" => read_only = false,
                _ => return Err(bad(text)),
            },
            b"tmpfs-size" | b"tmpfs-mode" => {
                let mut option = OsString::from(if key.ends_with(b"size") { "size=" } else { "mode=" });
                option.push(value);
                options.push(option);
            }
            _ => return Err(bad(text)),
        }
    }
    let target = target.ok_or_else(|| bad(text))?;
    match (kind, source) {
        (Some("bind"), Some(source)) if options.is_empty() => bind(source, target, read_only),
        (Some("tmpfs"), None) => {
            options.extend(read_only.then(|| "ro".into()));
            memory(text, target, options.iter().map(OsString::as_os_str))
        }
        _ => Err(bad(text)),
    }
}

/// `DST[:OPTION,…]`.
fn tmpfs(text: &OsStr) -> Result<Volume, Fault> {
    let mut parts = text.as_bytes().splitn(2, |byte| *byte == b':').map(OsStr::from_bytes);
    let (target, options) = (parts.next().unwrap_or_default(), parts.next());
    let options = options.into_iter().flat_map(|all| all.as_bytes().split(|byte| *byte == b','));
    memory(text, target, options.map(OsStr::from_bytes))
}

/// A filesystem in memory, as Docker gives one: nothing in it is executed unless that is asked for.
fn memory<'o>(text: &OsStr, target: &OsStr, given: impl Iterator<Item = &'o OsStr>) -> Result<Volume, Fault> {
    let (mut size, mut mode, mut attributes) = (None, "1777".to_owned(), HARMLESS | libc::MOUNT_ATTR_NOEXEC);
    for option in given {
        let (key, value) =
            option.to_str().map(|text| text.split_once('=').unwrap_or((text, ""))).unwrap_or_default();
        match (key, value) {
            ("size", value) => size = Some(bytes(value).ok_or_else(|| bad(text))?.to_string()),
            ("mode", value) => {
                let digits = value.bytes().all(|digit| (b'0'..=b'7').contains(&digit));
                if !digits || !(1..=5).contains(&value.len()) {
                    return Err(bad(text));
                }
                mode = value.to_owned();
            }
            ("ro", "") => attributes |= libc::MOUNT_ATTR_RDONLY,
            ("exec", "") => attributes &= !libc::MOUNT_ATTR_NOEXEC,
            ("rw" | "noexec" | "nosuid" | "nodev", "") => {}
            _ => return Err(bad(text)),
        }
    }
    let size = size.map(|size| ("size".to_owned(), size));
    let options = size.into_iter().chain([("mode".to_owned(), mode)]).collect();
    Ok(Volume { target: inside(Path::new(target))?, what: What::Tmpfs(options), attributes })
}

/// The directories that an image is given as: what begins with `/` or `.`. Several have colons between them, unless there is
/// one that is called so.
pub fn layers(given: &OsStr) -> Result<Vec<PathBuf>, Fault> {
    let names = given.as_bytes();
    if Path::new(given).is_dir() && names.contains(&b':') {
        return Ok(vec![given.into()]);
    }
    let dirs: Vec<PathBuf> =
        names.split(|byte| *byte == b':').map(|name| OsStr::from_bytes(name).into()).collect();
    let is_path = |name: &&[u8]| name.starts_with(b"/") || name.starts_with(b".");
    match names.split(|byte| *byte == b':').find(|name| !is_path(name)) {
        Some(name) => Err(Fault::usage("image-by-name", &[("value", &String::from_utf8_lossy(name))])),
        None => Ok(dirs),
    }
}
