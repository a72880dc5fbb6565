//! What a command finds around it may not be what it thinks: the working directory, HOME, TMPDIR, the XDG variables,
//! /proc, and what the ledger names. Each is set up for real, in namespaces of the test's own; nothing may be written
//! where it does not belong, and what can't be done is told with its cause.

#![cfg(test)]

mod common;

use std::process::{Command, Stdio};

use common::{Ran, Who, am_root, have, place, run, skip, workshop};

/// The table's world: /mnt is the test's, and so are the places that the workshop falls back on. Commands run in
/// /mnt/cwd, where nothing is to be left.
const WORLD: &str = "
set -e
mount -t tmpfs -o mode=1777 none /mnt
: > /mnt/workshop; mount --bind \"$PROGRAM\" /mnt/workshop
for dir in home tmp cwd foreign link-to; do mkdir -m 1777 /mnt/$dir; done
mount --bind /mnt/tmp /tmp
if [ -d /root ]; then mount -t tmpfs -o mode=700 none /root; fi
ln -s link-to /mnt/link; : > /mnt/file; chmod 755 /mnt/foreign
mkdir /mnt/ro; mount -t tmpfs -o ro none /mnt/ro
export HOME=/mnt/home
cd /mnt/cwd
";

/// The world, changed, and a command in it. Whatever is left in the wrong place is told on standard error.
fn in_world(who: Who, change: &str, args: &str) -> Option<Command> {
    let users = !am_root();
    if !have("unshare", "util-linux") || !have("setpriv", "util-linux") {
        return None;
    }
    let become_user = match (who, users) {
        (Who::Root, _) => "",
        (Who::User, false) => "setpriv --reuid 65534 --regid 65534 --clear-groups --",
        (Who::User, true) => "setpriv --inh-caps=-all --bounding-set=-all,+setfcap --",
    };
    let script = format!(
        "{WORLD}\n{change}\nset +e\n$UNDER {become_user} /mnt/workshop {args}\nstatus=$?
         find /mnt/cwd /mnt/foreign -mindepth 1 ! -name rel 2>/dev/null | sed 's/^/LEFT /' >&2
         exit $status"
    );
    let mut command = crate::common::child::command("unshare");
    command.args(["--mount", "--propagation", "private"]);
    if users {
        command.args(["--user", "--map-root-user"]);
    }
    command.args(["--", "sh", "-c", &script]);
    let model = workshop(Who::User);
    command.env_clear().envs(model.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.env("PROGRAM", &place().program).current_dir("/").stdin(Stdio::null());
    Some(command)
}

/// Runs a command in the changed world and expects a status and words.
fn expect(who: Who, change: &str, args: &str, status: i32, words: &[&str]) -> Option<Ran> {
    let ran = run(&mut in_world(who, change, args)?);
    let said = format!("{}{}", ran.stdout, ran.stderr);
    assert_eq!(ran.status, status, "{who:?}: {change}: {args}: {said}");
    let squeezed = said.split_whitespace().collect::<Vec<_>>().join(" ");
    for word in words {
        assert!(squeezed.contains(word), "{who:?}: {change}: {args}: {word:?} is not in: {said}");
    }
    assert!(!said.contains("LEFT "), "{who:?}: {change}: {args}: in the wrong place: {said}");
    assert!(!said.contains("no usual cause"), "{who:?}: {change}: {args}: {said}");
    Some(ran)
}

fn all() -> impl Iterator<Item = Who> {
    Who::BOTH.into_iter().filter(|who| who.possible())
}

/// What only root can set up; skipped aloud without.
fn made_by_root() -> &'static [Who] {
    if !am_root() {
        skip("it takes root to make such surroundings", "Run the tests as root too");
        return &[];
    }
    &Who::BOTH
}

#[test]
fn whatever_home_is_nothing_is_written_where_it_does_not_belong() {
    let homes = [
        "unset HOME",
        "export HOME=",
        "mkdir -m 1777 rel; export HOME=rel",
        "export HOME=/mnt/link",
        "export HOME=/mnt/ro",
        "export HOME=/mnt/file",
        "export HOME=/mnt/none/at/all",
        "export HOME=/proc",
        "export XDG_CACHE_HOME=rel XDG_STATE_HOME=./rel",
        "export XDG_CACHE_HOME= XDG_STATE_HOME=",
        "export XDG_CACHE_HOME=/mnt/ro XDG_STATE_HOME=/mnt/file",
    ];
    for who in all() {
        for change in homes {
            expect(who, change, "step 1", 0, &[]);
        }
        if am_root() {
            expect(who, "chown 4711 /mnt/foreign; export HOME=/mnt/foreign", "step 1", 0, &[]);
        }
    }
    // For root it is a home like any other.
    expect(Who::User, "export HOME=/", "step 1", 0, &[]);
}

#[test]
fn whatever_tmpdir_is_nothing_is_written_where_it_does_not_belong() {
    let no_home = "export HOME=/mnt/ro";
    for who in all() {
        for tmp in [
            "unset TMPDIR",
            "export TMPDIR=",
            "mkdir -m 1777 rel; export TMPDIR=rel",
            "export TMPDIR=/mnt/link",
        ] {
            expect(who, &format!("{no_home}; {tmp}"), "step 1", 0, &[]);
        }
        for tmp in ["/mnt/ro", "/mnt/file", "/proc"] {
            let words = ["neither in the home directory nor at", "XDG_CACHE_HOME"];
            expect(who, &format!("{no_home}; export TMPDIR={tmp}"), "step 1", 3, &words);
        }
    }
    for &who in made_by_root() {
        // Its owner could put another folder in the place of ours.
        let change =
            format!("{no_home}; chown 4711 /mnt/foreign; chmod 777 /mnt/foreign; export TMPDIR=/mnt/foreign");
        expect(who, &change, "step 1", 3, &["neither in the home directory nor at /mnt/foreign"]);
    }
}

