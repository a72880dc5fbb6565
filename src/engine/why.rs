//! Why a program did not start, in words: what the kernel would not run, and what its loader did not find.

use std::ffi::OsStr;
use std::path::Path;

use nix::sched::{CloneFlags, setns};
use nix::unistd::fchdir;

use super::op::Command;
use super::program::{Aftermath, environment, find};
use fault::Fault;
use fault::shell::shell_word;
use image::{self, ExecProblem, Unresolved, explain_exec};
use kernel::lacks::aside;
use kernel::root::enter_root;

/// What explains a status of 127 of a program that has ended: execve(2) works for one whose libraries are missing, and it is
/// the loader that gives up.
pub fn lacks_libraries_there(there: &Aftermath, command: &Command) -> Option<Fault> {
    let look = || -> Option<Fault> {
        if let Some(mounts) = &there.mounts {
            setns(mounts, CloneFlags::CLONE_NEWNS).ok()?;
        }
        enter_root(&there.root).ok()?;
        fchdir(&there.directory).ok()?;
        let path = find(command.argv.first()?, &environment(command).ok()?).ok()?;
        lacks_libraries(Path::new(&path).as_os_str())
    };
    aside(look).ok().flatten()
}

/// Why the kernel would not run a file, beyond its error number.
pub fn explain(path: &Path) -> Option<Fault> {
    let program = path.display().to_string();
    if !path.exists() && std::fs::symlink_metadata(path).is_err() {
        return Some(Fault::program(127, "program-missing", &[("program", &program)]));
    }
    explain_exec(Path::new("/"), path).map(|problem| in_words(&program, problem))
}

/// Which libraries a program, or its interpreter, starts without, only to be ended by its loader.
pub fn lacks_libraries(path: &OsStr) -> Option<Fault> {
    let path = Path::new(path);
    let problem = explain_exec(Path::new("/"), path).filter(lacks);
    problem.map(|problem| in_words(&path.display().to_string(), problem))
}

fn lacks(problem: &ExecProblem) -> bool {
    match problem {
        ExecProblem::MissingLibraries { .. } => true,
        ExecProblem::Interpreter { problem, .. } => lacks(problem),
        _ => false,
    }
}

/// The words for what is wrong with a program, and Docker's exit status for it.
fn in_words(program: &str, problem: ExecProblem) -> Fault {
    let word = shell_word(OsStr::new(program));
    let fault = |status, key: &str, what: &str| {
        Fault::program(status, key, &[("program", program), ("word", &word), ("what", what)])
    };
    let machine =
        |number| image::machine_name(number).map_or_else(|| format!("machine {number}"), String::from);
    match problem {
        ExecProblem::NotThere(Unresolved::DanglingLink { target, .. }) => {
            fault(127, "program-link", &target.display().to_string())
        }
        // Something has the name, but it is nothing that can be executed: shells say 126 of that.
        ExecProblem::NotThere(Unresolved::LinkLoop { link }) => {
            fault(126, "program-link-loop", &link.display().to_string())
        }
        ExecProblem::NotThere(_) => fault(127, "program-missing", ""),
        ExecProblem::MissingLoader { loader } => fault(127, "program-loader", &loader.display().to_string()),
        ExecProblem::Interpreter { interpreter, problem } => {
            let what = interpreter.display().to_string();
            match *problem {
                ExecProblem::NotThere(_) => fault(127, "program-interpreter", &what),
                // One that is there and can't run either.
                problem => in_words(&what, problem),
            }
        }
        ExecProblem::DosLineEnding { interpreter } => {
            fault(127, "program-dos", &interpreter.display().to_string())
        }
        ExecProblem::MissingLibraries { names } => fault(127, "program-libraries", &names.join(", ")),
        ExecProblem::NotExecutable { .. } => fault(126, "program-not-executable", ""),
        ExecProblem::NoExecMount => fault(126, "program-noexec", ""),
        ExecProblem::Directory => fault(126, "program-directory", ""),
        ExecProblem::WrongArchitecture { program, host } => {
            fault(126, "program-architecture", &format!("{}, {}", machine(program), machine(host)))
        }
        ExecProblem::NotAFile | ExecProblem::NotAProgram => fault(126, "program-not-one", ""),
    }
}
