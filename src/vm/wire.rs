//! The wire between the workshop and its init in the guest: a serial line that carries frames.
//!
//! A serial line knows only bytes. Both ends put them into frames, so that one line carries a program's
//! standard streams, questions and their answers, and the news of its end:
//!
//! ```text
//! kind, 1 byte | length, 4 bytes, little-endian | content
//! ```
//!
//! Streams are sent as they are, everything else as JSON.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use engine::Exit;
use fault::Fault;
use kernel::page_cache::Cached;

/// What the guest says.
#[derive(Debug, Serialize, Deserialize)]
pub enum FromGuest {
    /// Our init runs. `uptime`: seconds since the guest's kernel began to count (CLOCK_BOOTTIME).
    Init { uptime: f64 },
    /// It has set up the guest, and waits for something to do.
    Ready,
    /// The program was executed.
    Started,
    /// It has written this.
    #[serde(skip)]
    Output(Stream, Vec<u8>),
    /// It has taken so many bytes of its input.
    Taken(usize),
    /// It has ended.
    Ended(Exit),
    /// The answer to a question, as JSON.
    Answer(serde_json::Value),
    /// It could not go on, or could not run the program.
    Failed(Fault),
}

/// What the host says. Nothing before the guest has spoken: until then nobody listens.
#[derive(Debug, Serialize, Deserialize)]
pub enum ToGuest {
    Run(Job),
    /// Bytes for the program's standard input, at most [`WINDOW`] that were not [`FromGuest::Taken`].
    #[serde(skip)]
    Input(Vec<u8>),
    InputEnds,
    /// The terminal has another size now.
    Resize(Size),
    Ask(Question),
    PowerOff,
}

/// A program to run in the guest.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Job {
    pub argv: Vec<OsString>,
    /// Variables besides PATH and HOME.
    pub environment: BTreeMap<String, OsString>,
    /// A terminal of that size, if it is to have one; else three pipes.
    pub terminal: Option<Size>,
    /// Run as this ordinary user, in a cgroup that is delegated to it; else as root.
    pub user: Option<u32>,
}

/// A terminal's size in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Size {
    pub rows: u16,
    pub columns: u16,
}

/// What the guest's init can be asked about the guest.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Question {
    /// Who and where am I: [`super::guest::Survey`].
    Survey,
    /// Read this file and say what of it is in the page cache: [`Reading`].
    Read(PathBuf),
    /// What does pivot_root(2) without a mount namespace do: [`super::guest::Pulled`].
    PullRoot,
}

/// A file that was read in the guest.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Reading {
    /// The file itself, where a name leads to it by links.
    pub path: PathBuf,
    pub cached: Cached,
}

/// One of a program's two ways to speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    Out,
    Error,
}

/// How many bytes of input may be on their way: a serial line has no room of its own, and what a slow program
/// has not read must not pile up in the guest.
pub const WINDOW: usize = 4096;
/// How long a frame may be. Nobody sends longer ones: it would be noise.
const LONGEST: usize = 8 << 20;

const OUT: u8 = b'o';
const ERROR: u8 = b'e';
const INPUT: u8 = b'i';
const MESSAGE: u8 = b'm';

/// What can be sent over the wire.
pub trait Framed: Sized {
    /// The frame's kind and its content.
    fn parts(&self) -> io::Result<(u8, Vec<u8>)>;
    /// What a frame stands for.
    fn from_parts(kind: u8, content: Vec<u8>) -> io::Result<Self>;
}

impl Framed for FromGuest {
    fn parts(&self) -> io::Result<(u8, Vec<u8>)> {
        match self {
            FromGuest::Output(Stream::Out, bytes) => Ok((OUT, bytes.clone())),
            FromGuest::Output(Stream::Error, bytes) => Ok((ERROR, bytes.clone())),
            message => Ok((MESSAGE, serde_json::to_vec(message)?)),
        }
    }

    fn from_parts(kind: u8, content: Vec<u8>) -> io::Result<FromGuest> {
        match kind {
            OUT => Ok(FromGuest::Output(Stream::Out, content)),
            ERROR => Ok(FromGuest::Output(Stream::Error, content)),
            kind => message(kind, &content),
        }
    }
}

impl Framed for ToGuest {
    fn parts(&self) -> io::Result<(u8, Vec<u8>)> {
        match self {
            ToGuest::Input(bytes) => Ok((INPUT, bytes.clone())),
            message => Ok((MESSAGE, serde_json::to_vec(message)?)),
        }
    }

    fn from_parts(kind: u8, content: Vec<u8>) -> io::Result<ToGuest> {
        if kind == INPUT { Ok(ToGuest::Input(content)) } else { message(kind, &content) }
    }
}

fn message<T: DeserializeOwned>(kind: u8, content: &[u8]) -> io::Result<T> {
    if kind != MESSAGE {
        return Err(noise());
    }
    serde_json::from_slice(content).map_err(|_| noise())
}

fn noise() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "what came over the serial line is no frame")
}

/// Sends one frame.
pub fn send(line: &mut impl Write, what: &impl Framed) -> io::Result<()> {
    let (kind, content) = what.parts()?;
    let mut frame = vec![kind];
    frame.extend((content.len() as u32).to_le_bytes());
    frame.extend(content);
    line.write_all(&frame)
}

/// Puts frames together from whatever pieces the line delivers.
#[derive(Default)]
pub struct Frames(Vec<u8>);

impl Frames {
    pub fn push(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// The next whole frame, if it has come.
    pub fn take<T: Framed>(&mut self) -> io::Result<Option<T>> {
        let Some((head, rest)) = self.0.split_first_chunk::<5>() else { return Ok(None) };
        let [kind, length @ ..] = *head;
        let length = u32::from_le_bytes(length) as usize;
        if length > LONGEST {
            return Err(noise());
        }
        let Some(content) = rest.get(..length).map(<[u8]>::to_vec) else { return Ok(None) };
        self.0.drain(..head.len() + length);
        T::from_parts(kind, content).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_out_whole_whatever_pieces_they_come_in() {
        let mut line = Vec::new();
        send(&mut line, &FromGuest::Ready).unwrap();
        send(&mut line, &FromGuest::Output(Stream::Error, b"\0\xffhi".to_vec())).unwrap();
        send(&mut line, &FromGuest::Ended(Exit::Signal(9))).unwrap();
        let (mut frames, mut came) = (Frames::default(), Vec::new());
        for byte in line {
            frames.push(&[byte]);
            came.extend(frames.take::<FromGuest>().unwrap());
        }
        let [FromGuest::Ready, FromGuest::Output(Stream::Error, bytes), FromGuest::Ended(exit)] = &came[..]
        else {
            panic!("{came:?}")
        };
        assert_eq!((bytes.as_slice(), *exit), (&b"\0\xffhi"[..], Exit::Signal(9)));
    }

    #[test]
    fn noise_is_an_error_and_not_a_frame() {
        for noise in [&b"m\x02\0\0\0{]"[..], b"?\0\0\0\0", b"m\xff\xff\xff\xff"] {
            let mut frames = Frames::default();
            frames.push(noise);
            assert!(frames.take::<ToGuest>().is_err(), "{noise:?}");
        }
    }
}
