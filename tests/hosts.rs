//! Hosts that say no. Each is made for real, in namespaces of the test's own: what the workshop meets is a
//! kernel that refuses, not a mock; and the host that the tests run on stays as it is.

#![cfg(test)]

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use common::elsewhere::{changed, filtered};
use common::refuse::{Refusal, Side, can_refuse, run_refusing};
use common::{Ran, Who, am_root, events, has_machines, have, place, run, skip, workshop};
use nix::errno::Errno;

/// The workshop on another host: a shell changes it in a mount namespace of its own, and becomes the
/// workshop. Where the tests have no root to change things with, a user namespace has. `None`, and skipped
/// aloud, where neither is possible.
fn on_host(who: Who, change: &str, args: &[&str]) -> Option<Command> {
    if who == Who::Root && !am_root() {
        skip("nobody can be root on such a host", "Run the tests as root too");
        return None;
    }
    changed(who, !am_root(), change, args)
}

/// An empty directory to mount things on, and to keep what everybody may write to.
fn disk(name: &str) -> PathBuf {
    let dir = place().dir.join(name);
    fs::create_dir(&dir).expect("a directory");
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o1777)).expect("open it to all");
    dir
}

/// Expects a JSON run to end in one error with this status and these words.
fn expect_error(ran: &Ran, status: i32, words: &[&str]) {
    let last = events(&ran.stdout).pop().unwrap_or_else(|| panic!("nothing was said: {}", ran.stderr));
    assert_eq!(last["event"], "error", "{last}");
    assert_eq!((&last["code"], ran.status), (&status.into(), status), "{last}");
    let said = last["message"].to_string() + &last["hint"].to_string();
    for word in words {
        assert!(said.contains(word), "{word:?} is not in: {said}");
    }
}

/// Runs a step on a changed host, and expects this exit status and these words.
fn refused(who: Who, change: &str, step: &str, status: i32, words: &[&str]) {
    let Some(mut command) = on_host(who, change, &["step", step, "--format", "json"]) else { return };
    expect_error(&run(&mut command), status, words);
}

/// Runs on a changed host, and expects all to hold. False if there can be no such host here.
fn works(who: Who, change: &str, args: &[&str]) -> bool {
    let Some(mut command) = on_host(who, change, args) else { return false };
    let ran = run(&mut command);
    assert_eq!(ran.status, 0, "{who:?}, {change}: {}{}", ran.stdout, ran.stderr);
    assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
    true
}

/// Root and an ordinary user, on a host that takes root to make; nobody, and skipped aloud, without root.
fn made_by_root() -> &'static [Who] {
    if !am_root() {
        skip("it takes root to make such a host", "Run the tests as root too");
        return &[];
    }
    &Who::BOTH
}

/// Root and an ordinary user where both are possible, or the latter alone.
fn all() -> impl Iterator<Item = Who> {
    Who::BOTH.into_iter().filter(|who| who.possible())
}

#[test]
fn without_user_namespaces_it_names_the_sysctl() {
    // The limit that a user namespace sets itself holds for what is made below it, and for nobody else.
    let change = "echo 0 > /proc/sys/user/max_user_namespaces";
    let Some(mut command) = changed(Who::User, true, change, &["step", "1", "--format", "json"]) else {
        return;
    };
    expect_error(&run(&mut command), 3, &["(ENOSPC)", "The sysctl user.max_user_namespaces is 0"]);
}

/// Refuses the workshop's own `name`: unshare(1), which it was before, has made the first.
fn refused_second(name: &str, errno: Errno, setting: &str, words: &[&str]) {
    if !can_refuse() {
        return;
    }
    let change = format!("mount -t tmpfs none /proc/sys/kernel; {setting}");
    let Some(mut command) = on_host(Who::User, &change, &["step", "1", "--format", "json"]) else { return };
    let refusal = Refusal { side: Side::Host, name: name.into(), nth: 2, lasting: false, errno };
    let refused = run_refusing(&mut command, &refusal);
    assert!(refused.hit && !refused.hung, "{}", refused.ran.stderr);
    expect_error(&refused.ran, 3, words);
}

#[test]
fn where_apparmor_restricts_user_namespaces_it_says_so() {
    let setting = "echo 1 > /proc/sys/kernel/apparmor_restrict_unprivileged_userns";
    let words = ["apparmor_restrict_unprivileged_userns=0", "sudo workshop"];
    refused_second("unshare", Errno::EPERM, setting, &words);
    // Ubuntu gives the namespace and takes the privileges that come with it.
    refused_second("mount", Errno::EACCES, setting, &words);
}

