//! What `run` takes: Docker's names, with Docker's meanings.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::step_name;

#[derive(Clone, Debug, Args)]
pub struct RunOptions {
    /// Build the container of the steps up to this one only [default: the finished one, without limits that are not asked for]
    #[arg(long, value_name = "N|NAME", value_parser = step_name)]
    pub step: Option<String>,
    /// Use this directory as the image instead of one made from the host's programs, or several, the lowest first; begins
    /// with / or . and is not written to
    #[arg(long, value_name = "DIR[:DIR…]", visible_alias = "image")]
    pub rootfs: Option<OsString>,
    /// Print the operations that would make the container, and make none
    #[arg(long)]
    pub plan: bool,
    /// Say what this command line would isolate and what it would leave open, worst first, and run nothing
    #[arg(long, conflicts_with = "plan")]
    pub explain: bool,
    /// Run the program under a small init that reaps and passes signals on
    #[arg(long)]
    pub init: bool,
    /// Keep standard input open, as it is by default
    #[arg(short, long)]
    pub interactive: bool,
    /// Fail where there is no terminal; where there is one, the program has it by default
    #[arg(short, long)]
    pub tty: bool,

    /// The container's name, which no other that runs may have
    #[arg(long, help_heading = "The program")]
    pub name: Option<String>,
    /// The container's host name
    #[arg(long, value_name = "NAME", default_value = "box", help_heading = "The program")]
    pub hostname: String,
    /// Set a variable, or with its name alone pass it on
    #[arg(short, long, value_name = "NAME[=VALUE]", help_heading = "The program")]
    pub env: Vec<OsString>,
    /// Set the variables of a file, one a line
    #[arg(long, value_name = "FILE", help_heading = "The program")]
    pub env_file: Vec<PathBuf>,
    /// Start in this directory of the container, made if need be
    #[arg(short, long, value_name = "DIR", help_heading = "The program")]
    pub workdir: Option<PathBuf>,
    /// Run as this user of the image, with exactly his groups or the one that is named
    #[arg(short, long, value_name = "NAME|UID[:GROUP|GID]", help_heading = "The program")]
    pub user: Option<String>,
    /// The signal that the program gets when we get SIGTERM
    #[arg(long, value_name = "SIGNAL", help_heading = "The program")]
    pub stop_signal: Option<String>,
    /// Kill it if it has not ended so long after that; -1 for never [default: -1]
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true, help_heading = "The program")]
    pub stop_timeout: Option<String>,

    /// Mount a directory or a file of the host's; SRC begins with / or a dot
    #[arg(short, long, value_name = "SRC:DST[:ro]", help_heading = "Files")]
    pub volume: Vec<OsString>,
    #[arg(
        long,
        value_name = "KEY=VALUE,…",
        help = "The same in words: type=bind,src=SRC,dst=DST[,ro] or type=tmpfs,dst=DST[,tmpfs-size=BYTES][,tmpfs-mode=MODE]",
        help_heading = "Files"
    )]
    pub mount: Vec<OsString>,
    /// Mount a filesystem in memory; OPTIONS: size=BYTES, mode=MODE, ro, exec
    #[arg(long, value_name = "DST[:OPTION,…]", help_heading = "Files")]
    pub tmpfs: Vec<OsString>,
    /// Let nothing be written but to what is mounted
    #[arg(long, help_heading = "Files")]
    pub read_only: bool,

    /// Limit memory, in bytes or with K, M, G behind the number; there is no swap on top
    #[arg(long, value_name = "BYTES", help_heading = "Limits")]
    pub memory: Option<String>,
    /// Limit memory and swap together; -1 for all the swap there is
    #[arg(long, value_name = "BYTES", allow_negative_numbers = true, help_heading = "Limits")]
    pub memory_swap: Option<String>,
    /// Limit processes and threads; -1 for no limit
    #[arg(
        long,
        value_name = "N",
        visible_alias = "pids-limit",
        allow_negative_numbers = true,
        help_heading = "Limits"
    )]
    pub pids: Option<String>,
    /// Limit CPU time: 0.5 is half of one CPU
    #[arg(long, value_name = "F", help_heading = "Limits")]
    pub cpus: Option<String>,
    /// Its share of the CPUs where others want them too, from 2 to 262144; others have 1024
    #[arg(long, value_name = "N", help_heading = "Limits")]
    pub cpu_shares: Option<String>,
    /// Limit a process of it (getrlimit(2)): nofile=64:128
    #[arg(long, value_name = "NAME=SOFT[:HARD]", help_heading = "Limits")]
    pub ulimit: Vec<String>,

    /// lab: a network of its own with a way to the lab, as by default; none; host: that of whoever runs it
    #[arg(long, value_name = "KIND", conflicts_with_all = ["net", "no_net"], help_heading = "Walls")]
    pub network: Option<NetworkKind>,
    /// The same as --network lab
    #[arg(long, overrides_with = "no_net", help_heading = "Walls")]
    pub net: bool,
    /// The same as --network none
    #[arg(long, overrides_with = "net", help_heading = "Walls")]
    pub no_net: bool,
    /// Give it users of its own, who are nobody outside: as root a range of ids, else the one of whoever runs it
    #[arg(long, help_heading = "Walls")]
    pub userns: bool,

    /// The program to run in the container, and its arguments; with `--` before it, it may begin with a dash
    #[arg(trailing_var_arg = true, required = true, value_name = "CMD")]
    pub program: Vec<OsString>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum NetworkKind {
    Lab,
    None,
    Host,
}

impl RunOptions {
    /// Whether it is to have no network of its own.
    pub fn has_no_network(&self) -> bool {
        self.no_net || matches!(self.network, Some(NetworkKind::None | NetworkKind::Host))
    }

    /// Whether it is to have that of whoever runs it.
    pub fn has_hosts_network(&self) -> bool {
        self.network == Some(NetworkKind::Host)
    }

    /// Whether a network was asked for in so many words.
    pub fn asks_for_network(&self) -> bool {
        self.net || self.network == Some(NetworkKind::Lab)
    }
}
