//! Step 5: writes land in the upper layer, and the image stays as it is.

use std::fs;
use std::path::{Path, PathBuf};

use crate::language::Phrase;
use crate::{Build, Part, Row, Step};
use checks::{Fact, Scene, Victims};
use claims::task::Asked;
use claims::{Need, claim, files};
use engine::parts;
use fault::Fault;
use kernel::mounts;

/// Why PROGRAM's writes are looked for in its container only.
const WHERE_IT_LIKES: &str =
    "PROGRAM keeps its upper directory where it likes, perhaps where nobody else comes";

pub const STEP: Step = Step {
    number: 5,
    slug: parts::overlay::SLUG,
    builds: Build::Part(Part {
        wants: |wanted, _| wanted.layers = true,
        facts,
        row: Row { host: Phrase::new("image", "이미지"), own: Phrase::new("layers", "레이어") },
        owns: &["part-writes"],
        options: &[],
        way_on: Some("run-without-overlay"),
    }),
    permit: Some(parts::overlay::permitted),
    claims: &[
        claim("overlay-root", Need::Look, files::overlay_root),
        claim("writable", Need::Write, files::writable),
        claim("upper-write", Need::Write, files::upper_write).ours(WHERE_IT_LIKES),
        claim("whiteout", Need::Write, files::whiteout).ours(WHERE_IT_LIKES),
        claim("copy-up", Need::Write, files::copy_up).ours(WHERE_IT_LIKES),
        claim("image-same", Need::Write, files::image_same),
        claim("fresh", Need::Write, files::fresh),
        claim("no-files", Need::Left, files::no_files).programs(
            "the lab has the host's /tmp, where others make files too; a cell has places of its own",
        ),
    ],
    exercise: Some(Asked { layers: true, ..Asked::NOTHING }),
};

/// Bytes in the files below a directory.
fn usage(dir: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(dir) else { return 0 };
    let sizes = entries.flatten().filter_map(|entry| {
        let meta = entry.path().symlink_metadata().ok()?;
        Some(if meta.is_dir() { usage(&entry.path()) } else { meta.len() })
    });
    sizes.sum()
}

/// The first hexadecimal digits, as `docker images` shows them.
fn short(digest: &str) -> String {
    digest.trim_start_matches("sha256:").chars().take(12).collect()
}

fn size(bytes: u64) -> String {
    if bytes < 10_000 { format!("{bytes} B") } else { format!("{:.1} MB", bytes as f64 / 1e6) }
}

pub fn facts(scene: &Scene) -> Result<Vec<Fact>, Fault> {
    let layers = scene.layers();
    let victims = Victims::pick(&layers, scene.lab)?;
    let before = scene.digest()?;
    let (container, upper, _held) = victims.write_in_another(scene)?;
    let root = || {
        mounts::mine().ok().and_then(|t| mounts::at(&t, "/").map(|m| m.fstype.clone())).unwrap_or_default()
    };
    let seen = |path: PathBuf| if path.exists() { "present" } else { "gone" }.to_owned();
    let shared: u64 = layers.iter().map(|dir| usage(dir)).sum();
    let own = usage(&upper);
    let image =
        layers.iter().rev().map(|dir| dir.join(&victims.deleted)).find(|p| p.exists()).unwrap_or_default();
    let inside = container.look(|| (root(), seen(Path::new("/").join(&victims.deleted))))?;
    Ok(vec![
        Fact::new("root", root(), inside.0),
        Fact::new("layers", layers.len(), ""),
        Fact::new("shared", size(shared), ""),
        Fact::new("own", size(own), ""),
        Fact::new("seen", seen(image), inside.1),
        Fact::new("digest", short(&before), short(&scene.digest()?)),
    ])
}
