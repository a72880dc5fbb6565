//! The host's users, by its own files (passwd(5), group(5)). getpwuid(3) would also ask the name services that the host
//! has (nsswitch.conf(5)): to load them, a static program has no loader, and it may die of trying.

use std::fs;
use std::path::PathBuf;

use nix::unistd::{Gid, Uid};

/// A line of passwd(5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    pub name: String,
    pub gid: Gid,
    pub dir: PathBuf,
}

impl User {
    /// The first user with this ID, if the file has one.
    pub fn of(uid: Uid) -> Option<User> {
        user(&text("/etc/passwd"), uid)
    }

    /// Their groups: their own first, then those of group(5) that name them.
    pub fn groups(&self) -> Vec<Gid> {
        groups(&text("/etc/group"), self)
    }
}

fn text(file: &str) -> String {
    fs::read(file).map_or_else(|_| String::new(), |bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// `name:password:uid:gid:comment:home:shell`.
fn user(passwd: &str, uid: Uid) -> Option<User> {
    let fields = |line: &str| -> Option<User> {
        let mut fields = line.split(':');
        let (name, _, number, gid) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
        let dir = fields.nth(1)?;
        let is_theirs = number.parse::<u32>().ok()? == uid.as_raw();
        let gid = Gid::from_raw(gid.parse().ok()?);
        is_theirs.then(|| User { name: name.to_owned(), gid, dir: dir.into() })
    };
    passwd.lines().find_map(fields)
}

/// `name:password:gid:members`.
fn groups(group: &str, user: &User) -> Vec<Gid> {
    let mut groups = vec![user.gid];
    for line in group.lines() {
        let mut fields = line.split(':').skip(2);
        let (gid, members) = (fields.next(), fields.next().unwrap_or_default());
        let gid = gid.and_then(|gid| gid.parse().ok()).map(Gid::from_raw);
        let is_member = members.split(',').any(|member| member == user.name);
        groups.extend(gid.filter(|gid| is_member && *gid != user.gid));
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_and_their_groups_are_found() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\nbroken\nyou:x:1000:100:You,,:/home/you:/bin/sh\n";
        let you = user(passwd, Uid::from_raw(1000)).expect("a line");
        assert_eq!((you.name.as_str(), you.gid.as_raw(), you.dir.to_str()), ("you", 100, Some("/home/you")));
        assert_eq!(user(passwd, Uid::from_raw(7)), None);
        let group = "root:x:0:\nusers:x:100:you\nsudo:x:27:me,you\nvideo:x:44:you2\n";
        assert_eq!(groups(group, &you), [100, 27].map(Gid::from_raw));
    }
}
