//! `workshop run` as a tool: Docker's options with Docker's meanings, and what an image must not make of them.

#![cfg(test)]

mod common;
#[path = "run/explain.rs"]
mod explain;
#[path = "run/files.rs"]
mod files;

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
fn options_about_its_own_files_take_some() {
    for (option, value) in [("-u", "1"), ("-w", "/x"), ("-v", "/etc:/x"), ("--tmpfs", "/x")] {
        let refused = refused(Who::User, &["--step", "2", option, value, "true"], 2);
        assert!(refused.contains("belongs to step 3"), "{refused}");
    }
    assert_eq!(said(Who::User, &["--step", "1", "-e", "A=1", "sh", "-c", "echo $A"]), "1\n");
}
