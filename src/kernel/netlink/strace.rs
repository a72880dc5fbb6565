//! Netlink messages as strace(1) 6.1 prints them.
//!
//! The text is read back from the bytes, so it can't say anything that the kernel isn't told. Only what our builders
//! and the kernel's acknowledgements contain is decoded; anything else appears as the hexadecimal bytes that strace,
//! too, falls back on. Where strace knows no names for attributes (nf_tables, the peer of a veth), neither does this.

use std::ffi::c_int;
use std::fmt::Write;
use std::net::Ipv4Addr;

use netlink_bindings::utils::{NLA_F_NESTED, nla_align_up, nla_type};
use nix::errno::Errno;

use super::{Device, Family};

/// How many bytes of a string strace prints before it writes `...` (its option `-s`).
pub const DEFAULT_LIMIT: usize = 32;

/// Length in bytes of `struct nlmsghdr`, in front of each message.
pub const HEADER: usize = 16;

/// How an attribute's value is printed.
enum Value {
    Number,
    Text,
    /// The index of an interface.
    Interface,
    Inet,
    AddrGenMode,
    /// Attributes inside an attribute.
    Nested(&'static [Attribute]),
    /// Bytes that strace prints as they are.
    Raw,
}

type Attribute = (u16, &'static str, Value);

/// The attributes that our messages use, from `linux/if_link.h`, `if_addr.h`, `rtnetlink.h` and `netlink.h`.
static LINK: &[Attribute] = &[
    (libc::IFLA_IFNAME, "IFLA_IFNAME", Value::Text),
    (libc::IFLA_MASTER, "IFLA_MASTER", Value::Number),
    (libc::IFLA_LINKINFO, "IFLA_LINKINFO", Value::Nested(INFO)),
    (libc::IFLA_NET_NS_PID, "IFLA_NET_NS_PID", Value::Number),
    (libc::IFLA_AF_SPEC, "IFLA_AF_SPEC", Value::Nested(AF_SPEC)),
    (libc::IFLA_NET_NS_FD, "IFLA_NET_NS_FD", Value::Number),
    (libc::IFLA_NUM_TX_QUEUES, "IFLA_NUM_TX_QUEUES", Value::Number),
    (libc::IFLA_NUM_RX_QUEUES, "IFLA_NUM_RX_QUEUES", Value::Number),
];
static INFO: &[Attribute] = &[
    (libc::IFLA_INFO_KIND, "IFLA_INFO_KIND", Value::Text),
    (libc::IFLA_INFO_DATA, "IFLA_INFO_DATA", Value::Raw),
];
static AF_SPEC: &[Attribute] = &[(libc::AF_INET6 as u16, "AF_INET6", Value::Nested(INET6))];
static INET6: &[Attribute] = &[(8, "IFLA_INET6_ADDR_GEN_MODE", Value::AddrGenMode)];
static ADDRESS: &[Attribute] =
    &[(libc::IFA_ADDRESS, "IFA_ADDRESS", Value::Inet), (libc::IFA_LOCAL, "IFA_LOCAL", Value::Inet)];
static ROUTE: &[Attribute] =
    &[(libc::RTA_OIF, "RTA_OIF", Value::Interface), (libc::RTA_GATEWAY, "RTA_GATEWAY", Value::Inet)];
static ERROR: &[Attribute] =
    &[(1, "NLMSGERR_ATTR_MSG", Value::Text), (2, "NLMSGERR_ATTR_OFFS", Value::Number)];
/// strace 6.1 has no names for the attributes of nf_tables.
static UNNAMED: &[Attribute] = &[];

/// Decodes the messages in `bytes`; `devices` are the interfaces whose index is printed as a name.
///
/// strace looks the name of an index up in its own network namespace: outside ours it prints the bare number, or a
/// name that the number has there.
pub fn decode(family: Family, bytes: &[u8], devices: &[&Device], limit: usize) -> String {
    let decoder = Decoder { family, devices, limit };
    let mut messages: Vec<String> =
        messages(bytes).map(|message| format!("[{}]", decoder.message(message).join(", "))).collect();
    match messages.len() {
        1 => messages.remove(0),
        _ => format!("[{}]", messages.join(", ")),
    }
}

/// Cuts `bytes` into messages by their `nlmsg_len`. What is left of a broken last one is dropped.
pub fn messages(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let len = u32_at(rest, 0)? as usize;
        if len < HEADER {
            return None;
        }
        let message = rest.get(..len)?;
        rest = rest.get(nla_align_up(len)..).unwrap_or_default();
        Some(message)
    })
}

