//! Every block of commands in the book does what its page says, and leaves the reader's machine as it was: typed, piped
//! and pasted, and where its first line fails.
//!
//! The machine is played: namespaces of the test's own (`blocks/world.rs`). `WORKSHOP_RECORD=1 cargo test --test blocks`
//! records anew what the blocks print. `WORKSHOP_BLOCK=02-mount` takes those whose name has that in it.

#![cfg(test)]

mod common;
#[path = "blocks/guest.rs"]
mod guest;
#[path = "blocks/masks.rs"]
mod masks;
#[path = "blocks/page.rs"]
mod page;
#[path = "blocks/ways.rs"]
mod ways;
#[path = "blocks/world.rs"]
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use common::{am_root, have, skip};
use page::{Block, Mark, blocks, root};
use serde::Deserialize;
use ways::Way;
use world::World;

/// Programs that the blocks use, and Debian's packages that have them. The pages name them in Set-up.
const PROGRAMS: [(&str, &str); 11] = [
    ("bash", "bash"),
    ("busybox", "busybox-static"),
    ("getfattr", "attr"),
    ("ip", "iproute2"),
    ("jq", "jq"),
    ("nft", "nftables"),
    ("perl", "perl-base"),
    ("ping", "iputils-ping"),
    ("ps", "procps"),
    ("runc", "runc"),
    ("strace", "strace"),
];

fn possible() -> bool {
    if !am_root() {
        skip("the blocks are tried in namespaces of root's", "Run the tests as root");
        return false;
    }
    PROGRAMS.iter().all(|(program, package)| have(program, package))
}

fn recording() -> bool {
    std::env::var_os("WORKSHOP_RECORD").is_some()
}

/// The blocks that are run: half of them each, so that two tests share the work.
fn half(which: usize) -> Vec<Block> {
    let only = std::env::var("WORKSHOP_BLOCK").unwrap_or_default();
    let run = blocks().into_iter().filter(|block| !matches!(block.mark, Mark::Needs(_)));
    run.enumerate()
        .filter(|(n, block)| n % 2 == which && block.key.contains(&only))
        .map(|(_, block)| block)
        .collect()
}

