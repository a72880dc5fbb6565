//! `workshop run` as a tool: Docker's options with Docker's meanings, and what an image must not make of them.

#![cfg(test)]

mod common;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use common::child::command;
use common::{NOBODY, Ran, Who, am_root, events, gets_limits, home, place, run, skip, who, workshop};
use tempfile::TempDir;

/// `workshop run WORDS…`
fn asked(who: Who, words: &[&str]) -> Ran {
    run(workshop(who).args(["--lang", "en", "run"]).args(words))
}

/// What it prints, when all is well.
fn said(who: Who, words: &[&str]) -> String {
    let ran = asked(who, words);
    assert_eq!((ran.status, ran.stderr.as_str()), (0, ""), "{who:?} {words:?}: {}", ran.stdout);
    ran.stdout
}

/// What is said of one that can't be had, with this status.
fn refused(who: Who, words: &[&str], status: i32) -> String {
    let ran = asked(who, words);
    assert_eq!((ran.status, ran.stdout.as_str()), (status, ""), "{who:?} {words:?}: {}", ran.stderr);
    ran.stderr.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A directory that anybody may use.
fn directory(name: &str) -> TempDir {
    let dir = tempfile::Builder::new().prefix(name).tempdir_in(&place().dir).expect("a directory");
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).expect("open it to others");
    dir
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

/// A layer with a small system, which others are laid upon.
fn system() -> TempDir {
    let dir = directory("system-");
    for program in ["sh", "cat", "ls", "touch", "grep", "sleep"] {
        let path = common::path_of(program).expect(program);
        let needs = run(command("ldd").arg(&path)).stdout;
        let libraries = needs.split_whitespace().filter(|word| word.starts_with('/'));
        for file in libraries.chain([text(&path)]) {
            let target = dir.path().join(file.trim_start_matches('/'));
            fs::create_dir_all(target.parent().expect("a directory")).expect("make it");
            fs::copy(file, &target).expect(file);
        }
    }
    dir
}

/// The mount points inside, in the order of the table.
const MOUNTS: &str = "cat /proc/self/mountinfo";

/// The line of a mount in what [`MOUNTS`] prints.
fn mounted<'t>(table: &'t str, target: &str) -> Option<&'t str> {
    table.lines().find(|line| line.split(' ').nth(4) == Some(target))
}

#[test]
fn variables_come_from_options_files_and_the_caller() {
    let dir = directory("env-");
    let file = dir.path().join("vars");
    fs::write(&file, "# a note\n\nA=file\r\n  B=b c=d\nMINE\nNONE\nHOME=/h\n").expect("write");
    for who in who() {
        let mut asked = workshop(who);
        asked.env("MINE", "caller").env("TOLD", "x").env_remove("NONE").env("SECRET", "s");
        asked.args(["run", "--env-file"]).arg(&file).args(["-e", "A=option", "-e", "TOLD", "--env=E=", "--"]);
        let ran = run(asked.args([
            "sh",
            "-c",
            "echo $A,$B,$MINE,${NONE-unset},$HOME,$TOLD,${E-unset},${SECRET-unset}",
        ]));
        assert_eq!(
            (ran.status, ran.stdout.as_str()),
            (0, "option,b c=d,caller,unset,/h,x,,unset\n"),
            "{}",
            ran.stderr
        );
        // By the container's own PATH the program is found.
        let said = said(who, &["-e", "PATH=/nowhere", "/bin/sh", "-c", "echo $PATH"]);
        assert_eq!(said, "/nowhere\n");
        assert!(refused(who, &["-e", "PATH=/nowhere", "sh"], 127).contains("/nowhere"));
    }
}

