//! The user that a program is to run as, by the image's own passwd(5) and group(5). They are read in the container, when its
//! files are its `/`: the host's are never asked.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::unistd::Gid;

use fault::Fault;
use kernel::in_root;

/// The largest id that is taken for one: the kernel's -1 means "leave it", and Docker stops at half of them.
const LARGEST_ID: u32 = i32::MAX as u32;

/// How much of a file is looked at, in bytes.
const MOST: u64 = 1 << 20;

/// As it was asked for: `NAME|UID[:GROUP|GID]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    name: String,
    group: Option<String>,
}

/// Who that is in a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    pub uid: u32,
    pub gid: u32,
    /// All of its groups, and no other: one that only the effective group has could be dropped, and with it what it is
    /// kept from (CVE-2022-36109).
    pub groups: Vec<Gid>,
    pub home: Option<OsString>,
}

impl User {
    /// `None` for what names nobody.
    pub fn parse(text: &str) -> Option<User> {
        let (name, group) = text.split_once(':').map_or((text, None), |(name, group)| (name, Some(group)));
        // A number that is no id could be nobody's name either.
        let named = |text: &str| {
            let number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            !text.is_empty() && !text.contains([':', '\n', ',']) && (!number || id(text).is_some())
        };
        (named(name) && group.is_none_or(named))
            .then(|| User { name: name.into(), group: group.map(String::from) })
    }

    /// Whether it is root by its number, or by the name that root has everywhere. What another name stands for is the
    /// image's to say.
    pub fn is_root(&self) -> Option<bool> {
        if self.name == "root" { Some(true) } else { id(&self.name).map(|id| id == 0) }
    }

    /// Who it is, by the files of this process's `/`.
    pub fn find(&self) -> Result<Found, Fault> {
        let read = |file: &'static str| match in_root::read(Path::new(file), MOST) {
            Ok(text) => Ok(text),
            // An image need not have any.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(Fault::unable("user-file", &[("path", file), ("problem", &error.to_string())])),
        };
        self.found_in(&read("/etc/passwd")?, &read("/etc/group")?)
    }

    fn found_in(&self, passwd: &[u8], group: &[u8]) -> Result<Found, Fault> {
        let unknown = |file: &str, name: &str| {
            Fault::unable("user-unknown", &[("name", name), ("path", file), ("user", &self.to_string())])
        };
        let entry = lines(passwd).find(|fields| is_meant(fields, &self.name));
        let field = |nth: usize| entry.as_ref().and_then(|fields| fields.get(nth).copied());
        let number = |nth: usize| field(nth).and_then(|field| id(std::str::from_utf8(field).ok()?));
        let uid = number(2).or_else(|| id(&self.name)).ok_or_else(|| unknown("/etc/passwd", &self.name))?;
        let home = field(5).filter(|home| !home.is_empty()).map(|home| OsStr::from_bytes(home).to_owned());
        if let Some(name) = &self.group {
            let entry = lines(group).find(|fields| is_meant(fields, name));
            let named = entry.and_then(|fields| id(std::str::from_utf8(fields.get(2)?).ok()?));
            let gid = named.or_else(|| id(name)).ok_or_else(|| unknown("/etc/group", name))?;
            return Ok(Found { uid, gid, groups: vec![gid.into()], home });
        }
        let gid = number(3).unwrap_or(0);
        let mut groups = vec![Gid::from(gid)];
        if let Some(name) = field(0) {
            let has = |fields: &Vec<&[u8]>| {
                fields
                    .get(3)
                    .is_some_and(|members| members.split(|byte| *byte == b',').any(|one| one == name))
            };
            let gid = |fields: Vec<&[u8]>| id(std::str::from_utf8(fields.get(2)?).ok()?).map(Gid::from);
            groups.extend(lines(group).filter(has).filter_map(gid));
            groups.dedup();
        }
        let mut seen = std::collections::HashSet::new();
        groups.retain(|gid| seen.insert(*gid));
        Ok(Found { uid, gid, groups, home })
    }
}

impl std::fmt::Display for User {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str(&self.name)?;
        self.group.as_ref().map_or(Ok(()), |group| write!(f, ":{group}"))
    }
}

/// A number that is an id.
fn id(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|id| digits && *id <= LARGEST_ID)
}

/// Whether the entry has this name or number.
fn is_meant(fields: &[&[u8]], asked: &str) -> bool {
    let number = |fields: &[&[u8]]| id(std::str::from_utf8(fields.get(2)?).ok()?);
    fields.first().is_some_and(|name| *name == asked.as_bytes())
        || (id(asked).is_some() && number(fields) == id(asked))
}

/// The fields of each line.
fn lines(text: &[u8]) -> impl Iterator<Item = Vec<&[u8]>> {
    let line = |line: &[u8]| !line.is_empty() && !line.starts_with(b"#");
    text.split(|byte| *byte == b'\n')
        .filter(move |text| line(text))
        .map(|line| line.split(|byte| *byte == b':').collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &[u8] = b"root:x:0:0::/root:/bin/sh\n# a note\nann:x:1000:100::/home/ann:\n1001:x:7:7::/:\nbad\nbig:x:99999999999:1::/:\n";
    const GROUP: &[u8] = b"root:x:0:\nusers:x:100:\naudio:x:29:ann,bob\nvideo:x:44:bob,ann\nannex:x:45:annex\nagain:x:100:ann\n";

    fn found(text: &str) -> Option<(u32, u32, Vec<u32>)> {
        let found = User::parse(text)?.found_in(PASSWD, GROUP).ok()?;
        Some((found.uid, found.gid, found.groups.iter().map(|gid| gid.as_raw()).collect()))
    }

    #[test]
    fn names_and_numbers_are_looked_up_in_the_image() {
        assert_eq!(found("ann"), Some((1000, 100, vec![100, 29, 44])));
        assert_eq!(found("1000"), Some((1000, 100, vec![100, 29, 44])));
        // Exactly the group that was asked for.
        assert_eq!(found("ann:users"), Some((1000, 100, vec![100])));
        assert_eq!(found("ann:audio"), Some((1000, 29, vec![29])));
        assert_eq!(found("1000:5"), Some((1000, 5, vec![5])));
        assert_eq!(found("root"), Some((0, 0, vec![0])));
        // A number that the image does not know is one too, and its group is 0, as in Docker.
        assert_eq!(found("4711"), Some((4711, 0, vec![0])));
        assert_eq!(found("1001"), Some((7, 7, vec![7])));
    }

    #[test]
    fn nobody_else_is_taken_for_one() {
        for text in ["nobody", "ann:nogroup", "bob", "big", "bad", ""] {
            assert_eq!(found(text), None, "{text}");
        }
        for text in
            ["", ":", "ann:", ":users", "a:b:c", "a\nb", "4294967295", "99999999999999999999", "1:4294967295"]
        {
            assert_eq!(User::parse(text), None, "{text:?}");
        }
        for text in ["-1", "+5", "0x10"] {
            assert_eq!(found(text), None, "{text}");
        }
    }
}
