//! What is said of a command line without running it.

use super::*;

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
        is(&["-u", "ann"], "capabilities", "unknown");
        is(&["-u", "1000"], "masks", "weak");
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
