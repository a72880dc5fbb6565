//! The lab's promise: the host is the same before, during and after each command, but for the process and
//! the recorded group.
//!
//! "The host" is a world of the test's own where it can be: namespaces with mounts, links, addresses, routes
//! and rules in which nobody else changes anything, so that every line can be compared.

#![cfg(test)]

mod common;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use common::child::command;
use common::steps::{self, STEPS};
use common::watch::{Desk, Session, groups_of, pages, recorded};
use common::{Who, am_root, around, have, home, place, who};

/// Furnishes the world. Directories that others use are hidden, with nothing in them but a mark. The mounts are
/// shared, so that one which the workshop did not keep to itself would show.
const FURNISH: &str = r#"
set -e
mount -t tmpfs tmpfs /mnt
mkdir /mnt/keep
mount --bind "$PLACE" /mnt/keep
for dir in /tmp /run /home /root /var/tmp; do
    mount -t tmpfs -o mode=1777 tmpfs $dir
    echo mark > $dir/mark
done
mkdir -p "$PLACE"
mount --move /mnt/keep "$PLACE"
umount /mnt
mount --make-rshared /

hostname lab-test-host
ipcmk -Q >/dev/null
if [ -e /proc/sys/net/ipv6 ]; then echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6; fi
ip link set lo up
ip link add d0 type veth peer name d1
ip address add 10.77.0.1/24 dev d0
ip link set d0 up
ip link set d1 up
ip route add default via 10.77.0.2
if command -v nft >/dev/null; then
    nft add table ip keep
    nft add chain ip keep out '{ type filter hook output priority 0; }'
    nft add rule ip keep out ip daddr 10.99.0.9 drop
fi
echo furnished
read _
"#;

/// Tells all that must stay the same, under headings. The number of tracked connections is nobody's setting.
const SURVEY: &str = r#"
show() { echo "==== $1"; shift; "$@" 2>&1; }
show mounts cat /proc/self/mountinfo
show links ip -o link
show addresses ip -o address
show routes ip route show table all
show routes6 ip -6 route show table all
show rules ip rule
if command -v nft >/dev/null; then show nftables nft list ruleset; fi
show sysctls sh -c 'grep -r . /proc/sys/net 2>/dev/null | grep -v conntrack_count'
show hostname uname -n
show ipc cat /proc/sysvipc/msg /proc/sysvipc/sem /proc/sysvipc/shm
show top ls -a /
show etc find /etc -printf '%p %m %s %T@\n'
show dev find /dev -xdev -printf '%p %m %y\n'
if [ -n "$PRIVATE" ]; then
    show hidden find /tmp /run /home /root /var/tmp -xdev -printf '%p %m %s %T@\n'
fi
show home find "$HOME" \( -name workshop -o -name 'state-*' ! -path "$XDG_STATE_HOME" \) -prune -o -printf '%p %m\n'
"#;

/// What SURVEY told, by heading.
type Survey = BTreeMap<String, String>;

/// The host of this test: a private one, held by a process in it, or the real one without root.
struct World {
    holder: Option<Child>,
}

impl World {
    fn new() -> World {
        if !am_root() {
            return World { holder: None };
        }
        let mut command = command("unshare");
        command.args(["--mount", "--net", "--uts", "--ipc", "--", "sh", "-c", FURNISH]);
        command.env("PLACE", &place().dir).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut holder = command.spawn().expect("make a world");
        let mut lines = BufReader::new(holder.stdout.as_mut().expect("a pipe")).lines();
        let word = lines.next().and_then(Result::ok).unwrap_or_default();
        assert_eq!(word, "furnished", "the world could not be furnished");
        World { holder: Some(holder) }
    }

    /// The same command in this world.
    fn enter(&self, command: &Command) -> Command {
        let Some(holder) = &self.holder else { return around(&[], command) };
        let target = format!("--target={}", holder.id());
        around(&["nsenter", &target, "--mount", "--net", "--uts", "--ipc", "--"].map(OsStr::new), command)
    }

