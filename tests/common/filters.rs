//! What differs from host to host and from run to run, so that two runs can be compared. Whoever compares two runs
//! masks both with these; what is recorded for people to read has stand-ins besides (see `stand_ins`).

use std::sync::OnceLock;

use regex::Regex;

use super::steps;

/// Patterns and what takes their place, in the order in which they are applied.
const PATTERNS: [(&str, &str); 71] = [
    // Releases of kernels, of the host and of guests; addresses have four numbers and no dash.
    (r"(?m)(^|[^\w.])(?:\d+(?:\.\d+){2,3}[-+~][\w.+~-]*\w|\d{1,2}\.\d+\.\d+)($|[^\w.]|\.$)", "$1[release]$2"),
    // Paths: the home's cache, directories numbered by the lab, cgroups below our own.
    (r#"/[^\s"=,:]*/\.cache/workshop/images/layers/sha256-[0-9a-f]{64}"#, "[layer]"),
    (r"…[0-9a-f]{20,},", "…[layer],"),
    (r#"/[^\s"=,:]*/\.cache/workshop"#, "[cache]"),
    (r"\b(rootfs|box|upper|work)-\d+", "$1-[n]"),
    (r#"/sys/fs/cgroup/(memory|pids|cpu)/[^\s"]*workshop-\d+-\d+-\d+"#, "/sys/fs/cgroup/$1/[group]"),
    (r#"/sys/fs/cgroup/[^\s"]*workshop-\d+-\d+-\d+"#, "/sys/fs/cgroup/[group]"),
    (
        r"(?:…|/sys/fs/cgroup)(?:/\S+)?/cgroup\.subtree_control +(= \d+)",
        "[parent]/cgroup.subtree_control  $1",
    ),
    (r#"[…/][^\s"]*workshop-\d+-\d+-\d+|…[^\s"]*\d-\d+"#, "…/[group]"),
    (r"cpu,cpuacct", "cpu"),
    // Where an ordinary user could not make a group. How long that is decides where the lines break.
    (r#"in /sys/fs/cgroup/[^\s"]*\.","#, r#"in [group].","#),
    (
        r"(?s)( Built without step 4, cgroup-limit:| 4단계\(cgroup-limit\) 없이 만들었습니다:).*?\n\n",
        "$1 [reason]\n\n",
    ),
    (r"(?s)\s+/sys/fs/cgroup/[^\[\s]*(?:\.|\s아래에.{0,30}?)\n (The|여기서는)", " [group]\n $1"),
    // Users: the first id of a range that is nobody's here, and whoever runs the tests.
    (r"\b\d{6,10} 65536\b", "[first id] 65536"),
    (r#"(upper\\"",")\d{6,10}","\d{6,10}""#, r#"$1[first id]","[first id]""#),
    (r"(/upper )\d{6,10} \d{6,10} +=", "$1[first id] [first id]  ="),
    (r"(/[ug]id_map 0 \d+ 1) +(= \d)", "$1  $2"),
    (r"…[0-9a-f]{20,} +(= \S+)", "…[layer]  $1"),
    (r#"("name":"(?:uid|own-file|image-file)","outside":")\d+"#, "$1[id]"),
    (r"(uid_map  0 )\d+ 1  ", "$1[id] 1  "),
    (r#"("name":"map","outside":"0 )\d+ 1""#, r#"$1[id] 1""#),
    (r"/proc/\d+/(uid_map|gid_map|setgroups)", "/proc/[pid]/$1"),
    (r"(\] 65536|/setgroups deny)  +(= \d)", "$1  $2"),
    // Calls: PIDs, descriptors, the environment.
    (r#"("name":"(?:clone3|socket|open_tree)".*?"result":")\d+"#, "$1[n]"),
    (r"((?:clone3|socket|open_tree) .* = )\d+", "$1[n]"),
    (r#"("name":"(?:write|sendto|mount_setattr|move_mount|fchdir)","args":\[")\d+"#, "$1[fd]"),
    (r"userns_fd=\d+", "userns_fd=[fd]"),
    (r"(fchdir +)\d+ +=", "$1[fd]  ="),
    (r#""\\"(?:/usr)?/s?bin/sh\\"""#, r#""\"/bin/sh\"""#),
    (r"0x[0-9a-f]+ /\* \d+ vars \*/", "0x[pointer] /* [n] vars */"),
    (r"netns \d+", "netns [pid]"),
    (r"(IFLA_MASTER\}, )\d+", "$1[index]"),
    (r"(IFLA_NET_NS_PID\}, )\d+", "$1[pid]"),
    (r"(\[(?:n|pid|group)\]\S*(?: \d+| addrgenmode)?) +(= )", "$1  $2"),
    // Whether these fit on one line is a matter of how long a PID is.
    (r"(\[group\]/\S+)  (= \d+)\n +[│┃] +(\d+)\n", "$1 $3  $2\n"),
    (r"(netns \[pid\])(?: addrgenmode)?  (= \d+)\n +[│┃] +(?:addrgenmode )?none", "$1 addrgenmode none  $2"),
    // A machine: its kernel, what QEMU was called with, what both sides have, when it was where. Not every
    // firmware says anything.
    (r#"("event":"boot","kernel":")[^"]+"#, "$1[guest's]"),
    (
        r#"("name":"given-kernel","passed":true,"expected":")[^"]+(","actual":")[^"]+"#,
        "$1[guest's]$2[guest's]",
    ),
    (r#"(-kernel\\", \\")[^"\\]+"#, "$1[kernel]"),
    (r"/dev/fd/\d+", "/dev/fd/[fd]"),
    (r#"…[^"\s]*"\](\s)"#, r#"…[kernel]"]$1"#),
    (r#"("name":"memfd_create".*?"result":")\d+"#, "$1[fd]"),
    (r"(memfd_create .* = )\d+", "$1[fd]"),
    (r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", "[boot ID]"),
    (r#"("name":"boot-id","outside":")\w+(","inside":")\w+"#, "$1[id]$2[id]"),
    (r#"("name":"processor","outside":")[^"]*(","inside":")[^"]+"#, "$1[name]$2[name]"),
    (r#"("name":"uptime","outside":")[^"]+(","inside":")[^"]+"#, "$1[time]$2[time]"),
    (r"\b\d+ MiB\b", "[size]"),
    (r"\b1 outside, \d\d+ inside", "1 outside, [n] inside"),
    (r"\b\d+ pages inside, \d+ outside", "[n] pages inside, [n] outside"),
    (r"device \d+ inode \d+", "device [device] inode [inode]"),
    (r#"\{"name":"firmware"[^}]*\},|(?m)^ (?:firmware|펌웨어) +\d.*\n"#, ""),
    (r"(?m)^ (\S.*?\S) +\d+ ms +\d+ ms$", " $1  [ms]  [ms]"),
    (r"\b\d+ ms\b", "[ms]"),
    // Facts and what checks saw.
    (r"([a-z]+):\[\d+\]", "$1:[inode]"),
    (r"inode \d+ on [^\s\x22]+(  |\x22,\x22inside)", "inode [n] on [type]$1"),
    (r"\bdevice \d+:\d+", "device [device]"),
    (r"\d+ outside as before", "[n] outside as before"),
    (r#""\d+ 2 1""#, r#""[pid] 2 1""#),
    (r"\b\d+ mounts, \d+ links, \d+ routes", "[n] mounts, [n] links, [n] routes"),
    (r#""\d+, \d+, \d+""#, r#""[n], [n], [n]""#),
    (r"\b[0-9a-f]{12}\b", "[digest]"),
    (r"\b\d+(?:\.\d)? (?:B|kB|MB|GB)\b", "[size]"),
    // Rows of facts in JSON: those that are counts, and those whose outside is the host's own word.
    (r#"("name":"(?:nspid|pid|mounts|processes|home|devices)","outside":")\d+"#, "$1[n]"),
    (r#"("name":"(?:mounts|processes)","outside":"\[n\]","inside":")(?:[013-9]|\d\d+)""#, r#"$1[n]""#),
    (r#"("outside":"\[n\]","inside":")\d+ 1""#, r#"$1[pid] 1""#),
    (r#"("name":"(?:first|hostname|proc|root)","outside":")[^"\[]+""#, r#"$1[host's]""#),
    (r#"("name":"proc","outside":"\[host's\]","inside":")[\d:]+"#, "$1[device]"),
    (r#","t":[0-9.e-]+,"source":"src/[a-z0-9_/]+\.rs:\d+""#, ""),
    (r#""(at|seconds)":[0-9.e-]+"#, r#""$1":[s]"#),
    (r" \d+\.\d ?(s|초)\n", " [s] $1\n"),
];

/// Where limits are v2, the group is an argument of clone3. To the step of limits that matters, to others it does not.
const GROUP: [[(&str, &str); 2]; 2] = [
    [(r"(, cgroup=)\d+\}", "$1[fd]}"), (r"(CLONE_INTO_CGROUP) +(= )", "$1  $2")],
    [(r"(\|(?:\n +[│┃] +)?CLONE_INTO_CGROUP)", ""), (r", cgroup=\d+\}", "}")],
];

/// Those of [`GROUP`] for a snapshot.
pub fn of_group(name: &str) -> [(&'static str, &'static str); 2] {
    GROUP[usize::from(!name.starts_with(&format!("step_{}_", steps::of_limits().number)))]
}

/// The same for rows of the text's table of facts, once its columns are two spaces apart.
const ROWS: [(&str, &str); 13] = [
    (r"(?m)^( (?:/home|/dev|ps ax|echo \$\$))  \d+  (0|1|2|13)(?:  .+)?$", "$1  [n]  $2"),
    (r"(?m)^( (?:kernel|커널))  \S+  \S+$", "$1  [release]  [guest's]"),
    (r"(?m)^( (?:boot|부팅) ID)  \w+  \w+$", "$1  [id]  [id]"),
    (r"(?m)^( PID 1)  .+  workshop$", "$1  [host's]  workshop"),
    (r"(?m)^( (?:processor|프로세서))  .+\n(?:  +.+\n)?", "$1  [name]  [name]\n"),
    (r"(?m)\d+\.\d s  \d+\.\d s$", "[time]  [time]"),
    (r"(?m)^( NSpid)  \d+  \d+ 1$", "$1  [n]  [n] 1"),
    // Two counts of one thing at two moments: whether they are the same is no matter.
    (r"(?m)^(.+)  \d+  \d+(  .+)?$", "$1  [n]  [n]"),
    (r"(?m)^(.+)  \d+:\d+  \d+:\d+$", "$1  [device]  [device]"),
    (r"(?m)^(.+)  \S+  box(?:  .+)?$", "$1  [host's]  box"),
    (r"(?m)^(.+?)  .+?  sh(?:  .+)?$", "$1  [host's]  sh"),
    (r"(?m)^(.+)  \S+  overlay(?:  .+)?$", "$1  [host's]  overlay"),
    (r"(?m)^(.+\S)  +(\S)", "$1  $2"),
];

/// All patterns that hold for every run of a step.
pub fn filters() -> &'static [(Regex, String)] {
    static FILTERS: OnceLock<Vec<(Regex, String)>> = OnceLock::new();
    FILTERS.get_or_init(|| compiled(&PATTERNS))
}

fn compiled(patterns: &[(&str, &str)]) -> Vec<(Regex, String)> {
    patterns.iter().map(|(pattern, with)| (Regex::new(pattern).expect(pattern), with.to_string())).collect()
}

/// What a run said, without what differs.
pub fn masked(text: &str) -> String {
    without(text, filters())
}

fn without(text: &str, patterns: &[(Regex, String)]) -> String {
    let apply = |text: String, (pattern, with): &(Regex, String)| {
        pattern.replace_all(&text, with.as_str()).into_owned()
    };
    patterns.iter().fold(text.to_string(), apply)
}

/// A run as people read it, without colours and without what differs. `name` is its name in book/runs.toml.
pub fn plain(name: &str, text: &str) -> String {
    let colours = Regex::new("\u{1b}\\[[0-9;]*m").expect("a pattern");
    let text = even_columns(&colours.replace_all(text, ""));
    let own: &[&[_]] = match name {
        "compare" => &[&COMPARED, OTHER_RUNS],
        "doctor" => &[DOCTOR],
        _ if steps::machines().any(|step| name == format!("step-{}", step.number)) => &[MACHINE],
        _ => &[],
    };
    let group = of_group(&(name.replace('-', "_") + "_"));
    masked(&without(&text, &compiled(&[&own.concat()[..], &group].concat())))
}

/// The table of facts with its columns two spaces apart, since their widths are those of the values.
pub fn even_columns(text: &str) -> String {
    let wide = Regex::new(r"(\S) {2,}").expect("a pattern");
    let equal = Regex::new(r"(?m)  =$").expect("a pattern");
    let paragraphs = text.split("\n\n").map(|paragraph| {
        let head = paragraph.trim_start();
        if !head.starts_with("outside ") && !head.starts_with("밖 ") {
            return paragraph.to_string();
        }
        let even = wide.replace_all(paragraph, "$1  ").into_owned();
        // How wide the values are decides how it is said.
        let even =
            equal.replace_all(&even, if head.starts_with("outside") { "  the same" } else { "  같음" });
        let rows = ROWS.iter().map(|(pattern, with)| (Regex::new(pattern).expect(pattern), with));
        rows.fold(even.into_owned(), |text, (pattern, with)| pattern.replace_all(&text, *with).into_owned())
    });
    paragraphs.collect::<Vec<_>>().join("\n\n")
}

/// The parts of a comparison that differ from host to host and from run to run, and what takes their place.
pub const COMPARED: [(&str, &str); 7] = [
    (r"[█▏▎▍▌▋▊▉]+ *", "[bar]  "),
    (r"\d+(\.\d+)?( (ns|µs|ms|s\b|KiB|MiB|GiB)|초)", "[amount]"),
    (r"×\d+(\.\d)?", "×[n]"),
    (r"(?s)(processor|프로세서)(:?) .*?\n( |- )(kernel|커널)", "$1$2 [processor]\n$3$4"),
    (r"(?m)^( |- )(container|컨테이너)(:?) +(all|여섯|한도).*$", "$1$2$3 [steps]"),
    (r"(processes inside|안쪽 프로세스)( +| \| )\d+", "$1$2[n]"),
    (r" {2,}", "  "),
];

/// What differs between two comparisons of other numbers of runs, besides what differs between any two.
const OTHER_RUNS: &[(&str, &str)] = &[
    (r"(?m)^( (?:kernel|커널) +)\d\S+$", "$1[release]"),
    (r"(?m)^( (?:runs|실행 횟수) +).+\n(?:  .+\n)?", "$1[numbers]\n"),
    (r"(?m)^( (?:processes inside|안쪽 프로세스) .+ )\d+$", "$1[n]"),
    (r"\d[\d.]*( times as|배)", "[n]$1"),
    // Where a line breaks is a matter of how long a number is.
    (r"(?m)(\S)\n (\S)", "$1 $2"),
    // One run has no range.
    (r" +\d[\d.,]*–\d[\d.,]*", ""),
    (r"(?m) +$", ""),
];

/// What another host has.
const DOCTOR: &[(&str, &str)] = &[
    // A kernel that is too old by its release is told in a sentence.
    (r"(?m)^( (?:kernel|커널) ) .+\n(?:      +.+\n)*", "$1 [of this host]\n"),
    (r"(?m)^( cgroups? +).+$", "$1[versions]"),
    (r"(?m)^( (?:image|이미지) +\D*)\d+", "$1[n]"),
    (
        r"(?m)^( (?:by hand|명령 블록|QEMU|KVM|kernel for a VM|VM의 커널)) .+\n(?:      +.+\n)*",
        "$1 [of this host]\n",
    ),
];

/// Where the guest boots the kernel that the host runs, the table says so.
const MACHINE: &[(&str, &str)] =
    &[(r"(?m)^( (?:kernel|커널|number of ns/pid|ns/pid의 번호)  \S+  \S+)  .+$", "$1")];
