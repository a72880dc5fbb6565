//! The cache of built images: layers named by what is in them.
//!
//! ```text
//! STORE/layers/sha256-…/       the layers, each named by its digest
//! STORE/images/sha256-….json   the manifests, each named by the question that it answers
//! STORE/tmp-PID-START-NS-N/    builds under way
//! ```
//!
//! A layer is written in a `tmp-` directory and renamed into place, so that whatever has a name
//! among the layers is whole. Builds need no lock: two that make the same image make the same
//! names, and whoever comes second finds its work done.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use nix::unistd::getuid;

use super::layer::{Layer, in_image};
use super::manifest::{LayerRecord, Manifest, Stamp, directory_name, stamp_search, stamp_sources};
use super::scratch::{self, Scratch};
use super::{At, Image, ImageError, configuration, digest, own_binary, plan, wanted};
use kernel::tree;

/// Counts up when the same host files are to give another image than before.
const FORMAT: &str = "2";

/// How many images are kept, however old.
const KEPT: usize = 3;

/// How long an image is kept after its last use, however many there are.
const KEPT_FOR: Duration = Duration::from_secs(24 * 60 * 60);

/// The cache directory.
#[derive(Debug, Clone)]
pub struct Store {
    dir: PathBuf,
}

/// What an image is asked for: everything besides the content of files that decides what is in it.
struct Request<'a> {
    search: &'a [PathBuf],
    terminal: Option<String>,
}

/// What a request's search path leads to.
struct Found {
    programs: Vec<(&'static str, PathBuf)>,
    /// The directories, for the manifest: see [`Manifest::search`].
    search: Vec<(PathBuf, Option<Stamp>)>,
}

impl Store {
    /// The store in DIR, which belongs to us alone.
    pub fn new(dir: PathBuf) -> Store {
        Store { dir }
    }

    /// A root filesystem of the programs that the host has in SEARCH.
    ///
    /// The first call copies; later ones only look whether everything is still the same.
    ///
    /// # Errors
    /// `NoShell` if SEARCH holds no `sh`; `Io` if a file can't be read or the store not written.
    pub fn host_image(&self, search: &[PathBuf]) -> Result<Image, ImageError> {
        scratch::sweep(&self.dir);
        let request = Request { search, terminal: configuration::unusual_terminal() };
        let manifest = self.images().join(request.key() + ".json");
        if let Some(image) = self.cached(&manifest, &request) {
            return Ok(image);
        }
        let image = self.build(&manifest, &request)?;
        self.collect_garbage();
        Ok(image)
    }

    /// IMAGE with our own executable at PLACE (an absolute path in it): one more layer, of what the image lacks.
    ///
    /// # Errors
    /// `Own` if the executable or a library of it is gone; `Io` as for [`Store::host_image`].
    pub fn with_own_binary(&self, image: Image, place: &Path) -> Result<Image, ImageError> {
        let mut layer = Layer::default();
        for file in own_binary(place)? {
            let place = in_image(&file.place);
            if !image.layers.iter().any(|below| below.join(&place).exists()) {
                layer.copy(&file.source, &file.place)?;
            }
        }
        let name = place.to_string_lossy();
        let parts = [FORMAT, image.digest.as_str(), &name];
        let path = self.images().join(format!("own-{}.json", directory_name(&digest::text_digest(parts))));
        let added = match self.cached_layer(&path, &layer) {
            Some(manifest) => manifest,
            None => self.build_layer(&path, &layer)?,
        };
        let added = self.image(&added);
        Ok(Image {
            digest: digest::text_digest([image.digest.as_str(), &added.digest]),
            layers: image.layers.into_iter().chain(added.layers).collect(),
            bytes: image.bytes + added.bytes,
            missing: image.missing,
        })
    }

    /// What the manifest at PATH records, if it was made of the same files as LAYER and is still whole.
    fn cached_layer(&self, path: &Path, layer: &Layer) -> Option<Manifest> {
        let manifest: Manifest = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
        let intact = |record: &LayerRecord| record.intact(&self.layers().join(record.directory()));
        let same = manifest.sources == stamp_sources(layer.sources()) && manifest.layers.iter().all(intact);
        if !same {
            return None;
        }
        touch(path);
        self.image(&manifest).layers.iter().for_each(|dir| touch(dir));
        Some(manifest)
    }