    fn survey(&self, who: Who) -> Survey {
        let mut command = command("sh");
        command.args(["-c", SURVEY]).env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", home(who));
        if self.holder.is_some() {
            command.env("PRIVATE", "1");
        }
        let output = self.enter(&command).output().expect("look at the world");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let parts = text.split("==== ").filter_map(|part| part.split_once('\n'));
        parts.map(|(heading, lines)| (heading.to_owned(), lines.to_owned())).collect()
    }

    /// The tables that can be read at any time, as often as one likes: mounts, and the names of links.
    fn glance(&self) -> (String, Vec<String>) {
        let id = self.holder.as_ref().map_or("self".to_owned(), |holder| holder.id().to_string());
        let read = |file: &str| fs::read_to_string(format!("/proc/{id}/{file}")).expect("read a table");
        let links = read("net/dev");
        let names = links.lines().skip(2).filter_map(|line| line.split(':').next());
        (read("mountinfo"), names.map(|name| name.trim().to_owned()).collect())
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(holder) = &mut self.holder {
            drop(holder.stdin.take());
            let _ = holder.wait();
        }
    }
}

/// A test's world and what is in it.
struct Promise {
    world: World,
    desk: Desk,
    before: Survey,
    glance: (String, Vec<String>),
}

impl Promise {
    fn new(who: Who, name: &str) -> Promise {
        // Copied before anybody looks.
        kernel_at_hand();
        let (world, desk) = (World::new(), Desk::new(who, name));
        // The first run makes the folders and the image, and has the kernel load what it lacks.
        let mut first = world.enter(&desk.workshop(&["tour"]));
        assert!(first.stdout(Stdio::null()).stderr(Stdio::null()).status().expect("run the tour").success());
        let (before, glance) = (world.survey(who), world.glance());
        for heading in ["mounts", "links", "addresses", "routes", "sysctls", "hostname", "ipc", "etc", "dev"]
        {
            assert!(!before[heading].is_empty(), "nothing seen of {heading}: {before:?}");
        }
        Promise { world, desk, before, glance }
    }

    fn start(&self, args: &[&str], input: Stdio) -> Session {
        let mut workshop = self.desk.workshop(args);
        workshop.envs(kernel_at_hand().map(|kernel| ("WORKSHOP_KERNEL", kernel)));
        let mut command = self.world.enter(&workshop);
        Session::start(command.stdin(input).stdout(Stdio::piped()).stderr(Stdio::null()))
    }

    /// Everything is as it was before.
    fn holds(&self, when: &str) {
        let now = self.world.survey(self.desk.who);
        for (heading, lines) in &self.before {
            let then: Vec<&str> = lines.lines().collect();
            let now: Vec<&str> = now[heading].lines().collect();
            let gone: Vec<_> = then.iter().filter(|line| !now.contains(line)).collect();
            let new: Vec<_> = now.iter().filter(|line| !then.contains(line)).collect();
            assert!(then == now, "{when}, {heading}: gone {gone:#?}, new {new:#?}");
        }
    }

    /// Nothing of a run is left.
    fn over(&self, session: &Session, when: &str) {
        session.gone();
        assert!(groups_of(session.pid()).is_empty(), "{when}: {:?}", groups_of(session.pid()));
        assert!(pages(&self.desk.state).is_empty(), "{when}: {:?}", pages(&self.desk.state));
        self.holds(&format!("after {when}"));
    }

    /// Runs a command to its end, and looks at the host all the while.
    fn through(&self, args: &[&str], statuses: &[i32]) {
        let when = args.join(" ");
        let mut session = self.start(args, Stdio::null());
        let mut output = session.child.stdout.take().expect("a pipe");
        let reader = std::thread::spawn(move || std::io::copy(&mut output, &mut std::io::sink()));
        while session.child.try_wait().expect("wait").is_none() {
            assert!(self.world.glance() == self.glance, "{when}: the host changed meanwhile");
            let (made, known) = (groups_of(session.pid()), recorded(&self.desk.state));
            // Taken back between the two looks, perhaps; never there and unknown.
            let unknown: Vec<_> = made.difference(&known).filter(|group| group.exists()).collect();
            assert!(unknown.is_empty(), "{when}: groups that no page names: {unknown:?}");
        }
        reader.join().expect("join").expect("read the output");
        assert!(statuses.contains(&session.end()), "{when}");
        self.over(&session, &when);
    }

