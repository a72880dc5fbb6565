//! The same on a host that has cgroup v2 alone, and is no namespace of ours: a virtual machine.

use std::path::Path;
use std::process::Stdio;

use crate::common::guest::{Guest, kernel};
use crate::common::{Who, command_as, place};
use crate::masks::masked;
use crate::page::{Block, Mark, blocks};
use crate::ways::{Terminal, Way};
use crate::{judge, recording};

/// What a block could change there.
const SURVEY: &str =
    "cat /proc/self/mountinfo; find /sys/fs/cgroup -type d; cat /sys/fs/cgroup/cgroup.subtree_control";

/// As a host with systemd: the controllers are handed on to the groups, and a shell is in one of them.
const AS_WITH_SYSTEMD: &str = "mkdir /sys/fs/cgroup/session; echo $$ > /sys/fs/cgroup/session/cgroup.procs; \
    echo '+memory +pids +cpu' > /sys/fs/cgroup/cgroup.subtree_control";

fn machine() -> Terminal {
    let mut command = command_as(Who::Root, Path::new(&place().program));
    command.args([
        "vm",
        "--accel",
        "tcg",
        "--lang",
        "en",
        "--memory",
        "768M",
        "--copy",
        "/usr/bin/rmdir:/bin/rmdir",
    ]);
    command.env("WORKSHOP_KERNEL", kernel()).env("TERM", "xterm").stdin(Stdio::inherit());
    command.args(["--", "bash", "--norc", "--noprofile", "-i"]);
    Terminal::open(command, "PS1='@''@1 ' PS2='@''@2 '; stty -echo; cd /")
}

fn of_groups(block: &Block) -> bool {
    !matches!(block.mark, Mark::Needs(_))
        && block.text.contains("/sys/fs/cgroup")
        && !["workshop ", "runc "].iter().any(|program| block.text.contains(program))
}

#[test]
fn blocks_of_groups_hold_on_cgroup_v2() {
    if !crate::possible() || !Guest::possible() || recording() {
        return;
    }
    let mut terminal = machine();
    let mut faults = Vec::new();
    for handed_on in [false, true] {
        if handed_on {
            terminal.type_in(AS_WITH_SYSTEMD);
        }
        for block in blocks().iter().filter(|block| of_groups(block)) {
            let before = terminal.type_in(SURVEY);
            // Where no controller is handed on, a block that hands them on takes them back; a shell's group has no limit.
            let ways =
                if handed_on { &[Way::Typed, Way::Pasted, Way::Piped][..] } else { &[Way::Pasted][..] };
            for way in ways.iter().copied() {
                let said = match way {
                    Way::Typed => terminal.type_in(&block.text),
                    Way::Pasted => terminal.paste(&block.text),
                    _ => terminal.type_in(&format!("sh <<'PIPED'\n{}PIPED", block.text)),
                };
                let after = terminal.type_in(SURVEY);
                if before != after {
                    faults.push(format!("{} {way:?}: from\n{before}\nto\n{after}", block.key));
                }
                // What was piped came through a terminal, too.
                let way = if way == Way::Piped { Way::Typed } else { way };
                let judged = handed_on || block.key.ends_with("by-hand");
                faults.extend(
                    judge(block, way, &masked(&[], &said))
                        .filter(|_| judged)
                        .map(|what| format!("{} {way:?}: {what}", block.key)),
                );
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
