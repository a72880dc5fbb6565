//! `workshop vm`: a program in a real virtual machine, with a kernel of its own.

use std::io::{IsTerminal, stdin, stdout};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::cli::VmOptions;
use crate::fault::{Doing, Fault};
use crate::folders::Folders;
use crate::kernel::breakable::Stream;
use crate::kernel::caller::Caller;
use crate::kernel::process::need_own_proc;
use crate::kernel::signals::Signals;
use crate::kernel::told::{Actor, Listener, Silence};
use crate::vm::wire::Job;
use crate::vm::{Extra, Kernel, Machine, Plan, Session, Streams, find_qemu, pack, terminal_size};

use super::{Output, bytes, files};

/// Memory for a guest that does what the steps do, in MiB.
pub const MEMORY: u64 = 512;
/// What the smallest kernel needs besides the initramfs, in MiB.
const KERNEL_MEMORY: u64 = 96;

/// Boots a machine, runs the program in it and passes on its status. Nothing on the host changes: the machine's
/// files are in memory, and it ends with QEMU.
pub fn run(out: &mut Output, options: VmOptions) -> Result<i32, Fault> {
    out.passes_status = true;
    let signals = Signals::take().doing("open an inbox for signals")?;
    let job = job(&options, out.json);
    let parts = Parts::find(&options, &Folders::find()?, "", &mut Silence)?;
    let plan = parts.plan(&options)?;
    let mut machine = Machine::boot(plan, options.accel, &signals, &mut Silence)?;
    if !out.json {
        tell(out, &machine)?;
    }
    let mut streams = Streams::ours()?;
    if out.json {
        // JSON has standard output to itself.
        streams.out = Box::new(Stream::errors());
    }
    let exit = Session::new(&mut machine, &signals, streams).run(job)?;
    machine.end();
    if out.json {
        tell(out, &machine)?;
    }
    Ok(exit.status())
}

/// What kind of machine it is, and how long it took so far.
fn tell(out: &mut Output, machine: &Machine) -> Result<(), Fault> {
    let booted = machine.booted();
    let how = if booted.accelerator == "KVM" { "vm-kvm" } else { "vm-tcg" };
    let with = [
        ("kernel", &*booted.kernel),
        ("how", out.words.say(how)),
        ("memory", &booted.memory.to_string()),
        ("seconds", &format!("{:.1}", machine.timeline.elapsed().as_secs_f64())),
    ];
    out.show.booted(&booted, &out.words.fill("vm-booted", &with)).map_err(Fault::output)
}

/// What a machine is made of, found on this host.
pub struct Parts {
    pub qemu: PathBuf,
    pub kernel: Kernel,
    /// The read-only layers of its root filesystem.
    pub layers: Vec<PathBuf>,
    pub initramfs: OwnedFd,
    /// MiB.
    pub memory: u64,
    step: &'static str,
}

impl Parts {
    /// Looks for them and packs what the guest gets to see. Calls are told in the name of `step`.
    pub fn find(
        options: &VmOptions,
        folders: &Folders,
        step: &'static str,
        listener: &mut dyn Listener,
    ) -> Result<Parts, Fault> {
        need_own_proc()?;
        let mut calls = Caller::new(Actor::Host, listener);
        calls.speak_for(step);
        let memory = memory(options.memory.as_deref())?;
        let extras = options.copy.iter().map(|text| extra(text)).collect::<Result<Vec<_>, _>>()?;
        let qemu = find_qemu()?;
        let kernel = Kernel::find(options.kernel.as_deref())?;
        let layers = files(folders, options.rootfs.as_deref())?.layers();
        let initramfs = pack(&mut calls, &kernel, &layers, &extras)?;
        let parts = Parts { qemu, kernel, layers, initramfs, memory, step };
        parts.enough_memory()?;
        Ok(parts)
    }

    /// The initramfs lies in the guest's memory twice while it is unpacked.
    fn enough_memory(&self) -> Result<(), Fault> {
        let size = nix::sys::stat::fstat(&self.initramfs).doing("look at the initramfs")?.st_size as u64;
        let needed = KERNEL_MEMORY + 2 * size.div_ceil(1 << 20);
        if self.memory >= needed {
            return Ok(());
        }
        let (memory, needed) = (self.memory.to_string(), needed.to_string());
        Err(Fault::usage("vm-memory", &[("memory", &memory), ("needed", &needed)]))
    }

    pub fn plan(&self, options: &VmOptions) -> Result<Plan<'_>, Fault> {
        Ok(Plan {
            qemu: &self.qemu,
            kernel: &self.kernel,
            initramfs: &self.initramfs,
            memory: self.memory,
            timeout: options.timeout.map(Duration::from_secs),
            console: options.console.then(|| Box::new(Stream::errors()) as Box<dyn std::io::Write>),
            step: self.step,
        })
    }
}

/// The memory that was asked for, in MiB.
fn memory(asked: Option<&str>) -> Result<u64, Fault> {
    const MOST: u64 = 1 << 40;
    let Some(text) = asked else { return Ok(MEMORY) };
    let size = bytes(text).filter(|size| *size <= MOST);
    size.map(|size| size >> 20).ok_or_else(|| Fault::usage("bad-size", &[("value", text)]))
}

/// `SRC` or `SRC:DEST` of `--copy`.
fn extra(text: &str) -> Result<Extra, Fault> {
    let (source, place) = text.split_once(':').unwrap_or((text, ""));
    let found = Path::new(source).canonicalize();
    let source = found.map_err(|_| Fault::usage("copy-not-found", &[("path", source)]))?;
    let name = source.file_name().unwrap_or_default();
    let place = if place.is_empty() { Path::new("/root").join(name) } else { place.into() };
    Ok((source, place))
}

/// The program: a shell where none is named. It has a terminal if we are on one.
pub fn job(options: &VmOptions, json: bool) -> Job {
    let terminal = (stdin().is_terminal() && stdout().is_terminal() && !json).then(terminal_size).flatten();
    let argv = if options.program.is_empty() { shell() } else { options.program.clone() };
    let passed_on = |name: &&str| Some((name.to_string(), std::env::var_os(name)?));
    let names = ["LANG", "LC_ALL", "LC_MESSAGES", "NO_COLOR", "CLICOLOR_FORCE"].iter();
    let environment = names.chain(["TERM", "COLORTERM"].iter().filter(|_| terminal.is_some()));
    Job { argv, environment: environment.filter_map(passed_on).collect(), terminal, user: options.user }
}

/// A shell for a person: bash where the image has it, since it has line editing.
fn shell() -> Vec<std::ffi::OsString> {
    let start = "PS1='(vm) # '; export PS1; \
                 if command -v bash >/dev/null; then exec bash --norc; else exec sh; fi";
    ["sh", "-c", start].map(Into::into).into()
}
