//! What is mounted, and what an image must not make of it.

use super::*;

#[test]
fn volumes_show_what_was_asked_for_and_no_more() {
    for who in who() {
        let dir = directory("volume-");
        fs::write(dir.path().join("file"), "from outside\n").expect("write");
        let volume = format!("{}:/data", text(dir.path()));
        let said_ =
            said(who, &["-v", &volume, "sh", "-c", &format!("cat /data/file; touch /data/new; {MOUNTS}")]);
        assert!(said_.starts_with("from outside\n"));
        let line = mounted(&said_, "/data").expect("a mount");
        assert!(line.contains("nosuid") && line.contains("nodev"), "{line}");
        assert!(dir.path().join("new").exists());
        for words in [
            ["-v", &format!("{volume}:ro"), "touch", "/data/x"],
            ["--mount", &format!("type=bind,src={},dst=/data,ro", text(dir.path())), "touch", "/data/x"],
        ] {
            let ran = asked(who, &words);
            assert!(ran.status != 0 && ran.stderr.contains("Read-only"), "{words:?}: {}", ran.stderr);
        }
        // A file on a file, and a place that is made for it.
        let file = format!("{}:/deep/in/it", text(&dir.path().join("file")));
        assert_eq!(said(who, &["-v", &file, "cat", "/deep/in/it"]), "from outside\n");
        // Those that others lie in come first.
        let inner = format!("{}:/data/inner", text(dir.path()));
        fs::create_dir(dir.path().join("inner")).expect("make it");
        assert_eq!(said(who, &["-v", &inner, "-v", &volume, "cat", "/data/inner/file"]), "from outside\n");
    }
}

#[test]
fn under_a_map_a_volumes_files_belong_to_the_containers_root() {
    if !am_root() {
        return skip("an ordinary user maps one id", "Run it as root");
    }
    let dir = directory("mapped-");
    fs::write(dir.path().join("file"), "").expect("write");
    let volume = format!("{}:/data", text(dir.path()));
    let ran = asked(
        Who::Root,
        &["--userns", "-v", &volume, "sh", "-c", &format!("{MOUNTS}; ls -ln /data; touch /data/new")],
    );
    let is_mapped = mounted(&ran.stdout, "/data").expect("a mount").contains("idmapped");
    if !is_mapped {
        return skip("this filesystem has no id-mapped mounts", "Run it on Linux 5.12 with ext4");
    }
    assert_eq!((ran.status, ran.stderr.as_str()), (0, ""));
    assert!(
        ran.stdout.lines().any(|line| line.ends_with("file") && line.contains(" 0 0 ")),
        "{}",
        ran.stdout
    );
    let owner =
        |name: &str| std::os::unix::fs::MetadataExt::uid(&fs::metadata(dir.path().join(name)).expect(name));
    assert_eq!((owner("file"), owner("new")), (0, 0));
}

#[test]
fn what_is_mounted_below_a_volume_is_read_only_with_it() {
    for who in who() {
        let dir = directory("nested-");
        fs::create_dir(dir.path().join("sub")).expect("make it");
        let root = if who == Who::Root { "-m" } else { "-rm" };
        let script =
            r#"mount -t tmpfs t "$1/sub" && exec "$0" run -v "$1:/v:ro" sh -c 'touch /v/sub/x || ls /v'"#;
        let mut outer = common::command_as(who, &common::path_of("unshare").expect("unshare"));
        let ran = run(outer.args([root, "sh", "-c", script]).arg(&place().program).arg(dir.path()));
        assert!(ran.stderr.contains("Read-only") && ran.stdout == "sub\n", "{}{}", ran.stdout, ran.stderr);
    }
}

