//! How a judged program is started: as the kernel does it, and by nobody else.

use std::collections::BTreeMap;
use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::unistd::execve;

/// Becomes a command by execve(2), and returns why not. The standard library's exec(3) hands what the kernel does not
/// take for a program to sh(1), were it one for another machine.
pub fn exec(command: &mut Command) -> io::Error {
    let mut environment: BTreeMap<OsString, OsString> = std::env::vars_os().collect();
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => drop(environment.insert(name.into(), value.into())),
            None => drop(environment.remove(name)),
        }
    }
    let pair =
        |(name, value): (OsString, OsString)| [name, "=".into(), value].into_iter().collect::<OsString>();
    let text = |word: OsString| CString::new(word.into_encoded_bytes()).ok();
    let Some(program) = text(command.get_program().into()) else { return io::ErrorKind::InvalidInput.into() };
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let argv: Vec<CString> = words.map(OsStr::to_owned).filter_map(text).collect();
    let envp: Vec<CString> = environment.into_iter().map(pair).filter_map(text).collect();
    let instead = move || match execve(&program, &argv, &envp) {
        Ok(never) => match never {},
        Err(errno) => Err(errno.into()),
    };
    // SAFETY: this process is the one that becomes it, and has one thread.
    unsafe { command.pre_exec(instead) };
    command.exec()
}
