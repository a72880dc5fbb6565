//! The third subject: a virtual machine with a kernel of its own, booted as `workshop vm` boots it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use nix::sys::stat::fstat;

use super::listen::Ear;
use super::memory::look;
use super::probe::PROBE;
use super::subject::{Kind, Run, Stopwatch, Subject};
use fault::{Doing, Fault};
use image::Image;
use kernel::caller::Caller;
use kernel::told::{Actor, Silence};
use lab::Lab;
use vm::wire::Job;
use vm::{Accelerator, Kernel, Machine, Plan, Session, Streams, find_qemu, pack};

/// How long a machine may take from its start to its end: software emulation takes a tenth of it.
const PATIENCE: Duration = Duration::from_secs(180);

/// How many runs are worth their time where each takes as long as software emulation does.
const FEW: usize = 3;

/// A virtual machine, booted anew for each run.
pub struct Vm<'l> {
    lab: &'l Lab,
    qemu: PathBuf,
    kernel: Kernel,
    initramfs: OwnedFd,
    /// MiB.
    memory: u64,
    /// The one that the first run found to work.
    accelerator: Option<Accelerator>,
    program: PathBuf,
    disk: u64,
}

impl Vm<'_> {
    /// A machine with `memory` MiB whose guest has the files of `image`. Our own executable is a part of every guest:
    /// `program` is its path there.
    pub fn new<'l>(
        lab: &'l Lab,
        image: &Image,
        program: &Path,
        kernel: Kernel,
        memory: u64,
    ) -> Result<Vm<'l>, Fault> {
        let qemu = find_qemu()?;
        let mut nobody = Silence;
        let mut calls = Caller::new(Actor::Host, &mut nobody);
        let initramfs = pack(&mut calls, &kernel, &image.layers, &[])?;
        let files = fstat(&initramfs).doing("look at the initramfs")?.st_size as u64;
        let size = fs::metadata(&kernel.image).doing("look at the kernel")?.len();
        let (program, disk) = (program.to_path_buf(), size + files);
        Ok(Vm { lab, qemu, kernel, initramfs, memory, accelerator: None, program, disk })
    }

    fn boot(&self) -> Result<Machine, Fault> {
        let plan = Plan {
            qemu: &self.qemu,
            kernel: &self.kernel,
            initramfs: &self.initramfs,
            memory: self.memory,
            timeout: Some(PATIENCE),
            console: None,
            step: "",
        };
        Machine::boot(plan, self.accelerator, &self.lab.signals, &mut Silence)
    }

    fn job(&self) -> Job {
        let argv = vec![self.program.clone().into(), PROBE.into()];
        Job { argv, environment: BTreeMap::new(), terminal: None, user: None }
    }
}

impl Subject for Vm<'_> {
    fn kind(&self) -> Kind {
        Kind::Vm
    }

    fn disk(&self) -> u64 {
        self.disk
    }

    fn worthwhile(&self, usual: usize) -> usize {
        if self.accelerator == Some(Accelerator::Kvm) { usual } else { usual.min(FEW) }
    }

    fn accelerator(&self) -> Option<&'static str> {
        self.accelerator.map(Accelerator::name)
    }

    fn run(&mut self) -> Result<Run, Fault> {
        let mut watch = Stopwatch::start();
        let mut machine = self.boot()?;
        let works = [Accelerator::Kvm, Accelerator::Tcg];
        let name = machine.booted().accelerator;
        self.accelerator = works.into_iter().find(|accelerator| accelerator.name() == name);
        let ear = Rc::new(RefCell::new(Ear::default()));
        let mut streams = Streams::none()?;
        streams.out = Box::new(Hears { ear: ear.clone(), qemu: machine.pid.as_raw() });
        Session::new(&mut machine, &self.lab.signals, streams).run(self.job())?;
        let heard = ear.borrow().heard()?;
        let start = Instant::now().checked_sub(machine.timeline.elapsed()).unwrap_or(heard.first);
        for (stage, began, took) in machine.timeline.stages() {
            let over = start + began + took;
            if over <= heard.first {
                watch.over_at(stage.name(), over);
            }
        }
        watch.over_at("load", heard.first);
        machine.end();
        Ok(watch.stop(heard))
    }
}

/// The probe's standard output, as it comes out of the machine.
struct Hears {
    ear: Rc<RefCell<Ear>>,
    qemu: i32,
}

impl Write for Hears {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.ear.borrow_mut().take(bytes, || look(self.qemu)).map_err(io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
