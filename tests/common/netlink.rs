//! Netlink messages in strace's words, turned back into the bytes that they stand for.
//!
//! strace asks the kernel in its own network namespace which family a netlink socket belongs to. The
//! workshop's sockets are in others, so strace prints what follows a message's header as bytes. The
//! workshop tells what the bytes mean. Both are turned into bytes here, and must then be the same.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

/// A piece of strace's notation.
#[derive(Debug)]
enum Piece {
    /// `[…]`
    Array(Vec<Piece>),
    /// `{name=value, …}`
    Fields(Vec<(String, Piece)>),
    /// `"…"`, and whether `...` says that there was more.
    Text(String, bool),
    /// A number, names joined by `|`, or a function such as `htons(10)`.
    Word(String),
}

/// A byte that is known, or one that was cut off.
type Byte = Option<u8>;

/// Whether both stand for the same messages. `links` collects which number each name of a link stands for
/// in one network namespace: it has to stay the same.
pub fn same(told: &str, traced: &str, links: &mut BTreeMap<String, u32>) -> Result<(), String> {
    let traced = Encoder { links: None, like: &[] }.encode(traced)?;
    let bytes: Vec<u8> = traced.iter().copied().collect::<Option<_>>().ok_or("strace cut bytes off")?;
    let told = Encoder { links: Some(links), like: &bytes }.encode(told)?;
    let equal = told.len() == bytes.len() && told.iter().zip(&bytes).all(|(a, b)| a.is_none_or(|a| a == *b));
    if equal { Ok(()) } else { Err(format!("the bytes differ:\n{told:02x?}\n{bytes:02x?}")) }
}

struct Encoder<'a> {
    links: Option<&'a mut BTreeMap<String, u32>>,
    /// What the kernel received: the number of a link that is met for the first time is read here.
    like: &'a [u8],
}

