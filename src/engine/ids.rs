//! Which ids of the outside a container's users are.
//!
//! Real root may map any. It takes a range that is nobody's: neither a user's nor one that somebody may map by
//! newuidmap(1). Everybody else may map one id, his own (user_namespaces(7)).

use std::fs;
use std::ops::Range;

use nix::unistd::{getegid, geteuid};

use fault::Fault;
use kernel::process::{has_capability, in_user_namespace};
use kernel::users;

/// How many ids a range has: each that a 16-bit id can be, as images take for granted.
const COUNT: u32 = 1 << 16;

/// Where systemd leaves room for containers, in its table of user and group ids (UIDS-GIDS.md).
const CONTAINERS: Range<u32> = 524_288..1_879_048_192;

/// What it takes to map ids that are not one's own, and to give files to them (capabilities(7)).
const NEEDED: [u8; 3] = [0, 6, 7];

/// The users of a container: its ids 0, 1, … and those that stand for them outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ids {
    /// The first user id outside …
    pub uid: u32,
    /// … and the first group id.
    pub gid: u32,
    pub count: u32,
    pub files: Files,
}

/// How files that belong to id 0 outside come to belong to id 0 inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Files {
    /// They do already: whose they are is who is mapped.
    Same,
    /// By id-mapped mounts: on disk they stay as they are (mount_setattr(2)).
    Shown,
    /// They are a copy that was given to it.
    Copied,
}

impl Ids {
    /// What may be mapped where we are, or will be: in a lab with a user namespace of its own if `rootless`.
    ///
    /// # Errors
    /// A [`Fault::Unable`] where the machine's root finds no range that is nobody's.
    pub fn here(rootless: bool) -> Result<Ids, Fault> {
        if rootless {
            return Ok(Ids::one(0, 0));
        }
        let own = Ids::one(geteuid().as_raw(), getegid().as_raw());
        if !NEEDED.iter().all(|number| has_capability(*number)) {
            return Ok(own);
        }
        let ours = ["uid_map", "gid_map"].map(|file| whole(&users::map("self", file)));
        match free(&ours, &taken()) {
            Some(first) => Ok(Ids { uid: first, gid: first, count: COUNT, files: Files::Same }),
            // Root of a user namespace may have hardly any ids itself.
            None if in_user_namespace() => Ok(own),
            None => Err(Fault::unable("no-free-ids", &[])),
        }
    }

    /// The caller's own.
    fn one(uid: u32, gid: u32) -> Ids {
        Ids { uid, gid, count: 1, files: Files::Same }
    }

    /// Whether they are others than whoever makes the container: what may be reached by the one need not be by the other.
    pub fn are_others(&self) -> bool {
        self.count > 1
    }

    /// Its line of `uid_map`, and that of `gid_map`.
    pub fn maps(&self) -> [String; 2] {
        [self.uid, self.gid].map(|first| format!("0 {first} {}", self.count))
    }
}

/// The ids that are mapped to themselves or others in our own user namespace: nobody can map more than he has.
fn whole(map: &[users::Line]) -> Vec<Range<u64>> {
    map.iter().map(|line| u64::from(line.inside)..u64::from(line.inside) + u64::from(line.count)).collect()
}

/// Ids that are somebody's already: users and groups, and the ranges that are subordinate to them (subuid(5)).
fn taken() -> Vec<Range<u64>> {
    let read = |file: &str| fs::read_to_string(file).unwrap_or_default();
    let single = ["/etc/passwd", "/etc/group"].map(|file| ids(&read(file)));
    let ranges = ["/etc/subuid", "/etc/subgid"].map(|file| subordinate(&read(file)));
    single.into_iter().chain(ranges).flatten().collect()
}