fn try_all(blocks: &[Block]) {
    if !possible() {
        return;
    }
    let mut counts = BTreeMap::<String, usize>::new();
    let faults: Vec<String> = blocks.iter().flat_map(|block| try_one(block, &mut counts)).collect();
    println!("{} blocks were run: {counts:?}", blocks.len());
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn every_block_leaves_the_host_as_it_was_and_prints_what_the_page_shows() {
    try_all(&half(0));
}

#[test]
fn every_other_block_leaves_the_host_as_it_was_and_prints_what_the_page_shows() {
    try_all(&half(1));
}

/// Runs a block in each way, and tells what went wrong.
fn try_one(block: &Block, counts: &mut BTreeMap<String, usize>) -> Vec<String> {
    let world = World::new(block);
    let mut before = world.survey();
    let mut faults = Vec::new();
    for way in block.ways() {
        *counts.entry(format!("{way:?}")).or_default() += 1;
        let said = ways::run(&world, way, &block.text);
        let left = world.end_all();
        if !left.is_empty() {
            faults.push(format!("{} {way:?}: left running: {left}", block.key));
        }
        let after = world.survey();
        faults
            .extend(world::differences(&before, &after).map(|what| format!("{} {way:?}: {what}", block.key)));
        before = after;
        let said = masks::masked(&world.namespaces, &said);
        faults.extend(judge(block, way, &said).map(|what| format!("{} {way:?}: {what}", block.key)));
    }
    faults
}

/// Holds what was printed against the record.
fn judge(block: &Block, way: Way, said: &str) -> Option<String> {
    if block.mark != Mark::None || !way.is_whole() {
        return None;
    }
    let file = block.record();
    if way == block.ways()[0] && recording() {
        let _ = fs::create_dir_all(file.parent().expect("a folder"));
        match said.trim().is_empty() {
            true => drop(fs::remove_file(&file)),
            false => fs::write(&file, format!("{}\n", said.trim_end())).expect("write the record"),
        }
    }
    let recorded = fs::read_to_string(&file).unwrap_or_default();
    // On a terminal there are prompts and jobs between the lines, and ls(1) prints columns.
    let mut words = said.split_whitespace();
    let missing = match way {
        Way::Piped if said.trim_end() == recorded.trim_end() => None,
        Way::Piped => Some("it printed something else"),
        _ => recorded.split_whitespace().find(|word| !words.any(|shown| shown == *word)),
    };
    missing.map(|what| format!("{what}\nrecorded:\n{recorded}\nprinted:\n{said}"))
}

/// The way that these pages had before: a paste goes to the outer shell, the inner one gets nothing of it, and when it is
/// left the rest is run outside.
const INNER_SHELL: &str = "unshare --net sh
ip link add box0 type bridge
echo 1 > /proc/sys/net/ipv4/ip_forward
nft add table ip box
exit
";

#[test]
fn what_a_block_does_to_the_host_is_seen() {
    if !possible() {
        return;
    }
    let block = Block { key: "test".into(), mark: Mark::None, text: INNER_SHELL.into() };
    let harmed = |way: Way| {
        let world = World::new(&block);
        let before = world.survey();
        ways::run(&world, way, INNER_SHELL);
        world.end_all();
        world::differences(&before, &world.survey()).collect::<Vec<_>>().join("\n")
    };
    let pasted = harmed(Way::Pasted);
    assert!(["box0", "ip_forward:1", "table ip box"].iter().all(|what| pasted.contains(what)), "{pasted}");
    assert!(harmed(Way::Refused).contains("box0"));
    // Typed, it was as meant.
    assert_eq!(harmed(Way::Typed), "");
}

#[test]
fn a_shell_inside_stops_unless_it_is_inside() {
    let mut inside = 0;
    for block in blocks().iter().filter(|block| !matches!(block.mark, Mark::Needs(_))) {
        // One program needs no such line: there is nothing after it.
        let shells =
            block.text.lines().filter(|line| line.contains("unshare ") && line.ends_with("sh -ec '"));
        let guards = block.text.matches("\n  [ $$ = 1 ] || exit 1").count();
        inside += guards;
        assert!(guards >= shells.count(), "{}: {}", block.key, block.text);
        let open =
            block.text.lines().filter(|line| line.starts_with("unshare ") && line.ends_with(" sh")).count();
        assert_eq!(
            open,
            usize::from(block.text.lines().count() == 1) * open,
            "{}: lines after a shell",
            block.key
        );
    }
    assert!(inside > 10, "{inside} guards");
}

/// A word of `book/blocks.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Why {
    reason: String,
    en: String,
    ko: String,
}

#[test]
fn what_is_not_run_or_not_shown_has_a_reason_and_each_reason_is_used() {
    let text = fs::read_to_string(root().join("book/blocks.toml")).expect("book/blocks.toml");
    let table: BTreeMap<String, BTreeMap<String, Why>> = toml::from_str(&text).expect("words");
    let known: BTreeSet<String> = table
        .iter()
        .flat_map(|(kind, words)| words.keys().map(move |word| format!("{kind}={word}")))
        .collect();
    let all = blocks();
    let used: BTreeSet<String> = all.iter().filter_map(|block| block.mark.word()).collect();
    assert_eq!(used, known);
    for why in table.values().flat_map(BTreeMap::values) {
        assert!([&why.reason, &why.en, &why.ko].iter().all(|text| text.len() > 5), "{}", why.reason);
    }
    let records: BTreeSet<_> = all.iter().filter(|b| b.mark == Mark::None).map(Block::record).collect();
    let stray: Vec<_> =
        page::files(&root().join("book/blocks")).into_iter().filter(|f| !records.contains(f)).collect();
    assert!(stray.is_empty(), "records of no block: {stray:?}");
    let marked = all.iter().filter(|block| matches!(block.mark, Mark::Needs(_))).count();
    println!("{} blocks: {} are run, {marked} are marked", all.len(), all.len() - marked);
}
