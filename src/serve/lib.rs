//! The book over HTTP/1.1 (RFC 9112), to whoever is on this machine, and for whoever has the token the steps themselves.
//!
//! ```text
//!   browser ── connection ── request ── gate ──┬── files: a page of the book
//!                                              └── run: `workshop step N --format json`, a line an event
//! ```
//!
//! Running a step is what has to be guarded: a page from anywhere can make a browser send requests to 127.0.0.1, under
//! any name that it lets lead there (DNS rebinding), and so can other users of this machine by themselves. So whoever
//! asks must name us as we are called ([`gate`]), come from a page of ours, and know the token, which stands behind the `#`
//! of the address that we print, where no request carries it. What is run comes from the caller's table, never from the
//! request.
//!
//! One thread and one poll(2): the workshop forks.

mod connection;
mod files;
mod gate;
mod request;
mod run;

use std::net::TcpListener;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use fault::{Doing, Fault};
use kernel::signals::Signals;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use connection::{Connection, Wish};
use request::Method;
use run::Run;

pub use gate::{Gate, token};

/// Connections at a time; a browser opens six.
const CONNECTIONS: usize = 64;

/// How long poll(2) waits at most, in milliseconds: connections that stand still are looked at then.
const TICK: u16 = 200;

/// What is served, and to whom.
pub struct Site {
    /// The folder with the pages.
    pub root: PathBuf,
    pub gate: Gate,
}

/// Serves until a signal asks us to end. COMMAND is what runs a step, by the language and the name that a page asks for;
/// there is none for what isn't in the table.
///
/// # Errors
///
/// If poll(2) or accept(2) fail for a reason of ours.
pub fn serve(
    listener: &TcpListener,
    site: &Site,
    signals: &Signals,
    command: impl Fn(&str, &str) -> Option<Command>,
) -> Result<(), Fault> {
    listener.set_nonblocking(true).doing("serve without waiting")?;
    let mut server = Server { site, command, connections: Vec::new(), run: None };
    while signals.end_asked().is_none() {
        server.wait(listener, signals)?;
        server.accept(listener);
        server.turn();
    }
    if let Some(run) = server.run.take() {
        run.end();
    }
    Ok(())
}

struct Server<'a, C> {
    site: &'a Site,
    command: C,
    connections: Vec<Connection>,
    /// One at a time: steps share the limits, the network and the names of one lab host.
    run: Option<Run>,
}

impl<C: Fn(&str, &str) -> Option<Command>> Server<'_, C> {
    /// Waits for somebody who wants something.
    fn wait(&self, listener: &TcpListener, signals: &Signals) -> Result<(), Fault> {
        let readable = |fd| PollFd::new(fd, PollFlags::POLLIN);
        let mut list = vec![readable(signals.as_fd())];
        if self.connections.len() < CONNECTIONS {
            list.push(readable(listener.as_fd()));
        }
        list.extend(
            self.connections.iter().map(|connection| PollFd::new(connection.as_fd(), connection.events())),
        );
        list.extend(self.run_to_read().map(readable));
        match poll(&mut list, PollTimeout::from(TICK)) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(errno) => Err(errno).doing("wait for requests"),
        }
    }

    /// The run's output, while whoever asked for it keeps up.
    fn run_to_read(&self) -> Option<BorrowedFd<'_>> {
        let run = self.run.as_ref()?;
        let keeps_up = self.connections.iter().any(|connection| connection.streams && connection.has_room());
        keeps_up.then(|| run.output()).flatten()
    }

    fn accept(&mut self, listener: &TcpListener) {
        while self.connections.len() < CONNECTIONS {
            // Whoever has gone again before we looked needs nothing.
            let Ok((stream, _)) = listener.accept() else { return };
            self.connections.extend(Connection::new(stream));
        }
    }

    /// Does for each what can be done without waiting.
    fn turn(&mut self) {
        let mut connections = std::mem::take(&mut self.connections);
        for connection in &mut connections {
            if let Some(wish) = connection.read() {
                self.answer(connection, wish);
            }
            connection.write();
        }
        self.pass_on(&mut connections);
        connections.retain(Connection::is_open);
        self.connections = connections;
    }

    fn answer(&mut self, connection: &mut Connection, wish: Wish) {
        let request = match wish {
            Wish::Request(request) => request,
            Wish::Refused(status) => return connection.say(status, ""),
        };
        if let Err(status) = self.site.gate.admits(&request) {
            return connection.say(status, "");
        }
        match (request.method, request.path.strip_prefix("/run/")) {
            (Method::Post, Some(name)) => self.start(connection, name),
            (Method::Get | Method::Head, None) => {
                connection
                    .send_page(files::find(&self.site.root, &request.path), request.method == Method::Head);
            }
            _ => connection.say(405, ""),
        }
    }

    /// Starts what `LANG/NAME` is in the caller's table.
    fn start(&mut self, connection: &mut Connection, name: &str) {
        let command = name.split_once('/').and_then(|(lang, name)| (self.command)(lang, name));
        match (command, &self.run) {
            (None, _) => connection.say(404, ""),
            (_, Some(_)) => connection.say(409, ""),
            (Some(command), None) => match Run::start(command) {
                Ok(run) => {
                    self.run = Some(run);
                    connection.begin_stream();
                }
                Err(fault) => connection.say(500, &fault.to_string()),
            },
        }
    }

    /// What the run has said goes to whoever asked for it; if they have gone, it is asked to end.
    fn pass_on(&mut self, connections: &mut [Connection]) {
        let Some(run) = &mut self.run else { return };
        match connections.iter_mut().find(|connection| connection.streams && connection.is_open()) {
            Some(reader) => {
                if reader.has_room() {
                    run.read(|piece| reader.push(piece));
                }
                if run.has_ended() {
                    reader.end_stream();
                    self.run = None;
                }
            }
            None => {
                run.ask_to_end();
                run.read(|_| ());
                if run.has_ended() {
                    self.run = None;
                }
            }
        }
    }
}

/// How long a connection may stand still.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests;
