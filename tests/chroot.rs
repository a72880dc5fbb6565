//! A chroot, where `/` is not the root of the mount namespace. What goes wrong there goes wrong on the system around
//! it, so that all of this happens in a virtual machine; one boot does for it.

#![cfg(test)]

mod common;

use common::guest::Guest;
use common::{Who, have};

/// The program and its friends once more, on a mount of their own and in a plain directory, with the filesystems that a
/// rescue shell has mounted there; and a list of what must stay the same around them.
const FURNISH: &str = "
set -e
furnish() {
    for name in bin sbin lib lib64 usr etc; do if [ -e /$name ]; then cp $2 /$name $1/; fi; done
    mkdir -p $1/proc $1/sys $1/dev $1/tmp $1/root
    mount -t proc proc $1/proc; mount --rbind /sys $1/sys; mount --rbind /dev $1/dev
}
mkdir /mounted /plain; mount -t tmpfs -o mode=755 none /mounted
furnish /mounted -a; furnish /plain -al
find /etc /bin /home /root /run /srv /var /mine 2>/dev/null | sort | xargs stat -c '%n %i %s %Y' > /tmp/before
";

/// Says what is not as it was around the chroots.
const CHANGED: &str = "
find /etc /bin /home /root /run /srv /var /mine 2>/dev/null | sort | xargs stat -c '%n %i %s %Y' > /tmp/after
busybox diff /tmp/before /tmp/after
";

/// A command in a chroot.
fn inside(dir: &str, change: &str, user: &str, command: &str) -> (String, String) {
    let code = format!("busybox chroot {dir} sh -c 'export HOME=/root; {change} {user} workshop {command}'");
    (format!("{dir} {change}{user}{command}"), code)
}

#[test]
fn in_a_chroot_nothing_is_done_and_the_cause_is_told() {
    if !Guest::possible() || !have("busybox", "busybox-static") {
        return;
    }
    let busybox = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
        .map(|dir| dir.join("busybox"))
        .find(|file| file.is_file())
        .expect("it is there");
    let guest = Guest::new(Who::User).with(&["--copy", &format!("{}:/bin/busybox", busybox.display())]);

    let setpriv = "HOME=/tmp setpriv --reuid 1000 --regid 1000 --clear-groups";
    let mut pieces = vec![("furnish".into(), FURNISH.into())];
    let mut expected: Vec<&[&str]> = vec![&[]];
    let mut add = |piece, words| {
        pieces.push(piece);
        expected.push(words);
    };
    let mounted: &[&str] =
        &["This is a chroot: `/` is not the root of the mount namespace.", "pivot_root . ."];
    let plain: &[&str] =
        &["This is a chroot: `/` is a directory on which nothing is mounted.", "pivot_root . ."];
    let all: &[&str] =
        &["step 5", "tour", "doctor", "run -- true", "compare", "check 1 -- true", "adapt unshare run true"];
    for (dir, words, commands) in [("/mounted", mounted, all), ("/plain", plain, &all[..3])] {
        for command in commands {
            add(inside(dir, "", "", command), words);
        }
        add(inside(dir, "umount /proc;", "", "step 5"), words);
    }
    add(inside("/plain", "mount -t proc proc /proc; chmod 1777 /tmp;", setpriv, "step 1"), plain);
    let user: &[&str] = &["The kernel refused a user namespace (EPERM).", "A process in a chroot gets none"];
    add(inside("/mounted", "mount -t proc proc /proc; chmod 1777 /tmp;", setpriv, "step 1"), user);
    // What the message advises, for both.
    let enter = "mount --rbind $0 $0 && cd $0 && busybox pivot_root . . && umount -l . && exec busybox chroot . sh -c \"$1\"";
    let advised = |dir: &str, command: &str| {
        let code = format!("unshare --mount sh -c '{enter}' {dir} 'HOME=/root workshop {command}'");
        (format!("{dir} as advised: {command}"), code)
    };
    for (dir, command) in [("/mounted", "step 2"), ("/plain", "step 5")] {
        add(advised(dir, command), &[]);
    }
    add(("around".into(), CHANGED.into()), &[]);

    let said = guest.script(&pieces);
    for ((name, text, status), words) in said.iter().zip(expected) {
        let status_expected = match (words.is_empty(), name.contains(" run") || name.contains(" adapt")) {
            (true, _) => 0,
            (false, true) => 125,
            (false, false) => 3,
        };
        let squeezed = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(*status, status_expected, "{name}: {text}");
        for word in words {
            assert!(squeezed.contains(word), "{name}: {word:?} is not in: {text}");
        }
    }
}
