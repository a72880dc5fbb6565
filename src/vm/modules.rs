//! The modules that a kernel needs, in the order in which they can be loaded.
//!
//! modprobe(8) reads modules.dep, which depmod(8) writes when a kernel is installed. A package that was
//! only unpacked has none, so we ask the modules themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::kernel::Kernel;
use super::modinfo::{self, Needs};
use fault::{Doing, Fault};

/// One module, as init_module(2) takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Module {
    /// Its name as in /proc/modules: with `_` where the file's name may have `-`.
    pub name: String,
    /// The ELF file, decompressed.
    pub bytes: Vec<u8>,
}

/// The modules WANTED of KERNEL, each after those that it needs. What the kernel has built in is left
/// out.
///
/// # Errors
/// `Unable` if KERNEL's modules are not on this host, or if it has a wanted one neither as a file nor
/// built in; `Broken` if a file can't be read, or is no module.
pub fn modules(kernel: &Kernel, wanted: &[&str]) -> Result<Vec<Module>, Fault> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let Some(dir) = &kernel.modules else {
        let path = format!("/lib/modules/{}", kernel.release);
        let image = kernel.image.display().to_string();
        return Err(Fault::unable("modules-none", &[("image", &image), ("path", &path)]));
    };
    let mut loading = Loading {
        release: &kernel.release,
        dir,
        files: files(dir).doing(format!("look for modules in {}", dir.display()))?,
        built_in: built_in(dir)?,
        seen: BTreeSet::new(),
        order: Vec::new(),
    };
    for name in wanted {
        loading.require(name)?;
    }
    Ok(loading.order)
}

/// The walk through what needs what: a module is put in order when all that it needs has been.
struct Loading<'a> {
    release: &'a str,
    dir: &'a Path,
    files: BTreeMap<String, PathBuf>,
    built_in: BTreeSet<String>,
    /// What was asked for so far. Two modules that need each other can't both be first.
    seen: BTreeSet<String>,
    order: Vec<Module>,
}

impl Loading<'_> {
    /// Puts NAME in order, after all that it needs.
    fn require(&mut self, name: &str) -> Result<(), Fault> {
        let name = canonical(name);
        if self.built_in.contains(&name) || !self.seen.insert(name.clone()) {
            return Ok(());
        }
        let Some(file) = self.files.get(&name).cloned() else {
            let dir = self.dir.display().to_string();
            let with = [("module", name.as_str()), ("release", self.release), ("path", &dir)];
            return Err(Fault::unable("module-missing", &with));
        };
        let (bytes, needs) = read(&file)?;
        for soft in &needs.soft {
            if self.files.contains_key(&canonical(soft)) {
                self.require(soft)?;
            }
        }
        for hard in &needs.hard {
            self.require(hard)?;
        }
        self.order.push(Module { name, bytes });
        Ok(())
    }
}

/// Reads a module and what it needs.
fn read(file: &Path) -> Result<(Vec<u8>, Needs), Fault> {
    let doing = format!("read the module {}", file.display());
    let bytes = fs::read(file).and_then(modinfo::decompress).doing(&doing)?;
    let needs = modinfo::needs(&bytes).ok_or("it is no module").doing(&doing)?;
    Ok((bytes, needs))
}

/// The module files below DIR, by name. Links are not followed: `build` and `source` lead out of it.
fn files(dir: &Path) -> io::Result<BTreeMap<String, PathBuf>> {
    let mut found = BTreeMap::new();
    let mut left = vec![dir.to_path_buf()];
    while let Some(dir) = left.pop() {
        for entry in fs::read_dir(&dir)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                left.push(entry.path());
            } else if let Some(name) =
                entry.file_name().to_str().and_then(module_name).filter(|_| kind.is_file())
            {
                found.insert(name, entry.path());
            }
        }
    }
    Ok(found)
}

/// The modules that are part of the kernel itself, from DIR/modules.builtin (kbuild.rst).
fn built_in(dir: &Path) -> Result<BTreeSet<String>, Fault> {
    let list = dir.join("modules.builtin");
    let text = match fs::read_to_string(&list) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        text => text.doing(format!("read {}", list.display()))?,
    };
    Ok(text.lines().filter_map(|path| module_name(path.rsplit('/').next()?)).collect())
}

/// The name of the module in the file FILE, if its name is one of a module: `nf-tables.ko.xz`.
fn module_name(file: &str) -> Option<String> {
    let (name, rest) = file.split_once(".ko")?;
    matches!(rest, "" | ".gz" | ".xz" | ".zst").then(|| canonical(name))
}

/// A module's name as the kernel has it. `-` and `_` mean the same to modprobe(8).
fn canonical(name: &str) -> String {
    name.replace('-', "_")
}
