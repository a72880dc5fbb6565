//! The hypervisor: which one, how it is asked for a machine, and how it is started.

use std::ffi::{CString, OsStr, OsString};
use std::fs::File;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::ValueEnum;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::waitpid;
use nix::unistd::{Pid, dup2_stderr, dup2_stdin, dup2_stdout, pipe2, read, setsid, write};

use fault::{Doing, Fault};
use image::host_search_path;
use kernel::caller::{Caller, Execve};
use kernel::child::{self, close_on_exec_above_stderr, guarded};
use kernel::signals;

/// What runs the guest's instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Accelerator {
    /// The processor itself, through /dev/kvm (Documentation/virt/kvm/api.rst).
    Kvm,
    /// Software emulation: QEMU's translator to the host's own instructions, the Tiny Code Generator.
    Tcg,
}

impl Accelerator {
    pub fn name(self) -> &'static str {
        match self {
            Accelerator::Kvm => "KVM",
            Accelerator::Tcg => "TCG",
        }
    }

    fn arguments(self) -> [&'static str; 4] {
        match self {
            Accelerator::Kvm => ["-accel", "kvm", "-cpu", "host"],
            // Linux 6.12 died now and then of an emulated cmpxchg16b (QEMU 7.2), in one boot out of three on a busy host.
            Accelerator::Tcg => ["-accel", "tcg", "-cpu", "max,cx16=off"],
        }
    }
}

/// Whether /dev/kvm can be opened and gives a machine (the ioctl KVM_CREATE_VM).
pub fn kvm_makes_machines() -> bool {
    const KVM_CREATE_VM: libc::c_ulong = 0xae01;
    let Ok(kvm) = File::options().read(true).write(true).open("/dev/kvm") else { return false };
    // SAFETY: an open descriptor, and 0 for the default type of machine.
    let machine = unsafe { libc::ioctl(kvm.as_raw_fd(), KVM_CREATE_VM, 0) };
    if machine < 0 {
        return false;
    }
    // SAFETY: a descriptor that the kernel has just given us; it is closed again.
    drop(unsafe { OwnedFd::from_raw_fd(machine) });
    true
}

/// Where QEMU is: in PATH, or where Red Hat's distributions put it.
pub fn find() -> Result<PathBuf, Fault> {
    let names = ["qemu-system-x86_64", "qemu-kvm"];
    let mut dirs = host_search_path();
    dirs.push("/usr/libexec".into());
    let candidates = names.iter().flat_map(|name| dirs.iter().map(move |dir| dir.join(name)));
    candidates
        .into_iter()
        .find(|path| nix::unistd::access(path, nix::unistd::AccessFlags::X_OK).is_ok() && path.is_file())
        .ok_or_else(|| Fault::unable("no-qemu", &[]))
}

/// The machine to ask for.
pub struct Order<'o> {
    pub accelerator: Accelerator,
    /// Memory in MiB.
    pub memory: u64,
    pub kernel: &'o Path,
    /// An open file with the initramfs.
    pub initramfs: RawFd,
    /// Where the first serial line goes, the kernel's console.
    pub console: RawFd,
    /// Where QEMU says that it has made the machine.
    pub monitor: RawFd,
}

// ANCHOR: boot-vm-qemu
/// QEMU's command line: QEMU's "microvm" machine type has no more devices than are named here. A kernel is
/// put into its memory directly, so that there is no disk and no boot loader.
pub fn arguments(order: &Order) -> Vec<OsString> {
    let by_fd = |fd: RawFd| format!("/dev/fd/{fd}");
    let mut line: Vec<OsString> = Vec::new();
    let mut add = |words: &[&str]| line.extend(words.iter().map(OsString::from));
    add(&["-M", "microvm,acpi=off,isa-serial=on,rtc=on"]);
    add(&order.accelerator.arguments());
    add(&["-m", &format!("{}M", order.memory), "-nodefaults", "-no-user-config", "-no-reboot"]);
    add(&["-display", "none"]);
    // The first serial line, ttyS0: what the kernel says while it boots.
    add(&[
        "-chardev",
        &format!("file,id=console,path={}", by_fd(order.console)),
        "-serial",
        "chardev:console",
    ]);
    // The second, ttyS1: the wire to our init. QEMU's own standard input and output are its other end.
    add(&["-chardev", "stdio,id=wire,signal=off", "-device", "isa-serial,chardev=wire"]);
    // QEMU's machine protocol (QMP) greets whoever listens when the machine is made, and the firmware begins.
    add(&["-chardev", &format!("file,id=monitor,path={}", by_fd(order.monitor))]);
    add(&["-mon", "chardev=monitor,mode=control"]);
    add(&["-initrd", &by_fd(order.initramfs), "-append", KERNEL_LINE, "-kernel"]);
    line.push(order.kernel.into());
    line
}
// ANCHOR_END: boot-vm-qemu

