//! What a browser asks for: the parts of a request's head that matter here.

use httparse::{EMPTY_HEADER, Status};

/// The largest head of a request that is read, in bytes.
pub const LARGEST: usize = 8 << 10;

/// Headers in it, at most.
const HEADERS: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Get,
    Head,
    Post,
    Other,
}

/// A request without a body.
#[derive(Debug)]
pub struct Request {
    pub method: Method,
    /// Without what follows `?`.
    pub path: String,
    /// The name and port that the client believes to talk to.
    pub host: Option<String>,
    /// The page that asks; browsers send it with each POST (Fetch standard, "Origin header").
    pub origin: Option<String>,
    /// How that page is related to us (Fetch Metadata, `Sec-Fetch-Site`).
    pub site: Option<String>,
    pub token: Option<String>,
}

/// Reads a head. `None` where it isn't whole yet.
///
/// # Errors
///
/// With the status to answer with (RFC 9110, section 15).
pub fn parse(bytes: &[u8]) -> Result<Option<Request>, u16> {
    let mut headers = [EMPTY_HEADER; HEADERS];
    let mut head = httparse::Request::new(&mut headers);
    match head.parse(bytes) {
        Ok(Status::Complete(_)) => {}
        Ok(Status::Partial) if bytes.len() < LARGEST => return Ok(None),
        Ok(Status::Partial) | Err(httparse::Error::TooManyHeaders) => return Err(431),
        Err(_) => return Err(400),
    }
    // A second one of these would be read by whoever is asked last (RFC 9112, section 3.2).
    let only = |name: &str| -> Result<Option<String>, u16> {
        let mut found = head.headers.iter().filter(|header| header.name.eq_ignore_ascii_case(name));
        let value = found.next().map(|header| String::from_utf8(header.value.to_vec()));
        if found.next().is_some() { Err(400) } else { value.transpose().map_err(|_| 400) }
    };
    // Nothing that is asked for here takes words.
    if only("transfer-encoding")?.is_some()
        || only("content-length")?.is_some_and(|length| length.trim() != "0")
    {
        return Err(413);
    }
    let method = match head.method {
        Some("GET") => Method::Get,
        Some("HEAD") => Method::Head,
        Some("POST") => Method::Post,
        _ => Method::Other,
    };
    let path = head.path.and_then(|path| path.split('?').next()).unwrap_or_default().to_owned();
    let [host, origin, site, token] = ["host", "origin", "sec-fetch-site", "x-workshop-token"].map(only);
    Ok(Some(Request { method, path, host: host?, origin: origin?, site: site?, token: token? }))
}
