//! Mount tables, as `/proc/PID/mountinfo` gives them (proc_pid_mountinfo(5)).

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// One line of mountinfo.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// The number that statx(2) gives for a file on it.
    pub id: u64,
    /// `major:minor` of the filesystem.
    pub device: String,
    /// The directory of that filesystem that is mounted.
    pub root: String,
    /// Where it is mounted, as seen from the reader's root.
    pub target: String,
    /// Options of this mount, such as `ro,nosuid`.
    pub options: String,
    /// Propagation: `shared:N`, `master:N`…; empty for a private mount.
    pub propagation: String,
    pub fstype: String,
    pub source: String,
    /// Options of the filesystem, such as overlay's `lowerdir=…`.
    pub data: String,
}

/// All mounts of a mountinfo text. A line that cannot be understood is left out.
pub fn parse(mountinfo: &str) -> Vec<Mount> {
    mountinfo.lines().filter_map(parse_line).collect()
}

fn parse_line(line: &str) -> Option<Mount> {
    let (front, back) = line.split_once(" - ")?;
    let front: Vec<&str> = front.split(' ').collect();
    let back: Vec<&str> = back.splitn(3, ' ').collect();
    Some(Mount {
        id: front.first()?.parse().ok()?,
        device: front.get(2)?.to_string(),
        root: front.get(3)?.to_string(),
        target: front.get(4)?.to_string(),
        options: front.get(5)?.to_string(),
        propagation: front.get(6..)?.join(" "),
        fstype: back.first()?.to_string(),
        source: back.get(1)?.to_string(),
        data: back.get(2).unwrap_or(&"").to_string(),
    })
}

/// A path as it is, out of a mountinfo line, where blanks, line ends and backslashes are octal numbers: `\040`.
pub fn unescape(field: &str) -> PathBuf {
    let bytes = field.as_bytes();
    let mut path = Vec::new();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let octal = bytes.get(at + 1..at + 4).filter(|_| *byte == b'\\');
        let number = octal.and_then(|octal| u8::from_str_radix(std::str::from_utf8(octal).ok()?, 8).ok());
        path.push(number.unwrap_or(*byte));
        at += if number.is_some() { 4 } else { 1 };
    }
    OsString::from_vec(path).into()
}

/// The mounts of the calling process's namespace.
pub fn mine() -> io::Result<Vec<Mount>> {
    table().map(|text| parse(&text))
}

/// The text of the calling process's mountinfo. A mount point's name need not be UTF-8: any user may have
/// mounted a stick with other names on it.
pub fn table() -> io::Result<String> {
    std::fs::read("/proc/self/mountinfo").map(lossy)
}

fn lossy(bytes: Vec<u8>) -> String {
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The mount that a path's last component is the mount point of, the topmost one.
pub fn at<'a>(mounts: &'a [Mount], target: &str) -> Option<&'a Mount> {
    mounts.iter().rev().find(|m| m.target == target)
}

/// An open file of /proc that goes on showing the namespace it was opened in.
///
/// The kernel ties such a file to the opener's mount or network namespace at open(2), so it still
/// tells of the real host after we have moved into a lab.
pub struct Window(File);

impl Window {
    pub fn open(path: &str) -> io::Result<Window> {
        File::open(path).map(Window)
    }

    /// The file's text as it is now.
    pub fn read(&mut self) -> io::Result<String> {
        let mut text = Vec::new();
        self.0.seek(SeekFrom::Start(0))?;
        self.0.read_to_end(&mut text)?;
        Ok(lossy(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_optional_fields_before_the_dash() {
        let line = "36 35 98:0 /mnt1 /mnt2 rw,noatime shared:1 master:2 - ext3 /dev/root rw,errors=continue";
        let mounts = parse(line);
        assert_eq!(mounts[0].propagation, "shared:1 master:2");
        assert_eq!(mounts[0].target, "/mnt2");
        assert_eq!(mounts[0].data, "rw,errors=continue");
    }

    #[test]
    fn blanks_and_backslashes_in_paths_are_octal_numbers() {
        assert_eq!(unescape("/mnt/a\\012\\040b\\134"), PathBuf::from("/mnt/a\n b\\"));
        assert_eq!(unescape("/mnt/\\9"), PathBuf::from("/mnt/\\9"));
    }

    #[test]
    fn without_optional_fields_it_is_private() {
        assert_eq!(parse("1 0 8:1 / / rw - ext4 /dev/sda1 rw")[0].propagation, "");
    }
}
