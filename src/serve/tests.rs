//! Who is let in, and what is read of a request.

use std::fs;

use crate::files::find;
use crate::gate::{Gate, token};
use crate::request::{LARGEST, Method, parse};

fn gate() -> Gate {
    Gate { port: 7410, names: vec!["vm.lima.internal".into()], token: "0123".into() }
}

/// The status that a request is refused with, or 200.
fn judged(head: &str) -> u16 {
    match parse(format!("{}\r\n\r\n", head.replace('\n', "\r\n")).as_bytes()) {
        Ok(Some(request)) => gate().admits(&request).err().unwrap_or(200),
        Ok(None) => 0,
        Err(status) => status,
    }
}

#[test]
fn pages_are_for_those_who_name_us() {
    for host in [
        "127.0.0.1:7410",
        "localhost:7410",
        "LOCALHOST:7410",
        "[::1]:7410",
        "vm.lima.internal:80",
        "vm.lima.internal",
    ] {
        assert_eq!(judged(&format!("GET / HTTP/1.1\nHost: {host}")), 200, "{host}");
    }
    // Names that were made to lead here (DNS rebinding), and other ports of this host.
    for host in [
        "evil.example:7410",
        "127.0.0.1",
        "127.0.0.1:80",
        "localhost.evil.example:7410",
        "7410",
        "",
        "127.0.0.1:7410:7410",
    ] {
        assert_eq!(judged(&format!("GET / HTTP/1.1\nHost: {host}")), 421, "{host}");
    }
    assert_eq!(judged("GET / HTTP/1.1"), 400);
    assert_eq!(judged("GET / HTTP/1.1\nHost: 127.0.0.1:7410\nHost: evil.example"), 400);
}

#[test]
fn steps_are_for_our_pages_with_the_token() {
    let ours = "POST /run/en/pivot-root HTTP/1.1\nHost: 127.0.0.1:7410";
    let whole = format!("{ours}\nOrigin: http://127.0.0.1:7410\nX-Workshop-Token: 0123");
    assert_eq!(judged(&whole), 200);
    assert_eq!(judged(&format!("{whole}\nSec-Fetch-Site: same-origin")), 200);
    assert_eq!(judged(&format!("{whole}\nSec-Fetch-Site: cross-site")), 403);
    // Another page, a form's page of no origin, another port of this host, none at all.
    for origin in
        ["http://evil.example", "null", "http://127.0.0.1:8080", "127.0.0.1:7410", "file://127.0.0.1:7410"]
    {
        assert_eq!(judged(&format!("{ours}\nOrigin: {origin}\nX-Workshop-Token: 0123")), 403, "{origin}");
    }
    assert_eq!(judged(&format!("{ours}\nX-Workshop-Token: 0123")), 403);
    for token in ["", "0124", "01234", "012"] {
        let head = format!("{ours}\nOrigin: http://127.0.0.1:7410\nX-Workshop-Token: {token}");
        assert_eq!(judged(&head), 403, "{token}");
    }
    assert_eq!(judged(&format!("{ours}\nOrigin: http://127.0.0.1:7410")), 403);
}

#[test]
fn what_is_no_request_is_refused() {
    let ours = "Host: 127.0.0.1:7410";
    assert_eq!(judged(&format!("POST / HTTP/1.1\n{ours}\nContent-Length: 5")), 413);
    assert_eq!(judged(&format!("POST / HTTP/1.1\n{ours}\nTransfer-Encoding: chunked")), 413);
    assert_eq!(judged("\u{1}\u{2}"), 400);
    assert_eq!(judged(&format!("GET / HTTP/1.1\n{}", "A: b\n".repeat(100))), 431);
    assert_eq!(parse(&[b'a'; LARGEST]).err(), Some(431));
    assert!(matches!(parse(b"GET / HT"), Ok(None)));
    let request = parse(b"GET /a?b HTTP/1.1\r\nHost: x\r\n\r\n").unwrap().unwrap();
    assert_eq!((request.method, request.path.as_str()), (Method::Get, "/a"));
}

#[test]
fn nothing_outside_of_the_book_is_served() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("book");
    fs::create_dir_all(root.join("en")).unwrap();
    fs::write(root.join("en/index.html"), "page").unwrap();
    fs::write(dir.path().join("secret"), "secret").unwrap();
    std::os::unix::fs::symlink("../secret", root.join("link")).unwrap();
    let found = |path: &str| find(&root, path).map(|page| page.bytes);
    assert_eq!(found("/en/index.html"), Some(b"page".to_vec()));
    assert_eq!(found("/en/"), Some(b"page".to_vec()));
    for path in [
        "/en",
        "/../secret",
        "/en/../../secret",
        "//../secret",
        "/link",
        "/./en/",
        "/%2e%2e/secret",
        "/nothing",
        "/etc/passwd",
    ] {
        assert_eq!(found(path), None, "{path}");
    }
}

#[test]
fn nobody_guesses_the_token() {
    let [one, other] = [token().unwrap(), token().unwrap()];
    assert_eq!(one.len(), 32);
    assert_ne!(one, other);
}