impl Encoder<'_> {
    fn encode(&mut self, text: &str) -> Result<Vec<Byte>, String> {
        let mut parser = Parser { rest: text };
        let piece = parser.piece()?;
        if !parser.rest.is_empty() {
            return Err(format!("words left over: {}", parser.rest));
        }
        let mut out = Vec::new();
        match piece {
            Piece::Array(messages) if matches!(messages.first(), Some(Piece::Array(_))) => {
                messages.iter().try_for_each(|message| self.message(message, &mut out))?;
            }
            message => self.message(&message, &mut out)?,
        }
        Ok(out)
    }

    /// `[{nlmsg_len=…}, {the family's own structure}, attributes]`
    fn message(&mut self, message: &Piece, out: &mut Vec<Byte>) -> Result<(), String> {
        let Piece::Array(parts) = message else { return Err(format!("no message: {message:?}")) };
        for part in parts {
            match part {
                Piece::Fields(fields) => self.structure(fields, out)?,
                Piece::Array(_) => self.attributes(part, out)?,
                other => self.value(other, out)?,
            }
        }
        Ok(())
    }

    fn structure(&mut self, fields: &[(String, Piece)], out: &mut Vec<Byte>) -> Result<(), String> {
        for (name, value) in fields {
            let width = match name.as_str() {
                "nlmsg_type" | "nlmsg_flags" | "nla_len" | "nla_type" | "ifi_type" | "res_id" => 2,
                "ifi_family" | "ifa_family" | "ifa_prefixlen" | "ifa_flags" | "ifa_scope"
                | "nfgen_family" | "version" => 1,
                "rtm_flags" => 4,
                name if name.starts_with("rtm_") => 1,
                _ => 4,
            };
            let Piece::Word(word) = value else { return Err(format!("{name} is no word: {value:?}")) };
            let number = self.number(word, out.len())?;
            out.extend(number.to_ne_bytes()[..width].iter().copied().map(Some));
            if name == "ifi_family" {
                // A byte of padding (`struct ifinfomsg`).
                out.push(Some(0));
            }
        }
        Ok(())
    }

    /// `[{nla_len=…, nla_type=…}, value]`, or several of them in an array.
    fn attributes(&mut self, piece: &Piece, out: &mut Vec<Byte>) -> Result<(), String> {
        let Piece::Array(parts) = piece else { return self.value(piece, out) };
        let [Piece::Fields(header), value] = &parts[..] else {
            return parts.iter().try_for_each(|part| self.attributes(part, out));
        };
        let start = out.len();
        self.structure(header, out)?;
        match value {
            Piece::Array(_) => self.attributes(value, out)?,
            value => self.value(value, out)?,
        }
        let Some(Piece::Word(length)) = header.first().map(|(_, length)| length) else {
            return Err("an attribute without its length".into());
        };
        let length: usize = length.parse().map_err(|_| format!("no length: {length}"))?;
        if let Piece::Text(_, true) = value {
            out.resize((start + length).max(out.len()), None);
        }
        if out.len() != start + length {
            return Err(format!("an attribute of {length} bytes has {}", out.len() - start));
        }
        out.resize(out.len().next_multiple_of(4), Some(0));
        Ok(())
    }

    fn value(&mut self, value: &Piece, out: &mut Vec<Byte>) -> Result<(), String> {
        match value {
            Piece::Text(text, _) if text.starts_with("\\x") => {
                for byte in text.split("\\x").skip(1) {
                    out.push(Some(u8::from_str_radix(byte, 16).map_err(|_| format!("no byte: {byte}"))?));
                }
            }
            Piece::Text(text, _) => out.extend(text.bytes().chain([0]).map(Some)),
            Piece::Word(word) if word == "IN6_ADDR_GEN_MODE_NONE" => out.push(Some(1)),
            Piece::Word(word) => {
                let number = self.number(word, out.len())?;
                out.extend(number.to_ne_bytes().map(Some));
            }
            other => return Err(format!("no value: {other:?}")),
        }
        Ok(())
    }

    fn number(&mut self, word: &str, at: usize) -> Result<u32, String> {
        let inside = |function: &str| word.strip_prefix(function)?.strip_prefix('(')?.strip_suffix(')');
        if let Some(name) = inside("if_nametoindex") {
            let index = self.like.get(at..at + 4).and_then(|b| b.try_into().ok()).map(u32::from_ne_bytes);
            let (Some(index), Some(links)) = (index, &mut self.links) else {
                return Err(format!("a link's name where no number is: {name}"));
            };
            return Ok(*links.entry(name.to_owned()).or_insert(index));
        }
        if let Some(address) = inside("inet_addr") {
            let address: Result<Ipv4Addr, _> = address.trim_matches('"').parse();
            return address.map(|a| u32::from_ne_bytes(a.octets())).map_err(|e| format!("{word}: {e}"));
        }
        if let Some(port) = inside("htons") {
            let port: Result<u16, _> = port.parse();
            return port.map(|p| u32::from(p.to_be())).map_err(|e| format!("{word}: {e}"));
        }
        word.split('|').try_fold(0, |sum, name| Ok(sum | named(name)?))
    }
}

/// A number, or the number that a name stands for (`linux/netlink.h`, `rtnetlink.h`, `if_link.h`…).
fn named(name: &str) -> Result<u32, String> {
    if let Some((subsystem, message)) = name.split_once("<<8") {
        return if message.is_empty() { Ok(named(subsystem)? << 8) } else { Err(format!("no name: {name}")) };
    }
    let number = match name.strip_prefix("0x") {
        Some(hex) => u32::from_str_radix(hex, 16).ok(),
        None => name.parse().ok(),
    };
    let known = number.or_else(|| NAMES.iter().find(|(known, _)| *known == name).map(|(_, number)| *number));
    known.ok_or_else(|| format!("no name: {name}"))
}

