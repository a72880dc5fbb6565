//! The commands that are started in turn.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::ground::{Ground, Groups, run};
use crate::common::{am_root, child, path_of};

/// Which command it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Id {
    Floor,
    FloorNetwork,
    Plain,
    Limits,
    Network,
    Bwrap,
    Crun,
    Runc,
    True,
    Version,
    Help,
    List,
}

impl Id {
    /// How it is called where others are measured by it.
    pub fn name(self) -> &'static str {
        match self {
            Id::Floor => "floor",
            Id::FloorNetwork => "floor with a network",
            Id::Plain | Id::Limits | Id::Network => "workshop run",
            Id::Bwrap => "bwrap",
            Id::Crun => "crun",
            Id::Runc => "runc",
            Id::True => "true",
            Id::Version | Id::Help | Id::List => "workshop",
        }
    }
}

/// A command that is started again and again. `%i` in a word stands for a number that grows.
pub struct Subject {
    pub id: Id,
    /// How it is called in the table: what one would type, without the paths.
    pub title: String,
    pub words: Vec<OsString>,
}

/// All namespaces, an overlay as the root, /proc, /dev and /sys, fewer capabilities.
const WHOLE: &str = "priv,ovlv,piv,proc,dev,sys,host,caps,nnp";

/// The limits that ours gets.
pub const LIMITS: [&str; 6] = ["--memory", "512M", "--pids", "100", "--cpus", "1"];

/// All that can be started here; of the rest it is noted why.
pub fn all(ground: &Ground) -> Result<Vec<Subject>, String> {
    let mut all = floor(ground);
    all.extend(ours(ground));
    all.extend(peers(ground)?);
    let ours = |id, option: &str| Subject {
        id,
        title: format!("workshop {option}"),
        words: words([ground.program.as_os_str(), option.as_ref()]),
    };
    let plain = path_of("true").ok_or("the program true is missing")?;
    all.push(Subject { id: Id::True, title: "true".into(), words: vec![plain.into()] });
    all.extend([ours(Id::Version, "--version"), ours(Id::Help, "--help"), ours(Id::List, "list")]);
    Ok(all)
}

/// The least that it costs: book/examples/floor.
fn floor(ground: &Ground) -> Vec<Subject> {
    let Some(program) = &ground.floor else { return Vec::new() };
    let limits = match ground.limits {
        Some(Groups::V1) => ",cg=pids+memory+cpu,cglim",
        Some(Groups::V2) => ",cg2=into,cglim",
        None => "",
    };
    // Only there has it a stack to switch to.
    let vm = if cfg!(target_arch = "x86_64") { ",vm" } else { "" };
    let spec = |more: &str| format!("ns=pmuinc{vm},{WHOLE}{limits}{more}");
    let subject = |id: Id, spec: String| Subject {
        id,
        title: id.name().into(),
        words: words([program.as_os_str(), "-1".as_ref(), spec.as_ref()]),
    };
    vec![subject(Id::Floor, spec("")), subject(Id::FloorNetwork, spec(",veth6"))]
}

/// `workshop run`, on the same root filesystem.
fn ours(ground: &Ground) -> Vec<Subject> {
    let subject = |id, options: &[&str]| {
        let typed = options.join(" ").replace(&LIMITS.join(" "), "LIMITS");
        let title = format!("workshop run --step 6 {typed}");
        let before = [ground.program.as_os_str(), "run".as_ref(), "--step".as_ref(), "6".as_ref()];
        let mut words = words(before);
        words.extend(options.iter().map(OsString::from));
        words.extend([OsString::from("--rootfs"), ground.rootfs().into(), "--".into(), "/bin/true".into()]);
        Subject { id, title, words }
    };
    let mut all = vec![subject(Id::Plain, &["--no-net"])];
    if ground.limits.is_some() {
        all.push(subject(Id::Limits, &[&["--no-net"], &LIMITS[..]].concat()));
        all.push(subject(Id::Network, &LIMITS));
    }
    all
}

/// Other runtimes, where they are installed.
fn peers(ground: &Ground) -> Result<Vec<Subject>, String> {
    let mut all = Vec::new();
    let root = ground.rootfs();
    if let Some(bwrap) = ground.installed("bwrap") {
        let mut words = words([bwrap.as_os_str(), "--unshare-all".as_ref(), "--ro-bind".as_ref()]);
        words.push(root.into());
        words.extend(
            ["/", "--proc", "/proc", "--dev", "/dev", "--hostname", "x", "/bin/true"].map(Into::into),
        );
        all.push(Subject { id: Id::Bwrap, title: "bwrap --unshare-all".into(), words });
    }
    let oci = [(Id::Crun, "crun"), (Id::Runc, "runc")];
    if !am_root() {
        // Without root their bundles are others, with less in them.
        ground.leave_out("crun, runc", "root");
        return Ok(all);
    }
    for (id, name) in oci {
        let Some(program) = ground.installed(name) else { continue };
        let bundle = ground.bundle();
        if !bundle.join("config.json").exists() {
            configure(&program, &bundle)?;
        }
        let mut words = words([program.as_os_str(), "run".as_ref(), "--bundle".as_ref()]);
        words.extend([bundle.into(), format!("bench-{}-%i", std::process::id()).into()]);
        all.push(Subject { id, title: format!("{name} run"), words });
    }
    Ok(all)
}

/// The bundle's configuration as the runtime itself proposes it, for a program that needs no terminal.
fn configure(runtime: &Path, bundle: &Path) -> Result<(), String> {
    run(child::command(runtime).arg("spec").current_dir(bundle))?;
    let file = bundle.join("config.json");
    let text = fs::read_to_string(&file).map_err(|error| error.to_string())?;
    let mut config: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    config["process"]["terminal"] = json!(false);
    config["process"]["args"] = json!(["/bin/true"]);
    fs::write(&file, config.to_string()).map_err(|error| error.to_string())
}

fn words<'a>(words: impl IntoIterator<Item = &'a std::ffi::OsStr>) -> Vec<OsString> {
    words.into_iter().map(Into::into).collect()
}