#[test]
fn where_a_sysctl_forbids_user_namespaces_it_says_so() {
    let setting = "echo 0 > /proc/sys/kernel/unprivileged_userns_clone";
    refused_second("unshare", Errno::EPERM, setting, &["(EPERM)", "kernel.unprivileged_userns_clone=1"]);
    let none = "true";
    refused_second("unshare", Errno::EPERM, none, &["(EPERM)", "chroot", "workshop doctor"]);
}

#[test]
fn where_parts_of_proc_are_masked_it_says_so() {
    let mask = "mount -t tmpfs -o ro none /proc/irq";
    refused(Who::User, mask, "2", 3, &["No new /proc", "/proc/irq", "--privileged"]);
    // Step 1 needs no new /proc, and root gets one all the same.
    works(Who::User, mask, &["step", "1"]);
    if am_root() {
        works(Who::Root, mask, &["step", "2"]);
    }
}

#[test]
fn on_a_read_only_cgroup_filesystem_limits_are_refused_and_the_rest_works() {
    let change = "grep -o ' /sys/fs/cgroup[^ ]*' /proc/self/mountinfo | while read -r dir; do
                      mount -o remount,bind,ro \"$dir\"; done";
    refused(Who::Root, change, "4", 3, &["read-only", "/sys/fs/cgroup", "--privileged"]);
    works(Who::Root, change, &["step", "6"]);
}

#[test]
fn without_a_cgroup_filesystem_limits_are_refused_and_the_rest_works() {
    let change = "umount -R /sys/fs/cgroup";
    refused(Who::Root, change, "4", 3, &["No cgroup filesystem", "memory", "mount -t cgroup"]);
    for &who in made_by_root() {
        works(who, change, &["step", "6"]);
        works(who, change, &["tour"]);
    }
}

#[test]
fn doctor_says_each_remedy_once_and_sends_nobody_to_doctor() {
    let cache = disk("small");
    for who in all() {
        // No image fits there, and nearly every step wants one.
        let change = format!(
            "export XDG_CACHE_HOME={0}; mount -t tmpfs -o size=1m,mode=1777 none {0}",
            cache.display()
        );
        let Some(mut doctor) = on_host(who, &change, &["doctor"]) else { continue };
        let ran = run(&mut doctor);
        assert_eq!(ran.status, 3, "{}{}", ran.stdout, ran.stderr);
        let said = ran.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.contains("No space left on device") && !said.contains("workshop doctor"), "{said}");
        let sentences: Vec<_> = said.split_inclusive(". ").filter(|sentence| sentence.len() > 40).collect();
        for sentence in &sentences {
            let times = sentences.iter().filter(|other| other == &sentence).count();
            assert_eq!(times, 1, "{sentence:?} in {said}");
        }
    }
}

#[test]
fn without_devices_it_names_the_one_that_is_missing() {
    let empty = "mount -t tmpfs none /dev";
    // Who may mount in the lab's place decides nothing here: nobody can make a device for a container.
    for &who in made_by_root() {
        refused(who, empty, "3", 3, &["This host has no /dev/", "mount -t devtmpfs"]);
        works(who, empty, &["list"]);
    }
    let one = "mount -t tmpfs none /run; mkdir /run/d; for n in null zero random urandom tty; do touch /run/d/$n; mount --bind /dev/$n /run/d/$n; done;
               mount --rbind /run/d /dev";
    refused(Who::Root, one, "3", 3, &["This host has no /dev/full"]);
}

#[test]
fn with_few_descriptors_it_names_the_limit() {
    let program = common::place().program.display().to_string();
    let mut some = 0;
    for who in all() {
        // Fewer, and the loader can't open the C library.
        for limit in 4..20 {
            // It has to make the image first.
            let cache = common::home(who).join(format!("cache-{limit}"));
            let script = format!("ulimit -n {limit}; exec {program} run true");
            let mut limited = common::command_as(who, "sh".as_ref());
            let ran = run(limited.env("XDG_CACHE_HOME", cache).args(["-c", &script]));
            if ran.status == 0 {
                break;
            }
            some += 1;
            assert!(ran.stderr.contains("ulimit -n 256"), "{limit}, status {}: {}", ran.status, ran.stderr);
        }
    }
    assert!(some > 0, "it needs no descriptors");
}

