//! `workshop run --userns`: who root of a container is outside, and what it may not do there.

#![cfg(test)]

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use common::{Ran, Who, am_root, home, run, skip, who, workshop};

/// Runs a script in a container with users of its own.
fn script(who: Who, options: &[&str], script: &str) -> Ran {
    let ran = run(workshop(who).args(["run", "--userns"]).args(options).args(["sh", "-c", script]));
    assert_eq!(ran.status, 0, "{who:?} {options:?}: {}{}", ran.stdout, ran.stderr);
    ran
}

#[test]
fn root_inside_is_root_of_its_own_files_and_network() {
    let look = "id -u; id -g; stat -c %u:%g / /bin/sh; echo mine > /mine; stat -c %u:%g /mine
        ip link set lo up && hostname other && hostname";
    for who in who() {
        let ran = script(who, &[], look);
        assert_eq!(ran.stdout, "0\n0\n0:0\n0:0\n0:0\nother\n", "{who:?}: {}", ran.stderr);
    }
}

#[test]
fn a_range_is_as_long_as_a_16_bit_id_and_an_ordinary_users_is_one() {
    let ids = "awk '{ print $1, $3 }' /proc/self/uid_map /proc/self/gid_map; cat /proc/self/setgroups";
    for who in who() {
        let (count, setgroups) = if who == Who::Root { (65536, "allow") } else { (1, "deny") };
        let map = format!("0 {count}\n");
        assert_eq!(script(who, &[], ids).stdout, format!("{map}{map}{setgroups}\n"), "{who:?}");
    }
}

/// Its root is another user than the one that may pass the way to its files.
#[test]
fn files_that_lie_in_a_closed_home_are_handed_in() {
    if !am_root() {
        return skip("only root's containers have a root that is somebody else", "Run the tests as root");
    }
    let closed = home(Who::Root).join("closed");
    fs::create_dir_all(&closed).expect("a folder");
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).expect("close it");
    let in_it = |command: &mut Command| run(command.env("HOME", &closed));
    for options in [&[][..], &["--init"], &["--no-net"]] {
        let ran = in_it(
            workshop(Who::Root).args(["run", "--userns"]).args(options).args(["cat", "/proc/self/uid_map"]),
        );
        assert_eq!((ran.status, ran.stderr.as_str()), (0, ""), "{options:?}");
        assert!(ran.stdout.contains(" 65536\n"), "{}", ran.stdout);
    }
    // Of its mounts nothing is left, so the folder can go.
    fs::remove_dir_all(&closed).expect("remove it");
}

#[test]
fn without_a_network_it_has_one_of_its_own_with_a_loopback() {
    for who in who() {
        let ran =
            script(who, &["--no-net"], "ip -brief link | grep -v '^\\(sit\\|tunl\\|ip6\\|gre\\|erspan\\)'");
        assert_eq!(ran.stdout.lines().count(), 1, "{who:?}: {}", ran.stdout);
        assert!(ran.stdout.contains("UP"), "{who:?}: {}", ran.stdout);
    }
}

/// Each is tried in a form that would set what is set already, were it allowed.
#[test]
fn what_belongs_to_the_host_can_not_be_changed_from_inside() {
    let tries = [
        // Of the kernel, in no namespace.
        "cat /proc/sys/kernel/randomize_va_space > /tmp/it; cat /tmp/it > /proc/sys/kernel/randomize_va_space",
        // A device node, even one that nobody could open.
        "mknod /tmp/disk b 8 0",
    ];
    for who in who() {
        for one in tries {
            let ran = script(
                who,
                &[],
                &format!("if ( {one} ) 2>/dev/null; then echo changed; else echo refused; fi"),
            );
            assert_eq!(ran.stdout, "refused\n", "{who:?}: {one}");
        }
    }
}

#[test]
fn an_earlier_steps_container_has_no_users_of_its_own() {
    let ran = run(workshop(Who::User).args(["run", "--step", "6", "--userns", "true"]));
    assert_eq!(ran.status, 2, "{}", ran.stderr);
    assert!(ran.stderr.contains("--userns") && ran.stderr.contains("step 8"), "{}", ran.stderr);
}
