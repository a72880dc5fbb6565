//! `std::process` and what the C library has: unshare(2) in the child before it becomes another program.
use std::ffi::{CString, c_char, c_int, c_ulong, c_void};
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, exit};

unsafe extern "C" {
    fn unshare(flags: c_int) -> c_int;
    fn chroot(path: *const c_char) -> c_int;
    fn mount(from: *const c_char, to: *const c_char, kind: *const c_char, flags: c_ulong, data: *const c_void) -> c_int;
}

const NEWNS: c_int = 0x20000;
const NEWUTS: c_int = 0x4000000;
const NEWIPC: c_int = 0x8000000;
const NEWPID: c_int = 0x20000000;
const PRIVATE: c_ulong = 1 << 18 | 16384;

fn done(result: c_int) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn enter(root: &Option<CString>) -> io::Result<()> {
    unsafe {
        done(mount(c"none".as_ptr(), c"/".as_ptr(), std::ptr::null(), PRIVATE, std::ptr::null()))?;
        if let Some(root) = root {
            done(chroot(root.as_ptr()))?;
            std::env::set_current_dir("/")?;
        }
        done(mount(c"proc".as_ptr(), c"/proc".as_ptr(), c"proc".as_ptr(), 0, std::ptr::null()))
    }
}

fn main() -> io::Result<()> {
    let mut args = std::env::args_os().skip(2).peekable();
    let root = args.next_if(|word| word == "--rootfs").and_then(|_| args.next());
    let root = root.map(|root| CString::new(root.into_encoded_bytes()).expect("a path"));
    done(unsafe { unshare(NEWPID | NEWNS | NEWUTS | NEWIPC) })?;
    let mut command = Command::new(args.next().expect("a command"));
    command.args(args);
    unsafe { command.pre_exec(move || enter(&root)) };
    let status = command.status()?;
    exit(status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0)))
}
