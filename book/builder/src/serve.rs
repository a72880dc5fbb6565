//! `serve`: the sites over HTTP, to this machine only, built again when a file of the book changes.

use std::fs::{self, File};
use std::net::Ipv4Addr;
use std::path::{Component, Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::{Result, anyhow};
use notify_debouncer_mini::{DebounceEventResult, new_debouncer, notify::RecursiveMode};
use tiny_http::{Header, Request, Response, Server};

use crate::book::{Repository, build};

/// An editor writes a file in several steps.
const SETTLED: Duration = Duration::from_millis(300);

/// Serves until it is stopped.
pub fn serve(repository: &Repository, port: u16) -> Result<()> {
    let out = repository.output();
    build(repository, &out)?;
    let server =
        Server::http((Ipv4Addr::LOCALHOST, port)).map_err(|error| anyhow!("port {port}: {error}"))?;
    println!("http://127.0.0.1:{port}/ (Ctrl-C ends it)");
    let root = out.clone();
    thread::spawn(move || {
        for request in server.incoming_requests() {
            answer(&root, request);
        }
    });
    rebuild_on_change(repository, &out)
}

fn rebuild_on_change(repository: &Repository, out: &Path) -> Result<()> {
    let (sender, changes) = mpsc::channel::<DebounceEventResult>();
    let mut watcher = new_debouncer(SETTLED, sender)?;
    for folder in ["book", "lessons", "src"] {
        watcher.watcher().watch(&repository.path(folder), RecursiveMode::Recursive)?;
    }
    for change in changes {
        let change = change?;
        let Some(first) = change.first() else { continue };
        match build(repository, out) {
            Ok(()) => println!("built again: {}", first.path.display()),
            Err(error) => eprintln!("{error:#}"),
        }
    }
    Ok(())
}

fn answer(root: &Path, request: Request) {
    let file = file_for(root, request.url());
    let opened = file.as_deref().and_then(|file| File::open(file).ok().map(|opened| (file, opened)));
    // A reader who has gone away needs no answer.
    let _ = match opened {
        Some((file, opened)) => {
            let response = Response::from_file(opened);
            let header = Header::from_bytes("Content-Type", kind(file));
            request.respond(match header {
                Ok(header) => response.with_header(header),
                Err(()) => response,
            })
        }
        None => request.respond(Response::from_string("not found").with_status_code(404)),
    };
}

/// The file that a URL names; none outside of `root`.
fn file_for(root: &Path, url: &str) -> Option<PathBuf> {
    let path = url.split(['?', '#']).next()?.trim_start_matches('/');
    let path = Path::new(path);
    if path.components().any(|part| !matches!(part, Component::Normal(_))) {
        return None;
    }
    let file = root.join(path);
    let is_folder = fs::metadata(&file).is_ok_and(|found| found.is_dir());
    Some(if is_folder { file.join("index.html") } else { file })
}

fn kind(file: &Path) -> &'static str {
    match file.extension().and_then(|extension| extension.to_str()) {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("woff2") => "font/woff2",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_outside_of_the_site_is_served() {
        let root = Path::new("/site");
        assert_eq!(file_for(root, "/ko/a.html?b#c"), Some("/site/ko/a.html".into()));
        assert_eq!(file_for(root, "/../etc/passwd"), None);
        assert_eq!(file_for(root, "//etc/passwd"), Some("/site/etc/passwd".into()));
    }
}
