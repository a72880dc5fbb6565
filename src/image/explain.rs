//! Why a program in a root filesystem doesn't start.
//!
//! execve(2) says ENOENT for a program that is there but whose loader isn't, and nothing but
//! EACCES or ENOEXEC for half a dozen other causes. Here the file is looked at to find out.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::sys::statvfs::{FsFlags, statvfs};
use nix::unistd::{AccessFlags, access};

use super::closure::{first_bytes, script_interpreter};
use super::elf::Elf;
use super::inside::{Unresolved, resolve_inside};
use super::libraries::Loader;

/// Why a program doesn't start. All paths are as seen inside the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExecProblem {
    /// Its path leads to no file (ENOENT, ENOTDIR, ELOOP).
    NotThere(Unresolved),
    /// It is a directory (EACCES).
    Directory,
    /// It is a device, a pipe or a socket (EACCES).
    NotAFile,
    /// We have no permission to execute it; these are its permission bits (EACCES).
    NotExecutable { mode: u32 },
    /// It is on a file system mounted `noexec` (EACCES).
    NoExecMount,
    /// It is neither an ELF file nor a script, or cut short (ENOEXEC).
    NotAProgram,
    /// It is for another processor (ENOEXEC): `e_machine` of the program and of this host.
    WrongArchitecture { program: u16, host: u16 },
    /// The loader that it names isn't there (ENOENT).
    MissingLoader { loader: PathBuf },
    /// It is a script, and the program that its first line names doesn't start for this reason.
    Interpreter { interpreter: PathBuf, problem: Box<ExecProblem> },
    /// It is a script whose first line ends as on DOS: the carriage return is taken for a part of
    /// the interpreter's name (ENOENT).
    DosLineEnding { interpreter: PathBuf },
    /// It starts, but its loader won't find these libraries and will exit with status 127.
    MissingLibraries { names: Vec<String> },
}

/// How many scripts may interpret each other before the kernel gives up with ELOOP (execve(2)).
const MOST_INTERPRETERS: usize = 4;

/// Why PROGRAM, an absolute path inside ROOT, can't be executed there; None if nothing is wrong
/// with the file, or it can't be read to find out.
pub fn explain_exec(root: &Path, program: &Path) -> Option<ExecProblem> {
    explain(root, program, 0)
}

/// The same for the DEPTHth interpreter of interpreters.
fn explain(root: &Path, program: &Path, depth: usize) -> Option<ExecProblem> {
    let file = match resolve_inside(root, program) {
        Ok(file) => file,
        Err(unresolved) => return Some(ExecProblem::NotThere(unresolved)),
    };
    let metadata = fs::metadata(&file).ok()?;
    if metadata.is_dir() {
        return Some(ExecProblem::Directory);
    }
    if !metadata.is_file() {
        return Some(ExecProblem::NotAFile);
    }
    let noexec = statvfs(&file).is_ok_and(|fs| fs.flags().contains(FsFlags::ST_NOEXEC));
    if noexec {
        return Some(ExecProblem::NoExecMount);
    }
    let mode = metadata.mode() & 0o7777;
    if mode & 0o111 == 0 || access(&file, AccessFlags::X_OK).is_err() {
        return Some(ExecProblem::NotExecutable { mode });
    }
    match first_bytes(&file)?.as_slice() {
        [0x7f, b'E', b'L', b'F', ..] => explain_elf(root, &file),
        [b'#', b'!', line @ ..] => explain_script(root, line, depth),
        _ => Some(ExecProblem::NotAProgram),
    }
}

fn explain_script(root: &Path, line: &[u8], depth: usize) -> Option<ExecProblem> {
    let Some(interpreter) = script_interpreter(line) else {
        return Some(ExecProblem::NotAProgram);
    };
    if depth >= MOST_INTERPRETERS {
        return None;
    }
    let problem = Box::new(explain(root, &interpreter, depth + 1)?);
    match interpreter.to_str().and_then(|path| path.strip_suffix('\r')) {
        Some(path) => Some(ExecProblem::DosLineEnding { interpreter: path.into() }),
        None => Some(ExecProblem::Interpreter { interpreter, problem }),
    }
}

fn explain_elf(root: &Path, file: &Path) -> Option<ExecProblem> {
    let Some(elf) = Elf::read(file) else {
        return Some(ExecProblem::NotAProgram);
    };
    // We run here, so our own machine is one that this kernel runs.
    if let Some(host) = Elf::read(Path::new("/proc/self/exe")).map(|own| own.machine)
        && !runs_on(host, elf.machine)
    {
        return Some(ExecProblem::WrongArchitecture { program: elf.machine, host });
    }
    let loader = elf.loader.clone()?;
    if resolve_inside(root, &loader).is_err() {
        return Some(ExecProblem::MissingLoader { loader });
    }
    let names = Loader::new(root, &loader, Vec::new()).libraries(file, elf).missing;
    (!names.is_empty()).then_some(ExecProblem::MissingLibraries { names })
}

/// Whether a kernel for HOST also runs programs for MACHINE: its own, and its 32-bit elder's.
fn runs_on(host: u16, machine: u16) -> bool {
    use object::elf::{EM_386, EM_AARCH64, EM_ARM, EM_X86_64};
    host == machine
        || (host, machine) == (EM_X86_64.0, EM_386.0)
        || (host, machine) == (EM_386.0, EM_X86_64.0)
        || (host, machine) == (EM_AARCH64.0, EM_ARM.0)
        || (host, machine) == (EM_ARM.0, EM_AARCH64.0)
}

/// The name of an `e_machine`, as uname(1) calls it; None for rare ones.
pub fn machine_name(machine: u16) -> Option<&'static str> {
    use object::elf::{
        EM_386, EM_AARCH64, EM_ARM, EM_LOONGARCH, EM_MIPS, EM_PPC, EM_PPC64, EM_RISCV, EM_S390, EM_X86_64,
    };
    let names = [
        (EM_386, "i386"),
        (EM_AARCH64, "aarch64"),
        (EM_ARM, "arm"),
        (EM_LOONGARCH, "loongarch64"),
        (EM_MIPS, "mips"),
        (EM_PPC, "ppc"),
        (EM_PPC64, "ppc64"),
        (EM_RISCV, "riscv64"),
        (EM_S390, "s390x"),
        (EM_X86_64, "x86_64"),
    ];
    names.into_iter().find(|(known, _)| known.0 == machine).map(|(_, name)| name)
}