#[test]
fn where_sysctls_are_read_only_step_6_says_so() {
    let change = "mount --bind /proc/sys /proc/sys; mount -o remount,bind,ro /proc/sys";
    refused(Who::Root, change, "6", 3, &["/proc/sys/net/ipv4/ip_forward", "--privileged"]);
}

/// No QEMU, and no kernel but the one that runs.
const WITHOUT_QEMU: &str =
    "for name in qemu-system-x86_64 qemu-kvm; do for dir in /usr/bin /usr/local/bin /usr/libexec; do
    if [ -e $dir/$name ]; then mount --bind /dev/null $dir/$name; fi; done; done";
const WITHOUT_KERNEL: &str = "unset WORKSHOP_KERNEL; for dir in /boot /lib/modules; do
    if [ -d $dir ]; then mount -t tmpfs none $dir; fi; done";

#[test]
fn without_qemu_or_a_kernel_step_7_says_how_to_get_it_and_the_tour_goes_on() {
    refused(Who::Root, WITHOUT_QEMU, "7", 3, &["no QEMU", "apt install qemu-system-x86", "dnf install"]);
    let have = common::has_machines(Who::Root);
    for &who in made_by_root().iter().filter(|_| have) {
        refused(who, WITHOUT_KERNEL, "7", 3, &["no kernel", "apt install linux-image", "pacman -S linux"]);
        works(who, WITHOUT_KERNEL, &["tour"]);
        let Some(mut doctor) = on_host(who, WITHOUT_KERNEL, &["doctor"]) else { continue };
        let ran = run(&mut doctor);
        assert_eq!(ran.status, 3, "{}", ran.stdout);
        assert!(ran.stderr.contains("apt install linux-image"), "{}", ran.stderr);
    }
}

#[test]
fn without_a_home_it_keeps_its_folders_in_tmp() {
    let tmp = disk("tmp");
    for who in all() {
        let change = format!("export HOME=/nonexistent/home TMPDIR={}", tmp.display());
        if who == Who::User && works(who, &change, &["step", "1"]) {
            let made: Vec<_> = fs::read_dir(&tmp).expect("tmp").flatten().collect();
            assert_eq!(made.len(), 1, "{made:?}");
            let mode = made[0].metadata().expect("it is there").permissions().mode();
            assert!(made[0].file_name().to_string_lossy().starts_with("workshop-") && mode & 0o777 == 0o700);
        }
        // A machine is made from within the lab, where the caller has another number.
        if who == Who::User && has_machines(who) {
            works(who, &change, &["step", "7"]);
        }
        let nowhere = "export HOME=/proc/home TMPDIR=/proc/tmp";
        refused(who, nowhere, "1", 3, &["neither in the home directory nor at /proc/tmp", "XDG_CACHE_HOME"]);
    }
}

#[test]
fn a_strangers_folder_in_tmp_is_not_trusted() {
    if !am_root() {
        return skip("only root can be two users", "Run the tests as root too");
    }
    let tmp = disk("stranger");
    fs::create_dir(tmp.join("workshop-65534")).expect("a directory of root's");
    fs::set_permissions(tmp.join("workshop-65534"), fs::Permissions::from_mode(0o777)).expect("open it");
    let change = format!("export HOME=/nonexistent TMPDIR={}", tmp.display());
    refused(Who::User, &change, "1", 3, &["belongs to somebody else"]);
}

#[test]
fn on_a_full_disk_nothing_is_left_half_made() {
    for who in all() {
        let dir = disk(&format!("full-{}", who.name()));
        let change = format!(
            "export XDG_CACHE_HOME={0}; mount -t tmpfs -o size=1m,mode=1777 none {0}
             set +e; \"$@\"; status=$?; find {0} -mindepth 3 -o -type f >&2; exit $status",
            dir.display()
        );
        let Some(mut command) = on_host(who, &change, &["step", "3", "--format", "json"]) else { return };
        let ran = run(&mut command);
        expect_error(&ran, 3, &["No space left on device", "XDG_CACHE_HOME"]);
        assert_eq!(ran.stderr, "", "files are left");
    }
}

