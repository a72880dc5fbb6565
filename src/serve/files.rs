//! The book's files: which one a path names, and what it is.

use std::fs;
use std::path::{Component, Path};

/// A file of the book's.
pub struct Page {
    pub kind: &'static str,
    pub bytes: Vec<u8>,
}

/// The file that a path names, or a folder's `index.html`. None outside of `root`, not even by a symbolic link.
pub fn find(root: &Path, path: &str) -> Option<Page> {
    let inside = Path::new(path.trim_start_matches('/'));
    if inside.components().any(|part| !matches!(part, Component::Normal(_))) {
        return None;
    }
    let root = root.canonicalize().ok()?;
    let mut file = root.join(inside).canonicalize().ok()?;
    if file.is_dir() {
        // Without its last slash, the page's links would lead one folder too high.
        if !path.ends_with('/') {
            return None;
        }
        file = file.join("index.html").canonicalize().ok()?;
    }
    if !file.starts_with(&root) {
        return None;
    }
    fs::read(&file).ok().map(|bytes| Page { kind: kind(&file), bytes })
}

/// The media type (RFC 9110, section 8.3).
fn kind(file: &Path) -> &'static str {
    match file.extension().and_then(|extension| extension.to_str()) {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("json" | "webmanifest") => "application/json",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("woff2") => "font/woff2",
        Some("txt") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}
