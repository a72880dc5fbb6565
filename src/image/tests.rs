//! Images of this very host, and programs that don't start.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::closure::Placed;
use super::*;
use testing::command;

/// A directory for a store, and the store in it.
fn store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::new(dir.path().join("store"));
    (dir, store)
}

/// A search path of one directory that holds links to PROGRAMS (name, file), and nothing else.
fn search_of(dir: &Path, programs: &[(&str, &str)]) -> Vec<PathBuf> {
    let search = dir.join("search");
    fs::create_dir(&search).unwrap();
    for (name, file) in programs {
        symlink(file, search.join(name)).unwrap();
    }
    vec![search]
}

/// The layers copied over each other into a directory, as overlay would show them.
fn merged(dir: &Path, image: &Image) -> PathBuf {
    let root = dir.join("root");
    fs::create_dir(&root).unwrap();
    for layer in &image.layers {
        let copied = command("cp").arg("-a").arg(layer.join(".")).arg(&root).status();
        assert!(copied.unwrap().success());
    }
    root
}

/// WORDS run with ROOT as its root; None where we may not do that.
fn in_root(root: &Path, words: &[&str]) -> Option<std::process::Output> {
    let mut unshare = command("unshare");
    unshare.args(["--map-root-user", "--mount", "chroot"]).arg(root);
    let allowed = command("unshare").args(["--map-root-user", "--mount", "true"]).output();
    allowed.is_ok_and(|output| output.status.success()).then_some(())?;
    Some(unshare.args(words).env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").output().unwrap())
}

/// Everything in DIR's store that is no finished image.
fn leftovers(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir.join("store")).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().into_string().unwrap());
    names.filter(|name| name.starts_with("tmp-")).collect()
}

#[test]
fn an_image_with_our_own_program_has_one_more_layer_of_what_it_lacked() {
    let (dir, store) = store();
    let plain = store.host_image(&host_search_path()).unwrap();
    let with = || store.with_own_binary(plain.clone(), Path::new("/usr/local/bin/own")).unwrap();
    let image = with();
    assert_eq!(image.layers[..plain.layers.len()], plain.layers);
    assert_ne!(image.digest, plain.digest);
    let own = image.layers.last().unwrap();
    let program = fs::metadata(own.join("usr/local/bin/own")).unwrap().len();
    // The C library is in the image already.
    assert!(image.bytes - plain.bytes < program + (1 << 20), "{program} {image:?}");

    let made = fs::metadata(own.join("usr/local/bin/own")).unwrap().modified().unwrap();
    assert_eq!(with(), image);
    let still = fs::metadata(own.join("usr/local/bin/own")).unwrap().modified().unwrap();
    assert_eq!(made, still, "it was made twice");

    let root = merged(dir.path(), &image);
    let Some(output) = in_root(&root, &["/usr/local/bin/own", "--list"]) else {
        return;
    };
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn our_own_program_starts_in_a_root_of_nothing_but_its_files() {
    let dir = tempfile::tempdir().unwrap();
    for Placed { source, place } in own_binary(Path::new("/bin/own")).unwrap() {
        let copy = dir.path().join(place.strip_prefix("/").unwrap());
        fs::create_dir_all(copy.parent().unwrap()).unwrap();
        fs::copy(source, copy).unwrap();
    }
    assert_eq!(explain_exec(dir.path(), Path::new("/bin/own")), None);
    // Here it is the program of the tests, which can list them.
    let Some(output) = in_root(dir.path(), &["/bin/own", "--list"]) else {
        return;
    };
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("our_own_program_starts"), "{output:?}");
}

#[test]
fn every_program_of_the_host_image_starts_in_it() {
    let (dir, store) = store();
    let search = host_search_path();
    let image = store.host_image(&search).unwrap();
    assert_eq!(image.missing, survey(&search).missing);
    let root = merged(dir.path(), &image);
    for (name, _) in survey(&search).found {
        let program = Path::new("/bin").join(name);
        assert_eq!(explain_exec(&root, &program), None, "{name}");
    }
    assert_eq!(leftovers(dir.path()), Vec::<String>::new());

    let Some(output) = in_root(&root, &["/bin/sh", "-c", "ls / && /usr/bin/id -un"]) else {
        return;
    };
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.ends_with("root\n"), "{output:?}");
    for (name, _) in survey(&search).found {
        let output = in_root(&root, &[name, "--version"]).unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        let (broken, status) = (errors.contains("shared libraries"), output.status.code());
        assert!(!broken && !matches!(status, Some(126 | 127)), "{name}: {output:?}");
    }
}

