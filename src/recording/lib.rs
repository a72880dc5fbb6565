//! A recorded run: what `--record FILE` writes, what each call has changed, and the same read back by `play`.
//!
//! The file has JSON Lines. The first says what wrote it, in which version of the format; the others are the events of
//! `--format json`, where each `call` has its `effect` too, and its arguments as the terminal shows
//! them where that is shorter. [schema.json](schema.json) describes each line.

mod read;
mod scene;
mod state;

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use nix::unistd::Pid;
use serde::Serialize;

pub use read::{Effect, Event, Made, Recording, Stage};
pub use scene::{Scene, Thing};
pub use state::Change;
use state::State;

use fault::{Doing, Fault};
use kernel::told::{Actor, Call};

/// The version of the format. It changes when whoever can play this one would misread the new one.
const VERSION: u32 = 1;

/// A file's first line.
#[derive(Serialize)]
struct Header {
    format: &'static str,
    version: u32,
    program: &'static str,
    step: &'static str,
    lang: &'static str,
}

impl Header {
    fn of(step: &'static str, lang: &'static str) -> Header {
        let program = concat!("workshop ", env!("CARGO_PKG_VERSION"));
        Header { format: "workshop-recording", version: VERSION, program, step, lang }
    }
}

/// Makes the file of a recording, in place of one that was there, and writes its first line. It says by their names of
/// which step and in which language it is.
pub fn begin(path: &Path, step: &'static str, lang: &'static str) -> Result<File, Fault> {
    let unable = |error: std::io::Error| {
        let with = [("path", &*path.display().to_string()), ("problem", &*error.to_string())];
        Fault::usage("record-file", &with)
    };
    let mut file = File::create(path).map_err(unable)?;
    let mut line = serde_json::to_vec(&Header::of(step, lang)).doing("write a recording's first line")?;
    line.push(b'\n');
    file.write_all(&line).doing(format!("write {}", path.display()))?;
    Ok(file)
}

/// Watches what calls change.
#[derive(Default)]
pub struct Watch {
    /// The container's first process, once it was made.
    child: Option<Pid>,
    before: State,
    /// The file that the call writes to or makes.
    file: Option<PathBuf>,
}

impl Watch {
    /// Looks before a call is made; whoever makes it waits meanwhile.
    pub fn before(&mut self, call: &Call) {
        self.file = self.file_of(call);
        if call.name == "clone3" {
            self.child = None;
        }
        self.before = self.look(call);
    }

    /// What it has changed, if it is told. The first process may go on meanwhile, but not farther than the next call.
    pub fn after(&mut self, call: &Call, is_told: bool) -> Option<Vec<Change>> {
        if call.name == "clone3" {
            self.child = call.result.parse().ok().map(Pid::from_raw);
        }
        is_told.then(|| self.before.changes(&self.look(call)))
    }

    /// Both sides now. What a program does when it has started is not execve(2)'s doing.
    fn look(&self, call: &Call) -> State {
        let mut state = State::default();
        if call.name == "execve" {
            state.add_program(self.child);
            return state;
        }
        state.add_host();
        if self.child.is_some() || call.name == "clone3" {
            state.add_container(self.child);
        }
        if let Some(path) = &self.file {
            state.add_file(call.actor, path);
        }
        if ["socket", "open_tree"].contains(&call.name.as_str()) {
            state.add_descriptor(call.actor, self.caller(call), &call.result);
        }
        state
    }

    /// Who makes the call; `None` is us.
    fn caller(&self, call: &Call) -> Option<Pid> {
        self.child.filter(|_| call.actor == Actor::Container)
    }

    /// The file that a call writes to, by its descriptor, or makes. Of a list of processes the change shows in the
    /// process.
    fn file_of(&self, call: &Call) -> Option<PathBuf> {
        let first = call.args.first()?;
        let path = match call.name.as_str() {
            "write" => {
                let pid = self.caller(call).map_or_else(|| "self".into(), |pid| pid.to_string());
                std::fs::read_link(format!("/proc/{pid}/fd/{first}")).ok()?
            }
            "mkdir" => PathBuf::from(first.trim_matches('"')),
            _ => return None,
        };
        let is_list = ["cgroup.procs", "tasks"].iter().any(|name| path.ends_with(name));
        (!is_list).then_some(path)
    }
}