/// Cuts `bytes` into attributes: type with its flags, length, value.
pub fn attributes(bytes: &[u8]) -> impl Iterator<Item = (u16, usize, &[u8])> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let len = usize::from(u16_at(rest, 0)?);
        let kind = u16_at(rest, 2)?;
        let value = rest.get(4..len)?;
        rest = rest.get(nla_align_up(len)..).unwrap_or_default();
        Some((kind, len, value))
    })
}

pub fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

pub fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// The name of a message type, if it is one that our builders use.
pub fn type_name(family: Family, kind: u16) -> Option<&'static str> {
    Some(match (family, kind) {
        (_, kind) if c_int::from(kind) == libc::NLMSG_ERROR => "NLMSG_ERROR",
        (Family::Route, libc::RTM_NEWLINK) => "RTM_NEWLINK",
        (Family::Route, libc::RTM_DELLINK) => "RTM_DELLINK",
        (Family::Route, libc::RTM_SETLINK) => "RTM_SETLINK",
        (Family::Route, libc::RTM_NEWADDR) => "RTM_NEWADDR",
        (Family::Route, libc::RTM_NEWROUTE) => "RTM_NEWROUTE",
        (Family::Route, _) => return None,
        (Family::Netfilter, kind) => match c_int::from(kind) {
            libc::NFNL_MSG_BATCH_BEGIN => "NFNL_MSG_BATCH_BEGIN",
            libc::NFNL_MSG_BATCH_END => "NFNL_MSG_BATCH_END",
            kind if kind >> 8 == libc::NFNL_SUBSYS_NFTABLES => match kind & 0xff {
                libc::NFT_MSG_NEWTABLE => "NFT_MSG_NEWTABLE",
                libc::NFT_MSG_DELTABLE => "NFT_MSG_DELTABLE",
                libc::NFT_MSG_NEWCHAIN => "NFT_MSG_NEWCHAIN",
                libc::NFT_MSG_NEWRULE => "NFT_MSG_NEWRULE",
                _ => return None,
            },
            _ => return None,
        },
    })
}

struct Decoder<'a> {
    family: Family,
    devices: &'a [&'a Device],
    limit: usize,
}

