//! Carrying operations out. Each is noted in the ledger first if it changes the host, then made and told; what it opens
//! is kept for those that come after it.

use std::collections::HashMap;
use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::Flock;
use nix::sched::CloneFlags;
use nix::unistd::{Gid, Pid, getgroups};

use super::message::Message;
use super::op::{Call, File, Op, Side};
use super::user::User;
use fault::{Doing, Fault};
use kernel::caller::{Caller, open_for_writing};
use kernel::cgroup;
use kernel::in_root;
use kernel::lacks;
use kernel::netlink::{Device, Family, Name, NetlinkSocket};
use kernel::told::{Actor, Listener, Silence};
use kernel::undo::{Reversal, Undo, Undos};
use kernel::users;

/// What operations leave for those that come after them. The first process is born with a copy of it.
#[derive(Default)]
pub struct Given {
    descriptors: HashMap<PathBuf, OwnedFd>,
    sockets: HashMap<(Side, Family), NetlinkSocket>,
    devices: HashMap<(Side, Name), Device>,
    /// Groups that nobody else may change meanwhile.
    held: HashMap<PathBuf, Flock<fs::File>>,
    /// The first process, once there is one.
    pub child: Option<Pid>,
}

impl Given {
    /// A descriptor that an earlier operation opened.
    pub fn descriptor(&self, path: &Path) -> Result<&OwnedFd, Fault> {
        self.descriptors
            .get(path)
            .ok_or_else(|| Fault::broken(format!("use {}", path.display()), "it was not opened before"))
    }
}

/// One side's hands.
pub struct Hands<'a> {
    side: Side,
    pub calls: Caller<'a>,
    given: &'a mut Given,
    /// What must be taken back: on the host's side only. What is done inside goes with the container.
    undo: Option<&'a mut Undos>,
}

impl<'a> Hands<'a> {
    /// The host's hands.
    pub fn outside(listener: &'a mut dyn Listener, given: &'a mut Given, undo: &'a mut Undos) -> Hands<'a> {
        Hands { side: Side::Host, calls: Caller::new(Actor::Host, listener), given, undo: Some(undo) }
    }

    /// The first process's.
    pub fn inside(listener: &'a mut dyn Listener, given: &'a mut Given) -> Hands<'a> {
        Hands { side: Side::Inside, calls: Caller::new(Actor::Container, listener), given, undo: None }
    }

    /// A descriptor that an earlier operation opened.
    pub fn descriptor(&self, path: &Path) -> Result<&OwnedFd, Fault> {
        self.given.descriptor(path)
    }

    /// Carries one operation out: the ledger, then the call, told as it is made. What was refused is not ours to take
    /// back.
    pub fn carry_out(&mut self, op: &Op) -> Result<(), Fault> {
        self.calls.speak_of(op.step, op.source);
        self.note(op)?;
        let done = if op.told { self.make(op.why, &op.call) } else { self.make_room(&op.call) };
        if done.is_err()
            && let (Some(_), Some(undo)) = (&op.undo, &mut self.undo)
        {
            // A page that can't be written to names what isn't there, and that is found out.
            let _ = undo.retract();
        }
        done.map_err(|fault| fault.of_step(op.step))
    }

    fn note(&mut self, op: &Op) -> Result<(), Fault> {
        match (&op.undo, &mut self.undo) {
            // It depends on what is found then.
            (Some(_), _) if matches!(op.call, Call::HandOn { .. }) => Ok(()),
            (Some(reversal), Some(undo)) => undo.before(reversal.clone()),
            _ => Ok(()),
        }
    }

