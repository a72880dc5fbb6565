//! What a container is made of: one layer a step, one file a layer.

pub mod cgroup_limit;
mod mount_proc;
pub mod overlay;
mod pivot_root;
mod unshare_pid;
pub mod veth_bridge;

use std::net::Ipv4Addr;
use std::os::fd::BorrowedFd;
use std::path::PathBuf;

use nix::sched::CloneFlags;
use nix::unistd::Pid;

pub use cgroup_limit::CgroupLimit;
pub use mount_proc::MountProc;
pub use overlay::{Overlay, escaped};
pub use pivot_root::{DEVICES, PivotRoot};
pub use unshare_pid::UnsharePid;
pub use veth_bridge::{Network, VethBridge};

use crate::container::Root;
use crate::fault::Fault;
use crate::kernel::caller::Caller;
use crate::kernel::cgroup::{Group, Limits};
use crate::kernel::undo::Undos;
use crate::lab::Lab;

/// One part of a container: what one step of the course adds.
pub trait Layer {
    /// The step's slug, in whose name its calls are told.
    fn slug(&self) -> &'static str;

    /// Namespaces that the first process must be cloned into.
    fn namespaces(&self) -> CloneFlags {
        CloneFlags::empty()
    }

    /// Namespaces that it enters later, by unshare(2), because where it stands by then matters.
    fn later_namespaces(&self) -> CloneFlags {
        CloneFlags::empty()
    }

    /// On the host, before the process exists: directories, a cgroup with its limits, a bridge.
    fn prepare(&mut self, _host: &mut Host) -> Result<(), Fault> {
        Ok(())
    }

    /// The cgroup v2 that the process is to be born in, once prepared.
    fn birthplace(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    /// On the host, while the process waits: whatever needs its PID.
    fn attach(&mut self, _host: &mut Host, _child: Pid) -> Result<(), Fault> {
        Ok(())
    }

    /// In the new process, before it becomes the program: what this layer has to do at this stage.
    fn enter(&self, _stage: Stage, _inside: &mut Inside) -> Result<(), Fault> {
        Ok(())
    }
}

/// What layers are made of.
#[derive(Clone, Debug)]
pub struct Ingredients {
    /// The directory that becomes `/`, where no overlay does.
    pub root: PathBuf,
    /// The image's layers, lowest first.
    pub lowers: Vec<PathBuf>,
    pub hostname: String,
    pub limits: Limits,
    /// Whether all of it happens in a user namespace.
    pub rootless: bool,
    /// The container's number on its network, which gives it an address: 2 to 254.
    pub seat: u8,
}

/// Makes one step's layer.
pub type Maker = fn(&Ingredients) -> Box<dyn Layer>;

/// The order in which a container is set up from inside, whichever layers it has.
///
/// It can't simply be layer by layer: /proc must be mounted before the old root goes (the kernel
/// wants to see a whole /proc before it gives an unprivileged process another), and an overlay must
/// be there before anything is mounted on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Die with the workshop; be in the cgroup before any memory is used.
    Group,
    /// Cut the mount table loose from the host's.
    Propagation,
    /// Put the image's layers together.
    Image,
    /// Choose the directory that will be `/`.
    Root,
    /// Mount /proc, /dev, /sys in it.
    Mounts,
    /// Make it `/`, and let the old one go.
    Switch,
    /// Host name.
    Names,
    /// Addresses and routes.
    Network,
}

impl Stage {
    pub const ALL: [Stage; 8] = [
        Stage::Group,
        Stage::Propagation,
        Stage::Image,
        Stage::Root,
        Stage::Mounts,
        Stage::Switch,
        Stage::Names,
        Stage::Network,
    ];
}

/// A layer's hands on the host's side.
pub struct Host<'a> {
    pub calls: Caller<'a>,
    /// What must be taken back; record first, then do.
    pub undo: &'a mut Undos,
    pub lab: &'a Lab,
    /// The container's number, for names.
    pub number: u32,
    /// What layers made, for whoever looks at the container afterwards.
    pub made: &'a mut Made,
}

/// A layer's hands inside.
pub struct Inside<'a> {
    pub calls: Caller<'a>,
    /// The directory that is, or will be, the container's `/`.
    pub root: PathBuf,
    /// Whether a filesystem is mounted there already.
    pub root_is_mount: bool,
}

/// What the layers made on the host's side.
#[derive(Default)]
pub struct Made {
    pub groups: Vec<Group>,
    /// What its `/` is made of, if it is not the lab's.
    pub root: Option<Root>,
    /// The directory that overlay writes to.
    pub upper: Option<PathBuf>,
    pub link: Option<Link>,
}

/// A container's place in the network.
#[derive(Clone, Debug)]
pub struct Link {
    pub address: Ipv4Addr,
    pub gateway: Ipv4Addr,
}