#[test]
fn a_user_is_the_images_own_with_exactly_his_groups() {
    let dir = directory("users-");
    let (passwd, group) = (dir.path().join("passwd"), dir.path().join("group"));
    fs::write(&passwd, "root:x:0:0::/root:/bin/sh\nann:x:1000:100::/home/ann:/bin/sh\n").expect("write");
    fs::write(&group, "users:x:100:\naudio:x:29:ann,bob\nvideo:x:44:bob\ndisk:x:6:ann\n").expect("write");
    let volumes = [format!("{}:/etc/passwd:ro", text(&passwd)), format!("{}:/etc/group:ro", text(&group))];
    let with = |user: &'static str| ["-v", &volumes[0], "-v", &volumes[1], "-u", user].map(String::from);
    let script = "grep -E '^(Uid|Gid|Groups|CapEff)' /proc/self/status; echo $HOME";
    let status = |who, more: &[&str], user| {
        let given = with(user);
        let mut words: Vec<&str> = given.iter().map(String::as_str).collect();
        words.extend(more.iter().chain(&["sh", "-c", script]));
        said(who, &words).split_whitespace().map(String::from).collect::<Vec<_>>().join(" ")
    };
    if am_root() {
        for more in [&[][..], &["--userns"], &["--init"]] {
            for (user, uid, gid, groups, home) in [
                ("ann", 1000, 100, "100 29 6", "/home/ann"),
                ("1000", 1000, 100, "100 29 6", "/home/ann"),
                ("ann:audio", 1000, 29, "29", "/home/ann"),
                ("4711:4712", 4711, 4712, "4712", "/"),
                ("4711", 4711, 0, "0", "/"),
            ] {
                let sorted = |text: &str| {
                    let mut groups: Vec<u32> = text.split(' ').flat_map(str::parse).collect();
                    groups.sort_unstable();
                    groups.iter().map(u32::to_string).collect::<Vec<_>>().join(" ")
                };
                let (ids, groups) = (|id| [id; 4].map(|id: u32| id.to_string()).join(" "), sorted(groups));
                let wanted = format!(
                    "Uid: {} Gid: {} Groups: {groups} CapEff: 0000000000000000 {home}",
                    ids(uid),
                    ids(gid)
                );
                assert_eq!(status(Who::Root, more, user), wanted, "{user} {more:?}");
            }
        }
    }
    for who in who() {
        let given = with("nobody");
        let mut words: Vec<&str> = given.iter().map(String::as_str).collect();
        words.push("true");
        assert!(refused(who, &words, 125).contains("The image has no nobody in /etc/passwd"));
    }
    // As an ordinary user there is one id, and no way to drop a group.
    assert!(status(Who::User, &[], "0").starts_with("Uid: 0 0 0 0 Gid: 0 0 0 0"));
    assert!(refused(Who::User, &["-u", "1000", "true"], 125).contains("has no ID for"));
}

#[test]
fn the_hosts_users_are_never_asked_and_a_strange_passwd_is_not_waited_for() {
    let (system, strange) = (system(), directory("strange-"));
    let etc = strange.path().join("etc");
    fs::create_dir(&etc).expect("make etc");
    fs::set_permissions(&etc, fs::Permissions::from_mode(0o777)).expect("open it");
    let image = format!("{}:{}", text(system.path()), text(strange.path()));
    let passwd = etc.join("passwd");
    for who in who() {
        // An image without any users: daemon is one of every host's.
        assert!(refused(who, &["--image", &image, "-u", "daemon", "true"], 125).contains("has no daemon"));
        for link in ["/proc/1/root/etc/passwd", "/proc/self/fd/3", "/proc/self/fd/9/etc/passwd"] {
            symlink(link, &passwd).expect("a link");
            let refused = refused(who, &["--image", &image, "-u", "daemon", "true"], 125);
            assert!(
                refused.contains("passwd can't be read") || refused.contains("has no daemon"),
                "{refused}"
            );
            fs::remove_file(&passwd).expect("remove it");
        }
        nix::unistd::mkfifo(&passwd, nix::sys::stat::Mode::from_bits_truncate(0o644)).expect("a FIFO");
        let began = Instant::now();
        assert!(refused(who, &["--image", &image, "-u", "daemon", "true"], 125).contains("can't be read"));
        assert!(began.elapsed() < common::watch::PATIENCE);
        fs::remove_file(&passwd).expect("remove it");
    }
}

#[test]
fn a_program_starts_where_it_is_told_to() {
    for who in who() {
        for (given, is) in [("/made/for/it", "/made/for/it"), ("/tmp/../etc", "/etc"), ("/../..", "/")] {
            assert_eq!(said(who, &["-w", given, "sh", "-c", "pwd -P"]).trim(), is, "{given}");
        }
        assert!(refused(who, &["-w", "here", "true"], 2).contains("is no path of the container's"));
        assert!(refused(who, &["-w", "/etc/passwd", "true"], 125).contains("is a file"));
    }
}

#[test]
fn limits_of_a_process_are_set_and_inherited() {
    for who in who() {
        let script = "ulimit -n; ulimit -Hn; ulimit -c; sh -c 'ulimit -n'";
        let said = said(who, &["--ulimit", "nofile=64:128", "--ulimit", "core=0", "sh", "-c", script]);
        assert_eq!(said, "64\n128\n0\n64\n");
    }
    let refused = refused(Who::User, &["--ulimit", "nofile=unlimited", "true"], 125);
    assert!(refused.contains("hard limit"), "{refused}");
}