#[test]
fn where_overlays_are_stacked_too_high_step_5_says_so() {
    for &who in made_by_root() {
        let dir = disk(&format!("stack-{}", who.name()));
        let change = format!(
            "mount -t tmpfs none {0}; cd {0}; mkdir l u1 w1 m1 u2 w2 m2; chmod 1777 u2
             mount -t overlay -o lowerdir=l,upperdir=u1,workdir=w1 none m1
             mount -t overlay -o lowerdir=m1,upperdir=u2,workdir=w2 none m2
             export XDG_CACHE_HOME=$PWD/m2/cache; cd /",
            dir.display()
        );
        // Step 3 copies its files and needs no overlay.
        works(who, &change, &["step", "3"]);
        refused(who, &change, "5", 3, &["Overlayfs does not take", "EINVAL", "XDG_CACHE_HOME"]);
    }
}

#[test]
fn where_user_namespaces_get_no_overlay_step_5_says_so() {
    if !can_refuse() {
        return;
    }
    // The first mount of the container makes everything private.
    let errno = Errno::EPERM;
    let refusal = Refusal { side: Side::Container, name: "mount".into(), nth: 2, lasting: false, errno };
    let refused = run_refusing(workshop(Who::User).args(["step", "5", "--format", "json"]), &refusal);
    expect_error(&refused.ran, 4, &["overlay: mount(", "lowerdir=", "Linux 5.11", "sudo workshop"]);
}

#[test]
fn under_a_seccomp_filter_it_says_so() {
    let command = |step: &str| {
        let mut command = workshop(Who::User);
        command.args(["step", step, "--format", "json"]);
        command
    };
    let unshare = run(&mut filtered(command("1"), libc::SYS_unshare, libc::EPERM));
    expect_error(&unshare, 3, &["(EPERM)", "seccomp filter", "docker run --privileged"]);
    let clone3 = run(&mut filtered(command("1"), libc::SYS_clone3, libc::ENOSYS));
    expect_error(&clone3, 3, &["no clone3(2)", "ENOSYS", "since 5.3", "seccomp"]);
    let mount = run(&mut filtered(command("3"), libc::SYS_pivot_root, libc::EPERM));
    expect_error(&mount, 3, &["refuses pivot_root(2)", "EPERM", "seccomp"]);
}

#[test]
fn where_busybox_is_all_there_is_the_tour_works() {
    if !have("busybox", "busybox-static") || !have("setpriv", "util-linux") {
        return;
    }
    for &who in made_by_root() {
        let dir = disk(&format!("busybox-{}", who.name()));
        let change = format!(
            "mount -t tmpfs -o mode=755 none {dir}; cd {dir}; mkdir -p bin dev proc sys tmp home; chmod 1777 tmp home
             cp $(command -v busybox) bin/busybox
             for name in $(bin/busybox --list); do ln -s busybox bin/$name 2>/dev/null || :; done
             for file in {program} /usr/bin/setpriv $(ldd {program} /usr/bin/setpriv | grep -o '/lib[^ ]*'); do
                 mkdir -p .$(dirname $file); cp -L $file .$file; done
             for name in dev proc sys; do mount --rbind /$name $name; done
             export PATH=/bin HOME=/home
             exec bin/busybox sh -c 'cd {dir} && pivot_root . . && umount -l . && cd / && exec \"$@\"' sh \"$@\"",
            dir = dir.display(),
            program = place().program.display()
        );
        works(who, &change, &["tour"]);
        works(who, &change, &["run", "--", "sh", "-c", "ls / && exit 0"]);
    }
}

#[test]
fn without_a_hypervisor_the_other_two_are_compared_and_the_status_says_so() {
    let hidden = "for name in qemu-system-x86_64 qemu-kvm; do \
                  for dir in /usr/local/bin /usr/bin /bin /usr/sbin /usr/libexec; do \
                  if [ -e $dir/$name ]; then mount --bind /dev/null $dir/$name; fi; done; done";
    for who in all() {
        let args = ["compare", "--runs", "1", "--format", "json"];
        let Some(mut command) = on_host(who, hidden, &args) else { return };
        command.envs(std::env::var_os("WORKSHOP_KERNEL").map(|kernel| ("WORKSHOP_KERNEL", kernel)));
        let ran = run(&mut command);
        let events = events(&ran.stdout);
        let of = |event: &str| events.iter().filter(|e| e["event"] == event).collect::<Vec<_>>();
        assert_eq!(ran.status, 3, "{who:?}: {}{}", ran.stdout, ran.stderr);
        assert_eq!(of("subject").len(), 2, "process and container were measured");
        let [error] = of("error")[..] else { panic!("one error: {}", ran.stdout) };
        assert_eq!(error["code"], 3);
        let done = events.last().expect("events");
        assert_eq!((&done["passed"], &done["skipped"]), (&2.into(), &1.into()), "{done}");
    }
}