    /// Makes LAYER alone, and its manifest at PATH.
    fn build_layer(&self, path: &Path, layer: &Layer) -> Result<Manifest, ImageError> {
        let scratch = Scratch::new(&self.dir)?;
        let sources = stamp_sources(layer.sources());
        let (record, bytes) = self.publish(layer, &scratch, 0)?;
        let manifest = Manifest { sources, layers: vec![record], bytes, ..Manifest::default() };
        self.record(&manifest, &scratch, path)?;
        self.collect_garbage();
        Ok(manifest)
    }

    /// The image that the manifest at PATH records, if nothing has changed since.
    ///
    /// Whatever is wrong with it (unreadable, cut short, of another version) only means that the
    /// image is built again.
    fn cached(&self, path: &Path, request: &Request) -> Option<Image> {
        let mut manifest: Manifest = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
        if !manifest.search_unchanged() {
            // Something else may have come into a directory, or gone.
            let found = request.look_up();
            if manifest.found != found.by_name() {
                return None;
            }
            if manifest.search != found.search {
                manifest.search = found.search;
                // Where that fails, the next start looks again.
                let _ = Scratch::new(&self.dir).and_then(|scratch| self.record(&manifest, &scratch, path));
            }
        }
        if !manifest.sources_unchanged() {
            return None;
        }
        let intact = |layer: &LayerRecord| layer.intact(&self.layers().join(layer.directory()));
        if !manifest.layers.iter().all(intact) {
            return None;
        }
        let image = self.image(&manifest);
        touch(path);
        image.layers.iter().for_each(|layer| touch(layer));
        Some(image)
    }

    /// Makes the image and its manifest at PATH.
    fn build(&self, path: &Path, request: &Request) -> Result<Image, ImageError> {
        let scratch = Scratch::new(&self.dir)?;
        let found = request.look_up();
        let (programs, missing) = plan::programs(&found.programs, request.search)?;
        let configuration = configuration::configuration(request.terminal.as_deref())?;
        let names = found.programs.iter().map(|(_, path)| path.as_path());
        let copied = programs.sources().chain(configuration.sources());
        // Stamped before they are copied: a file that changes meanwhile is noticed next time.
        let sources = stamp_sources(names.chain(copied));

        let mut manifest = Manifest {
            found: found.by_name(),
            search: found.search,
            sources,
            layers: Vec::new(),
            bytes: 0,
            missing: missing.iter().map(ToString::to_string).collect(),
        };
        for (number, layer) in [programs, configuration].iter().enumerate() {
            let (record, bytes) = self.publish(layer, &scratch, number)?;
            manifest.layers.push(record);
            manifest.bytes += bytes;
        }
        self.record(&manifest, &scratch, path)?;
        Ok(self.image(&manifest))
    }

    /// Writes LAYER, the NUMBERth, in SCRATCH and gives it its place among the layers.
    fn publish(
        &self,
        layer: &Layer,
        scratch: &Scratch,
        number: usize,
    ) -> Result<(LayerRecord, u64), ImageError> {
        let written = scratch.path().join(number.to_string());
        fs::create_dir(&written).at(&written, "make")?;
        layer.write(&written)?;
        let digest = digest::tree_digest(&written)?;
        let home = self.layers().join(directory_name(&digest));
        fs::create_dir_all(self.layers()).at(&self.layers(), "make")?;
        let aside = scratch.path().join(format!("damaged-{number}"));
        let mut moved = fs::rename(&written, &home);
        if moved.is_err() && digest::tree_digest(&home).is_ok_and(|there| there == digest) {
            // It is there already.
            touch(&home);
            moved = Ok(());
        } else if moved.is_err() && fs::rename(&home, &aside).is_ok() {
            // What is there is damaged. Should somebody else put it right before us, we are told.
            moved = fs::rename(&written, &home);
        }
        moved.at(&home, "move the new layer to")?;
        LayerRecord::of(&home, digest)
    }

