//! The lab: namespaces of the workshop's own that stand for "the host", so that the learner's real
//! machine stays as it is. When the last process in them ends, the kernel takes all of it back.

pub mod folders;
pub mod names;

use std::cell::{Cell, RefCell};
use std::fs;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{getegid, geteuid};

use crate::folders::Folders;
use fault::{Doing, Fault};
use kernel::lacks;
use kernel::mounts::Window;
use kernel::netlink::link_up;
use kernel::process::has_capability;
use kernel::root::{refuse_chroot, refuse_chroot_mount};
use kernel::signals::Signals;
use kernel::strace;

/// The private host that everything happens on.
pub struct Lab {
    /// A tmpfs that only the lab sees.
    pub dir: PathBuf,
    /// Whether the lab needed a user namespace, because the caller has not all of [`NEEDED`].
    pub rootless: bool,
    pub folders: Folders,
    pub signals: Signals,
    /// What the real host looked like before, if anybody looked.
    witness: RefCell<Option<Witness>>,
    numbers: Cell<u32>,
    /// It is none: see [`Lab::on_host`].
    pub is_host: bool,
}

impl Lab {
    /// Moves the calling process into a lab. Must be called before there is a second thread.
    pub fn enter(folders: Folders, signals: Signals) -> Result<Lab, Fault> {
        let witness = Witness::open().doing("look at the host's tables in /proc")?;
        Lab::enter_with(Some(witness), Network::Own, folders, signals)
    }

    /// The same, where nobody will ask what has become of the host.
    pub fn enter_unwitnessed(folders: Folders, signals: Signals) -> Result<Lab, Fault> {
        Lab::enter_with(None, Network::Own, folders, signals)
    }

    /// The same in the real host's network: for a container that was asked to have that.
    pub fn enter_on_hosts_network(folders: Folders, signals: Signals) -> Result<Lab, Fault> {
        Lab::enter_with(None, Network::Hosts, folders, signals)
    }

    fn enter_with(
        witness: Option<Witness>,
        network: Network,
        folders: Folders,
        signals: Signals,
    ) -> Result<Lab, Fault> {
        let missing = missing();
        let rootless = !missing.is_empty();
        let dir = folders.lab();
        fs::create_dir_all(&dir).doing(format!("make {}", dir.display()))?;
        // Root asks for other help than an ordinary user. Inside we may be nobody.
        let is_root = geteuid().is_root();
        let of_root = |fault| if is_root { powerless_root(fault, &missing) } else { fault };
        // A chroot gets no user namespace, and says no more than that.
        let chroot = |fault| refuse_chroot().err().unwrap_or(fault);
        move_in(rootless, network).map_err(chroot).map_err(of_root)?;
        refuse_chroot_mount()?;
        make_private(&dir).map_err(|errno| refused_in_lab(rootless, errno)).map_err(of_root)?;
        if network == Network::Own {
            loopback_up()?;
        }
        let (witness, numbers) = (RefCell::new(witness), Cell::new(0));
        Ok(Lab { dir, rootless, folders, signals, witness, numbers, is_host: false })
    }

    /// A lab in namespaces that were made for it, by a process that is alone in them: only its own filesystem and the
    /// loopback interface are missing. What can't live in it is noted in it too, since it ends with all that is in it.
    pub fn within(outer: &Lab) -> Result<Lab, Fault> {
        let tmpfs = mount(Some("workshop"), &outer.dir, Some("tmpfs"), MsFlags::MS_NOSUID, Some("mode=755"));
        tmpfs.doing("mount the sealed lab's own filesystem")?;
        loopback_up()?;
        let state = outer.dir.join("state");
        fs::create_dir(&state).doing(format!("make {}", state.display()))?;
        let folders = outer.folders.with_state(state);
        let signals = Signals::take().doing("open an inbox for signals")?;
        let (witness, numbers) = (RefCell::default(), Cell::new(0));
        let (dir, rootless) = (outer.dir.clone(), outer.rootless);
        Ok(Lab { dir, rootless, folders, signals, witness, numbers, is_host: false })
    }

    /// No lab, but the host itself: for a container that outlives us and that somebody else minds. Nothing is made for
    /// it here, and what its plan changes must all be such that whoever deletes it can take it back.
    pub fn on_host(folders: Folders, signals: Signals) -> Result<Lab, Fault> {
        let (dir, rootless) = (folders.state.clone(), takes_a_user_namespace());
        let (witness, numbers) = (RefCell::default(), Cell::new(0));
        Ok(Lab { dir, rootless, folders, signals, witness, numbers, is_host: true })
    }