#[test]
fn memory_can_be_mounted_and_the_rest_kept_as_it_is() {
    for who in who() {
        let script = format!(
            "{MOUNTS}; touch /t/x && ! touch /x 2>/dev/null && ! touch /etc/x 2>/dev/null && echo kept"
        );
        for words in [
            ["--tmpfs", "/t:size=1m,mode=700"],
            ["--mount", "type=tmpfs,dst=/t,tmpfs-size=1M,tmpfs-mode=0700"],
        ] {
            let said = said(who, &[&words[..], &["--read-only", "sh", "-c", &script]].concat());
            let line = mounted(&said, "/t").expect("a mount");
            for option in ["nosuid", "nodev", "noexec", "size=1024k", "mode=700"] {
                assert!(line.contains(option), "{option} in {line}");
            }
            assert!(mounted(&said, "/").expect("a root").contains(" ro"), "{said}");
            assert!(said.ends_with("kept\n"), "{said}");
        }
        let ran = asked(who, &["--tmpfs", "/t:ro", "touch", "/t/x"]);
        assert!(ran.stderr.contains("Read-only"), "{}", ran.stderr);
    }
}

/// Links that an image may have in the place of a mount's target, and where such a mount must be.
#[test]
fn no_link_of_an_image_leads_a_mount_out_of_it() {
    let (system, evil, outside) = (system(), directory("evil-"), directory("outside-"));
    let source = directory("source-");
    fs::write(source.path().join("mark"), "").expect("write");
    let up = "../".repeat(20);
    for (name, target) in [
        ("absolute", text(outside.path()).to_owned()),
        ("relative", format!("{up}{}", text(outside.path()).trim_start_matches('/'))),
        ("chain", "/absolute".into()),
    ] {
        symlink(target, evil.path().join(name)).expect("a link");
    }
    let like = evil.path().join(text(outside.path()).trim_start_matches('/'));
    fs::create_dir_all(&like).expect("its like inside");
    if am_root() {
        // Whoever has one id can change what is his.
        for dir in like.ancestors().take_while(|dir| dir.starts_with(evil.path())) {
            std::os::unix::fs::chown(dir, Some(NOBODY), Some(NOBODY)).expect("give it away");
        }
    }
    let image = format!("{}:{}", text(system.path()), text(evil.path()));
    // What a lookup would come to that begins outside.
    assert_eq!(fs::canonicalize(evil.path().join("absolute")).expect("it is there"), outside.path());
    for who in who() {
        for target in ["/absolute/in", "/relative/in", "/chain/in", "/../../../absolute/in"] {
            let volume = format!("{}:{target}", text(source.path()));
            let said = said(who, &["--image", &image, "-v", &volume, "sh", "-c", MOUNTS]);
            let inside = format!("{}/in", text(outside.path()));
            assert!(mounted(&said, &inside).is_some(), "{who:?} {target}: {said}");
            assert_eq!(fs::read_dir(outside.path()).expect("list it").count(), 0, "{target}");
        }
    }
}

#[test]
fn nothing_is_mounted_over_what_the_kernel_says_of_itself() {
    let (system, evil, source) = (system(), directory("evil-"), directory("source-"));
    for (name, target) in [
        ("p", "proc"),
        ("self", "/proc/self"),
        ("s", "/sys"),
        ("fs", "../../sys/fs"),
        ("r", "/"),
        ("rr", "/lib/.."),
    ] {
        symlink(target, evil.path().join(name)).expect("a link");
    }
    let image = format!("{}:{}", text(system.path()), text(evil.path()));
    for who in who() {
        let volume = |target: &str| format!("{}:{target}", text(source.path()));
        for target in ["/", "/.", "/proc", "/proc/self/attr", "/sys/fs/cgroup", "/x/../proc", "//proc/"] {
            assert!(
                refused(who, &["-v", &volume(target), "true"], 2).contains("Nothing may be mounted on"),
                "{target}"
            );
        }
        // CVE-2019-19921, CVE-2023-27561: by a link of the image's.
        for target in ["/p", "/p/self", "/self", "/self/attr", "/s", "/fs", "/r", "/rr"] {
            let words = ["--image", &image, "-v", &volume(target), "true"];
            assert!(refused(who, &words, 125).contains("Nothing may be mounted on"), "{who:?} {target}");
            let words = ["--image", &image, "--tmpfs", target, "true"];
            assert!(refused(who, &words, 125).contains("Nothing may be mounted on"), "{who:?} {target}");
        }
    }
}

