//! A plan: the operations that make a container, in order. It is data: made without a namespace, it can be printed,
//! compared, have an operation left out or moved, and be refused when it contradicts itself.

use std::collections::HashSet;

use nix::sched::CloneFlags;

use super::op::{Call, File, Op, Side};
use super::parts::PARTS;
use super::site::Site;
use super::spec::Spec;
use fault::Fault;
use kernel::netlink::Family;

/// The operations of one container, in the order in which they are carried out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    pub ops: Vec<Op>,
}

impl Plan {
    /// What all parts do for what is wanted.
    pub fn new(spec: &Spec, site: &Site) -> Result<Plan, Fault> {
        let mut plan = Plan::default();
        for part in PARTS {
            plan.ops.extend((part.operations)(spec, site).map_err(|fault| fault.of_step(part.slug))?);
        }
        plan.sort();
        Ok(plan)
    }

    /// Brings the operations into the order of their stages. Those of one stage stay as they are.
    pub fn sort(&mut self) {
        self.ops.sort_by_key(|op| op.stage);
    }

    /// The operations of one stage, in order.
    pub fn stage(&self, stage: Stage) -> impl Iterator<Item = &Op> {
        self.ops.iter().filter(move |op| op.stage == stage)
    }

    /// Those that are carried out before there is a process, in order.
    pub fn preparation(&self) -> impl Iterator<Item = &Op> {
        self.ops.iter().filter(|op| op.stage < Stage::Clone)
    }

    /// Those that the first process carries out before it is ready, in order.
    pub fn entry(&self) -> impl Iterator<Item = &Op> {
        self.ops.iter().filter(|op| op.stage > Stage::Attach && op.stage < Stage::Seal)
    }

    /// The same without operation number `index`.
    pub fn without(&self, index: usize) -> Plan {
        let mut plan = self.clone();
        if index < plan.ops.len() {
            plan.ops.remove(index);
        }
        plan
    }

    /// The namespaces that the first process is born in.
    pub fn born_in(&self) -> CloneFlags {
        let flags = self.stage(Stage::Clone).filter_map(|op| match op.call {
            Call::Namespace(kind) => Some(kind),
            _ => None,
        });
        flags.collect()
    }

    /// The namespaces that it does not share with the host in the end.
    pub fn namespaces(&self) -> CloneFlags {
        let later = self.ops.iter().filter_map(|op| match op.call {
            Call::Unshare(kind) if op.stage.side() == Side::Inside => Some(kind),
            _ => None,
        });
        later.fold(self.born_in(), CloneFlags::union)
    }

    /// The steps that have a part in it, in order.
    pub fn steps(&self) -> Vec<&'static str> {
        let mut seen = HashSet::new();
        self.ops.iter().map(|op| op.step).filter(|step| seen.insert(*step)).collect()
    }

    /// Looks for what can't be carried out whatever the host is like.
    ///
    /// # Errors
    /// A [`Fault::Usage`] that names the first operation that needs one which is not there, or comes later.
    pub fn check(&self) -> Result<(), Fault> {
        let mut given = HashSet::new();
        let mut stage = Stage::Prepare;
        for op in &self.ops {
            if op.stage < stage {
                return Err(contradiction("plan-out-of-order", op, stage.name()));
            }
            stage = op.stage;
            if let Some(need) = needs(op).into_iter().find(|need| !given.contains(need)) {
                return Err(contradiction("plan-lacks", op, &need.in_words()));
            }
            given.extend(gives(op));
        }
        Ok(())
    }
}

/// When an operation is carried out: the order in which a container is set up, whatever it is made of.
///
/// Inside it can't simply be part by part: /proc must be mounted before the old root goes (the kernel wants to see a
/// whole /proc before it gives an unprivileged process another), and an overlay must be there before anything is
/// mounted on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// On the host, before there is a process: groups with their limits, directories, a bridge.
    Prepare,
    /// On the host: what the container's root may not mount itself.
    Files,
    /// clone3(2). Each operation of this stage is its share of that one call.
    Clone,
    /// On the host, while the first process waits: what needs its PID.
    Attach,
    /// Inside. Become root of its own users, before anything is made that would belong to others; go to the files that
    /// were handed in.
    Identity,
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
    /// What is asked for besides, in what is `/` by now: nothing of the host's can be reached from here by a path.
    Asked,
    /// Host name.
    Names,
    /// Addresses and routes.
    Network,
    /// Give up what the program is not to have. After the last operation of this stage no call is made but execve(2).
    Seal,
    /// execve(2).
    Exec,
}

impl Stage {
    /// The side of the container's wall that its operations are carried out on.
    pub fn side(self) -> Side {
        if self > Stage::Attach { Side::Inside } else { Side::Host }
    }

    /// Its name in a printed plan.
    pub fn name(self) -> &'static str {
        match self {
            Stage::Prepare => "prepare",
            Stage::Files => "files",
            Stage::Clone => "clone",
            Stage::Attach => "attach",
            Stage::Identity => "identity",
            Stage::Group => "group",
            Stage::Propagation => "propagation",
            Stage::Image => "image",
            Stage::Root => "root",
            Stage::Mounts => "mounts",
            Stage::Switch => "switch",
            Stage::Asked => "asked",
            Stage::Names => "names",
            Stage::Network => "network",
            Stage::Seal => "seal",
            Stage::Exec => "exec",
        }
    }
}

/// What one operation leaves for another.
#[derive(PartialEq, Eq, Hash)]
enum Thing {
    /// An open descriptor of this path. It goes into the first process too.
    Descriptor(std::path::PathBuf),
    Socket(Side, Family),
}

impl Thing {
    fn in_words(&self) -> String {
        match self {
            Thing::Descriptor(path) => format!("open {}", path.display()),
            Thing::Socket(_, Family::Route) => "socket NETLINK_ROUTE".into(),
            Thing::Socket(_, Family::Netfilter) => "socket NETLINK_NETFILTER".into(),
        }
    }
}

fn gives(op: &Op) -> Option<Thing> {
    match &op.call {
        Call::Open { path: name, .. }
        | Call::OpenTree { name, .. }
        | Call::MakeUsers { name, .. }
        | Call::MakeTmpfs { name, .. }
        | Call::OpenInRoot { name, .. } => Some(Thing::Descriptor(name.clone())),
        Call::Socket(family) => Some(Thing::Socket(op.stage.side(), *family)),
        _ => None,
    }
}

fn needs(op: &Op) -> Vec<Thing> {
    match &op.call {
        Call::BornIn(name)
        | Call::Write { to: File::Opened(name), .. }
        | Call::MoveMount { tree: name, .. }
        | Call::Restrict { mount: name, .. }
        | Call::EnterDirectory(name) => vec![Thing::Descriptor(name.clone())],
        Call::Attach { tree, target } => [tree, target].map(|name| Thing::Descriptor(name.clone())).into(),
        Call::MapIds { tree, users } => [tree, users].map(|name| Thing::Descriptor(name.clone())).into(),
        Call::Send(family, _) => vec![Thing::Socket(op.stage.side(), *family)],
        _ => Vec::new(),
    }
}

fn contradiction(key: &str, op: &Op, what: &str) -> Fault {
    let (name, args) = (op.call.name(), op.call.args().join(", "));
    Fault::usage(key, &[("slug", op.step), ("call", &format!("{name}({args})")), ("what", what)])
}
