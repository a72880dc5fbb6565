//! The older of the two kinds of iptables(8): tables that are written and read by socket options, and that nf_tables
//! knows nothing of.

use std::fs;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use nix::errno::Errno;

/// `struct ipt_getinfo` of linux/netfilter_ipv4/ip_tables.h; that of IPv6 is the same.
#[repr(C)]
#[derive(Default)]
struct Info {
    name: [u8; 32],
    /// One bit for each chain of the kernel's own.
    valid_hooks: u32,
    hook_entry: [u32; 5],
    underflow: [u32; 5],
    entries: u32,
    /// In bytes.
    size: u32,
}

/// One Internet protocol: its address family, where its tables are listed, and which option asks for one
/// (`IPT_SO_GET_INFO`, `IP6T_SO_GET_INFO`).
const KINDS: [(i32, i32, &str); 2] = [
    (libc::AF_INET, libc::IPPROTO_IP, "/proc/net/ip_tables_names"),
    (libc::AF_INET6, libc::IPPROTO_IPV6, "/proc/net/ip6_tables_names"),
];
const GET_INFO: i32 = 64;

/// Tables of this network namespace that have rules or chains, each with how many entries that makes. A table that has
/// none was only looked at once.
pub fn filled() -> Vec<(String, u32)> {
    let mut filled = Vec::new();
    for (family, level, list) in KINDS {
        for table in fs::read_to_string(list).unwrap_or_default().lines() {
            match entries(family, level, table) {
                Ok(0) | Err(_) => {}
                Ok(n) => filled.push((table.to_owned(), n)),
            }
        }
    }
    filled
}

/// Entries of a table besides those that each has: the policies of the kernel's chains, and the one that ends it.
fn entries(family: i32, level: i32, table: &str) -> nix::Result<u32> {
    // SAFETY: socket(2) takes integers.
    let socket = unsafe { libc::socket(family, libc::SOCK_RAW | libc::SOCK_CLOEXEC, libc::IPPROTO_RAW) };
    // SAFETY: the kernel has just given it to us.
    let socket = unsafe { OwnedFd::from_raw_fd(Errno::result(socket)?) };
    let mut info = Info::default();
    // The last byte stays 0.
    for (place, byte) in info.name.iter_mut().zip(table.bytes().take(31)) {
        *place = byte;
    }
    let mut size = size_of::<Info>() as libc::socklen_t;
    // SAFETY: the structure is live and as long as is said.
    let told = unsafe {
        libc::getsockopt(socket.as_raw_fd(), level, GET_INFO, (&raw mut info).cast(), &raw mut size)
    };
    Errno::result(told)?;
    Ok(info.entries.saturating_sub(info.valid_hooks.count_ones() + 1))
}
