//! The command line of the judge, and the one that a judged program is spoken to in.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};

use super::Format;
use crate::adapt::Adapter;
use crate::claims::task::Group;
use crate::learner::build::Before;

#[derive(Clone, Debug, Args)]
pub struct CheckOptions {
    /// Number or name of the step that it is judged as, from 0 on, or all [default: the one that is worked on here]
    #[arg(value_name = "N|all")]
    pub step: Option<String>,
    /// Judge a runtime that has a command line of its own [default PROGRAM: the runtime's name, in PATH]
    #[arg(long, value_enum, value_name = "NAME")]
    pub adapter: Option<Adapter>,
    /// Judge these parts of a container only, and ask for nothing of the others
    #[arg(long, value_name = "GROUP,…", value_delimiter = ',', value_parser = groups())]
    pub only: Vec<Group>,
    /// Text for people, JSON Lines for programs, or JUnit's XML for a build server
    #[arg(long, default_value = "text", value_parser = Format::of_checks())]
    pub format: Format,
    /// The program of the folder's workshop.toml as it has just been built, and what it was before: for `watch`
    #[arg(long, hide = true, value_name = "STAMP", conflicts_with_all = ["adapter", "program"])]
    pub built: Option<Before>,
    /// The program to judge, and its first arguments; `run [OPTIONS] CMD` is added to them [default: that of the folder's workshop.toml]
    #[arg(last = true, value_name = "PROGRAM")]
    pub program: Vec<OsString>,
}

/// The groups of claims, by their names.
fn groups() -> impl TypedValueParser<Value = Group> {
    let named = |name: String| Group::ALL.into_iter().find(|group| group.name() == name);
    PossibleValuesParser::new(Group::ALL.map(Group::name)).try_map(move |name| named(name).ok_or("no group"))
}

#[derive(Clone, Debug, Args)]
pub struct AdaptOptions {
    #[arg(value_enum)]
    pub name: Adapter,
    /// Where the runtime is [default: its name, in PATH]
    pub program: Option<PathBuf>,
    #[command(subcommand)]
    pub contract: Contract,
}

#[derive(Clone, Debug, Subcommand)]
pub enum Contract {
    /// What is asked of every program that is judged
    Run(ContractOptions),
}

#[derive(Clone, Debug, Args)]
pub struct ContractOptions {
    /// This directory is to be the root filesystem
    #[arg(long, value_name = "DIR")]
    pub rootfs: Option<PathBuf>,
    /// This directory is to lie below a layer that takes the writes
    #[arg(long, value_name = "DIR", conflicts_with = "rootfs")]
    pub image: Option<PathBuf>,
    #[arg(long, value_name = "BYTES")]
    pub memory: Option<u64>,
    #[arg(long, value_name = "N")]
    pub pids: Option<u64>,
    #[arg(long, value_name = "F")]
    pub cpus: Option<f64>,
    #[arg(long)]
    pub net: bool,
    #[arg(long)]
    pub userns: bool,
    #[arg(trailing_var_arg = true, required = true, value_name = "CMD")]
    pub program: Vec<OsString>,
}