const NAMES: [(&str, u32); 42] = [
    ("NLM_F_REQUEST", 1),
    ("NLM_F_ACK", 4),
    ("NLM_F_EXCL", 0x200),
    ("NLM_F_CREATE", 0x400),
    ("NLM_F_APPEND", 0x800),
    ("RTM_NEWLINK", 16),
    ("RTM_DELLINK", 17),
    ("RTM_SETLINK", 19),
    ("RTM_NEWADDR", 20),
    ("RTM_NEWROUTE", 24),
    ("NFNL_MSG_BATCH_BEGIN", 16),
    ("NFNL_MSG_BATCH_END", 17),
    ("NFNL_SUBSYS_NFTABLES", 10),
    ("NFT_MSG_NEWTABLE", 0),
    ("NFT_MSG_NEWCHAIN", 3),
    ("NFT_MSG_NEWRULE", 6),
    ("AF_UNSPEC", 0),
    ("AF_INET", 2),
    ("AF_INET6", 10),
    ("NFNETLINK_V0", 0),
    ("ARPHRD_NETROM", 0),
    ("IFF_UP", 1),
    ("NLA_F_NESTED", 0x8000),
    ("IFLA_IFNAME", 3),
    ("IFLA_MASTER", 10),
    ("IFLA_LINKINFO", 18),
    ("IFLA_NET_NS_PID", 19),
    ("IFLA_AF_SPEC", 26),
    ("IFLA_NET_NS_FD", 28),
    ("IFLA_NUM_TX_QUEUES", 31),
    ("IFLA_NUM_RX_QUEUES", 32),
    ("IFLA_INFO_KIND", 1),
    ("IFLA_INFO_DATA", 2),
    ("IFLA_INET6_ADDR_GEN_MODE", 8),
    ("IFA_ADDRESS", 1),
    ("IFA_LOCAL", 2),
    ("RT_SCOPE_UNIVERSE", 0),
    ("RT_TABLE_MAIN", 254),
    ("RTPROT_BOOT", 3),
    ("RTN_UNICAST", 1),
    ("RTA_OIF", 4),
    ("RTA_GATEWAY", 5),
];

struct Parser<'t> {
    rest: &'t str,
}

impl Parser<'_> {
    fn piece(&mut self) -> Result<Piece, String> {
        match self.rest.chars().next() {
            Some('[') => Ok(Piece::Array(self.list(']', Parser::piece)?)),
            Some('{') => Ok(Piece::Fields(self.list('}', Parser::field)?)),
            Some('"') => self.text(),
            _ => self.word(),
        }
    }

    fn list<T>(&mut self, end: char, item: fn(&mut Self) -> Result<T, String>) -> Result<Vec<T>, String> {
        let mut items = Vec::new();
        self.rest = &self.rest[1..];
        while !self.skip(end) {
            items.push(item(self)?);
            if !self.skip(',') && !self.rest.starts_with(end) {
                return Err(format!("neither a comma nor {end}: {}", self.rest));
            }
        }
        Ok(items)
    }

    fn field(&mut self) -> Result<(String, Piece), String> {
        let (name, rest) = self.rest.split_once('=').ok_or("a structure's member without =")?;
        let name = name.to_owned();
        self.rest = rest;
        Ok((name, self.piece()?))
    }

    fn text(&mut self) -> Result<Piece, String> {
        let (text, rest) = self.rest[1..].split_once('"').ok_or("a string without end")?;
        let text = text.to_owned();
        self.rest = rest;
        let cut = self.rest.strip_prefix("...").map(|rest| self.rest = rest).is_some();
        Ok(Piece::Text(text, cut))
    }

    /// Up to the next comma or bracket that is not in parentheses; a comment behind it is left out.
    fn word(&mut self) -> Result<Piece, String> {
        let mut depth = 0;
        let end = self.rest.find(|c| {
            depth += i32::from(c == '(') - i32::from(c == ')');
            depth == 0 && matches!(c, ',' | ']' | '}')
        });
        let (word, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        let word = word.split(" /*").next().unwrap_or_default().to_owned();
        self.rest = rest;
        if word.is_empty() { Err("an empty word".into()) } else { Ok(Piece::Word(word)) }
    }

    fn skip(&mut self, c: char) -> bool {
        let Some(rest) = self.rest.strip_prefix(c) else { return false };
        self.rest = rest.trim_start_matches(' ');
        true
    }
}
