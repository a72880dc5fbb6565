//! One connection: a request comes in, an answer goes out, and then it is closed.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Instant;

use nix::poll::PollFlags;

use crate::PATIENCE;
use crate::files::Page;
use crate::request::{LARGEST, Request, parse};

/// Answers go with these. Pages run what the book brought along and nothing from elsewhere (Content Security Policy), and
/// stand in no other page's frame, where a click could be led to a button of ours.
const ALWAYS: &str = "Connection: close\r\n\
    Cache-Control: no-store\r\n\
    X-Content-Type-Options: nosniff\r\n\
    Referrer-Policy: no-referrer\r\n\
    Cross-Origin-Resource-Policy: same-origin\r\n\
    Cross-Origin-Opener-Policy: same-origin\r\n\
    Content-Security-Policy: default-src 'self' data:; script-src 'self' 'unsafe-inline'; \
    style-src 'self' 'unsafe-inline'; frame-ancestors 'none'; base-uri 'self'; form-action 'self'\r\n";

/// What may wait to be sent of a stream, in bytes, before its source has to wait.
const ROOM: usize = 64 << 10;

/// What came of reading.
pub enum Wish {
    Request(Request),
    /// It is refused with this status.
    Refused(u16),
}

pub struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
    to_send: Vec<u8>,
    state: State,
    /// A run's output goes here.
    pub streams: bool,
    /// When something last went in or out.
    moved: Instant,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// The request is not whole yet.
    Reads,
    /// The answer goes out, and may grow.
    Streams,
    /// The answer is whole.
    Sends,
    /// All is sent, and the client is to close. If we did while something of theirs is unread, they would be told of a
    /// reset and might not see the answer (RFC 9112, section 9.6).
    Lingers,
    Closed,
}

impl Connection {
    /// Of what was accepted; none if the client has gone already.
    pub fn new(stream: TcpStream) -> Option<Connection> {
        stream.set_nonblocking(true).ok()?;
        let (received, to_send) = (Vec::new(), Vec::new());
        Some(Connection {
            stream,
            received,
            to_send,
            state: State::Reads,
            streams: false,
            moved: Instant::now(),
        })
    }

    pub fn is_open(&self) -> bool {
        self.state != State::Closed
    }

    /// What to wait for: a client that goes away while it is told something is readable too.
    pub fn events(&self) -> PollFlags {
        if self.to_send.is_empty() { PollFlags::POLLIN } else { PollFlags::POLLIN | PollFlags::POLLOUT }
    }

    pub fn has_room(&self) -> bool {
        self.to_send.len() < ROOM
    }

    /// Takes what has come, and returns the request once it is whole.
    pub fn read(&mut self) -> Option<Wish> {
        let mut piece = [0; LARGEST];
        match self.stream.read(&mut piece) {
            // It has gone.
            Ok(0) => self.state = State::Closed,
            Ok(count) => {
                self.moved = Instant::now();
                // What comes after the request is nothing that was asked for.
                if self.state == State::Reads {
                    self.received.extend(piece.iter().take(count));
                }
            }
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(_) => self.state = State::Closed,
        }
        // A run may be silent for long; a client may not.
        if self.state != State::Streams && self.moved.elapsed() > PATIENCE {
            self.state = State::Closed;
        }
        if self.state != State::Reads || self.received.is_empty() {
            return None;
        }
        match parse(&self.received) {
            Ok(None) => None,
            Ok(Some(request)) => Some(Wish::Request(request)),
            Err(status) => Some(Wish::Refused(status)),
        }
    }

    /// Sends what can be sent without waiting.
    pub fn write(&mut self) {
        while !self.to_send.is_empty() && self.is_open() {
            match self.stream.write(&self.to_send) {
                Ok(0) => self.state = State::Closed,
                Ok(count) => {
                    self.to_send.drain(..count);
                    self.moved = Instant::now();
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => return,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(_) => self.state = State::Closed,
            }
        }
        if self.state == State::Sends && self.to_send.is_empty() {
            let shut = self.stream.shutdown(Shutdown::Write);
            self.state = if shut.is_ok() { State::Lingers } else { State::Closed };
        }
    }

    /// Answers with a status and a few words.
    pub fn say(&mut self, status: u16, words: &str) {
        let words = if words.is_empty() { reason(status) } else { words };
        self.answer(status, "text/plain; charset=utf-8", words.as_bytes(), false);
    }

    /// Answers with a page, or that there is none; with its head alone if that is what was asked for.
    pub fn send_page(&mut self, page: Option<Page>, head_only: bool) {
        match page {
            Some(page) => self.answer(200, page.kind, &page.bytes, head_only),
            None => self.answer(404, "text/plain; charset=utf-8", reason(404).as_bytes(), head_only),
        }
    }

    fn answer(&mut self, status: u16, kind: &str, body: &[u8], head_only: bool) {
        let allow = if status == 405 { "Allow: GET, HEAD\r\n" } else { "" };
        let head = format!(
            "HTTP/1.1 {status} {}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n{allow}{ALWAYS}\r\n",
            reason(status),
            body.len()
        );
        self.to_send.extend(head.into_bytes());
        if !head_only {
            self.to_send.extend(body);
        }
        self.state = State::Sends;
    }

    /// Begins an answer whose length nobody knows yet: chunks (RFC 9112, section 7.1), a JSON value a line.
    pub fn begin_stream(&mut self) {
        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n";
        self.to_send.extend(format!("{head}{ALWAYS}\r\n").into_bytes());
        self.state = State::Streams;
        self.streams = true;
    }

    /// A piece of it.
    pub fn push(&mut self, piece: &[u8]) {
        self.to_send.extend(format!("{:x}\r\n", piece.len()).into_bytes());
        self.to_send.extend(piece);
        self.to_send.extend(b"\r\n");
        self.write();
    }

    /// Its end.
    pub fn end_stream(&mut self) {
        self.to_send.extend(b"0\r\n\r\n");
        self.streams = false;
        self.state = State::Sends;
        self.write();
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

/// A status in words (RFC 9110, section 15).
fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        409 => "Conflict",
        413 => "Content Too Large",
        421 => "Misdirected Request",
        431 => "Request Header Fields Too Large",
        _ => "Internal Server Error",
    }
}