    /// Holds a container still and looks at the host meanwhile.
    fn held(&self, args: &[&str], limited: bool) {
        let when = args.join(" ");
        let script = ["--", "sh", "-c", "echo it runs; read _; exit 0"];
        let mut session = self.start(&[args, &script].concat(), Stdio::piped());
        let mut lines = BufReader::new(session.child.stdout.take().expect("a pipe")).lines();
        assert!(lines.any(|line| line.is_ok_and(|line| line == "it runs")), "{when}: the program never ran");

        self.holds(&format!("during {when}"));
        let processes = session.processes();
        assert!(processes.iter().any(|p| p.inner == 1), "{when}: no container: {processes:?}");
        let (made, known) = (groups_of(session.pid()), recorded(&self.desk.state));
        assert!(made == known, "{when}: groups {made:?}, in the ledger {known:?}");
        assert_eq!(!made.is_empty(), limited, "{when}: {made:?}");

        drop(session.child.stdin.take());
        lines.for_each(drop);
        assert_eq!(session.end(), 0, "{when}");
        self.over(&session, &when);
    }
}

/// The kernel that is named for machines, at a place that is in the world too. `None` where it is one of the host's.
fn kernel_at_hand() -> Option<&'static PathBuf> {
    static COPY: OnceLock<Option<PathBuf>> = OnceLock::new();
    let copy = || {
        let kernel = std::env::var_os("WORKSHOP_KERNEL").filter(|name| !name.is_empty())?;
        let copy = place().dir.join("vmlinuz");
        fs::copy(kernel, &copy).expect("copy the kernel");
        Some(copy)
    };
    COPY.get_or_init(copy).as_ref()
}

fn tools() -> bool {
    let needed =
        [("ip", "iproute2"), ("unshare", "util-linux"), ("nsenter", "util-linux"), ("ipcmk", "util-linux")];
    // Without nft the rest is still worth comparing.
    have("nft", "nftables");
    needed.iter().all(|(program, package)| have(program, package))
}

#[test]
fn the_host_is_the_same_before_and_after_each_command() {
    if !tools() {
        return;
    }
    for who in who() {
        let machines = common::has_machines(who);
        let promise = Promise::new(who, "commands");
        for step in STEPS.iter().filter(|step| step.is_part || machines) {
            // Without a group of their own, ordinary users get no limits.
            let refused: &[i32] = if who == Who::User && step.limits() { &[0, 3] } else { &[0] };
            promise.through(&["step", step.slug], refused);
        }
        for args in [&["tour"][..], &["list"], &["clean"], &["clean", "--dry-run"], &["run", "--", "true"]] {
            promise.through(args, &[0]);
        }
        promise.through(&["doctor"], &[0, 3]);
        promise.through(&["step", "6", "--", "sh", "-c", "echo > /x; exit 9"], &[9]);
        promise.through(&["step", "99"], &[2]);
    }
}

#[test]
fn the_host_is_the_same_while_a_container_runs() {
    if !tools() {
        return;
    }
    for who in who() {
        let promise = Promise::new(who, "held");
        let step_of_limits = steps::of_limits();
        let limits = common::run(&mut promise.desk.workshop(&["step", step_of_limits.slug])).status == 0;
        for step in steps::parts().filter(|step| !step.limits()) {
            promise.held(&["step", step.slug], limits && step.number > step_of_limits.number);
        }
        if limits {
            promise.held(&["step", step_of_limits.slug], true);
            promise.held(&["run", "--memory", "64M"], true);
        }
        promise.held(&["run"], false);
        promise.held(&["run", "--init"], false);
    }
}
