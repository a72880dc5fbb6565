//! A trial: one program, judged as one step's. What it is asked on its command line, and the cells for that.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use super::Defendant;
use super::cell::Cell;
use super::ends::Way;
use super::ground::{Ground, Lent};
use super::part::{ACT, Part};
use super::run::Streams;
use claims::bounds::Limited;
use claims::contents::{CHANGED, Contents, DELETED, NONCE};
use claims::evidence::Evidence;
use claims::task::Asked;
use claims::{Claim, Need};
use engine::template::copy_tree;
use fault::{Doing, Fault};
use image::{Image, Store, host_search_path, tree_digest};
use lab::Lab;

/// Where our own executable is in the root filesystems that are given to a program.
const CMD: &str = "/usr/bin/workshop";

/// What a container may use: enough for our executable to start in, small enough to run into at once.
const LIMITS: Limited = Limited { memory: Some(128 << 20), pids: Some(24), cpus: Some(20) };

/// A program on trial.
pub struct Trial<'l> {
    pub lab: &'l Lab,
    /// The program, with its own first arguments.
    pub program: Vec<OsString>,
    /// What it is asked for.
    pub asked: Asked,
    /// Whether groups can be made.
    pub grouped: bool,
    /// Whether it can be handed words that are not UTF-8.
    pub takes_bytes: bool,
    /// In CMD's arguments and in the root filesystem: what nobody else has.
    pub token: String,
    /// The root filesystem, if it is asked for one.
    rootfs: Option<Lent>,
    /// What is in it, before anything runs.
    pub contents: Contents,
    /// Where our executable is found by a name of the trial's, its token: what PATH ends with.
    names: PathBuf,
    /// What must be seen of the host in the cell.
    kept: Vec<PathBuf>,
}

/// One thing that PROGRAM is asked: its whole command line, and what of that is CMD's.
pub struct Order {
    pub argv: Vec<OsString>,
    pub asked: Vec<OsString>,
}

/// What a cell holds for one run.
pub type Prepared = (Cell, Streams, Vec<OsString>);

/// Which runs are needed.
#[derive(Clone)]
pub struct Runs {
    pub talk: bool,
    pub ends: Vec<Way>,
    pub strain: bool,
    pub write: bool,
}

impl Runs {
    /// Those that bring to light what these claims are judged by.
    pub fn for_all(claims: &[&Claim]) -> Runs {
        let needs = |need| claims.iter().any(|claim| claim.needs == need);
        let ends = [
            (Way::Word, needs(Need::Word) || needs(Need::End)),
            (Way::Name, needs(Need::Name) || needs(Need::End)),
            (Way::Orphan, needs(Need::Orphan) || needs(Need::Die)),
            (Way::Die, needs(Need::Die)),
        ];
        Runs {
            talk: needs(Need::Talk) || needs(Need::Left) || needs(Need::End),
            ends: ends.into_iter().filter_map(|(way, needed)| needed.then_some(way)).collect(),
            strain: needs(Need::Strain),
            write: needs(Need::Write),
        }
    }
}

