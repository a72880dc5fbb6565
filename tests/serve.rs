//! `workshop book`: the book over the loopback address, and steps that its pages may run; nobody else's.
//!
//! The book here is two small pages beside the program, where a release has the real one. That is opened in a browser by
//! book/browser/check.mjs.

#![cfg(test)]

mod common;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::sync::Once;
use std::time::{Duration, Instant};

use common::{Who, place, workshop};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

/// The workshop at work as a server.
struct Served {
    child: Child,
    port: u16,
    token: String,
}

impl Served {
    fn start(options: &[&str]) -> Served {
        static BOOK: Once = Once::new();
        BOOK.call_once(|| {
            let pages = place().program.with_file_name("book");
            fs::create_dir_all(pages.join("en")).expect("a book");
            fs::write(pages.join("index.html"), "<p>first page").expect("a page");
            fs::write(pages.join("en/index.html"), "<p>in English").expect("a page");
        });
        let mut command = workshop(Who::User);
        let command = command.args(["book", "--format", "json"]).args(options).stdin(Stdio::null());
        let mut child = command.stdout(Stdio::piped()).spawn().expect("start");
        let mut line = String::new();
        let mut output = BufReader::new(child.stdout.take().expect("its output"));
        output.read_line(&mut line).expect("a line");
        let event: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("an event: {line}"));
        let url = event["url"].as_str().expect("an address");
        let (address, token) = url.split_once("#token=").expect("a token");
        let port = address.trim_start_matches("http://127.0.0.1:").split('/').next().expect("a port");
        Served { port: port.parse().expect("a number"), token: token.into(), child }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).expect("connect");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
        stream
    }

    /// Sends a head, lines without their ends, and returns the whole answer.
    fn ask(&self, head: &str) -> String {
        let mut stream = self.connect();
        stream.write_all(format!("{}\r\n\r\n", head.replace('\n', "\r\n")).as_bytes()).expect("ask");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("an answer");
        String::from_utf8_lossy(&answer).into_owned()
    }

    fn status(&self, head: &str) -> u16 {
        let answer = self.ask(head);
        let status = answer.split(' ').nth(1).unwrap_or_default();
        status.parse().unwrap_or_else(|_| panic!("no status: {answer}"))
    }

    /// The head that a page of ours sends to run something.
    fn post(&self, path: &str) -> String {
        let (port, token) = (self.port, &self.token);
        format!(
            "POST {path} HTTP/1.1\nHost: 127.0.0.1:{port}\nOrigin: http://127.0.0.1:{port}\nX-Workshop-Token: {token}"
        )
    }

    fn get(&self, path: &str) -> String {
        format!("GET {path} HTTP/1.1\nHost: 127.0.0.1:{}", self.port)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = kill(Pid::from_raw(self.child.id() as i32), Signal::SIGTERM);
        let status = self.child.wait().expect("it ends");
        if !std::thread::panicking() {
            assert_eq!(status.code(), Some(0));
        }
    }
}

/// The events in the chunks of an answer.
fn events(answer: &str) -> Vec<Value> {
    answer.lines().filter_map(|line| serde_json::from_str(line).ok()).filter(Value::is_object).collect()
}

#[test]
fn a_page_runs_a_step_and_is_told_all_of_it() {
    let served = Served::start(&[]);
    assert!(served.ask(&served.get("/en/index.html")).ends_with("<p>in English"));
    assert!(served.ask(&served.get("/")).ends_with("<p>first page"));
    for (lang, step) in [("en", "1"), ("ko", "unshare-pid")] {
        let answer = served.ask(&served.post(&format!("/run/{lang}/{step}")));
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(answer.ends_with("0\r\n\r\n"), "{answer}");
        let events = events(&answer);
        let of = |name: &str| events.iter().filter(|e| e["event"] == name).count();
        let last = events.last().expect("an event");
        // Where this host makes no containers, that is what is told.
        if last["event"] == "error" {
            assert_eq!(last["code"], 3, "{answer}");
            continue;
        }
        assert!(of("call") > 0 && of("check") > 0, "{answer}");
        // A page shows what each has changed.
        let mut calls = events.iter().filter(|event| event["event"] == "call");
        assert!(calls.all(|call| call["effect"].is_array()), "{answer}");
        assert_eq!((&last["event"], &last["failed"]), (&"done".into(), &0.into()), "{answer}");
    }
}

