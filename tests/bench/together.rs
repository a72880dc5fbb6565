//! Many containers of one program, in one lab and on one bridge: what a start costs when hundreds are there already.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use engine::network::{Endpoint, GATEWAY, Network};
use engine::op::Command;
use engine::spec::Root;
use engine::{Container, OnHost, Plan, Process, Program, Site, Spec, Stdio, create};
use fault::{Doing, Fault};
use kernel::lacks::aside;
use kernel::signals::Signals;
use kernel::told::Silence;
use lab::Lab;
use lab::folders::Folders;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::beside::last_by_first;
use super::ground::Ground;

/// How many times as long as the first tenth of so many starts the last tenth took. All of it happens in a child, which
/// moves into a lab, and in which they end.
///
/// # Errors
/// Says what was refused.
pub fn growth(ground: &Ground, count: u16) -> Result<Option<f64>, String> {
    let (home, rootfs) = (ground.home().join("together"), ground.rootfs());
    let taken = aside(|| start_all(&home, &rootfs, count).map_err(|fault| format!("{fault:?}")));
    let taken: Vec<f64> = taken.map_err(|fault| format!("{fault:?}"))??;
    let taken: Vec<Duration> = taken.into_iter().map(Duration::from_secs_f64).collect();
    Ok(last_by_first(&taken))
}

/// Starts them one after the other, and ends them all; returns how long each start took, in seconds.
fn start_all(home: &Path, rootfs: &Path, count: u16) -> Result<Vec<f64>, Fault> {
    // Each has its descriptors here.
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).doing("getrlimit")?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most).doing("setrlimit")?;
    std::fs::create_dir_all(home).doing("make a home")?;
    let signals = Signals::take().doing("open an inbox for signals")?;
    let lab = Lab::enter_unwitnessed(Folders::at(home), signals)?;
    let (mut taken, mut alive) = (Vec::new(), Vec::new());
    for number in GATEWAY + 1..=GATEWAY + count {
        let begun = Instant::now();
        alive.push(start(&lab, wanted(rootfs.into(), number))?);
        taken.push(begun.elapsed().as_secs_f64());
    }
    alive.iter_mut().try_for_each(|(container, _)| container.end_with_the_lab())?;
    lab.leave();
    Ok(taken)
}

/// A whole container without limits, at a place of its own in a network that has room for all.
fn wanted(rootfs: PathBuf, number: u16) -> Spec {
    let network = Network { prefix: 16, ..Network::default() };
    Spec {
        command: Some(Command { argv: vec!["cat".into()], own_environment: true, ..Command::default() }),
        processes: true,
        mounts: true,
        root: Some(Root::Layers(vec![rootfs])),
        hostname: "box".into(),
        network: Some(Endpoint { network, number }),
        ..Spec::default()
    }
}

/// Until the program is called. It ends when the descriptor is closed.
fn start(lab: &Lab, spec: Spec) -> Result<(Container, OwnedFd), Fault> {
    let site = Site::in_lab(lab, &spec)?;
    let (stdio, held) = Stdio::quiet()?;
    let process = Process { stdio, ..Process::new(Program::Planned) };
    let mut container =
        create(Plan::new(&spec, &site)?, process, OnHost::new(&spec, &site)?, lab, &mut Silence)?;
    container.start(&mut Silence)?;
    Ok((container, held))
}
