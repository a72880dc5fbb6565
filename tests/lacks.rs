//! What a host may lack, and what is said of it: one table of hosts and messages.
//!
//! Each host is made for real. Namespaces of the test's own are enough for settings, mounts and filters; kernels without
//! a part, and groups, are those of a virtual machine, whose kernel has these parts as modules. On none of them a step
//! fails, a program is judged for what the host lacks, or the tour stops.

#![cfg(test)]

mod common;

#[path = "lacks/here.rs"]
mod here;
#[path = "lacks/machine.rs"]
mod machine;
#[path = "lacks/told.rs"]
mod told;

use common::guest::Guest;
use told::Row;

/// The part of the table whose hosts are made here.
#[test]
fn what_a_host_lacks_is_said_and_nothing_else_breaks() {
    let Some(rows) = here::rows() else { return };
    insta::assert_snapshot!("here", table(&rows));
}

/// The part whose hosts are states of a virtual machine.
#[test]
fn what_a_kernel_lacks_is_said_and_nothing_else_breaks() {
    if !Guest::possible() {
        return;
    }
    let Some(rows) = machine::rows() else { return };
    insta::assert_snapshot!("machine", table(&rows));
}

/// The rows in words, none of which has anything wrong with it.
fn table(rows: &[Row]) -> String {
    let table = rows.iter().map(Row::text).collect::<Vec<_>>().join("\n");
    let faults: Vec<String> = rows.iter().flat_map(Row::faults).collect();
    assert!(faults.is_empty(), "{}\n{table}", faults.join("\n\n"));
    table
}