/// The kernel's command line (Documentation/admin-guide/kernel-parameters.rst): its messages go to the first
/// serial line; a panic ends the machine at once, as a restart does, by a triple fault, which needs no firmware; our program is init.
const KERNEL_LINE: &str = concat!("console=ttyS0 reboot=t panic=-1 rdinit=/bin/workshop -- ", "guest");

// ANCHOR: boot-vm-clone
/// Starts QEMU with the wire as its standard input and output. It gets the descriptors that `inherited` names
/// besides, nothing of our terminal, and dies with us. Returns its PID and when it was executed.
pub fn start(
    calls: &mut Caller,
    program: &Path,
    arguments: &[OsString],
    wire: OwnedFd,
    errors: OwnedFd,
    inherited: &[RawFd],
) -> Result<(Pid, Instant), Fault> {
    let text = |s: &OsStr| CString::new(s.as_bytes()).map_err(|_| Fault::usage("nul-in-argument", &[]));
    let argv = std::iter::once(program.as_os_str()).chain(arguments.iter().map(OsString::as_os_str));
    let argv = argv.map(text).collect::<Result<Vec<_>, _>>()?;
    let execve = Execve::new(text(program.as_os_str())?, argv, environment());
    let (said, say) = pipe2(OFlag::O_CLOEXEC).doing("make a pipe")?;
    let (hear, go) = pipe2(OFlag::O_CLOEXEC).doing("make a pipe")?;
    let me = nix::unistd::getpid();
    let Some(pid) = calls.clone3("clone", &child::arguments(0, None))? else {
        guarded(|| {
            let ready = become_qemu(me, wire, errors, inherited);
            // The call is told before it is made. Should we never be told to make it, we die with our parent.
            let errno = match ready.and_then(|()| read(&hear, &mut [0])) {
                Ok(_) => execve.make(),
                Err(errno) => errno,
            };
            let _ = write(&say, &(errno as i32).to_ne_bytes());
            127
        })
    };
    drop(say);
    let mut started = Instant::now();
    let executed = calls.executed("qemu", &execve, || {
        started = Instant::now();
        write(&go, b"g")?;
        let mut errno = [0; 4];
        // The pipe is closed by an execve(2) that worked.
        match read(&said, &mut errno)? {
            4 => Err(Errno::from_raw(i32::from_ne_bytes(errno))),
            _ => Ok(()),
        }
    });
    if executed.is_err() {
        let _ = kill(pid, Signal::SIGKILL);
        let _ = waitpid(pid, None);
    }
    executed.map(|()| (pid, started))
}
// ANCHOR_END: boot-vm-clone

/// In the child: what QEMU shall have of ours, and what it shall not.
fn become_qemu(parent: Pid, wire: OwnedFd, errors: OwnedFd, inherited: &[RawFd]) -> nix::Result<()> {
    // A session of its own: keys on our terminal are for us, and for the program in the guest.
    setsid()?;
    nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL)?;
    if nix::unistd::getppid() != parent {
        return Err(Errno::ESRCH);
    }
    dup2_stdin(&wire)?;
    dup2_stdout(&wire)?;
    dup2_stderr(&errors)?;
    // Whoever started us may have left descriptors open: QEMU gets those that are named, and no others.
    close_on_exec_above_stderr()?;
    for fd in inherited {
        // SAFETY: descriptors of the caller's, which outlive this.
        let fd = unsafe { std::os::fd::BorrowedFd::borrow_raw(*fd) };
        fcntl(fd, FcntlArg::F_SETFD(FdFlag::empty()))?;
    }
    signals::reset();
    Ok(())
}

/// Our environment, without what would make QEMU look for a display or sound.
fn environment() -> Vec<CString> {
    let own = std::env::vars_os().filter(|(name, _)| name != "DISPLAY" && name != "WAYLAND_DISPLAY");
    own.filter_map(|(name, value)| {
        let mut pair = name.into_vec();
        pair.push(b'=');
        pair.extend(value.into_vec());
        CString::new(pair).ok()
    })
    .collect()
}