impl Decoder<'_> {
    /// The parts of one message: its header, the structure that its type starts with, its attributes.
    fn message(&self, message: &[u8]) -> Vec<String> {
        let (header, body) = message.split_at(HEADER.min(message.len()));
        let mut parts = vec![self.header(header)];
        let kind = u16_at(header, 4).unwrap_or_default();
        let flags = u16_at(header, 6).map_or(0, c_int::from);
        if c_int::from(kind) == libc::NLMSG_ERROR {
            parts.push(self.error(body, flags));
            return parts;
        }
        let (length, fixed, table) = self.fixed(kind, body);
        match body.get(length..) {
            Some(rest) => {
                parts.push(fixed);
                if !rest.is_empty() {
                    parts.push(self.attributes(rest, table));
                }
            }
            None => parts.push(self.hex(body)),
        }
        parts
    }

    fn header(&self, header: &[u8]) -> String {
        let kind = u16_at(header, 4).unwrap_or_default();
        let name = match type_name(self.family, kind) {
            Some(name) if name.starts_with("NFT_") => format!("NFNL_SUBSYS_NFTABLES<<8|{name}"),
            Some(name) => name.to_owned(),
            None => format!("{kind:#x} /* NLMSG_??? */"),
        };
        format!(
            "{{nlmsg_len={}, nlmsg_type={name}, nlmsg_flags={}, nlmsg_seq={}, nlmsg_pid={}}}",
            u32_at(header, 0).unwrap_or_default(),
            flag_names(kind, u16_at(header, 6).map_or(0, c_int::from)),
            u32_at(header, 8).unwrap_or_default(),
            u32_at(header, 12).unwrap_or_default(),
        )
    }

    /// `struct nlmsgerr`: the kernel's answer, the header of the question and, if there is one, an explanation.
    fn error(&self, body: &[u8], flags: c_int) -> String {
        let error = u32_at(body, 0).unwrap_or_default() as i32;
        let error = match error {
            0 => "0".to_owned(),
            error => format!("-{:?}", Errno::from_raw(error.wrapping_neg())),
        };
        let question = body.get(4..4 + HEADER).unwrap_or_default();
        let answer = format!("{{error={error}, msg={}}}", self.header(question));
        if flags & libc::NLM_F_ACK_TLVS == 0 {
            return answer;
        }
        let text = body.get(4 + HEADER..).unwrap_or_default();
        format!("[{answer}, {}]", self.attributes(text, ERROR))
    }

    /// The structure in front of the attributes: its length, its text, and the names of the attributes.
    fn fixed(&self, kind: u16, body: &[u8]) -> (usize, String, &'static [Attribute]) {
        match (self.family, kind) {
            (Family::Netfilter, _) => (4, netfilter_header(body), UNNAMED),
            (_, libc::RTM_NEWLINK | libc::RTM_SETLINK | libc::RTM_DELLINK) => {
                (16, self.link_header(body), LINK)
            }
            (_, libc::RTM_NEWADDR) => (8, self.address_header(body), ADDRESS),
            (_, libc::RTM_NEWROUTE) => (12, route_header(body), ROUTE),
            _ => (0, String::new(), UNNAMED),
        }
    }

    /// `struct ifinfomsg`.
    fn link_header(&self, body: &[u8]) -> String {
        let flags = match u32_at(body, 8) {
            Some(0) | None => "0".to_owned(),
            Some(flags) if flags == libc::IFF_UP as u32 => "IFF_UP".to_owned(),
            Some(flags) => format!("{flags:#x}"),
        };
        let change = match u32_at(body, 12) {
            Some(0) | None => "0".to_owned(),
            Some(change) => format!("{change:#x}"),
        };
        // Type 0 is one that we leave open. strace knows it as the type of amateur radio's NET/ROM.
        format!(
            "{{ifi_family=AF_UNSPEC, ifi_type=ARPHRD_NETROM, ifi_index={}, ifi_flags={flags}, ifi_change={change}}}",
            self.interface(u32_at(body, 4).unwrap_or_default()),
        )
    }

    /// `struct ifaddrmsg`.
    fn address_header(&self, body: &[u8]) -> String {
        format!(
            "{{ifa_family=AF_INET, ifa_prefixlen={}, ifa_flags=0, ifa_scope=RT_SCOPE_UNIVERSE, ifa_index={}}}",
            body.get(1).copied().unwrap_or_default(),
            self.interface(u32_at(body, 4).unwrap_or_default()),
        )
    }

    fn interface(&self, index: u32) -> String {
        match self.devices.iter().find(|device| device.index == index) {
            Some(device) => format!("if_nametoindex(\"{}\")", device.name),
            None => index.to_string(),
        }
    }

    /// All attributes in `bytes`. One stands alone, several are a list.
    fn attributes(&self, bytes: &[u8], table: &'static [Attribute]) -> String {
        let mut texts: Vec<String> =
            attributes(bytes).map(|(kind, len, value)| self.attribute(kind, len, value, table)).collect();
        match texts.len() {
            1 => texts.remove(0),
            _ => format!("[{}]", texts.join(", ")),
        }
    }

    fn attribute(&self, kind: u16, len: usize, value: &[u8], table: &[Attribute]) -> String {
        let nested = if kind & NLA_F_NESTED == 0 { "" } else { "NLA_F_NESTED|" };
        let known = table.iter().find(|(number, ..)| *number == nla_type(kind));
        let (name, value) = match known {
            Some((_, name, how)) => ((*name).to_owned(), self.value(value, how)),
            None => (format!("{:#x}", nla_type(kind)), self.hex(value)),
        };
        format!("[{{nla_len={len}, nla_type={nested}{name}}}, {value}]")
    }

    fn value(&self, value: &[u8], how: &Value) -> String {
        let text = match how {
            Value::Number => u32_at(value, 0).map(|number| number.to_string()),
            Value::Interface => u32_at(value, 0).map(|index| self.interface(index)),
            Value::Inet => value
                .first_chunk()
                .map(|octets: &[u8; 4]| format!("inet_addr(\"{}\")", Ipv4Addr::from(*octets))),
            Value::AddrGenMode => (value == [1]).then(|| "IN6_ADDR_GEN_MODE_NONE".to_owned()),
            Value::Text => value.strip_suffix(&[0]).map(|text| format!("\"{}\"", text.escape_ascii())),
            Value::Nested(table) => Some(self.attributes(value, table)),
            Value::Raw => None,
        };
        text.unwrap_or_else(|| self.hex(value))
    }

    /// Bytes without a meaning: all in hexadecimal, the first `limit` of them.
    fn hex(&self, bytes: &[u8]) -> String {
        let mut text = String::from("\"");
        for byte in bytes.iter().take(self.limit) {
            // Writing to a String can't fail.
            let _ = write!(text, "\\x{byte:02x}");
        }
        text + if bytes.len() > self.limit { "\"..." } else { "\"" }
    }
}

