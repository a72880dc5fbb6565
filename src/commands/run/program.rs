//! Options of `run` that are about its program: what it finds around it, who it is, how it is asked to end.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::cli::RunOptions;
use crate::engine::Stop;
use crate::engine::extras::Extras;
use crate::engine::user::User;
use crate::fault::Fault;
use crate::kernel::rlimits::Limit;

/// The largest file of variables that is read, in bytes: more than execve(2) takes.
const LARGEST: u64 = 1 << 21;

/// What they ask for besides the container itself.
pub fn extras(options: &RunOptions) -> Result<Extras, Fault> {
    let bad = |key: &str, value: &str| Fault::usage(key, &[("value", value)]);
    if options.tty && !io::stdin().is_terminal() {
        return Err(Fault::usage("no-terminal-to-give", &[]));
    }
    let user = options.user.as_deref().map(|text| User::parse(text).ok_or_else(|| bad("bad-user", text)));
    let rlimit = |text: &String| {
        let names = Limit::names().collect::<Vec<_>>().join(", ");
        text.parse().map_err(|()| Fault::usage("bad-ulimit", &[("value", text), ("names", &names)]))
    };
    Ok(Extras {
        environment: environment(options)?,
        user: user.transpose()?,
        directory: options.workdir.as_deref().map(inside).transpose()?,
        rlimits: options.ulimit.iter().map(rlimit).collect::<Result<_, _>>()?,
        mounts: super::volumes::asked_for(options)?,
        hosts_network: options.has_hosts_network(),
        read_only: options.read_only,
    })
}

/// A path of the container's, without what lexically leads nowhere.
pub fn inside(path: &Path) -> Result<PathBuf, Fault> {
    if !path.is_absolute() {
        return Err(Fault::usage("path-not-absolute", &[("value", &path.display().to_string())]));
    }
    let mut clean = PathBuf::from("/");
    for component in path.components() {
        match component {
            Component::Normal(name) => clean.push(name),
            Component::ParentDir => drop(clean.pop()),
            _ => {}
        }
    }
    Ok(clean)
}

/// The variables of the files first: one that is given by itself has the last word.
fn environment(options: &RunOptions) -> Result<Vec<OsString>, Fault> {
    let mut pairs = Vec::new();
    for file in &options.env_file {
        let wrong = |problem: &str| {
            let path = file.display().to_string();
            Fault::usage("bad-env-file", &[("path", &path), ("problem", problem)])
        };
        let mut text = Vec::new();
        let opened = File::open(file).and_then(|file| file.take(LARGEST + 1).read_to_end(&mut text));
        opened.map_err(|problem| wrong(&problem.to_string()))?;
        if text.len() as u64 > LARGEST {
            return Err(wrong(&format!("> {LARGEST} bytes")));
        }
        for (line, number) in text.split(|byte| *byte == b'\n').zip(1..) {
            let line = line.strip_suffix(b"\r").unwrap_or(line).trim_ascii_start();
            if line.is_empty() || line.starts_with(b"#") {
                continue;
            }
            let name = line.split(|byte| *byte == b'=').next().unwrap_or_default();
            if name.iter().any(u8::is_ascii_whitespace) || line.contains(&0) {
                return Err(wrong(&format!("{}: {}", number, String::from_utf8_lossy(line))));
            }
            pairs.extend(variable(OsStr::from_bytes(line))?);
        }
    }
    for given in &options.env {
        pairs.extend(variable(given)?);
    }
    Ok(pairs)
}

/// `NAME=VALUE`, or the caller's own variable of that name, if there is one.
fn variable(given: &OsStr) -> Result<Option<OsString>, Fault> {
    let name = given.as_bytes().split(|byte| *byte == b'=').next().unwrap_or_default();
    if name.is_empty() {
        return Err(Fault::usage("bad-env", &[("value", &given.to_string_lossy())]));
    }
    if given.len() > name.len() {
        return Ok(Some(given.to_owned()));
    }
    let pair = |value: OsString| OsString::from_vec([name, b"=", value.as_bytes()].concat());
    Ok(std::env::var_os(given).map(pair))
}

/// A host name that the kernel takes and others can ask for (hostname(7)).
pub fn host_name(text: &str) -> Result<String, Fault> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    let begins = text.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric());
    match begins && text.len() <= 64 && text.bytes().all(plain) {
        true => Ok(text.into()),
        false => Err(Fault::usage("bad-host-name", &[("value", text)])),
    }
}

/// How the program is asked to end.
pub fn stop(options: &RunOptions) -> Result<Stop, Fault> {
    let bad = |key: &str, value: &str| Fault::usage(key, &[("value", value)]);
    let mut stop = Stop::default();
    if let Some(text) = &options.stop_signal {
        stop.signal = signal(text).ok_or_else(|| bad("bad-stop-signal", text))?;
    }
    stop.patience = match options.stop_timeout.as_deref() {
        None | Some("-1") => None,
        Some(text) => {
            let seconds = text.parse().ok().filter(|seconds| *seconds <= 1_000_000 && !text.starts_with('+'));
            Some(Duration::from_secs(seconds.ok_or_else(|| bad("bad-stop-timeout", text))?))
        }
    };
    Ok(stop)
}

/// `TERM`, `SIGTERM` or `15`.
fn signal(text: &str) -> Option<i32> {
    let upper = text.to_ascii_uppercase();
    let name = if upper.starts_with("SIG") { upper } else { format!("SIG{upper}") };
    let number =
        || text.parse().ok().filter(|_| !text.starts_with('+')).and_then(|n: i32| Signal::try_from(n).ok());
    Signal::from_str(&name).ok().or_else(number).map(|signal| signal as i32)
}
