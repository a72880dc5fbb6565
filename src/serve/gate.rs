//! Who is let in: those who name us as we are called, and to run something, those who come from our page with the token.

use std::fs::File;
use std::io::Read;

use fault::{Doing, Fault};

use crate::request::{Method, Request};

/// What this host calls itself, and what a forwarded port may be called elsewhere.
pub struct Gate {
    /// The port that we listen on.
    pub port: u16,
    /// More names, with any port: a forwarded port has another number there.
    pub names: Vec<String>,
    /// Who may run something.
    pub token: String,
}

impl Gate {
    /// Whether a request may be answered.
    ///
    /// # Errors
    ///
    /// With the status to refuse it with: 421 to those who believe to talk to somebody else, 403 to those who may not run
    /// anything.
    pub fn admits(&self, request: &Request) -> Result<(), u16> {
        let host = request.host.as_deref().ok_or(400_u16)?;
        if !self.is_ours(host) {
            return Err(421);
        }
        if matches!(request.method, Method::Get | Method::Head) {
            return Ok(());
        }
        let ours = request.origin.as_deref().and_then(|origin| origin.split_once("://"));
        let from_our_page =
            ours.is_some_and(|(scheme, name)| matches!(scheme, "http" | "https") && name == host);
        let same_site = request.site.as_deref().is_none_or(|site| site == "same-origin");
        let knows =
            request.token.as_deref().is_some_and(|token| same(token.as_bytes(), self.token.as_bytes()));
        if from_our_page && same_site && knows { Ok(()) } else { Err(403) }
    }

    fn is_ours(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        let (name, port) = match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|c| c.is_ascii_digit()) => (name, port),
            _ => (host.as_str(), "80"),
        };
        let here = matches!(name, "127.0.0.1" | "localhost" | "[::1]") && port == self.port.to_string();
        here || self.names.iter().any(|known| known.eq_ignore_ascii_case(name))
    }
}

/// Whether two words are the same, in a time that doesn't tell how much of them is.
fn same(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && one.iter().zip(other).fold(0, |seen, (a, b)| seen | (a ^ b)) == 0
}

/// A word that nobody can guess: 128 bits of the kernel's (random(4)), in hexadecimal.
///
/// # Errors
///
/// If there is no /dev/urandom.
pub fn token() -> Result<String, Fault> {
    let mut bytes = [0; 16];
    File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes)).doing("read /dev/urandom")?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