/// `struct rtmsg`, of which our routes set what stands in it here.
fn route_header(body: &[u8]) -> String {
    format!(
        "{{rtm_family=AF_INET, rtm_dst_len={}, rtm_src_len=0, rtm_tos=0, rtm_table=RT_TABLE_MAIN, \
         rtm_protocol=RTPROT_BOOT, rtm_scope=RT_SCOPE_UNIVERSE, rtm_type=RTN_UNICAST, rtm_flags=0}}",
        body.get(1).copied().unwrap_or_default(),
    )
}

/// `struct nfgenmsg`; `res_id` is in network byte order.
fn netfilter_header(body: &[u8]) -> String {
    let family = match body.first().copied().map(c_int::from) {
        Some(libc::NFPROTO_IPV4) => "AF_INET".to_owned(),
        Some(0) | None => "AF_UNSPEC".to_owned(),
        Some(other) => other.to_string(),
    };
    let res_id = u16::from_be(u16_at(body, 2).unwrap_or_default());
    format!("{{nfgen_family={family}, version=NFNETLINK_V0, res_id=htons({res_id})}}")
}

/// `nlmsg_flags`: the high bits mean one thing in a question and another in an answer.
fn flag_names(kind: u16, flags: c_int) -> String {
    let general = [(libc::NLM_F_REQUEST, "NLM_F_REQUEST"), (libc::NLM_F_ACK, "NLM_F_ACK")];
    let new = [
        (libc::NLM_F_EXCL, "NLM_F_EXCL"),
        (libc::NLM_F_CREATE, "NLM_F_CREATE"),
        (libc::NLM_F_APPEND, "NLM_F_APPEND"),
    ];
    let answer = [(libc::NLM_F_CAPPED, "NLM_F_CAPPED"), (libc::NLM_F_ACK_TLVS, "NLM_F_ACK_TLVS")];
    let special: &[_] = if c_int::from(kind) == libc::NLMSG_ERROR { &answer } else { &new };
    let names: Vec<&str> =
        general.iter().chain(special).filter(|(bit, _)| flags & bit != 0).map(|(_, name)| *name).collect();
    if names.is_empty() { "0".to_owned() } else { names.join("|") }
}
