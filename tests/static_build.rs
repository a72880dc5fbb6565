//! The program as a release has it: linked with nothing that a host would have to bring. `.ci/run static_build` makes
//! one, of sources that say where the program is to be had.

#![cfg(test)]

mod common;

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;

use common::guest::Guest;
use common::{Who, am_root, home, run, skip, workshop};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{chdir, pivot_root};
use object::{Object, ObjectSymbol};

/// The example's address in `.ci/run`.
const REPOSITORY: &str = "https://git.example/you/workshop";

fn program() -> Option<PathBuf> {
    let program = std::env::var_os("WORKSHOP_STATIC").map(PathBuf::from).filter(|file| file.is_file());
    if program.is_none() {
        let how =
            "bash .ci/run static_build, then set WORKSHOP_STATIC to what bash .ci/run static_program prints";
        skip("WORKSHOP_STATIC names no static build", how);
    }
    program
}

/// A host with this one file, /proc and four empty directories, in a mount namespace of its own; without root, in a
/// user namespace too.
struct Empty {
    root: tempfile::TempDir,
}

impl Empty {
    fn with(program: &PathBuf) -> Empty {
        let root = tempfile::tempdir().expect("a directory");
        for dir in ["proc", "sys", "dev", "tmp"] {
            fs::create_dir(root.path().join(dir)).expect("a directory of the host's");
        }
        fs::copy(program, root.path().join("workshop")).expect("copy the program");
        Empty { root }
    }

    /// Runs it there, with no environment but what is given.
    fn run(&self, args: &[&str], env: &[(&str, &str)]) -> common::Ran {
        let root = CString::new(self.root.path().to_str().expect("UTF-8")).expect("no NUL");
        let into = [("/proc", "proc"), ("/sys", "sys"), ("/dev", "dev")].map(|(from, to)| {
            (from, CString::new(self.root.path().join(to).to_str().expect("UTF-8")).expect("no NUL"))
        });
        let user = if am_root() { CloneFlags::empty() } else { CloneFlags::CLONE_NEWUSER };
        let mut command = crate::common::child::command("/workshop");
        command.args(args).env_clear().envs(env.iter().copied());
        // SAFETY: system calls only, and nothing is allocated between fork(2) and execve(2).
        unsafe {
            command.pre_exec(move || {
                let none: Option<&str> = None;
                unshare(CloneFlags::CLONE_NEWNS | user)?;
                mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)?;
                mount(Some(root.as_c_str()), root.as_c_str(), none, MsFlags::MS_BIND, none)?;
                for (from, to) in &into {
                    mount(Some(*from), to.as_c_str(), none, MsFlags::MS_BIND | MsFlags::MS_REC, none)?;
                }
                chdir(root.as_c_str())?;
                pivot_root(".", ".")?;
                umount2(".", MntFlags::MNT_DETACH)?;
                chdir("/").map_err(io::Error::from)
            })
        };
        run(&mut command)
    }
}

