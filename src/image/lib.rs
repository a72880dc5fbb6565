//! A small root filesystem, put together from the host's own programs.
//!
//! An image is just the files that a program needs: the program, its loader, its libraries and a
//! little configuration. So nothing has to be downloaded: the host's `sh`, `ls`, `ps` and `ip` are
//! copied together with what they need, once, into layers of a cache.
//!
//! | file | idea |
//! |---|---|
//! | `wanted` | which programs, and where the host has them |
//! | `closure` | what a program needs besides itself |
//! | `libraries`, `elf` | where a program's loader looks for its libraries |
//! | `own` | the same for the workshop's own executable |
//! | `plan`, `configuration` | which host file goes where in the image |
//! | `layer` | a tree of files, planned and written |
//! | `store`, `manifest`, `scratch` | the cache: layers named by their content |
//! | `digest` | one number for a tree of files |
//! | `explain`, `inside` | why a program in a root filesystem doesn't start |

mod closure;
mod configuration;
mod digest;
mod elf;
mod explain;
mod inside;
mod layer;
mod libraries;
mod manifest;
mod own;
mod plan;
mod scratch;
mod store;
mod wanted;

#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path, PathBuf};

use fault::Fault;

#[allow(unused_imports, reason = "its users come next")]
pub use closure::Placed;
pub use digest::tree_digest;
pub use explain::{ExecProblem, explain_exec, machine_name};
pub use inside::Unresolved;
pub use own::own_binary;
pub use store::Store;
pub use wanted::{host_search_path, survey};

/// A root filesystem in layers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// The layers' directories, lowest first: programs and libraries, then configuration. They are
    /// shared by all who use the image and must not be written to.
    pub layers: Vec<PathBuf>,
    /// `sha256:` and 64 hexadecimal digits: the same for the same content.
    pub digest: String,
    /// Bytes in the files of all layers.
    pub bytes: u64,
    /// Required programs that the host lacks.
    pub missing: Vec<&'static str>,
}

/// Why there is no image.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The host has no shell that could be copied, so there is nothing to run.
    #[error("no program `sh` that can be copied in {}", directories(searched))]
    NoShell {
        /// The directories that were searched.
        searched: Vec<PathBuf>,
    },
    /// Our own executable can't be taken along.
    #[error("cannot copy the workshop's own program: {problem}")]
    Own { problem: String },
    /// The kernel refused a file operation.
    #[error("cannot {doing} {}: {source}", path.display())]
    Io {
        path: PathBuf,
        /// What was tried, as a verb that fits before a path.
        doing: &'static str,
        source: io::Error,
    },
}

impl From<ImageError> for Fault {
    fn from(error: ImageError) -> Fault {
        match &error {
            // What is usually in the way of an image is not: the words for that number name the limit.
            ImageError::Io { source, .. } if source.raw_os_error() == Some(libc::EMFILE) => {
                Fault::broken("make a root filesystem from the host's programs", error)
            }
            _ => Fault::unable("no-image", &[("problem", &error.to_string())]),
        }
    }
}

/// DIRS as in `PATH`.
fn directories(dirs: &[PathBuf]) -> String {
    let dirs: Vec<String> = dirs.iter().map(|dir| dir.display().to_string()).collect();
    if dirs.is_empty() { "an empty search path".to_string() } else { dirs.join(":") }
}

/// Says which file an operation failed on, and what it was.
trait At<T> {
    fn at(self, path: &Path, doing: &'static str) -> Result<T, ImageError>;
}

impl<T> At<T> for io::Result<T> {
    fn at(self, path: &Path, doing: &'static str) -> Result<T, ImageError> {
        self.map_err(|source| {
            let path = path.to_path_buf();
            ImageError::Io { path, doing, source }
        })
    }
}
