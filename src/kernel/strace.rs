//! Arguments and results in the words of strace(1), which learners will want to compare with.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags};

/// The flags of clone(2) that we use, in the order of their bits, which is strace's.
const CLONE_FLAGS: [(u64, &str); 9] = [
    (libc::CLONE_NEWTIME as u64, "CLONE_NEWTIME"),
    (libc::CLONE_NEWNS as u64, "CLONE_NEWNS"),
    (libc::CLONE_NEWCGROUP as u64, "CLONE_NEWCGROUP"),
    (libc::CLONE_NEWUTS as u64, "CLONE_NEWUTS"),
    (libc::CLONE_NEWIPC as u64, "CLONE_NEWIPC"),
    (libc::CLONE_NEWUSER as u64, "CLONE_NEWUSER"),
    (libc::CLONE_NEWPID as u64, "CLONE_NEWPID"),
    (libc::CLONE_NEWNET as u64, "CLONE_NEWNET"),
    (super::child::CLONE_INTO_CGROUP, "CLONE_INTO_CGROUP"),
];

/// `CLONE_NEWNS|CLONE_NEWPID`.
pub fn clone_flags(flags: u64) -> String {
    joined(CLONE_FLAGS.iter().filter(|(bit, _)| flags & bit != 0).map(|(_, name)| *name))
}

/// The structure of clone3(2), the members that aren't zero.
pub fn clone_args(args: &libc::clone_args) -> String {
    let mut shown =
        format!("{{flags={}, exit_signal=SIGCHLD, stack=NULL, stack_size=0", clone_flags(args.flags));
    if args.flags & super::child::CLONE_INTO_CGROUP != 0 {
        shown += &format!(", cgroup={}", args.cgroup);
    }
    shown + "}"
}

/// The part of the structure that says something: its flags.
pub fn flags_only(args: &libc::clone_args) -> String {
    clone_flags(args.flags)
}

/// The structure of mount_setattr(2) that maps ids.
pub fn map_ids(users: i32) -> String {
    format!("{{attr_set=MOUNT_ATTR_IDMAP, attr_clr=0, propagation=0 /* MS_??? */, userns_fd={users}}}")
}

/// The flags of open_tree(2).
pub fn open_tree_flags(below: bool) -> &'static str {
    match below {
        true => "AT_RECURSIVE|OPEN_TREE_CLONE|OPEN_TREE_CLOEXEC",
        false => "OPEN_TREE_CLONE|OPEN_TREE_CLOEXEC",
    }
}

/// The flags of move_mount(2) from one descriptor to another.
pub const ATTACH: &str = "MOVE_MOUNT_F_EMPTY_PATH|MOVE_MOUNT_T_EMPTY_PATH";

/// The flags of mount_setattr(2) on a descriptor.
pub fn at_flags(below: bool) -> &'static str {
    if below { "AT_EMPTY_PATH|AT_RECURSIVE" } else { "AT_EMPTY_PATH" }
}

/// The attributes of a mount.
pub fn mount_attributes(attributes: u64) -> String {
    const NAMES: [(u64, &str); 4] = [
        (libc::MOUNT_ATTR_RDONLY, "MOUNT_ATTR_RDONLY"),
        (libc::MOUNT_ATTR_NOSUID, "MOUNT_ATTR_NOSUID"),
        (libc::MOUNT_ATTR_NODEV, "MOUNT_ATTR_NODEV"),
        (libc::MOUNT_ATTR_NOEXEC, "MOUNT_ATTR_NOEXEC"),
    ];
    joined(NAMES.iter().filter(|(bit, _)| attributes & bit != 0).map(|(_, name)| *name))
}

/// A new tmpfs, before it has a descriptor.
pub fn tmpfs(options: &[(String, String)], attributes: u64) -> Vec<String> {
    let options: Vec<_> = options.iter().map(|(key, value)| format!("{key}={value}")).collect();
    vec![format!("<tmpfs {}>", options.join(",")), "FSMOUNT_CLOEXEC".into(), mount_attributes(attributes)]
}

/// An openat2(2) below `/`.
pub fn open_in_root(path_: &Path) -> Vec<String> {
    let how = format!("{{flags=O_PATH|O_CLOEXEC, resolve={}}}", super::in_root::RESOLVE);
    vec!["</>".into(), path(path_), how]
}

/// The flags of mount(2).
pub fn mount_flags(flags: MsFlags) -> String {
    joined(flags.iter_names().map(|(name, _)| name))
}