#[test]
fn nothing_in_it_looks_up_names_or_users() {
    let Some(program) = program() else { return };
    let file = fs::read(&program).expect("read the program");
    let file = object::File::parse(&*file).expect("an ELF file");
    let names: Vec<_> = file.symbols().filter_map(|symbol| symbol.name().ok().map(str::to_owned)).collect();
    assert!(names.len() > 1000, "its symbols were stripped");
    // A static glibc loads the host's name services for these (nsswitch.conf(5)), and may die of them.
    let lookups = [
        "getaddrinfo",
        "gethostbyname_r",
        "getpwuid_r",
        "getpwnam_r",
        "getgrgid_r",
        "getgrnam_r",
        "getservbyname_r",
    ];
    let found: Vec<_> = lookups.iter().filter(|lookup| names.iter().any(|name| name == *lookup)).collect();
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn it_runs_where_there_is_nothing_else() {
    let Some(program) = program() else { return };
    let host = Empty::with(&program);
    let version = host.run(&["--version"], &[]);
    assert_eq!(
        (version.status, version.stdout.as_str()),
        (0, concat!("workshop ", env!("CARGO_PKG_VERSION"), "\n"))
    );
    let list = host.run(&["list", "--lang", "ko"], &[]);
    assert_eq!(list.status, 0, "{}", list.stderr);
    assert!(common::steps::STEPS.iter().all(|step| list.stdout.contains(step.slug)), "{}", list.stdout);
    // No program is there to make an image of, no loader, no cgroup: some steps can't be run, and it says so.
    let doctor = host.run(&["doctor"], &[]);
    assert_eq!(doctor.status, 3, "{}\n{}", doctor.stdout, doctor.stderr);
    assert!(doctor.stdout.contains("Install them"), "{}", doctor.stdout);
    let step = host.run(&["step", "1", "--", "/workshop", "--version"], &[("TMPDIR", "/tmp")]);
    assert_eq!(step.status, 0, "{}\n{}", step.stdout, step.stderr);
    assert!(step.stdout.contains(version.stdout.trim()), "{}", step.stdout);
}

#[test]
fn it_needs_no_home_whatever_the_host_looks_users_up_with() {
    let Some(program) = program() else { return };
    if !am_root() {
        skip("this host's nsswitch.conf can be replaced by root only", "Run the tests as root");
        return;
    }
    let list = run(crate::common::child::command("unshare")
        .args(["--mount", "sh", "-c"])
        .arg(
            "mount -t tmpfs none /tmp && echo 'passwd: files systemd compat' >/tmp/nsswitch.conf &&
         mount --bind /tmp/nsswitch.conf /etc/nsswitch.conf && cp \"$0\" /tmp/workshop &&
         exec env -u HOME setpriv --reuid 54321 --regid 54321 --clear-groups /tmp/workshop list",
        )
        .arg(&program));
    assert_eq!(list.status, 0, "{}", list.stderr);
}

/// What needs no image: the profile that compiles soonest takes minutes to hash one on an emulated processor.
#[test]
fn it_runs_in_a_machine() {
    let (Some(program), true) = (program(), Guest::possible()) else { return };
    let file = format!("{}:/opt/workshop", program.display());
    let guest = Guest::new(Who::User).with(&["--copy", &file]);
    let piece = |name: &str, code: &str| (name.to_owned(), code.to_owned());
    let said = guest.script(&[
        piece("version", "/opt/workshop --version"),
        piece("list", "/opt/workshop list"),
        piece("step", "/opt/workshop step 1"),
    ]);
    for (name, said, status) in &said {
        assert_eq!(*status, 0, "{name}: {said}");
    }
    assert!(said[0].1.contains(env!("CARGO_PKG_VERSION")), "{}", said[0].1);
}

#[test]
fn it_says_where_it_is_to_be_had() {
    let Some(program) = program() else { return };
    let help = run(crate::common::child::command(&program).arg("--help"));
    assert!(help.stdout.contains(REPOSITORY), "{}", help.stdout);
    let scratch = tempfile::tempdir().expect("a directory");
    let man = run(crate::common::child::command(&program)
        .arg("man")
        .arg(scratch.path())
        .env("HOME", home(Who::User)));
    assert_eq!(man.status, 0, "{}", man.stderr);
    let page = fs::read_to_string(scratch.path().join("workshop.1")).expect("the manual");
    assert!(page.replace("\\-", "-").contains(REPOSITORY), "{page}");
    for lang in ["en", "ko"] {
        let dir = scratch.path().join(lang);
        let new = run(crate::common::child::command(&program)
            .args(["new", "--lang", "sh", "--lang", lang])
            .arg(&dir));
        assert_eq!(new.status, 0, "{}", new.stderr);
        let readme = fs::read_to_string(dir.join("README.md")).expect("a README");
        assert!(readme.contains(REPOSITORY), "{readme}");
    }
}

/// The other half: this build has no address, and promises none.
#[test]
fn without_an_address_there_is_no_link_to_nowhere() {
    if !env!("CARGO_PKG_REPOSITORY").is_empty() {
        return;
    }
    let help = run(workshop(Who::User).arg("--help"));
    assert!(!help.stdout.contains("http") && !help.stdout.contains("Source"), "{}", help.stdout);
    let dir = home(Who::User).join("nowhere");
    let new = run(workshop(Who::User).args(["new", "--lang", "sh"]).arg(&dir));
    assert_eq!(new.status, 0, "{}", new.stderr);
    let readme = fs::read_to_string(dir.join("README.md")).expect("a README");
    assert!(!readme.contains("{where}") && !readme.contains("its source:"), "{readme}");
}