/// The contents show what the learner has done: in the course, and in a runtime of their own if that is where it was started.
#[test]
fn a_page_is_told_which_steps_are_done() {
    let served = Served::start(&[]);
    let events = |name: &str| events(&served.ask(&served.post(&format!("/run/ko/{name}"))));
    let list = events("list");
    assert!(
        list.len() >= 7 && list.iter().all(|e| e["event"] == "step" && e["done"].is_boolean()),
        "{list:?}"
    );
    let progress = events("progress");
    assert_eq!((&progress[0]["event"], &progress[0]["code"]), (&"error".into(), &2.into()), "{progress:?}");
}

#[test]
fn hostile_requests_are_refused() {
    let served = Served::start(&["--allow-host", "vm.internal"]);
    let (port, run) = (served.port, "/run/en/1");
    let good = served.post(run);
    let cases = [
        // Names that were made to lead here.
        (421, format!("GET / HTTP/1.1\nHost: evil.example:{port}")),
        (421, good.replacen("Host: 127.0.0.1", "Host: evil.example", 1)),
        // Pages from elsewhere.
        (403, good.replace("Origin: http://127.0.0.1", "Origin: http://evil.example")),
        (403, good.replace(&format!("Origin: http://127.0.0.1:{port}\n"), "")),
        (403, format!("{good}\nSec-Fetch-Site: cross-site")),
        // Without the token, or with another.
        (403, good.replace("X-Workshop-Token", "X-Other")),
        (403, good.replace(&served.token, &"0".repeat(32))),
        // What is in no table of ours.
        (404, served.post("/run/en/nothing")),
        (404, served.post("/run/fr/1")),
        (404, served.post("/run/en/1;id")),
        (404, served.post("/run/en/--shell")),
        (404, served.post("/run/en/list;id")),
        (404, served.post("/run/en/tour")),
        (404, served.post("/run/en/clean")),
        (404, served.post("/run/")),
        (405, served.get(run)),
        (405, served.post("/en/index.html")),
        (403, format!("DELETE / HTTP/1.1\nHost: 127.0.0.1:{port}")),
        // What lies beside the book.
        (404, served.get("/../workshop")),
        (404, served.get("/en/../../workshop")),
        (404, served.get("/%2e%2e/workshop")),
        (404, served.get("//etc/passwd")),
        // What is no request.
        (413, format!("{good}\nContent-Length: 1000000")),
        (400, "\u{1}".into()),
        (431, format!("{}\nX: {}", served.get("/"), "a".repeat(20_000))),
    ];
    for (wanted, head) in cases {
        assert_eq!(served.status(&head), wanted, "{head}");
    }
    assert_eq!(served.status("GET / HTTP/1.1\nHost: vm.internal:8080"), 200);
    let answer = served.ask(&served.get("/"));
    assert!(answer.contains("frame-ancestors 'none'") && answer.contains("nosniff"), "{answer}");
}

#[test]
fn one_runs_at_a_time_and_ends_when_its_reader_goes() {
    let served = Served::start(&[]);
    let mut first = served.connect();
    let head = served.post("/run/en/1").replace('\n', "\r\n");
    first.write_all(format!("{head}\r\n\r\n").as_bytes()).expect("ask");
    let mut begun = [0; 12];
    first.read_exact(&mut begun).expect("its first bytes");
    assert_eq!(&begun, b"HTTP/1.1 200");
    // It may have ended by now, on a fast machine.
    let second = served.status(&served.post("/run/en/2"));
    assert!(second == 409 || second == 200, "{second}");
    drop(first);
    // Whoever was told of it has gone: it undoes what it has done, and then there is room for another.
    let until = Instant::now() + Duration::from_secs(60);
    while served.status(&served.post("/run/en/1")) != 200 {
        assert!(Instant::now() < until, "the run has not ended");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn those_who_say_nothing_keep_nobody_waiting() {
    let served = Served::start(&[]);
    let silent: Vec<TcpStream> = (0..40).map(|_| served.connect()).collect();
    let mut slow = served.connect();
    slow.write_all(b"GET / HT").expect("half a word");
    assert_eq!(served.status(&served.get("/")), 200);
    drop(silent);
}

#[test]
fn a_port_that_is_taken_is_named() {
    let served = Served::start(&[]);
    let port = served.port.to_string();
    let ran = common::run(workshop(Who::User).args(["book", "--port", &port]));
    assert_eq!(ran.status, 2, "{}", ran.stderr);
    assert!(ran.stderr.contains(&port), "{}", ran.stderr);
}