    /// Makes a call and tells it.
    fn make(&mut self, why: &str, call: &Call) -> Result<(), Fault> {
        let calls = &mut self.calls;
        match call {
            Call::Unshare(kind) => calls.unshare(why, *kind),
            Call::ParentDeathSignal => calls.parent_death_signal(why),
            Call::NoNewPrivileges => calls.no_new_privileges(why),
            Call::NoGroups => calls.no_groups(why),
            Call::BecomeGroup(gid) => calls.setresgid(why, *gid),
            Call::BecomeUser(uid) => calls.setresuid(why, *uid),
            Call::Dumpable => calls.dumpable(why),
            Call::Chown { path, uid, gid } => calls.chown(why, path, *uid, *gid),
            Call::OpenTree { path, name, below } => {
                let tree = calls.open_tree(why, path, *below)?;
                self.given.descriptors.insert(name.clone(), tree);
                Ok(())
            }
            Call::Restrict { mount, attributes, below } => {
                calls.restrict(why, self.given.descriptor(mount)?, *attributes, *below)
            }
            Call::MakeTmpfs { name, options, attributes } => {
                let tmpfs = calls.tmpfs(why, options, *attributes)?;
                self.given.descriptors.insert(name.clone(), tmpfs);
                Ok(())
            }
            Call::OpenInRoot { path, name } => {
                let target = calls.open_in_root(why, path)?;
                self.given.descriptors.insert(name.clone(), target);
                Ok(())
            }
            Call::Attach { tree, target } => {
                let (tree, place) = (self.given.descriptor(tree)?, self.given.descriptor(target)?);
                let with = [("path", &*target.display().to_string())];
                match in_root::is_the_kernels(place).doing(format!("look at {}", target.display()))? {
                    true => Err(Fault::unable("mount-on-the-kernels", &with)),
                    false => calls.attach(why, tree, place, target),
                }
            }
            Call::Limit(limit) => calls.setrlimit(why, limit),
            Call::GroupsOf(user) => {
                let groups = user.find()?.groups;
                if is_theirs_alone(&groups) { Ok(()) } else { calls.setgroups(why, &groups) }
            }
            Call::GroupOf(user) => {
                calls.setresgid(why, user.find()?.gid).map_err(|fault| not_mapped(fault, user))
            }
            Call::IdOf(user) => {
                calls.setresuid(why, user.find()?.uid).map_err(|fault| not_mapped(fault, user))
            }
            Call::MapIds { tree, users } => {
                calls.map_ids(why, self.given.descriptor(tree)?, self.given.descriptor(users)?)
            }
            Call::MoveMount { tree, target } => calls.move_mount(why, self.given.descriptor(tree)?, target),
            Call::EnterDirectory(dir) => calls.fchdir(why, self.given.descriptor(dir)?),
            Call::Mount { source, target, fstype, flags, data } => {
                calls.mount(why, source.as_deref(), target, *fstype, *flags, data.as_deref())
            }
            Call::Unmount { target, flags } => calls.umount2(why, target, *flags),
            Call::PivotRoot { new_root, put_old } => calls.pivot_root(why, new_root, put_old),
            Call::ChangeDirectory(dir) => calls.chdir(why, dir),
            Call::MakeDirectory(dir) => calls.mkdir(why, dir, 0o755),
            Call::HostName(name) => calls.sethostname(why, name),
            Call::Write { to, text } => self.write(why, to, text),
            Call::HandOn { control, controllers } => self.hand_on(why, control, controllers),
            Call::Socket(family) => self.socket(why, *family),
            Call::Send(family, message) => self.send(why, *family, message),
            // Made by the walk itself.
            Call::Namespace(_) | Call::BornIn(_) | Call::Execute(_) => Ok(()),
            room => self.make_room(room),
        }
    }

    /// Makes a call that nobody is told of.
    fn make_room(&mut self, call: &Call) -> Result<(), Fault> {
        match call {
            Call::MakeDirectory(dir) => fs::create_dir_all(dir).doing(format!("make {}", dir.display())),
            Call::MakeMountPoint(dir) => make_mount_point(dir),
            Call::MakeInRoot { path, directory } => in_root::make(path, *directory).map_err(|errno| {
                let with = [("path", &*path.display().to_string()), ("errno", &format!("{errno:?}"))];
                Fault::unable("target-not-made", &with)
            }),
            Call::MakeFile(path) => {
                fs::File::create(path).map(drop).doing(format!("make {}", path.display()))
            }
            Call::MakeLink { target, path } => {
                symlink(target, path).doing(format!("make the link {}", path.display()))
            }
            Call::Open { path, directory } => {
                let opened = match directory {
                    true => fs::File::open(path).doing(format!("open {}", path.display()))?.into(),
                    false => open(path)?,
                };
                self.given.descriptors.insert(path.clone(), opened);
                Ok(())
            }
            Call::MakeUsers { name, uids, gids } => {
                let users = users::with_maps(uids, gids)?;
                self.given.descriptors.insert(name.clone(), users);
                Ok(())
            }
            Call::LoopbackUp => lab::loopback_up(),
            Call::Hold(group) => {
                self.given.held.extend(cgroup::hold(group).map(|held| (group.clone(), held)));
                Ok(())
            }
            Call::Release(group) => {
                drop(self.given.held.remove(group));
                Ok(())
            }
            told => Err(Fault::broken("carry out a plan", format!("{} is always told", told.name()))),
        }
    }

    fn write(&mut self, why: &str, to: &File, text: &str) -> Result<(), Fault> {
        match to {
            File::IfThere(path) if !path.exists() => Ok(()),
            File::At(path) | File::IfThere(path) => self.calls.write(why, open(path)?.as_fd(), path, text),
            File::Opened(path) => self.calls.write(why, self.given.descriptor(path)?.as_fd(), path, text),
            File::OfProcess(name) => {
                let child =
                    self.given.child.ok_or_else(|| Fault::broken("write to /proc", "nobody is born yet"))?;
                let path = PathBuf::from(format!("/proc/{child}/{name}"));
                self.calls.write(why, open(&path)?.as_fd(), &path, text)
            }
        }
    }