/// Those of the ids outside, by their maps, that are somebody's: each by a name.
pub fn somebodys(maps: &[Vec<users::Line>; 2]) -> Vec<String> {
    let read = |file: &str| fs::read_to_string(file).unwrap_or_default();
    let kinds = [("uid", "/etc/passwd", "/etc/subuid"), ("gid", "/etc/group", "/etc/subgid")];
    let of_kind = |(map, (kind, single, ranges)): (&Vec<users::Line>, (&str, &str, &str))| {
        let all = ids(&read(single)).into_iter().chain(subordinate(&read(ranges)));
        let lines =
            map.iter().map(|line| u64::from(line.outside)..u64::from(line.outside) + u64::from(line.count));
        let lines: Vec<Range<u64>> = lines.collect();
        let is_in = move |range: &Range<u64>| lines.iter().any(|line| overlap(line, range));
        all.filter(is_in).map(|range| format!("{kind} {}", range.start)).collect::<Vec<_>>()
    };
    maps.iter().zip(kinds).flat_map(of_kind).collect()
}

fn overlap(one: &Range<u64>, other: &Range<u64>) -> bool {
    one.start < other.end && other.start < one.end
}

/// The third field of each line of passwd(5) or group(5).
fn ids(text: &str) -> Vec<Range<u64>> {
    let id = |line: &str| line.split(':').nth(2)?.parse::<u64>().ok();
    text.lines().filter_map(id).map(|id| id..id + 1).collect()
}

/// `name:first:count`, line by line.
fn subordinate(text: &str) -> Vec<Range<u64>> {
    let range = |line: &str| {
        let mut fields = line.split(':').skip(1).map(|field| field.trim().parse::<u64>().ok());
        let (first, count) = (fields.next()??, fields.next()??);
        Some(first..first.saturating_add(count))
    };
    text.lines().filter_map(range).collect()
}

/// The first id of the first range that we have, of users and of groups, and that nobody else has.
fn free(ours: &[Vec<Range<u64>>; 2], taken: &[Range<u64>]) -> Option<u32> {
    let is_free = |first: &u32| {
        let (first, end) = (u64::from(*first), u64::from(*first) + u64::from(COUNT));
        let have = |ours: &Vec<Range<u64>>| ours.iter().any(|range| range.start <= first && end <= range.end);
        ours.iter().all(have) && !taken.iter().any(|range| overlap(range, &(first..end)))
    };
    CONTAINERS.step_by(COUNT as usize).find(is_free)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Range<u64> = 0..4_294_967_295;

    #[test]
    fn a_range_is_nobodys() {
        let ours = [vec![ALL], vec![ALL]];
        assert_eq!(free(&ours, &[]), Some(524_288));
        assert_eq!(free(&ours, &ids("root:x:0:0::/:/bin/sh\nweb:x:524300:100::/:\n")), Some(589_824));
        // One that ends in the middle of the first, and one that begins with the second.
        let text = "ann:100000:430000\nbob:589824:65536\nbroken\n";
        assert_eq!(free(&ours, &subordinate(text)), Some(655_360));
        assert_eq!(free(&ours, &subordinate("containers:2147483647:2147483648")), Some(524_288));
        assert_eq!(free(&ours, &[ALL]), None);
    }

    #[test]
    fn nobody_maps_more_than_he_has() {
        let few = users::Line { inside: 0, outside: 100_000, count: 65_536 };
        let ours = [whole(&[few]), vec![ALL]];
        assert_eq!(free(&ours, &[]), None);
        let more = users::Line { inside: 524_288, outside: 1_000_000, count: 131_072 };
        let ours = [whole(&[few, more]), vec![ALL]];
        assert_eq!(free(&ours, &subordinate("ann:524288:1")), Some(589_824));
    }

    #[test]
    fn a_map_begins_with_id_0() {
        let ids = Ids { uid: 7, gid: 8, count: 9, files: Files::Same };
        assert_eq!(ids.maps(), ["0 7 9", "0 8 9"]);
        assert!(ids.are_others() && !Ids::one(1000, 1000).are_others());
    }
}
