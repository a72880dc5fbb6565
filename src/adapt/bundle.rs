//! A bundle: a root filesystem and a `config.json` that says what container to make of it (the OCI runtime
//! specification, <https://github.com/opencontainers/runtime-spec>). What low-level runtimes are given by those
//! that people use, such as containerd.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use oci_spec::runtime::{
    Linux, LinuxBuilder, LinuxCpuBuilder, LinuxMemoryBuilder, LinuxNamespace, LinuxNamespaceBuilder,
    LinuxNamespaceType, LinuxPidsBuilder, LinuxResources, LinuxResourcesBuilder, Mount, MountBuilder,
    Process, RootBuilder, Spec, SpecBuilder, get_default_mounts,
};

use super::network::Network;
use super::scratch::Scratch;
use super::{Files, Order, child};
use fault::{Doing, Fault};
use kernel::cgroup::{CPU_PERIOD, Controller, Version, hierarchy};
use kernel::process::in_user_namespace;

/// A bundle on disk, with what a runtime's caller does around it: an overlay, a network. Gone when dropped.
pub struct Bundle {
    /// The runtime's own directory for what it keeps of its containers.
    pub state: PathBuf,
    pub dir: PathBuf,
    pub id: String,
    // Before the directory, which holds nothing of it.
    _network: Option<Network>,
    _scratch: Scratch,
}

impl Bundle {
    /// Writes one.
    pub fn new(order: &Order) -> Result<Bundle, Fault> {
        let mut scratch = Scratch::new()?;
        let root = match &order.files {
            Files::Callers => scratch.mirror()?,
            Files::Directory(dir) => dir.clone(),
            Files::Image(dir) => scratch.overlay(dir)?,
        };
        let network = order.net.then(Network::new).transpose()?;
        let dir = scratch.make("bundle")?;
        let spec = spec(order, &root, network.as_ref())?;
        spec.save(dir.join("config.json")).doing("write config.json")?;
        Ok(Bundle {
            state: scratch.make("state")?,
            dir,
            id: Scratch::name(),
            _network: network,
            _scratch: scratch,
        })
    }

    /// Runs `RUNTIME [OPTIONS] --root STATE run --bundle DIR ID`, which low-level runtimes have in common.
    pub fn run(&self, program: &Path, options: &[&str]) -> Result<i32, Fault> {
        let mut command = Command::new(program);
        command.arg0(program).args(options).arg("--root").arg(&self.state);
        command.args(["run", "--bundle"]).arg(&self.dir).arg(&self.id);
        child::run(command)
    }
}

/// The container that the order asks for, in the specification's words.
fn spec(order: &Order, root: &Path, network: Option<&Network>) -> Result<Spec, Fault> {
    let mut process = Process::default();
    let words = |word: &OsString| word.clone().into_string();
    let args = order.argv.iter().map(words).collect::<Result<Vec<_>, _>>();
    process.set_args(Some(
        args.map_err(|word| Fault::broken("write config.json", format!("{word:?} is not UTF-8")))?,
    ));
    if !order.files.are_own() {
        process.set_cwd(lab::folders::here()?);
        process.set_env(std::env::var("PATH").ok().map(|path| vec![format!("PATH={path}")]));
    }
    let root = RootBuilder::default().path(root).readonly(false).build().doing("write config.json")?;
    let spec = SpecBuilder::default()
        .process(process)
        .root(root)
        .mounts(mounts(order)?)
        .linux(linux(order, network)?);
    let mut spec = spec.build().doing("write config.json")?;
    // A name for a container without names of its own would be the host's, which runtimes refuse.
    spec.set_hostname(order.files.are_own().then(|| "box".to_owned()));
    Ok(spec)
}

/// The usual mounts, as far as they are asked for.
fn mounts(order: &Order) -> Result<Vec<Mount>, Fault> {
    let mut mounts = get_default_mounts();
    if !order.files.are_own() {
        mounts.retain(|mount| mount.destination() == Path::new("/proc"));
        // Runtimes fill each /dev that nobody has bound; this one is the caller's.
        let bound = MountBuilder::default().source("/dev").destination("/dev").typ("bind");
        mounts.push(bound.options(["rbind".to_owned()]).build().doing("write config.json")?);
    }
    if !order.limits_anything() {
        mounts.retain(|mount| mount.destination() != Path::new("/sys/fs/cgroup"));
    }
    if in_user_namespace() {
        // A group that has no number there can't own anything (user_namespaces(7)).
        for mount in &mut mounts {
            let options = mount.options().clone().unwrap_or_default();
            mount.set_options(Some(options.into_iter().filter(|option| option != "gid=5").collect()));
        }
    }
    Ok(mounts)
}

fn linux(order: &Order, network: Option<&Network>) -> Result<Linux, Fault> {
    use LinuxNamespaceType as Kind;
    let mut kinds = vec![Kind::Pid, Kind::Mount];
    if order.files.are_own() {
        kinds.extend([Kind::Uts, Kind::Ipc]);
    }
    if order.limits_anything() {
        kinds.push(Kind::Cgroup);
    }
    let mut namespaces: Vec<LinuxNamespace> = Vec::new();
    for kind in kinds {
        namespaces.push(LinuxNamespaceBuilder::default().typ(kind).build().doing("write config.json")?);
    }
    if let Some(network) = network {
        // One that exists already is joined.
        let joined = LinuxNamespaceBuilder::default().typ(Kind::Network).path(network.path());
        namespaces.push(joined.build().doing("write config.json")?);
    }
    let linux = LinuxBuilder::default().namespaces(namespaces).resources(resources(order)?);
    linux.build().doing("write config.json")
}

fn resources(order: &Order) -> Result<LinuxResources, Fault> {
    let mut resources = LinuxResourcesBuilder::default();
    if let Some(bytes) = order.memory {
        let bytes = bytes as i64;
        let memory = LinuxMemoryBuilder::default().limit(bytes);
        // Memory and swap together: the same figure leaves no swap.
        let memory = if accounts_for_swap() { memory.swap(bytes) } else { memory };
        resources = resources.memory(memory.build().doing("write config.json")?);
    }
    if let Some(number) = order.pids {
        resources = resources
            .pids(LinuxPidsBuilder::default().limit(number as i64).build().doing("write config.json")?);
    }
    if let Some(cpus) = order.cpus {
        let quota = (cpus * CPU_PERIOD as f64).round() as i64;
        let cpu = LinuxCpuBuilder::default().quota(quota).period(CPU_PERIOD);
        resources = resources.cpu(cpu.build().doing("write config.json")?);
    }
    resources.build().doing("write config.json")
}

/// Whether the kernel counts swap for each group, which it does not have to.
fn accounts_for_swap() -> bool {
    let file = |version| match version {
        Version::V1 => "memory.memsw.limit_in_bytes",
        Version::V2 => "memory.swap.max",
    };
    hierarchy(Controller::Memory).is_some_and(|h| h.own.join(file(h.version)).exists())
}