    /// Keeps MANIFEST at PATH, written in SCRATCH first.
    fn record(&self, manifest: &Manifest, scratch: &Scratch, path: &Path) -> Result<(), ImageError> {
        let written = scratch.path().join("manifest");
        let text = serde_json::to_vec(manifest).map_err(io::Error::other).at(path, "record")?;
        fs::write(&written, text).at(&written, "write")?;
        fs::create_dir_all(self.images()).at(&self.images(), "make")?;
        fs::rename(&written, path).at(path, "move the manifest to")
    }

    /// The image that MANIFEST records.
    fn image(&self, manifest: &Manifest) -> Image {
        let is_missing = |name: &&str| manifest.missing.iter().any(|missing| missing == name);
        let layers = manifest.layers.iter();
        Image {
            layers: layers.clone().map(|layer| self.layers().join(layer.directory())).collect(),
            digest: digest::text_digest(layers.map(|layer| layer.digest.as_str())),
            bytes: manifest.bytes,
            missing: wanted::REQUIRED.iter().copied().filter(is_missing).collect(),
        }
    }

    /// Removes images that were not used for a day and are not among the last few, then the
    /// layers that no image has any more. A layer's own time protects one whose manifest is about
    /// to be written, and one whose container still runs after the host's programs were upgraded.
    fn collect_garbage(&self) {
        let mut manifests = by_last_use(&self.images());
        manifests.reverse();
        for (path, used) in manifests.iter().skip(KEPT) {
            if long_ago(*used) {
                let _ = fs::remove_file(path);
            }
        }
        let Some(named) = self.named_layers() else {
            return;
        };
        for (path, used) in by_last_use(&self.layers()) {
            if long_ago(used) && !named.iter().any(|name| path.ends_with(name)) {
                let _ = tree::remove(&path);
            }
        }
    }

    /// The directories of the layers that a manifest names; None if a manifest can't be read.
    fn named_layers(&self) -> Option<Vec<String>> {
        let mut names = Vec::new();
        for (path, _) in by_last_use(&self.images()) {
            let manifest: Manifest = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
            names.extend(manifest.layers.iter().map(LayerRecord::directory));
        }
        Some(names)
    }

    fn layers(&self) -> PathBuf {
        self.dir.join("layers")
    }

    fn images(&self) -> PathBuf {
        self.dir.join("images")
    }
}

impl Request<'_> {
    /// The name of the manifest that answers this request.
    fn key(&self) -> String {
        // The loader's search path that the environment adds decides which libraries are found.
        let libraries = std::env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
        let search = self.search.iter().map(|dir| dir.to_string_lossy());
        // What we may read and execute depends on who we are.
        let mut parts = vec![FORMAT.into(), libraries.to_string_lossy(), getuid().to_string().into()];
        parts.push(self.terminal.as_deref().unwrap_or_default().into());
        parts.extend(search);
        directory_name(&digest::text_digest(parts.iter().map(AsRef::as_ref)))
    }

    fn look_up(&self) -> Found {
        // Before the programs are looked for: what changes meanwhile is noticed next time.
        let search = stamp_search(self.search);
        let programs = wanted::lookup(self.search);
        let hidden = wanted::passed_over(self.search, &programs);
        Found { search: if hidden { Vec::new() } else { search }, programs }
    }
}

impl Found {
    fn by_name(&self) -> Vec<(String, PathBuf)> {
        self.programs.iter().map(|(name, path)| (name.to_string(), path.clone())).collect()
    }
}

/// Notes that PATH is used now. A store that can't be written to still serves its images.
fn touch(path: &Path) {
    if let Ok(file) = fs::File::open(path) {
        let _ = file.set_modified(SystemTime::now());
    }
}

/// The entries of DIR with the time of their last use, longest ago first.
fn by_last_use(dir: &Path) -> Vec<(PathBuf, SystemTime)> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let used = |entry: fs::DirEntry| Some((entry.path(), entry.metadata().ok()?.modified().ok()?));
    let mut entries: Vec<_> = entries.filter_map(used).collect();
    entries.sort_by_key(|(_, used)| *used);
    entries
}

/// Whether the last use was too long ago to protect anything.
fn long_ago(used: SystemTime) -> bool {
    used.elapsed().is_ok_and(|ago| ago > KEPT_FOR)
}
