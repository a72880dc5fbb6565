//! Step 3: a root of its own, no way back to the old one, and names of its own.

use std::fs;
use std::os::unix::fs::MetadataExt;

use nix::unistd::gethostname;
use serde::{Deserialize, Serialize};

use crate::language::Phrase;
use crate::{Build, Part, Row, Step};
use checks::{Fact, Scene};
use claims::task::Asked;
use claims::{KERNELS, NOT_ASKED, Need, claim, files, processes, unchanged};
use engine::parts;
use fault::Fault;
use kernel::mounts;

/// The host name of the lessons' containers.
const HOSTNAME: &str = "box";

pub const STEP: Step = Step {
    number: 3,
    slug: parts::pivot_root::SLUG,
    builds: Build::Part(Part {
        wants: |wanted, _| {
            wanted.root = true;
            wanted.spec.hostname = HOSTNAME.into();
        },
        facts,
        row: Row { host: Phrase::new("files", "파일"), own: Phrase::new("root", "루트") },
        owns: &["part-files", "part-hostname", "part-ipc"],
        options: &["--rootfs"],
        way_on: Some("run-without-root"),
    }),
    permit: None,
    claims: &[
        claim("own-root", Need::Look, files::own_root),
        claim("pivoted", Need::Look, files::pivoted),
        claim("old-root-gone", Need::Look, files::old_root_gone),
        claim("escape", Need::Escape, files::escape)
            .ours("PROGRAM's container is not climbed out of: where its old root could be is looked at"),
        claim("inside-cwd", Need::Look, files::inside_cwd),
        claim("devices", Need::Look, files::devices),
        claim("sys", Need::Look, files::sys),
        claim("sys-read-only", Need::Look, files::sys_read_only).ours(NOT_ASKED),
        claim("own-names", Need::Look, processes::own_names),
        claim("own-ipc", Need::Queue, processes::own_ipc),
        claim("names-same", Need::Left, |evidence| unchanged(evidence, |o| &o.traces.names)),
        claim("no-descriptors", Need::Started, files::no_descriptors),
        claim("same-kernel", Need::Look, processes::same_kernel).ours(KERNELS),
        claim("outside-same", Need::Left, files::outside_same)
            .ours("of PROGRAM's it is claimed since step 2, and judged with this step's command line too"),
    ],
    exercise: Some(Asked { root: true, ..Asked::NOTHING }),
};

/// What can be seen from one side.
#[derive(Serialize, Deserialize)]
struct View {
    root: String,
    mounts: usize,
    hostname: String,
    kernel: String,
    home: String,
    devices: usize,
}

fn view() -> View {
    let table = mounts::mine().unwrap_or_default();
    let count = |dir: &str| fs::read_dir(dir).map(|entries| entries.count());
    let fstype = mounts::at(&table, "/").map_or("?".into(), |m| m.fstype.clone());
    View {
        root: fs::metadata("/").map_or("?".into(), |m| format!("inode {} on {fstype}", m.ino())),
        mounts: table.len(),
        hostname: gethostname().map_or("?".into(), |name| name.to_string_lossy().into_owned()),
        kernel: nix::sys::utsname::uname().map_or("?".into(), |u| u.release().to_string_lossy().into_owned()),
        home: count("/home").map_or_else(|e| format!("({})", e.kind()), |n| n.to_string()),
        devices: count("/dev").unwrap_or(0),
    }
}

pub fn facts(scene: &Scene) -> Result<Vec<Fact>, Fault> {
    let (out, inside) = (view(), scene.container.look(view)?);
    let (ipc_out, ipc_in) = scene.namespaces("ipc");
    Ok(vec![
        Fact::new("root", out.root, inside.root),
        Fact::new("mounts", out.mounts, inside.mounts),
        Fact::new("hostname", out.hostname, inside.hostname),
        Fact::new("ipc", ipc_out, ipc_in),
        Fact::new("home", out.home, inside.home),
        Fact::new("devices", out.devices, inside.devices),
        Fact::new("kernel", out.kernel, inside.kernel),
    ])
}
