//! The workshop's own executable as part of an image.

use std::path::Path;

use super::ImageError;
use super::closure::{Closure, Placed};

/// The files that our own executable consists of when it runs in an image, at PLACE there: itself, and its
/// loader and libraries unless it is static.
///
/// # Errors
/// `Own` if the executable is gone, or the host itself lacks a part of it.
pub fn own_binary(place: &Path) -> Result<Vec<Placed>, ImageError> {
    let no_program = |problem: &str| ImageError::Own { problem: problem.to_owned() };
    // The link /proc/self/exe (proc_pid_exe(5)) leads to the file itself, whatever name it was called by.
    let source = std::env::current_exe().map_err(|error| no_program(&error.to_string()))?;
    if !source.is_file() {
        return Err(no_program(&format!("{} was removed or replaced meanwhile", source.display())));
    }
    let needs = Closure::new().of(&source);
    let mut files = needs.ok_or_else(|| no_program("a library that it needs can't be found"))?;
    files.insert(0, Placed { source, place: place.to_path_buf() });
    Ok(files)
}
