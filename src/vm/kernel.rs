//! Which kernel to boot, and where its modules are.

use std::cmp::Reverse;
use std::fs;
use std::path::{Path, PathBuf};

use nix::sys::utsname::uname;

use super::image_file::{self, NotKernel};
use fault::Fault;

/// A kernel that can be booted, and the directory of the modules that belong to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kernel {
    /// The bzImage.
    pub image: PathBuf,
    /// What `uname -r` prints once it runs.
    pub release: String,
    /// The directory with modules.builtin and kernel/; None if there is none for this release.
    pub modules: Option<PathBuf>,
}

impl Kernel {
    /// The kernel in the file GIVEN, else in the one that WORKSHOP_KERNEL names, else the host's own,
    /// else the newest other one that can be read.
    ///
    /// # Errors
    /// `Usage` if a file was named that is no kernel for x86-64; `Unable` if none was named and none
    /// is found, or none can be read, or this host is no x86-64 machine.
    pub fn find(given: Option<&Path>) -> Result<Kernel, Fault> {
        let host = uname().map_err(|errno| Fault::broken("ask for this host's kernel (uname)", errno))?;
        let machine = host.machine().to_string_lossy();
        if machine != "x86_64" {
            return Err(Fault::unable("kernel-host-machine", &[("machine", &machine)]));
        }
        let named = std::env::var_os("WORKSHOP_KERNEL").filter(|name| !name.is_empty()).map(PathBuf::from);
        match given.map(Path::to_path_buf).or(named) {
            Some(image) => Kernel::read(&image).map_err(|problem| not_kernel(&image, problem)),
            None => Kernel::installed(Path::new("/"), &host.release().to_string_lossy()),
        }
    }

    /// The kernel in the file IMAGE.
    pub(super) fn read(image: &Path) -> Result<Kernel, NotKernel> {
        let release = image_file::release(image)?;
        let modules = modules_of(image, &release);
        Ok(Kernel { image: image.to_path_buf(), release, modules })
    }

    /// The kernel RUNNING, or the best other one, of those installed in the root filesystem ROOT.
    pub(super) fn installed(root: &Path, running: &str) -> Result<Kernel, Fault> {
        let own = [
            root.join(format!("boot/vmlinuz-{running}")),
            root.join("lib/modules").join(running).join("vmlinuz"),
        ];
        let mut closed = None;
        let mut readable = |image: PathBuf| match Kernel::read(&image) {
            Ok(kernel) => Some(kernel),
            Err(NotKernel::Closed) => {
                closed.get_or_insert(image);
                None
            }
            Err(_) => None,
        };
        if let Some(kernel) = own.into_iter().find_map(&mut readable) {
            return Ok(kernel);
        }
        let others: Vec<Kernel> = images(root).into_iter().filter_map(&mut readable).collect();
        // The first of equals, not the last: /boot comes before /lib/modules.
        if let Some(best) = others.into_iter().min_by_key(|kernel| Reverse(merit(kernel))) {
            return Ok(best);
        }
        Err(match closed {
            Some(image) => Fault::unable("kernel-unreadable", &[("path", &image.display().to_string())]),
            None => Fault::unable("kernel-none", &[]),
        })
    }
}

/// The files in ROOT that a distribution's kernels are in, in order of their names.
fn images(root: &Path) -> Vec<PathBuf> {
    let entries = |dir: &str| {
        let entries = fs::read_dir(root.join(dir)).into_iter().flatten().flatten();
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
        paths.sort();
        paths
    };
    let is_image = |path: &PathBuf| {
        path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"vmlinuz-"))
    };
    let in_boot = entries("boot").into_iter().filter(is_image);
    in_boot.chain(entries("lib/modules").into_iter().map(|dir| dir.join("vmlinuz"))).collect()
}

/// What makes one kernel better than another: that it has its modules, then its version, then that
/// it was built for virtual machines, which makes it smaller.
fn merit(kernel: &Kernel) -> (bool, Vec<u64>, bool) {
    let cloud = ["cloud", "virtual"].iter().any(|flavour| kernel.release.contains(flavour));
    (kernel.modules.is_some(), version_numbers(&kernel.release), cloud)
}

/// The numbers that a release begins with: 6, 1, 0 and 56 of `6.1.0-56-cloud-amd64`.
fn version_numbers(release: &str) -> Vec<u64> {
    release.split(['.', '-', '_']).map_while(|part| part.parse().ok()).collect()
}

/// The directory of the modules for RELEASE. An unpacked package has it beside the image's own, so
/// that is looked for before the host's.
fn modules_of(image: &Path, release: &str) -> Option<PathBuf> {
    // The image may be a link, as /vmlinuz is, or named relative to where we are.
    let image = fs::canonicalize(image).ok()?;
    let beside = image.parent()?;
    let mut places = Vec::new();
    if let Some(tree) = beside.parent() {
        places.push(tree.join("lib/modules").join(release));
        places.push(tree.join("usr/lib/modules").join(release));
    }
    if beside.ends_with(Path::new("lib/modules").join(release)) {
        places.push(beside.to_path_buf());
    }
    places.push(Path::new("/lib/modules").join(release));
    // Header packages make the directory too, with a link `build` and nothing else.
    places.into_iter().find(|dir| dir.join("kernel").is_dir() || dir.join("modules.builtin").is_file())
}

/// Why the file IMAGE, which the user named, can't be booted.
fn not_kernel(image: &Path, problem: NotKernel) -> Fault {
    let path = ("path", &*image.display().to_string());
    let usage = |key: &str| Fault::usage(key, &[path]);
    match problem {
        NotKernel::Missing => usage("kernel-missing"),
        NotKernel::Directory => usage("kernel-directory"),
        NotKernel::Closed => usage("kernel-closed"),
        NotKernel::Empty => usage("kernel-empty"),
        NotKernel::Text => usage("kernel-text"),
        NotKernel::Unknown => usage("kernel-not-one"),
        NotKernel::Elf(machine) => Fault::usage("kernel-elf", &[path, ("machine", &machine)]),
        NotKernel::OtherMachine(machine) => Fault::usage("kernel-machine", &[path, ("machine", machine)]),
        NotKernel::Format(what) => Fault::usage("kernel-format", &[path, ("what", what)]),
        NotKernel::Broken(problem) => Fault::broken(format!("read the kernel {}", path.1), problem),
    }
}