#[test]
fn a_working_directory_that_is_gone_or_closed_is_named() {
    let gone = "mkdir /mnt/gone; cd /mnt/gone; rmdir /mnt/gone";
    let dead = "mkdir /mnt/dead; mount -t tmpfs none /mnt/dead; cd /mnt/dead; umount -l /mnt/dead";
    let relative = [
        "new x --lang sh",
        "man out",
        "compare --svg a.svg",
        "hint",
        "progress",
        "reset",
        "check",
        "solution 1 --diff",
    ];
    for who in all() {
        for change in [gone, dead] {
            for args in ["step 1", "list", "clean", "run --step 1 -- true"] {
                expect(who, change, args, 0, &[]);
            }
        }
        for (number, args) in relative.iter().enumerate() {
            let change = if number % 2 == 0 { gone } else { dead };
            expect(who, change, args, 2, &["The working directory can't be found."]);
        }
    }
    let closed = "mkdir -m 700 /mnt/closed; cd /mnt/closed";
    for &who in made_by_root().iter().filter(|who| **who == Who::User) {
        expect(who, closed, "step 1", 0, &[]);
        expect(who, closed, "progress", 2, &[]);
        expect(who, closed, "man out", 2, &["The manual pages can't be written to out"]);
        expect(who, closed, "new x --lang sh", 2, &["is not yours to write to"]);
    }
}

#[test]
fn a_proc_that_is_missing_or_anothers_is_named_and_nothing_is_undone_by_it() {
    let missing: &[&str] = &["/proc is not mounted here.", "mount -t proc proc /proc"];
    for &who in made_by_root() {
        for change in ["umount -l /proc", "mount -t tmpfs none /proc"] {
            for (args, status) in [
                ("step 5", 3),
                ("tour", 3),
                ("doctor", 3),
                ("check 1 -- true", 3),
                ("compare", 3),
                ("clean", 3),
                ("run -- true", 125),
                ("vm -- true", 125),
            ] {
                expect(who, change, args, status, missing);
            }
        }
        let anothers = ["/proc shows another PID namespace", "unshare --pid --fork --mount-proc"];
        for (args, status) in
            [("step 5", 3), ("doctor", 3), ("clean", 3), ("run -- true", 125), ("vm -- true", 125)]
        {
            expect(who, "UNDER='unshare --pid --fork --'", args, status, &anothers);
        }
        // Of processes it shows enough; settings are no processes.
        expect(who, "mount -t proc -o subset=pid proc /proc", "step 3", 0, &[]);
        let setting = ["There is no setting /proc/sys/net/ipv4/ip_forward.", "subset=pid"];
        expect(who, "mount -t proc -o subset=pid proc /proc", "step 6", 3, &setting);
        expect(who, "mount -t proc -o hidepid=2 proc /proc", "step 6", 0, &[]);
    }
}

/// A page of the ledger that an ordinary user's workshop with this PID and start time has left, and the box that it
/// names.
fn page(pid: &str, started: &str) -> String {
    format!(
        "box=/mnt/home/.cache/workshop/boxes/{pid}-{started}-1; mkdir -p $box/upper; echo precious > $box/upper/file
         ledger=/mnt/home/.local/state/workshop/ledger; mkdir -p $ledger
         namespace=$(stat -L -c %i /proc/self/ns/pid)
         echo '{{\"undo\":\"remove-box\",\"path\":\"'$box'\"}}' > $ledger/{pid}-{started}-$namespace-1.jsonl
         chown -R $OWNER /mnt/home; chmod -R go-w /mnt/home"
    )
}

/// Runs `clean` in the changed world, and tells whether the box's file is still there.
fn clean(who: Who, change: &str, status: i32, words: &[&str], kept: bool) {
    let owner = if who == Who::User && am_root() { 65534 } else { 0 };
    let change = format!("OWNER={owner}; {change}");
    let args =
        "clean; status=$?; cat /mnt/home/.cache/workshop/boxes/*/upper/file 2>/dev/null; (exit $status)";
    let Some(ran) = expect(who, &change, args, status, words) else { return };
    assert_eq!(ran.stdout.contains("precious"), kept, "{who:?}: {change}: {}{}", ran.stdout, ran.stderr);
}

#[test]
fn clean_removes_nothing_that_is_not_proved_to_be_left_by_the_dead() {
    let started = "$(cut -d')' -f2- /proc/$$/stat | cut -d' ' -f21)";
    for who in all() {
        // Nobody has this PID, PID_MAX_LIMIT of the kernel.
        clean(who, &page("4194304", "7"), 0, &["boxes/4194304-7-1"], false);
        // The shell itself is alive.
        clean(who, &page("$$", started), 0, &["Nothing was left behind"], true);
        // Something else has come to be there.
        let mounted = format!(
            "{}; mkdir $box/upper/deep; mount -t tmpfs none $box/upper/deep; : > $box/upper/deep/file",
            page("4194304", "7")
        );
        clean(who, &mounted, 3, &["boxes/4194304-7-1 is not removed: something is mounted in it."], true);
    }
    for &who in made_by_root() {
        let hidden = format!("{}; mount -t proc -o hidepid=2 proc /proc", page("$$", started));
        clean(who, &hidden, 0, &["Nothing was left behind"], true);
        let elsewhere = format!("{}; UNDER='unshare --pid --fork --'", page("$$", started));
        clean(who, &elsewhere, 3, &["/proc shows another PID namespace"], true);
    }
}