#[test]
fn a_name_is_taken_once_and_free_again_when_its_container_has_ended() {
    for who in who() {
        let mut first = workshop(who);
        first.args(["run", "--name", "web-1", "sh", "-c", "echo up; read _"]);
        let mut first = first.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("start");
        let mut line = String::new();
        let mut stdout = std::io::BufReader::new(first.stdout.take().expect("a pipe"));
        std::io::BufRead::read_line(&mut stdout, &mut line).expect("read");
        assert!(refused(who, &["--name", "web-1", "true"], 2).contains("called web-1 is running"));
        assert_eq!(said(who, &["--name", "web-2", "echo", "other"]), "other\n");
        first.kill().expect("kill it");
        first.wait().expect("reap it");
        assert_eq!(said(who, &["--name", "web-1", "echo", "again"]), "again\n");
        for bad in ["../x", "/x", ".", "..", "", "a", "a b", "-a", "ä1", "x/../y", &"x".repeat(200)] {
            let given = format!("--name={bad}");
            assert!(refused(who, &[&given, "true"], 2).contains("can't be a container's name"), "{bad}");
        }
        let names = home(who).join(".local/state/workshop/names");
        assert_eq!(fs::read_dir(&names).expect("list it").count(), 0);
        assert_eq!(fs::metadata(&names).expect("look at it").permissions().mode() & 0o7777, 0o700);
    }
}

/// A container that has said that it is up, asked to end. How it ended, and after how long.
fn ended(who: Who, options: &[&str], script: &str) -> (Option<i32>, Duration, String) {
    let mut child = workshop(who);
    child.arg("run").args(options).args(["sh", "-c", script]);
    let mut child = child.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("start");
    let mut stdout = std::io::BufReader::new(child.stdout.take().expect("a pipe"));
    let mut line = String::new();
    std::io::BufRead::read_line(&mut stdout, &mut line).expect("read");
    assert_eq!(line, "up\n");
    let (began, pid) = (Instant::now(), nix::unistd::Pid::from_raw(child.id() as i32));
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).expect("ask it to end");
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut stdout, &mut rest).expect("read");
    (child.wait().expect("reap it").code(), began.elapsed(), rest)
}

#[test]
fn a_program_is_asked_to_end_as_it_was_told_and_not_for_ever() {
    let script = "trap 'echo usr1; exit 5' USR1; trap 'echo term' TERM; echo up; while :; do sleep 0.1; done";
    for who in who() {
        for init in [&[][..], &["--init"]] {
            let (status, _, rest) = ended(who, &[&["--stop-signal", "USR1"], init].concat(), script);
            assert_eq!((status, rest.as_str()), (Some(5), "usr1\n"), "{who:?} {init:?}");
        }
    }
    let (status, waited, rest) = ended(Who::User, &["--stop-timeout", "1"], script);
    assert_eq!((status, rest.as_str()), (Some(137), "term\n"));
    assert!(waited >= Duration::from_secs(1), "{waited:?}");
    let (status, _, _) = ended(Who::User, &["--stop-timeout=0"], script);
    assert_eq!(status, Some(137));
}

#[test]
fn shares_and_swap_are_limits_too_and_pids_has_its_name_in_docker() {
    for who in who().into_iter().filter(|who| gets_limits(*who)) {
        let plan = |words: &[&str]| {
            let ran = run(workshop(who).args(["run", "--plan", "--format", "json"]).args(words).arg("true"));
            assert_eq!(ran.status, 0, "{words:?}: {}", ran.stdout);
            let writes = events(&ran.stdout).into_iter().filter(|event| event["call"] == "write");
            writes.map(|event| event["args"].to_string()).collect::<Vec<_>>().join("\n")
        };
        let shares = plan(&["--cpu-shares", "512"]);
        assert!(shares.contains("cpu.shares") || shares.contains("cpu.weight"), "{shares}");
        assert!(shares.contains("512") || shares.contains("59"), "{shares}");
        assert!(plan(&["--pids-limit", "77"]).contains("77"));
        assert!(!plan(&["--pids-limit=-1"]).contains("pids.max"));
        let swap = plan(&["--memory", "64M", "--memory-swap", "96M"]);
        assert!(swap.contains(&(96 << 20).to_string()) || swap.contains(&(32 << 20).to_string()), "{swap}");
        assert_eq!(said(who, &["--cpu-shares", "512", "--pids-limit", "77", "echo", "ran"]), "ran\n");
    }
}