    /// Leaves nothing on the real host that nobody needs there any more.
    pub fn leave(self) {
        // The lab's end takes it back, but that is too late here: a directory that something is
        // mounted on can't be removed.
        if self.folders.has_stopgap() {
            let _ = umount2(&self.dir, MntFlags::MNT_DETACH);
        }
        self.folders.leave_no_stopgap();
    }

    /// The host before the lab, and as it is now.
    pub fn compare_host(&self) -> Result<(Host, Host), Fault> {
        let mut witness = self.witness.borrow_mut();
        let unseen = || Fault::broken("look at the host's tables", "nobody did before");
        witness.as_mut().ok_or_else(unseen)?.compare()
    }

    /// A number for the next container, which names its directories, links and groups.
    pub fn next_number(&self) -> u32 {
        self.numbers.set(self.numbers.get() + 1);
        self.numbers.get()
    }

    /// A fresh empty directory of the lab's.
    pub fn fresh_dir(&self, name: &str) -> Result<PathBuf, Fault> {
        let dir = self.dir.join(format!("{name}-{}", self.next_number()));
        fs::create_dir(&dir).doing(format!("make {}", dir.display()))?;
        Ok(dir)
    }
}

/// Whose network a lab has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Network {
    Own,
    /// The real host's: nothing there is ours to change.
    Hosts,
}

/// What a lab takes (capabilities(7)): namespaces and mounts, links and rules, and setns(2) into what has another
/// root. Root in a container may have lost some, and gets them in a user namespace like everybody else.
const NEEDED: [(u8, &str); 3] = [(21, "SYS_ADMIN"), (12, "NET_ADMIN"), (18, "SYS_CHROOT")];

/// Those of them that we have not.
fn missing() -> Vec<&'static (u8, &'static str)> {
    NEEDED.iter().filter(|(number, _)| !has_capability(*number)).collect()
}

/// Whether a lab that we make takes a user namespace.
pub fn takes_a_user_namespace() -> bool {
    !missing().is_empty()
}

/// What to say where root has lost a capability and gets no user namespace that would give it back.
fn powerless_root(fault: Fault, missing: &[&(u8, &str)]) -> Fault {
    let Fault::Unable { key, with, .. } = &fault else { return fault };
    let Some((_, errno)) = with.iter().find(|(name, _)| key.starts_with("userns-") && name == "errno") else {
        return fault;
    };
    let names: Vec<String> = missing.iter().map(|(_, name)| format!("CAP_{name}")).collect();
    let options: Vec<String> = missing.iter().map(|(_, name)| format!("--cap-add {name}")).collect();
    let (names, options) = (names.join(", "), options.join(" "));
    Fault::unable("root-powerless", &[("missing", &names), ("options", &options), ("errno", errno)])
}

// ANCHOR: lab-namespaces
/// Into namespaces of our own: mount always, and network unless the host's was asked for; user too without CAP_SYS_ADMIN,
/// where we are root of the others, and only of those.
fn move_in(rootless: bool, network: Network) -> Result<(), Fault> {
    let (uid, gid) = (geteuid(), getegid());
    let namespaces = match network {
        Network::Own => CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWNET,
        Network::Hosts => CloneFlags::CLONE_NEWNS,
    };
    if !rootless {
        return unshare(namespaces).map_err(|errno| no_namespaces(namespaces, errno));
    }
    unshare(CloneFlags::CLONE_NEWUSER | namespaces)
        .map_err(|errno| no_namespaces_for_user(namespaces, errno))?;
    // user_namespaces(7): an unprivileged process may map one ID, its own, and only once
    // setgroups(2) is given up.
    let write = |file: &str, text: String| {
        fs::write(Path::new("/proc/self").join(file), text)
            .map_err(|e| no_user_namespace(e.raw_os_error().map_or(Errno::EIO, Errno::from_raw)))
    };
    write("setgroups", "deny".into())?;
    write("uid_map", format!("0 {uid} 1"))?;
    write("gid_map", format!("0 {gid} 1"))
}
// ANCHOR_END: lab-namespaces

