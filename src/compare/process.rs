//! The first subject: a plain process.
//!
//! It is started as any program is, fork(2) and execve(2), in no namespace of its own. So that it runs from the
//! same files as the other two, chroot(2) comes in between.

use std::ffi::CStr;
use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::mount::{MsFlags, mount};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::waitpid;
use nix::unistd::{Pid, chroot, dup2_stdout, execve, pipe2, read, write};

use super::listen::listen;
use super::memory::look;
use super::probe::PROBE;
use super::subject::{Kind, Run, Stopwatch, Subject};
use engine::parts::overlay::escaped;
use fault::{Doing, Fault};
use image::Image;
use kernel::child::{arguments, clone3, guarded};
use kernel::signals;
use lab::Lab;

/// A plain process in a root filesystem that was put together beforehand.
pub struct Process<'l> {
    lab: &'l Lab,
    /// The image's layers under an empty one, mounted in the lab.
    root: PathBuf,
    program: CString,
    disk: u64,
}

impl Process<'_> {
    /// Mounts the image with /proc in it. `program` is our own executable's path in the image.
    pub fn new<'l>(lab: &'l Lab, image: &Image, program: &Path) -> Result<Process<'l>, Fault> {
        let (root, upper, work) = (lab.fresh_dir("rootfs")?, lab.fresh_dir("upper")?, lab.fresh_dir("work")?);
        let lowers: Vec<String> = image.layers.iter().rev().map(|dir| escaped(dir)).collect();
        let xattr = if lab.rootless { ",userxattr" } else { "" };
        let options = format!(
            "lowerdir={},upperdir={},workdir={}{xattr}",
            lowers.join(":"),
            escaped(&upper),
            escaped(&work)
        );
        let none: Option<&str> = None;
        mount(Some("overlay"), &root, Some("overlay"), MsFlags::empty(), Some(options.as_str()))
            .doing("mount the image for a plain process")?;
        mount(Some("/proc"), &root.join("proc"), none, MsFlags::MS_BIND | MsFlags::MS_REC, none)
            .doing("bind /proc for a plain process")?;
        let program = CString::new(program.as_os_str().as_bytes()).doing("name the probe")?;
        Ok(Process { lab, root, program, disk: image.bytes })
    }
}

impl Subject for Process<'_> {
    fn kind(&self) -> Kind {
        Kind::Process
    }

    fn disk(&self) -> u64 {
        self.disk
    }

    fn run(&mut self) -> Result<Run, Fault> {
        let (reader, writer) = pipe2(OFlag::O_CLOEXEC).doing("make a pipe")?;
        let (executed, not_yet) = pipe2(OFlag::O_CLOEXEC).doing("make a pipe")?;
        let mut watch = Stopwatch::start();
        let child = match clone3(&arguments(0, None)).doing("clone3 a plain process")? {
            Some(pid) => Child(Some(pid)),
            None => guarded(|| become_probe(&self.root, &self.program, &writer, &not_yet)),
        };
        watch.over_at("fork", Instant::now());
        drop((writer, not_yet));
        until_executed(&executed)?;
        watch.over_at("exec", Instant::now());
        let heard = listen(&reader, &self.lab.signals, || look(child.pid()))?;
        watch.over_at("load", heard.first);
        child.wait()?;
        Ok(watch.stop(heard))
    }
}

/// The child's part. What goes wrong goes into the pipe that execve(2) would close.
fn become_probe(root: &Path, program: &CStr, output: &OwnedFd, not_yet: &OwnedFd) -> i32 {
    let become_it = || {
        // Should the workshop be killed.
        set_pdeathsig(Signal::SIGKILL)?;
        chroot(root)?;
        std::env::set_current_dir("/").map_err(|_| Errno::ENOENT)?;
        dup2_stdout(output.as_fd())?;
        signals::reset();
        let probe = CString::new(PROBE).map_err(|_| Errno::EINVAL)?;
        execve(program, &[program, &probe], &[] as &[&CStr])
    };
    let errno = become_it().err().unwrap_or(Errno::UnknownErrno);
    let _ = write(not_yet, &(errno as i32).to_ne_bytes());
    1
}

/// Waits until the child's execve(2) has closed the other end of the pipe.
fn until_executed(executed: &OwnedFd) -> Result<(), Fault> {
    let mut errno = [0; 4];
    match read(executed, &mut errno).doing("wait for execve")? {
        0 => Ok(()),
        _ => Err(Fault::broken("start a plain process", Errno::from_raw(i32::from_ne_bytes(errno)))),
    }
}

/// A child that is killed and reaped unless it has ended.
struct Child(Option<Pid>);

impl Child {
    fn pid(&self) -> i32 {
        self.0.map_or(0, Pid::as_raw)
    }

    /// Waits for its end.
    fn wait(mut self) -> Result<(), Fault> {
        self.0.take().map_or(Ok(()), |pid| waitpid(pid, None).doing("wait for a plain process").map(drop))
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if let Some(pid) = self.0 {
            // Not reaped yet, so the PID is still its.
            let _ = kill(pid, Signal::SIGKILL);
            let _ = waitpid(pid, None);
        }
    }
}