#[test]
fn a_busybox_with_links_is_copied_once() {
    let busybox = "/bin/busybox";
    if !Path::new(busybox).exists() {
        return;
    }
    let (dir, store) = store();
    let search = search_of(dir.path(), &[("sh", busybox), ("ls", busybox), ("cat", busybox)]);
    let image = store.host_image(&search).unwrap();
    assert!(image.missing.contains(&"ps") && !image.missing.contains(&"ls"));
    let bin = image.layers[0].join("bin");
    assert!(bin.join("busybox").symlink_metadata().unwrap().is_file());
    for name in ["sh", "ls", "cat"] {
        assert_eq!(fs::read_link(bin.join(name)).unwrap(), Path::new("busybox"));
    }
}

#[test]
fn a_busybox_without_links_is_all_there_needs_to_be() {
    if !Path::new("/bin/busybox").exists() {
        return;
    }
    let (dir, store) = store();
    let search = search_of(dir.path(), &[("busybox", "/bin/busybox")]);
    let survey = survey(&search);
    assert_eq!(survey.shell, Some(search[0].join("busybox")));
    let image = store.host_image(&search).unwrap();
    assert_eq!(image.missing, survey.missing);
    let root = merged(dir.path(), &image);
    if let Some(output) = in_root(&root, &["sh", "-c", "ls /bin/vi; cat /etc/hostname"]) {
        assert_eq!(String::from_utf8_lossy(&output.stdout), "/bin/vi\nworkshop\n");
    }
}

#[test]
fn without_a_shell_there_is_no_image() {
    let (dir, store) = store();
    let search = search_of(dir.path(), &[("ls", "/bin/ls")]);
    let error = store.host_image(&search).unwrap_err();
    assert!(matches!(error, ImageError::NoShell { .. }));
    assert!(error.to_string().contains(&search[0].display().to_string()), "{error}");
    assert_eq!(leftovers(dir.path()), Vec::<String>::new());
}

#[test]
fn an_image_is_the_same_until_a_host_program_changes() {
    let (dir, store) = store();
    let search = search_of(dir.path(), &[("sh", "/bin/sh"), ("ls", "/bin/ls")]);
    let script = search[0].join("which");
    fs::write(&script, "#!/bin/sh\n").unwrap();
    fs::set_permissions(&script, Permissions::from_mode(0o755)).unwrap();
    let first = store.host_image(&search).unwrap();
    assert_eq!(store.host_image(&search).unwrap(), first);

    fs::write(&script, "#!/bin/sh\nexit 3\n").unwrap();
    let second = store.host_image(&search).unwrap();
    assert_ne!((&second.layers[0], &second.digest), (&first.layers[0], &first.digest));
    assert_eq!(second.layers[1], first.layers[1]);
    symlink("/bin/cat", search[0].join("cat")).unwrap();
    assert!(!store.host_image(&search).unwrap().missing.contains(&"cat"));
    // A container may still run on the first one.
    assert!(first.layers[0].join("bin/which").exists());
}

/// Sets the time of a directory's last change to long ago, as that of most is.
fn age(dir: &Path) {
    fs::File::open(dir)
        .unwrap()
        .set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000))
        .unwrap();
}

#[test]
fn a_program_that_comes_is_noticed_however_it_comes() {
    let (dir, store) = store();
    let search = search_of(dir.path(), &[("sh", "/bin/sh"), ("ls", "nowhere")]);
    let (cat, ps) = (search[0].join("cat"), search[0].join("ps"));
    fs::write(&ps, "#!/bin/sh\n").unwrap();
    let lacks = |name: &str| {
        age(&search[0]);
        // Once it is built, or looked at again; then it is only compared.
        [1, 2].map(|_| store.host_image(&search).unwrap()).map(|image| image.missing.contains(&name))
    };
    assert_eq!(lacks("cat"), [true, true]);
    symlink("/bin/cat", &cat).unwrap();
    assert!(!store.host_image(&search).unwrap().missing.contains(&"cat"));
    assert_eq!(lacks("cat"), [false, false]);
    fs::remove_file(&cat).unwrap();
    assert!(store.host_image(&search).unwrap().missing.contains(&"cat"));

    // Two ways that change no directory in the search path.
    fs::set_permissions(&ps, Permissions::from_mode(0o755)).unwrap();
    assert_eq!(lacks("ps"), [false, false]);
    symlink("/bin/ls", search[0].join("nowhere")).unwrap();
    assert_eq!(lacks("ls"), [false, false]);
}