/// The flags of umount2(2).
pub fn umount_flags(flags: MntFlags) -> String {
    joined(flags.iter_names().map(|(name, _)| name))
}

fn joined<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<_> = names.collect();
    if names.is_empty() { "0".into() } else { names.join("|") }
}

/// A string in double quotes, with C's escapes. A byte that is no ASCII text is an octal number, as short
/// as can be read again: a digit behind it would be taken for a part of it.
pub fn text(text: impl AsRef<[u8]>) -> String {
    let bytes = text.as_ref();
    let mut quoted = String::from("\"");
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'"' => quoted += "\\\"",
            b'\\' => quoted += "\\\\",
            b'\n' => quoted += "\\n",
            b'\t' => quoted += "\\t",
            b'\r' => quoted += "\\r",
            b'\x0b' => quoted += "\\v",
            b'\x0c' => quoted += "\\f",
            b' '..=b'~' => quoted.push(char::from(*byte)),
            _ if bytes.get(at + 1).is_some_and(u8::is_ascii_digit) => quoted += &format!("\\{byte:03o}"),
            _ => quoted += &format!("\\{byte:o}"),
        }
    }
    quoted + "\""
}

/// A string, or `NULL`.
pub fn text_or_null(value: Option<&str>) -> String {
    value.map_or("NULL".into(), text)
}

/// A path as a string.
pub fn path(path: &Path) -> String {
    text(path.as_os_str().as_bytes())
}

/// A path, or `NULL`.
pub fn path_or_null(value: Option<&Path>) -> String {
    value.map_or("NULL".into(), path)
}

/// A path in short: one of more than four names is known by its last two.
pub fn short(path: &Path) -> String {
    let names: Vec<_> = path.iter().skip(1).map(|name| name.to_string_lossy()).collect();
    match &names[..] {
        [.., folder, name] if names.len() > 4 => format!("…/{folder}/{name}"),
        _ => path.display().to_string(),
    }
}

/// A mount in short: what, where, how; for an overlay each directory by its end.
pub fn mount_in_short(
    source: Option<&Path>,
    target: &Path,
    fstype: Option<&str>,
    flags: MsFlags,
    data: Option<&str>,
) -> String {
    let mut parts: Vec<String> = Vec::new();
    // A pseudo filesystem's source says nothing that its type doesn't.
    parts.extend(source.filter(|s| s.to_str() != fstype).map(short));
    parts.extend(fstype.map(String::from));
    parts.push(short(target));
    parts.extend((!flags.is_empty()).then(|| mount_flags(flags)));
    let option = |option: &str| match option.split_once('=') {
        Some((name, dirs)) if dirs.starts_with('/') => {
            let dirs: Vec<_> = dirs.split(':').map(|dir| short(Path::new(dir))).collect();
            format!("{name}={}", dirs.join(":"))
        }
        _ => option.to_owned(),
    };
    parts.extend(data.map(|data| data.split(',').map(option).collect::<Vec<_>>().join(",")));
    parts.join(" ")
}

/// An array of strings: `["sh", "-c", "ls"]`.
pub fn list(strings: &[CString]) -> String {
    let shown: Vec<_> = strings.iter().map(|s| text(s.as_bytes())).collect();
    format!("[{}]", shown.join(", "))
}

/// A failure: `-1 EPERM (Operation not permitted)`.
pub fn errno(errno: Errno) -> String {
    format!("-1 {errno:?} ({})", errno.desc())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_stand_in_straces_order() {
        assert_eq!(mount_flags(MsFlags::MS_PRIVATE | MsFlags::MS_REC), "MS_REC|MS_PRIVATE");
        assert_eq!(mount_flags(MsFlags::empty()), "0");
        assert_eq!(clone_flags((libc::CLONE_NEWPID | libc::CLONE_NEWNS) as u64), "CLONE_NEWNS|CLONE_NEWPID");
    }

    #[test]
    fn strings_are_quoted_as_c_strings() {
        assert_eq!(text("a \"b\"\n"), r#""a \"b\"\n""#);
        assert_eq!(text("상"), r#""\354\203\201""#);
        assert_eq!(text(b"\x01\x012\r\xff"), r#""\1\0012\r\377""#);
    }

    #[test]
    fn a_group_is_shown_only_where_one_is_given() {
        let args = super::super::child::arguments(libc::CLONE_NEWPID as u64, Some(7));
        assert_eq!(
            clone_args(&args),
            "{flags=CLONE_NEWPID|CLONE_INTO_CGROUP, exit_signal=SIGCHLD, stack=NULL, stack_size=0, cgroup=7}"
        );
    }
}
