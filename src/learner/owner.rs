//! Whose a learner's folder is. What root does in somebody's folder is done as that user: files that root makes there
//! are in their way ever after, and a link that they have planted must lead nowhere that they can't go themselves.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::unistd::{Gid, Uid, getegid, geteuid, getgroups, setegid, seteuid, setgroups, setresgid, setresuid};

use super::users::User;

/// Where programs are that sudo(8) leaves out of PATH: below the owner's home, and Go's own place.
const AT_HOME: [&str; 3] = [".cargo/bin", ".local/bin", "bin"];
const GO: &str = "/usr/local/go/bin";

/// The user that a folder belongs to, where that is not us, and we are root.
#[derive(Clone, Debug)]
pub struct Owner {
    uid: Uid,
    gid: Gid,
    groups: Vec<Gid>,
    /// Their line of passwd(5), if they have one.
    user: Option<User>,
}

impl Owner {
    /// The owner of a folder, or of the nearest one above if it is not there yet. `None` if it is ours, or we are not
    /// root, who alone can act for others.
    pub fn of(dir: &Path) -> Option<Owner> {
        if !geteuid().is_root() {
            return None;
        }
        let above = std::path::absolute(dir).ok()?;
        let found = above.ancestors().find_map(|dir| fs::metadata(dir).ok())?;
        let uid = Some(Uid::from_raw(found.uid())).filter(|uid| !uid.is_root())?;
        let user = User::of(uid);
        let gid = user.as_ref().map_or(Gid::from_raw(found.gid()), |user| user.gid);
        let groups = user.as_ref().map_or_else(|| vec![gid], User::groups);
        Some(Owner { uid, gid, groups, user })
    }

    /// Does something with their rights instead of ours: files are theirs then, and what they may not do is refused.
    /// Where it is not possible to act for them, as where a user namespace has no ID for them, it is done as ourselves.
    pub fn act<T>(&self, what: impl FnOnce() -> T) -> T {
        let _ours_again = Acting::begin(self).ok();
        what()
    }

    /// Has a command run as them, at home in their folders. Settings of our own that lead into our home are not for it.
    pub fn run(&self, command: &mut Command) {
        let Owner { uid, gid, groups, user } = self.clone();
        let become_them = move || -> io::Result<()> {
            setgroups(&groups)?;
            setresgid(gid, gid, gid)?;
            setresuid(uid, uid, uid)?;
            Ok(())
        };
        // SAFETY: system calls only; nothing is allocated between fork and exec.
        unsafe { command.pre_exec(become_them) };
        let ours = home_of(geteuid());
        let leads_home =
            |value: &OsString| ours.as_ref().is_some_and(|home| Path::new(value).starts_with(home));
        for (name, _) in std::env::vars_os().filter(|(_, value)| leads_home(value)) {
            command.env_remove(name);
        }
        command.env_remove("XDG_RUNTIME_DIR").env_remove("HOME").env("PATH", self.path(ours.as_deref()));
        if let Some(user) = &user {
            command.env("HOME", &user.dir).env("USER", &user.name).env("LOGNAME", &user.name);
        }
    }

    /// Our PATH without what is in our home, and with what they have in theirs.
    fn path(&self, ours: Option<&Path>) -> OsString {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let is_ours = |dir: &PathBuf| ours.is_some_and(|home| dir.starts_with(home));
        let mut dirs: Vec<PathBuf> = std::env::split_paths(&path).filter(|dir| !is_ours(dir)).collect();
        let home = self.user.iter().flat_map(|user| AT_HOME.map(|dir| user.dir.join(dir)));
        for dir in home.chain([PathBuf::from(GO)]) {
            if dir.is_dir() && !dirs.contains(&dir) {
                dirs.push(dir);
            }
        }
        std::env::join_paths(dirs).unwrap_or(path)
    }

    /// Their name.
    pub fn name(&self) -> String {
        name_of(self.uid)
    }
}

/// As the owner, if there is one who isn't us.
pub fn acting<T>(owner: Option<&Owner>, what: impl FnOnce() -> T) -> T {
    match owner {
        Some(owner) => owner.act(what),
        None => what(),
    }
}

/// A user's name by passwd(5), or their number.
pub fn name_of(uid: Uid) -> String {
    User::of(uid).map_or_else(|| uid.to_string(), |user| user.name)
}

/// A user's home by passwd(5). `/` would be everybody's.
fn home_of(uid: Uid) -> Option<PathBuf> {
    let user = User::of(uid)?;
    Some(user.dir).filter(|dir| dir.parent().is_some())
}

/// We act as another user until this is dropped: by effective IDs, so that we can come back (credentials(7)).
struct Acting {
    gid: Gid,
    groups: Vec<Gid>,
}

impl Acting {
    fn begin(owner: &Owner) -> nix::Result<Acting> {
        // What is done so far is undone when it is dropped.
        let acting = Acting { gid: getegid(), groups: getgroups()? };
        setgroups(&owner.groups)?;
        setegid(owner.gid)?;
        seteuid(owner.uid)?;
        Ok(acting)
    }
}

impl Drop for Acting {
    fn drop(&mut self) {
        let _ = seteuid(Uid::from_raw(0));
        let _ = setegid(self.gid);
        let _ = setgroups(&self.groups);
        // Whoever changes IDs is no longer dumpable, and its files in /proc are no longer its own (proc(5)).
        let _ = nix::sys::prctl::set_dumpable(true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOMEBODY: u32 = 65534;

    #[test]
    fn what_root_makes_in_somebodys_folder_is_theirs_and_root_is_root_again() {
        let dir = tempfile::tempdir().unwrap();
        if !geteuid().is_root() {
            assert!(Owner::of(dir.path()).is_none(), "an ordinary user acts for nobody");
            return;
        }
        assert!(Owner::of(dir.path()).is_none(), "it is ours");
        std::os::unix::fs::chown(dir.path(), Some(SOMEBODY), Some(SOMEBODY)).unwrap();
        let owner = Owner::of(&dir.path().join("not/there/yet")).expect("somebody else's");
        let before = (getegid(), getgroups().unwrap());
        let refused = owner.act(|| {
            fs::write(dir.path().join("theirs"), "").unwrap();
            fs::write("/root-only", "").map_err(|e| e.kind())
        });
        assert_eq!(refused, Err(io::ErrorKind::PermissionDenied));
        let made = fs::metadata(dir.path().join("theirs")).unwrap();
        assert_eq!((made.uid(), made.gid()), (SOMEBODY, SOMEBODY));
        assert_eq!((geteuid().as_raw(), getegid(), getgroups().unwrap()), (0, before.0, before.1));
        assert!(nix::sys::prctl::get_dumpable().unwrap());
    }

    #[test]
    fn a_command_of_theirs_has_their_ids_and_none_of_our_settings() {
        let dir = tempfile::tempdir().unwrap();
        if std::os::unix::fs::chown(dir.path(), Some(SOMEBODY), Some(SOMEBODY)).is_err() {
            assert!(!geteuid().is_root());
            return;
        }
        let mut command = Command::new("sh");
        command.args(["-c", "grep -E '^(Uid|Gid|CapEff)' /proc/self/status; echo \"$HOME\""]);
        Owner::of(dir.path()).unwrap().run(&mut command);
        let said = String::from_utf8(command.output().unwrap().stdout).unwrap();
        let ids = format!("\t{SOMEBODY}").repeat(4);
        assert!(said.starts_with(&format!("Uid:{ids}\nGid:{ids}\nCapEff:\t0000000000000000\n")), "{said}");
        assert!(!said.contains("root"), "{said}");
    }
}
