//! The recordings that the book's player plays: each step's calls with what each has changed, from a real run
//! (`--record`), in both languages. Values that one run or one machine has are those of every machine's there.

use std::fs;

use regex::{Captures, Regex};
use serde_json::{Value, json};

use crate::common::guest::Guest;
use crate::common::{Ran, Who, am_root, have, place, skip};
use crate::{book, on_the_host, read, recording};

/// The steps that make a container, but for the one that sets limits.
const ON_THE_HOST: [u32; 6] = [1, 2, 3, 5, 6, 8];

/// What is recorded in a guest: readers have cgroup v2, and so has it. The last is the whole container.
const IN_A_GUEST: [(&str, &str); 2] = [("step-4", "step 4"), ("whole", "step 8 --verbose")];

/// The languages of the book.
const LANGS: [&str; 2] = ["en", "ko"];

#[test]
fn what_the_player_plays_is_a_real_run() {
    if !am_root() {
        return skip("the book's runs are root's", "Run the tests as root");
    }
    if !Guest::possible() || !have("unshare", "util-linux") {
        return;
    }
    for (name, lang, lines) in recorded_in_a_guest() {
        judge(&name, lang, &lines);
    }
    for (step, lang) in ON_THE_HOST.iter().flat_map(|step| LANGS.map(|lang| (step, lang))) {
        judge(&format!("step-{step}"), lang, &recorded_here(*step, lang));
    }
}

fn judge(name: &str, lang: &str, lines: &str) {
    let file = book().join(lang).join("runs").join(name).with_extension("json");
    let now = for_every_machine(lines);
    if recording() {
        fs::write(&file, now).expect("write the recording");
    } else {
        assert_eq!(read(&file), now, "{}", file.display());
    }
}

fn recorded_here(step: u32, lang: &str) -> String {
    let command = ["step", &step.to_string(), "--record", "/home/you/it"].map(String::from);
    let Ran { status, stderr, .. } = on_the_host(&command, lang);
    assert_eq!(status, 0, "step {step}: {stderr}");
    fs::read_to_string(place().dir.join("root/it")).expect("a recording")
}

/// Name, language and lines of each.
fn recorded_in_a_guest() -> Vec<(String, &'static str, String)> {
    let runs = IN_A_GUEST.iter().flat_map(|(name, command)| LANGS.map(|lang| (name, command, lang)));
    let line = |(name, command, lang): (&&str, &&str, &str)| {
        let line = format!("workshop {command} --record /tmp/it --lang {lang} >/dev/null && cat /tmp/it");
        (format!("{name} {lang}"), line)
    };
    let said = Guest::new(Who::Root).script(&runs.clone().map(line).collect::<Vec<_>>());
    let ran = runs.zip(said).map(|((name, _, lang), (_, text, status))| {
        assert_eq!(status, 0, "{name} {lang}: {text}");
        (name.to_string(), lang, text)
    });
    ran.collect()
}

/// The calls as the player has them, one a line.
fn for_every_machine(recording: &str) -> String {
    let mut names = Names::default();
    let events = recording.lines().map(|line| serde_json::from_str(line).expect("a line of JSON"));
    let calls = events.filter(|event: &Value| event["event"] == "call");
    calls.map(|call| names.call(&call).to_string() + "\n").collect()
}

/// What stands for the values that only one run has.
#[derive(Default)]
struct Names {
    /// Of the container's first processes.
    pids: Vec<String>,
    /// Numbers of namespaces, in the order in which they were met.
    namespaces: Vec<String>,
    /// Roots and working directories, by device and inode.
    directories: Vec<String>,
}

impl Names {
    fn call(&mut self, call: &Value) -> Value {
        if call["name"] == "clone3" {
            self.pids.extend(call["result"].as_str().map(String::from));
        }
        let mut args: Vec<String> = list(&call["args"]).iter().map(|arg| self.readable(text(arg))).collect();
        // Which number a descriptor gets depends on what else is open.
        let is_number = |name: &str| ["setgroups", "setresgid", "setresuid"].contains(&name);
        let descriptor =
            args.first_mut().filter(|_| call["name"] != "clone3" && !is_number(text(&call["name"])));
        if let Some(number) = descriptor.filter(|arg| arg.bytes().all(|c| c.is_ascii_digit())) {
            *number = "fd".into();
        }
        let is_descriptor = call["name"] == "socket" || call["name"] == "open_tree";
        let result = if is_descriptor { "fd".into() } else { self.readable(text(&call["result"])) };
        let source = text(&call["source"]).split(':').next();
        let is_shown = |effect: &&Value| is_ours(effect) && (call["name"] != "umount2" || uncovers(effect));
        let effect: Vec<Value> =
            list(&call["effect"]).iter().filter(is_shown).map(|e| self.effect(e)).collect();
        json!({
            "step": call["step"], "actor": call["actor"], "name": call["name"], "args": args, "result": result,
            "why": call["why"], "source": source, "effect": effect,
        })
    }

