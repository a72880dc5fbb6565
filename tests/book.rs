//! The book's sources: both languages alike, nothing typed twice, nothing of the curriculum lost.
//!
//! What only shows in the built pages is checked by `cargo run -p workshop-book -- check` and in a browser
//! (book/browser).

#![cfg(test)]

#[path = "book/code.rs"]
mod code;
#[path = "book/facts.rs"]
mod facts;
#[path = "book/figures.rs"]
mod figures;
#[path = "book/pages.rs"]
mod pages;
#[path = "book/parity.rs"]
mod parity;
#[path = "book/tree.rs"]
mod tree;