    /// Hands on those controllers that a group does not hand on yet. If another container of ours enabled all of them,
    /// whichever ends last disables them.
    fn hand_on(&mut self, why: &str, control: &Path, controllers: &[String]) -> Result<(), Fault> {
        let handed_on = cgroup::words(control);
        let missing: Vec<_> = controllers.iter().filter(|name| !handed_on.contains(name)).cloned().collect();
        let Some(undo) = &mut self.undo else { return Ok(()) };
        if missing.is_empty() {
            let disable = undo.of_handing_on(control).map(Reversal::Outside);
            return disable.map_or(Ok(()), |disable| undo.before(disable));
        }
        let text = missing.iter().map(|name| format!("+{name}")).collect::<Vec<_>>().join(" ");
        undo.before(Reversal::Outside(Undo::Disable { path: control.into(), controllers: missing }))?;
        self.calls.write(why, open(control)?.as_fd(), control, &text)
    }

    fn socket(&mut self, why: &str, family: Family) -> Result<(), Fault> {
        let socket = self.calls.netlink(why, family)?;
        self.given.sockets.insert((self.side, family), socket);
        Ok(())
    }

    fn send(&mut self, why: &str, family: Family, message: &Message) -> Result<(), Fault> {
        let Given { sockets, devices, child, .. } = &mut *self.given;
        let socket = sockets
            .get_mut(&(self.side, family))
            .ok_or_else(|| Fault::broken("send a netlink message", "no socket was opened before"))?;
        let find = |name: &Name| {
            let known = (self.side, name.clone());
            if let Some(device) = devices.get(&known) {
                return Ok(device.clone());
            }
            let device = Device::find(name)?;
            devices.insert(known, device.clone());
            Ok(device)
        };
        let request = message
            .request(&mut socket.sequence, *child, find)
            .doing(format!("look up a link for {}", message.brief()))?;
        self.calls.send(why, socket, &request)
    }
}

/// Whether the process has these supplementary groups and no others already: where setgroups(2) was given up for a user
/// namespace with one id, nothing else can be had.
fn is_theirs_alone(groups: &[Gid]) -> bool {
    let denied = fs::read_to_string("/proc/self/setgroups").is_ok_and(|text| text.trim() == "deny");
    denied && getgroups().is_ok_and(|now| now.iter().all(|gid| groups.contains(gid)))
}

/// An id that nobody outside stands for (`EINVAL`, user_namespaces(7)).
fn not_mapped(fault: Fault, user: &User) -> Fault {
    match fault {
        Fault::Refused(refused) if refused.errno == libc::EINVAL => {
            Fault::unable("user-not-mapped", &[("user", &user.to_string())])
        }
        fault => fault,
    }
}

/// Opens a file for writing that is there: a setting of the kernel's, or a file of a cgroup's.
fn open(path: &Path) -> Result<OwnedFd, Fault> {
    open_for_writing(path).map_err(|errno| {
        let is_swaps =
            || path.to_string_lossy().ends_with(".memsw.limit_in_bytes") || path.ends_with("memory.swap.max");
        if errno == Errno::ENOENT && is_swaps() {
            return Fault::unable("no-swap-accounting", &[("path", &path.display().to_string())]);
        }
        if !path.starts_with("/proc/sys") {
            return Fault::broken(format!("open {}", path.display()), errno);
        }
        let key = if errno == Errno::ENOENT { "sysctl-missing" } else { "sysctl-read-only" };
        Fault::unable(key, &[("path", &path.display().to_string())])
    })
}

/// A directory to mount on. A link would lead the mount out of the root that is being made.
fn make_mount_point(dir: &Path) -> Result<(), Fault> {
    match fs::symlink_metadata(dir) {
        Ok(found) if found.is_dir() => Ok(()),
        Ok(_) => {
            let name = dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
            Err(Fault::unable("rootfs-mount-point", &[("name", &name)]))
        }
        Err(_) => fs::create_dir_all(dir).doing(format!("make {}", dir.display())),
    }
}

/// Whether the kernel does all of this. Asked by having it done by a child in new namespaces, which go with it.
///
/// # Errors
/// What the kernel refuses first.
pub fn try_out(namespaces: CloneFlags, ops: &[Op]) -> Result<(), Fault> {
    lacks::aside(|| {
        let (mut silence, mut given) = (Silence, Given::default());
        let mut hands = Hands {
            side: Side::Host,
            calls: Caller::new(Actor::Host, &mut silence),
            given: &mut given,
            undo: None,
        };
        hands.calls.speak_for(ops.first().map_or("", |op| op.step));
        hands.calls.unshare("clone", namespaces)?;
        ops.iter().try_for_each(|op| hands.carry_out(op))
    })?
}