/// A mount table of our own that passes nothing back to the host, and a tmpfs to work in.
fn make_private(dir: &Path) -> nix::Result<()> {
    let none: Option<&str> = None;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)?;
    mount(Some("workshop"), dir, Some("tmpfs"), MsFlags::MS_NOSUID, Some("mode=755"))
}

/// A new network namespace has a loopback interface that is down.
pub fn loopback_up() -> Result<(), Fault> {
    link_up(c"lo").doing("bring the loopback interface up")
}

/// Why namespaces could not be made.
fn no_namespaces(kinds: CloneFlags, errno: Errno) -> Fault {
    let doing = || format!("unshare({}) for the lab", strace::clone_flags(kinds.bits() as u64));
    lacks::namespaces(kinds, CloneFlags::empty()).unwrap_or_else(|| Fault::broken(doing(), errno))
}

/// The same where a user namespace comes with them: it, or one of those that it was to give us.
fn no_namespaces_for_user(kinds: CloneFlags, errno: Errno) -> Fault {
    let user = CloneFlags::CLONE_NEWUSER;
    let given = lacks::tried(|| unshare(user)).is_none();
    given.then(|| lacks::namespaces(kinds, user)).flatten().unwrap_or_else(|| no_user_namespace(errno))
}

/// Why a user namespace could not be made: the settings that distributions turn, in the order in
/// which the kernel asks for them.
pub fn no_user_namespace(errno: Errno) -> Fault {
    if matches!(errno, Errno::EMFILE | Errno::ENFILE) {
        return Fault::broken("make a user namespace", errno);
    }
    let setting = |file: &str| {
        fs::read_to_string(Path::new("/proc/sys").join(file)).ok().map(|text| text.trim().to_owned())
    };
    let seccomp = kernel::process::status(Path::new("/proc"), "self", "Seccomp");
    let key = if setting("kernel/apparmor_restrict_unprivileged_userns").is_some_and(|v| v != "0") {
        "userns-apparmor"
    } else if setting("kernel/unprivileged_userns_clone").is_some_and(|v| v == "0") {
        "userns-clone-off"
    } else if setting("user/max_user_namespaces").is_some_and(|v| v == "0") {
        "userns-max-zero"
    } else if seccomp.is_some_and(|mode| mode == "2") {
        "userns-seccomp"
    } else {
        "userns-refused"
    };
    Fault::unable(key, &[("errno", &format!("{errno:?}"))])
}

/// A refusal after the user namespace was made means that it came without its privileges, which is
/// how Ubuntu's AppArmor restriction shows.
fn refused_in_lab(rootless: bool, errno: Errno) -> Fault {
    let filtered = lacks::filtered("mount", errno);
    if rootless && filtered.is_none() && matches!(errno, Errno::EPERM | Errno::EACCES) {
        return no_user_namespace(errno);
    }
    filtered.unwrap_or_else(|| Fault::broken("set up the lab's mounts", errno))
}

/// Sees the real host from within the lab, through files that were opened before moving in.
struct Witness {
    mounts: Window,
    links: Window,
    routes: Window,
    before: Host,
}

/// The real host's tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// Lines of mountinfo.
    pub mounts: Vec<String>,
    /// Names of network interfaces.
    pub links: Vec<String>,
    /// Lines of the IPv4 routing table.
    pub routes: Vec<String>,
}

impl Witness {
    fn open() -> std::io::Result<Witness> {
        let mut mounts = Window::open("/proc/self/mountinfo")?;
        let mut links = Window::open("/proc/self/net/dev")?;
        let mut routes = Window::open("/proc/self/net/route")?;
        let before = Host::read(&mut mounts, &mut links, &mut routes)?;
        Ok(Witness { mounts, links, routes, before })
    }

    fn compare(&mut self) -> Result<(Host, Host), Fault> {
        let now = Host::read(&mut self.mounts, &mut self.links, &mut self.routes)
            .doing("look at the host's tables")?;
        Ok((self.before.clone(), now))
    }
}

impl Host {
    fn read(mounts: &mut Window, links: &mut Window, routes: &mut Window) -> std::io::Result<Host> {
        let lines = |text: String| text.lines().map(String::from).collect::<Vec<_>>();
        // The counters behind the names change all the time; two lines of headings stand above.
        let names = |text: String| {
            text.lines().skip(2).filter_map(|l| Some(l.split_once(':')?.0.trim().to_owned())).collect()
        };
        Ok(Host { mounts: lines(mounts.read()?), links: names(links.read()?), routes: lines(routes.read()?) })
    }
}