/// CVE-2024-21626: a link to what we hold open, of which a part lies outside.
#[test]
fn neither_a_directory_nor_a_mount_goes_through_what_we_hold_open() {
    let (system, evil, source) = (system(), directory("evil-"), directory("source-"));
    for number in 0..24 {
        symlink(format!("/proc/self/fd/{number}"), evil.path().join(format!("fd{number}"))).expect("a link");
    }
    symlink("/proc/self/cwd", evil.path().join("cwd")).expect("a link");
    symlink("/proc/1/root", evil.path().join("root")).expect("a link");
    let image = format!("{}:{}", text(system.path()), text(evil.path()));
    for who in who() {
        for name in ["fd3", "fd5", "fd7", "fd9", "fd12", "cwd", "root"] {
            let inside = format!("/{name}");
            let words = ["--image", &image, "-w", &inside, "sh", "-c", "ls"];
            // What is not open is a link that leads nowhere.
            let holds =
                |said: &str| said.contains("ELOOP") || (name.starts_with("fd") && said.contains("EEXIST"));
            let said = refused(who, &words, 125);
            assert!(holds(&said), "{who:?} {name}: {said}");
            let volume = format!("{}:/{name}/in", text(source.path()));
            let said = refused(who, &["--image", &image, "-v", &volume, "true"], 125);
            assert!(holds(&said), "{who:?} {name}: {said}");
        }
    }
}

/// CVE-2021-30465, CVE-2024-45310: the target is another by the time that it is mounted on.
#[test]
fn a_target_that_is_swapped_while_we_start_is_still_the_containers() {
    let (system, evil, outside) = (system(), directory("evil-"), directory("outside-"));
    let source = directory("source-");
    let (here, link) = (evil.path().join("data"), evil.path().join("link"));
    fs::create_dir(&here).expect("make it");
    fs::create_dir(here.join("in")).expect("make it");
    symlink(outside.path(), &link).expect("a link");
    let image = format!("{}:{}", text(system.path()), text(evil.path()));
    let stop = std::sync::atomic::AtomicBool::new(false);
    let inside = format!("{}/in", text(outside.path()));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                let how = nix::fcntl::RenameFlags::RENAME_EXCHANGE;
                let at = nix::fcntl::AT_FDCWD;
                nix::fcntl::renameat2(at, &here, at, &link, how).expect("swap them");
                std::thread::sleep(Duration::from_micros(200));
            }
        });
        for who in who() {
            for _ in 0..6 {
                let volume = format!("{}:/data/in", text(source.path()));
                let ran = asked(who, &["--image", &image, "-v", &volume, "sh", "-c", MOUNTS]);
                let there =
                    ["/data/in", "/link/in", &inside].iter().any(|at| mounted(&ran.stdout, at).is_some());
                assert!(there || ran.status == 125, "{}{}", ran.stdout, ran.stderr);
                assert_eq!(fs::read_dir(outside.path()).expect("list it").count(), 0);
            }
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}

#[test]
fn an_image_is_directories_and_no_name() {
    let (system, upper) = (system(), directory("upper-"));
    fs::write(upper.path().join("mark"), "upper\n").expect("write");
    fs::write(system.path().join("mark"), "lower\n").expect("write");
    let (lower, upper_) = (text(system.path()), text(upper.path()));
    for who in who() {
        assert_eq!(said(who, &["--image", &format!("{lower}:{upper_}"), "cat", "/mark"]), "upper\n");
        assert_eq!(said(who, &["--image", &format!("{upper_}:{lower}"), "cat", "/mark"]), "lower\n");
        let mut from_there = workshop(who);
        from_there.current_dir(system.path().parent().expect("a parent"));
        let name = system.path().file_name().expect("a name").to_str().expect("a name");
        let ran = run(from_there.args(["run", "--rootfs", &format!("./{name}"), "cat", "/mark"]));
        assert_eq!((ran.status, ran.stdout.as_str()), (0, "lower\n"), "{}", ran.stderr);
        for name in ["debian", "debian:12", "/tmp:debian", "", "/tmp:"] {
            assert!(refused(who, &["--image", name, "true"], 2).contains("no images yet"), "{name}");
        }
        assert!(
            refused(who, &["--image", &format!("{lower}:/nonexistent"), "true"], 2).contains("/nonexistent")
        );
    }
}