impl<'l> Trial<'l> {
    pub fn new(lab: &'l Lab, defendant: Defendant, asked: Asked) -> Result<Trial<'l>, Fault> {
        let token = format!("t{:016x}", fresh_number()?);
        let names = lab.fresh_dir("names")?;
        link(&own_path(), &names.join(&token))?;
        let Defendant { argv: program, kept, grouped, takes_bytes } = defendant;
        let mut trial = Trial {
            lab,
            program,
            asked,
            grouped,
            takes_bytes,
            token,
            rootfs: None,
            contents: Contents::default(),
            names,
            kept,
        };
        if asked.root {
            let dir = trial.make_rootfs()?;
            trial.contents = Contents::of(&dir).doing("read the root filesystem")?;
            trial.rootfs = Some(Lent::new(dir, &format!("rootfs-{}", trial.token)));
        }
        Ok(trial)
    }

    /// Makes the runs that are asked for.
    pub fn hold(&self, runs: Runs) -> Result<Evidence, Fault> {
        let digest =
            || self.rootfs.as_ref().map(|dir| tree_digest(&dir.from).doing("read the root filesystem"));
        let before = digest().transpose()?;
        let mut evidence = Evidence { wanted: self.wanted(), ..Evidence::default() };
        self.look(&mut evidence)?;
        if evidence.looked.is_none() {
            // What does not start once will not start again.
            return Ok(evidence);
        }
        if runs.talk {
            self.talk(&mut evidence)?;
        }
        self.end(&runs.ends, &mut evidence)?;
        if runs.strain && self.grouped {
            self.strain(&mut evidence)?;
        }
        if runs.write {
            self.write(&mut evidence)?;
        }
        evidence.image_same = Some(before == digest().transpose()?);
        Ok(evidence)
    }

    /// The root filesystem where PROGRAM finds it.
    pub fn given(&self) -> Option<&Path> {
        self.rootfs.as_ref().map(|lent| lent.to.as_path())
    }

    /// The limits that the program is asked for.
    pub fn wanted(&self) -> Limited {
        if self.asked.limits && self.grouped { LIMITS } else { Limited::default() }
    }

    /// What PROGRAM is asked: CMD, by a path if it has no name, in a part.
    pub fn command(&self, name: Option<&str>, part: Part, words: &[OsString]) -> Order {
        let mut argv = self.program.clone();
        argv.push("run".into());
        if let Some(rootfs) = &self.rootfs {
            let option = if self.asked.layers { "--image" } else { "--rootfs" };
            argv.extend([option.into(), (&rootfs.to).into()]);
        }
        let wanted = self.wanted();
        let numbers = [("--memory", wanted.memory), ("--pids", wanted.pids)];
        for (option, value) in numbers.iter().filter_map(|(option, value)| Some((option, (*value)?))) {
            argv.extend([option.into(), value.to_string().into()]);
        }
        if let Some(hundredths) = wanted.cpus {
            argv.extend(["--cpus".into(), format!("{:.2}", hundredths as f64 / 100.0).into()]);
        }
        if self.asked.network {
            argv.push("--net".into());
        }
        if self.asked.users {
            argv.push("--userns".into());
        }
        let path = || if self.rootfs.is_some() { CMD.into() } else { own_path().into_os_string() };
        let cmd = name.map_or_else(path, OsString::from);
        let mut asked = vec![cmd, ACT.into(), self.token.clone().into(), part.name().into()];
        asked.extend(words.iter().cloned());
        argv.extend(asked.iter().cloned());
        Order { argv, asked }
    }

    /// A fresh cell for one run.
    pub fn cell(&self, part: Part, words: &[OsString], input: Vec<u8>) -> Result<Prepared, Fault> {
        let Order { argv, asked } = self.command(None, part, words);
        let (streams, launch) = Streams::new(argv, input)?;
        let cell = Cell::new(self.lab, self.ground()?, vec![launch], self.grouped)?;
        Ok((cell, streams, asked))
    }

    /// A fresh cell for several runs, one after the other.
    pub fn cell_for(&self, orders: &[Order]) -> Result<(Cell, Vec<Streams>), Fault> {
        let mut streams = Vec::new();
        let mut launches = Vec::new();
        for order in orders {
            let (ours, launch) = Streams::new(order.argv.clone(), Vec::new())?;
            streams.push(ours);
            launches.push(launch);
        }
        Ok((Cell::new(self.lab, self.ground()?, launches, self.grouped)?, streams))
    }

    /// A fresh cell for a writer, and for another container after it.
    pub fn cell_for_two(&self) -> Result<(Cell, [Streams; 2]), Fault> {
        let (first, one) = Streams::new(self.command(None, Part::Write, &[]).argv, Vec::new())?;
        let (second, two) = Streams::new(self.command(None, Part::Rest, &[]).argv, Vec::new())?;
        let cell = Cell::new(self.lab, self.ground()?, vec![one, two], self.grouped)?;
        Ok((cell, [first, second]))
    }

    fn ground(&self) -> Result<Ground, Fault> {
        // One that has been deleted is nowhere to be found in the cell either.
        let work = std::env::current_dir().unwrap_or_else(|_| "/".into());
        let mut kept = self.kept.clone();
        kept.extend([work.clone(), own_path(), self.names.clone()]);
        kept.extend(self.rootfs.iter().map(|lent| lent.to.clone()));
        // What lies in another comes after it, and is there by then.
        kept.sort();
        Ok(Ground {
            work,
            kept,
            lent: self.rootfs.clone(),
            path: self.search_path(),
            rootless: self.lab.rootless,
        })
    }

    /// The search path of what runs in a cell: the caller's, with the usual places for programs, and then where CMD's
    /// name is found by one that keeps the host's files.
    fn search_path(&self) -> OsString {
        let dirs = host_search_path().into_iter().chain([self.names.clone()]);
        std::env::join_paths(dirs).unwrap_or_default()
    }

    /// A root filesystem of the host's programs and our own, with the judge's marks: a copy that is this trial's.
    fn make_rootfs(&self) -> Result<PathBuf, Fault> {
        let dir = self.lab.fresh_dir("judged")?;
        for layer in image(self.lab)?.layers {
            copy_tree(&layer, &dir).doing(format!("copy {} to {}", layer.display(), dir.display()))?;
        }
        let write = |name: &str, text: &str| {
            fs::write(dir.join(name), text).doing(format!("write {name} of the root filesystem"))
        };
        fs::create_dir_all(dir.join("etc")).doing("make etc of the root filesystem")?;
        write(NONCE, &self.token)?;
        write(DELETED, "to be deleted\n")?;
        write(CHANGED, "as it was\n")?;
        link(Path::new(CMD), &dir.join("usr/bin").join(&self.token))?;
        Ok(dir)
    }
}

fn image(lab: &Lab) -> Result<Image, Fault> {
    let store = Store::new(lab.folders.cache.join("images"));
    let image = store.host_image(&host_search_path())?;
    Ok(store.with_own_binary(image, Path::new(CMD))?)
}

fn link(to: &Path, at: &Path) -> Result<(), Fault> {
    std::os::unix::fs::symlink(to, at).doing(format!("link {} to {}", at.display(), to.display()))
}

/// Our own executable.
fn own_path() -> PathBuf {
    fs::read_link("/proc/self/exe").unwrap_or_default()
}

/// A number that nobody could guess: 64 bits of getrandom(2).
fn fresh_number() -> Result<u64, Fault> {
    let mut bytes = [0u8; 8];
    // SAFETY: the buffer is live and as long as is said.
    let got = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) };
    if got == 8 {
        Ok(u64::from_ne_bytes(bytes))
    } else {
        Err(Fault::broken("getrandom", nix::errno::Errno::last()))
    }
}