    fn effect(&mut self, effect: &Value) -> Value {
        let kind = text(&effect["kind"]);
        let name = if kind == "descriptor" { "fd".into() } else { self.readable(text(&effect["name"])) };
        let [old, new] =
            ["old", "new"].map(|field| effect[field].as_str().map(|value| self.value(kind, value)));
        // The host's.
        let old = match name.as_str() {
            "hostname" => Some("laptop".into()),
            "/" if old.is_some() => Some("ext4, private".into()),
            _ => old,
        };
        json!({ "kind": kind, "side": effect["side"], "name": name, "old": old, "new": new })
    }

    fn value(&mut self, kind: &str, value: &str) -> String {
        match kind {
            // "ext4 /dev/vda / (rw; rw,discard) shared:1": the filesystem, and its propagation.
            "mount" => {
                let filesystem = value.split(' ').next().unwrap_or_default();
                let propagation = value.rsplit_once(") ").and_then(|(_, after)| after.split(':').next());
                format!("{filesystem}, {}", propagation.unwrap_or_default())
            }
            "directory" => format!("directory {}", nth(&mut self.directories, value) + 1),
            "descriptor" => value.split(':').next().unwrap_or_default().into(),
            _ => self.readable(value),
        }
    }

    fn readable(&mut self, value: &str) -> String {
        let replace = |text: &str, pattern: &str, with: &str| {
            Regex::new(pattern).expect("a pattern").replace_all(text, with).into_owned()
        };
        let text = value.replace(&place().program.display().to_string(), "workshop");
        let text = replace(&text, r" --(record|lang|color) \S+", "");
        let text = replace(&text, r"workshop-\d+-\d+-(\d)", "workshop-311-842-$1");
        let text = replace(&text, r"\b[0-9a-f]{64}\b", "c1e5a6d3f0b2");
        let text = replace(&text, r"\b(cgroup|userns_fd)=\d+", "$1=fd");
        let text = replace(&text, r"\b\d{6,10}( 65536\b)", "524288$1");
        let text = replace(&text, r"0x[0-9a-f]+ /\* \d+ vars \*/", "0x55d0c0de4b20 /* 20 vars */");
        // The kernel's own first namespaces have the same number everywhere.
        let namespace = Regex::new(r":\[(402653\d{4})\]").expect("a pattern");
        let numbered = namespace.replace_all(&text, |found: &Captures| match &found[1] {
            first if *first < *"4026531900" => found[0].to_owned(),
            other => format!(":[{}]", 4_026_532_211 + nth(&mut self.namespaces, other)),
        });
        let pids = self.pids.iter().zip(4711..);
        pids.fold(numbered.into_owned(), |text, (pid, stand_in)| {
            replace(&text, &format!(r"\b{pid}\b"), &stand_in.to_string())
        })
    }
}

/// Not an address or a route that the kernel adds by itself (those of its table `local`), nor one of IPv6, which a host may
/// not have.
fn is_ours(effect: &Value) -> bool {
    let name = text(&effect["name"]);
    let of_network = matches!(text(&effect["kind"]), "address" | "route");
    !(of_network && (name.contains("table 255") || name.contains("::")))
}

/// Of the mounts that umount2(2) takes away with the old root, that of `/` alone: the others are the host's.
fn uncovers(effect: &Value) -> bool {
    effect["name"] == "/" && effect["new"].is_string()
}

/// The place of a value among those that were met.
fn nth(known: &mut Vec<String>, value: &str) -> usize {
    known.iter().position(|other| other == value).unwrap_or_else(|| {
        known.push(value.to_owned());
        known.len() - 1
    })
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