#[test]
fn a_search_path_that_has_not_changed_is_not_searched() {
    let (dir, store) = store();
    let search = search_of(dir.path(), &[("sh", "/bin/sh"), ("ls", "/bin/ls")]);
    age(&search[0]);
    let image = store.host_image(&search).unwrap();
    // What comes without a trace is not seen, since nobody looks.
    symlink("/bin/cat", search[0].join("cat")).unwrap();
    age(&search[0]);
    assert_eq!(store.host_image(&search).unwrap(), image);
}

#[test]
fn whatever_is_damaged_is_built_again() {
    let (dir, store) = store();
    let search = search_of(dir.path(), &[("sh", "/bin/sh"), ("ls", "/bin/ls")]);
    let image = store.host_image(&search).unwrap();
    let manifests = || fs::read_dir(dir.path().join("store/images")).unwrap();
    let manifest = manifests().next().unwrap().unwrap().path();
    let ls = image.layers[0].join("bin/ls");
    let digest = || image.layers.iter().map(|dir| tree_digest(dir).unwrap()).collect::<Vec<_>>();
    let whole = digest();
    let damages: [&dyn Fn(); 6] = [
        &|| fs::remove_file(&ls).unwrap(),
        &|| fs::write(&ls, "something else").unwrap(),
        &|| fs::write(image.layers[0].join("added"), "").unwrap(),
        &|| fs::remove_dir_all(&image.layers[1]).unwrap(),
        &|| fs::write(&manifest, "{\"found\":[[\"sh\"").unwrap(),
        &|| fs::remove_dir_all(dir.path().join("store")).unwrap(),
    ];
    for damage in damages {
        damage();
        assert_eq!(store.host_image(&search).unwrap(), image);
        assert_eq!(digest(), whole);
        assert_eq!(leftovers(dir.path()), Vec::<String>::new());
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "whoever else makes an image at the same time")]
fn many_at_the_same_time_all_succeed() {
    let (dir, store) = store();
    let search = search_of(dir.path(), &[("sh", "/bin/sh"), ("ls", "/bin/ls")]);
    let images: Vec<Image> = std::thread::scope(|scope| {
        let build = || scope.spawn(|| store.host_image(&search).unwrap());
        let builds: Vec<_> = std::iter::repeat_with(build).take(8).collect();
        builds.into_iter().map(|build| build.join().unwrap()).collect()
    });
    assert!(images.iter().all(|image| *image == images[0]));
    assert_eq!(leftovers(dir.path()), Vec::<String>::new());
}

#[test]
fn only_old_images_beyond_the_last_few_are_removed() {
    let (dir, store) = store();
    let search = search_of(dir.path(), &[("sh", "/bin/sh")]);
    let script = search[0].join("which");
    fs::write(&script, "#!/bin/sh\n").unwrap();
    fs::set_permissions(&script, Permissions::from_mode(0o755)).unwrap();
    let old = store.host_image(&search).unwrap().layers[0].clone();
    let layers = || fs::read_dir(dir.path().join("store/layers")).unwrap().count();

    fs::write(&script, "#!/bin/sh\n# newer\n").unwrap();
    store.host_image(&search).unwrap();
    assert_eq!(layers(), 3);
    let two_days_ago = SystemTime::now() - Duration::from_secs(2 * 24 * 60 * 60);
    fs::File::open(&old).unwrap().set_modified(two_days_ago).unwrap();
    fs::write(&script, "#!/bin/sh\n# newest\n").unwrap();
    store.host_image(&search).unwrap();
    assert_eq!(layers(), 3);
    assert!(!old.exists());
}

