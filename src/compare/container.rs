//! The second subject: the container of all steps, made by the same walk as `workshop run` makes it.

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use nix::fcntl::OFlag;
use nix::unistd::pipe2;

use super::listen::listen;
use super::memory::look;
use super::probe::PROBE;
use super::subject::{Kind, Run, Stopwatch, Subject};
use engine::template::Template;
use engine::{Milestone, Process, Program, null_device};
use fault::{Doing, Fault};
use kernel::told::Silence;

/// A container, made anew for each run.
pub struct Container<'l> {
    template: Template<'l>,
    command: Vec<OsString>,
    disk: u64,
}

impl Container<'_> {
    /// `program` is our own executable's path in the template's image, whose files are `disk` bytes.
    pub fn new<'l>(template: Template<'l>, program: &Path, disk: u64) -> Container<'l> {
        Container { template, command: vec![program.into(), PROBE.into()], disk }
    }

    /// What runs in it, and the end of the pipe that the probe is heard through.
    fn process(&self) -> Result<(Process<'static>, OwnedFd), Fault> {
        let (reader, writer) = pipe2(OFlag::O_CLOEXEC).doing("make a pipe")?;
        let mut process = Process::new(Program::Planned);
        process.stdio.stdin = Some(null_device()?.into());
        process.stdio.stdout = Some(writer);
        Ok((process, reader))
    }
}

impl Subject for Container<'_> {
    fn kind(&self) -> Kind {
        Kind::Container
    }

    fn disk(&self) -> u64 {
        self.disk
    }

    fn run(&mut self) -> Result<Run, Fault> {
        let (process, reader) = self.process()?;
        let (lab, spec) = (self.template.lab, self.template.with(self.command.clone()));
        let mut watch = Stopwatch::start();
        let mut container = self.template.create(&spec, process, &mut Silence)?;
        container.start(&mut Silence)?;
        for (milestone, time) in &container.timeline {
            watch.over_at(stage(*milestone), *time);
        }
        let heard = listen(&reader, &lab.signals, || look(container.pid.as_raw()))?;
        watch.over_at("load", heard.first);
        // It has said all that it had to say. Should it not end by itself, the next line ends it.
        container.wait_at_most(Duration::from_secs(10))?;
        container.end()?;
        Ok(watch.stop(heard))
    }
}

/// The stage that a milestone ends.
fn stage(milestone: Milestone) -> &'static str {
    match milestone {
        Milestone::Prepared => "prepare",
        Milestone::Cloned => "clone",
        Milestone::Attached => "attach",
        Milestone::Entered => "enter",
        Milestone::Executed => "exec",
    }
}