#[test]
fn no_network_has_two_names_and_a_terminal_must_be_there() {
    for who in who() {
        for (option, links) in [("--network=none", 1), ("--no-net", 1), ("--network=lab", 2), ("--net", 2)] {
            let said = said(who, &[option, "cat", "/proc/net/dev"]);
            assert_eq!(said.lines().count() - 2, links, "{option}: {said}");
        }
        assert!(refused(who, &["-it", "true"], 2).contains("needs a terminal"));
        assert_eq!(said(who, &["-i", "true"]), "");
    }
}

/// The names of the links in what /proc/net/dev says.
fn links(table: &str) -> Vec<&str> {
    table.lines().filter_map(|line| Some(line.split_once(':')?.0.trim())).collect()
}

#[test]
fn the_hosts_network_is_had_by_asking_for_it_and_nothing_there_is_changed() {
    let script = "cat /proc/net/dev; ls /sys/class/net; touch /sys/x 2>/dev/null && echo written";
    let hosts = fs::read_to_string("/proc/net/dev").expect("links");
    for more in [&[][..], &["--userns"], &["--read-only"]] {
        // An ordinary user may change nothing there.
        let words = [&["--network", "host"], more, &["sh", "-c", script]].concat();
        let ran = asked(Who::User, &words);
        assert_eq!(links(&ran.stdout), links(&hosts), "{more:?}: {}", ran.stderr);
        assert!(!ran.stdout.contains("written"), "{}", ran.stdout);
    }
    if am_root() && common::have("ip", "iproute2") {
        // Root might, so that it is another network that stands for the host's.
        let outer =
            r#"ip link add mark type bridge && "$0" run --network host $1 sh -c "$2"; cat /proc/net/dev"#;
        for more in ["", "--userns", "--pids=64"] {
            let mut shell = common::command_as(Who::Root, &common::path_of("unshare").expect("unshare"));
            let shell = shell.args(["-n", "sh", "-c", outer]).arg(&place().program).args([more, script]);
            let ran = run(shell);
            assert_eq!(
                links(&ran.stdout),
                ["lo", "mark", "lo", "mark"],
                "{more}: {}{}",
                ran.stdout,
                ran.stderr
            );
            // The loopback interface of what stands for the host is down as it was.
            assert!(!ran.stdout.contains("written"), "{}", ran.stdout);
        }
    }
}

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

/// Each reason of a call that only options ask for has its words, in both languages.
#[test]
fn a_plan_says_why_of_what_options_add() {
    let dir = directory("why-");
    let volume = format!("{}:/data:ro", text(dir.path()));
    let all = ["-v", &volume, "--tmpfs", "/t", "-w", "/w", "--read-only", "-u", "0", "--ulimit", "core=0"];
    for (who, lang) in who().into_iter().flat_map(|who| [(who, "en"), (who, "ko")]) {
        let shares: &[&str] = if gets_limits(who) { &["--cpu-shares", "512"] } else { &[] };
        let mut asked = workshop(who);
        asked.args(["--lang", lang, "run", "--userns", "--plan", "--format", "json"]);
        let ran = run(asked.args(all).args(shares).arg("true"));
        assert_eq!(ran.status, 0, "{}", ran.stdout);
        let added: Vec<_> = events(&ran.stdout).into_iter().filter(|event| event["step"] == "run").collect();
        assert!(added.len() >= 14, "{}", ran.stdout);
        for event in added {
            let why = event["why"].as_str().expect("a reason");
            assert!(why.contains(' ') && why.is_ascii() == (lang == "en"), "{event}");
        }
    }
}

/// A command with nothing asked for makes the calls that it made before there was anything to ask for.
#[test]
fn what_is_not_asked_for_is_not_done() {
    let plan = |words: &[&str]| {
        let ran =
            run(workshop(Who::User).args(["run", "--plan", "--format", "json"]).args(words).arg("true"));
        events(&ran.stdout)
    };
    assert!(plan(&[]).iter().all(|event| event["step"] != "run"));
    assert_eq!(plan(&[]).len(), plan(&["-i", "-e", "A=1", "--name", "some", "--stop-timeout", "1"]).len());
}