#[test]
fn a_full_disk_is_told_with_the_path() {
    // The parent runs this same test in a mount namespace in which the store is a small tmpfs.
    const STORE: &str = "IMAGE_TEST_SMALL_STORE";
    if let Some(small) = std::env::var_os(STORE) {
        let small = PathBuf::from(small);
        let error = Store::new(small.join("store")).host_image(&host_search_path()).unwrap_err();
        assert!(error.to_string().contains("No space left"), "{error}");
        assert!(error.to_string().contains("store/tmp-"), "{error}");
        assert_eq!(leftovers(&small), Vec::<String>::new());
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let script = "mount -t tmpfs -o size=600k tmpfs \"$1\" || exit 77; exec \"$2\" \"$3\" --exact";
    let test = "image::tests::a_full_disk_is_told_with_the_path";
    let output = command("unshare")
        .args(["--map-root-user", "--mount", "sh", "-c", script, "sh"])
        .args([dir.path(), &std::env::current_exe().unwrap(), Path::new(test)])
        .env(STORE, dir.path())
        .output();
    // Where there are no user namespaces there is no way to fill a disk that is ours.
    let Ok(output) = output else { return };
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(!text.contains("running") || output.status.success(), "{text}");
}

/// A root with this test program as /bin/program, with its `e_machine` if one is given.
fn root_with_program(machine: Option<u16>) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("bin")).unwrap();
    let mut bytes = fs::read(std::env::current_exe().unwrap()).unwrap();
    if let Some(machine) = machine {
        bytes[18..20].copy_from_slice(&machine.to_ne_bytes());
    }
    fs::write(root.path().join("bin/program"), bytes).unwrap();
    executable(&root.path().join("bin/program"));
    root
}

fn executable(file: &Path) {
    fs::set_permissions(file, Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_missing_loader_and_then_a_missing_library_are_named() {
    let root = root_with_program(None);
    let explain = || explain_exec(root.path(), Path::new("/bin/program"));
    // A static test program lacks nothing.
    let Some(ExecProblem::MissingLoader { loader }) = explain() else {
        return assert_eq!(explain(), None);
    };
    let place = root.path().join(loader.strip_prefix("/").unwrap());
    fs::create_dir_all(place.parent().unwrap()).unwrap();
    fs::copy(&loader, &place).unwrap();
    if let Some(ExecProblem::MissingLibraries { names }) = explain() {
        assert!(names.iter().any(|name| name.starts_with("libc.")), "{names:?}");
    }
}

#[test]
fn a_program_for_another_processor_is_named() {
    let sparc = 2;
    let root = root_with_program(Some(sparc));
    let problem = explain_exec(root.path(), Path::new("bin/program"));
    let Some(ExecProblem::WrongArchitecture { program, host }) = problem else {
        panic!("{problem:?}");
    };
    assert_eq!((program, machine_name(program)), (sparc, None));
    assert_eq!(machine_name(host), Some(std::env::consts::ARCH));
}

#[test]
fn files_that_are_no_programs_are_told_apart() {
    let root = tempfile::tempdir().unwrap();
    let explain = |name: &str| explain_exec(root.path(), Path::new(name));
    let file = root.path().join("file");
    fs::create_dir(root.path().join("directory")).unwrap();
    fs::write(&file, "").unwrap();
    fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
    symlink("/file", root.path().join("link")).unwrap();
    symlink("/bin/sh", root.path().join("dangling")).unwrap();
    assert_eq!(explain("/directory"), Some(ExecProblem::Directory));
    assert_eq!(explain("/link"), Some(ExecProblem::NotExecutable { mode: 0o644 }));
    executable(&file);
    assert_eq!(explain("/link"), Some(ExecProblem::NotAProgram));
    let absent = |path: &str| ExecProblem::NotThere(Unresolved::Absent { path: path.into() });
    assert_eq!(explain("/nothing"), Some(absent("/nothing")));
    let link = Unresolved::DanglingLink { link: "/dangling".into(), target: "/bin/sh".into() };
    assert_eq!(explain("/dangling"), Some(ExecProblem::NotThere(link)));

    fs::write(&file, "#!/bin/sh\n").unwrap();
    let (interpreter, problem) = (PathBuf::from("/bin/sh"), Box::new(absent("/bin")));
    assert_eq!(explain("/file"), Some(ExecProblem::Interpreter { interpreter, problem }));
    fs::write(&file, "#!/bin/sh\r\n").unwrap();
    let interpreter = PathBuf::from("/bin/sh");
    assert_eq!(explain("/file"), Some(ExecProblem::DosLineEnding { interpreter }));
    fs::write(&file, "#!/file\n").unwrap();
    assert_eq!(explain("/file"), None);
}