#[test]
fn options_about_its_own_files_take_some() {
    for (option, value) in [("-u", "1"), ("-w", "/x"), ("-v", "/etc:/x"), ("--tmpfs", "/x")] {
        let refused = refused(Who::User, &["--step", "2", option, value, "true"], 2);
        assert!(refused.contains("belongs to step 3"), "{refused}");
    }
    assert_eq!(said(Who::User, &["--step", "1", "-e", "A=1", "sh", "-c", "echo $A"]), "1\n");
}

/// What `--explain` finds: name and level, in order.
fn explained(who: Who, words: &[&str]) -> Vec<(String, String)> {
    let ran = run(workshop(who).args(["run", "--explain", "--format", "json"]).args(words).arg("true"));
    assert_eq!((ran.status, ran.stderr.as_str()), (0, ""), "{words:?}");
    let found = events(&ran.stdout);
    assert!(found.iter().all(|event| event["event"] == "finding"), "{}", ran.stdout);
    let field = |event: &serde_json::Value, name: &str| event[name].as_str().expect(name).to_owned();
    for event in &found {
        let groups = ["processes", "files", "limits", "network", "security"];
        assert!(groups.contains(&&*field(event, "area")), "{event}");
        assert!(!field(event, "value").is_empty() && field(event, "text").contains(' '), "{event}");
        assert!(event["source"].is_string() && !field(event, "closes").is_empty(), "{event}");
    }
    found.iter().map(|event| (field(event, "name"), field(event, "level"))).collect()
}

#[test]
fn a_command_line_is_explained_worst_first_and_nothing_is_run() {
    let dir = directory("explained-");
    let path = text(dir.path());
    for who in who() {
        let levels = ["open", "weak", "unknown", "closed"];
        let place = |level: &str| levels.iter().position(|known| *known == level).expect("a level");
        let level = |words: &[&str], name: &str| {
            let found = explained(who, words);
            assert!(found.is_sorted_by_key(|(_, level)| place(level)), "{found:?}");
            found.into_iter().find(|(found, _)| found == name).map(|(_, level)| level)
        };
        let is = |words: &[&str], name: &str, wanted: &str| {
            assert_eq!(level(words, name).as_deref(), Some(wanted), "{who:?} {words:?} {name}");
        };
        let of_root = |root: &'static str, user: &'static str| if who == Who::Root { root } else { user };
        is(&[], "users", of_root("open", "weak"));
        is(&["--userns"], "users", of_root("closed", "weak"));
        is(&["-u", "1000"], "users", of_root("unknown", "weak"));
        is(&["-u", "0"], "capabilities", of_root("open", "weak"));
        is(&["-u", "1000"], "capabilities", "closed");
        is(&["--memory", "64M"], "memory", "closed");
        is(&["--memory", "64M"], "pids", "weak");
        is(&["--pids-limit", "9", "--cpus", "1"], "cpus", "closed");
        for none in ["--network=none", "--no-net", "--net"] {
            is(&[none], "network", "closed");
        }
        is(&["--network=host"], "network", "open");
        is(&["--step", "1"], "files", "open");
        is(&["--step", "1"], "mounts", "open");
        is(&[], "processes", "closed");
        is(&[], "kernel", "weak");
        is(&["-v", &format!("{path}:/data")], "volume", "weak");
        for worst in ["/:/host", "/etc:/mnt", "/var/../etc:/mnt", "/run:/mnt:ro"] {
            let found = explained(who, &["-v", worst]);
            assert_eq!(found.first(), Some(&("volume".into(), "open".into())), "{worst}");
        }
        is(&["-v", "/:/host:ro"], "volume", "weak");
        assert_eq!(level(&[], "volume"), None);
    }
    // In both languages, with no key in place of a sentence, wherever the program's folders are.
    for (lang, word) in [("en", "One kernel serves it"), ("ko", "커널 하나가")] {
        let mut asked = workshop(Who::User);
        asked.env("HOME", path).args(["--lang", lang, "run", "--explain", "-v", "/:/host", "nonexistent"]);
        let ran = run(&mut asked);
        assert_eq!((ran.status, ran.stderr.as_str()), (0, ""));
        assert!(ran.stdout.contains(word) && ran.stdout.contains("/host"), "{}", ran.stdout);
    }
    assert_eq!(fs::read_dir(dir.path()).expect("list it").count(), 0);
    assert!(
        refused(Who::User, &["--explain", "--rootfs", "/nonexistent", "true"], 2).contains("/nonexistent")
    );
    assert!(refused(Who::User, &["--explain", "--memory", "x", "true"], 2).contains("`x`"));
}
