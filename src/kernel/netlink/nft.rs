//! Network address translation by nf_tables (<https://docs.kernel.org/netlink/specs/nftables.html>, nft(8)).
//!
//! Rules change as a transaction: the messages between `NFNL_MSG_BATCH_BEGIN` and `NFNL_MSG_BATCH_END` take effect
//! together or not at all, so they travel in one `sendto`.

use std::ffi::{CStr, c_int};

use libc::{NLM_F_ACK, NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL};
use netlink_bindings::nftables::{
    Nfgenmsg, OpBatchBeginDo, OpBatchEndDo, OpDeltableDo, OpNewchainDo, OpNewruleDo, OpNewtableDo,
    PushExprListAttrs,
};
use netlink_bindings::traits::Pusher;

use super::request::push_message;
use super::{Cidr, Family, Name, Request, Sequence};

/// The one chain in our table, named after the hook it hangs on.
const CHAIN: &CStr = c"postrouting";

/// Where the source address stands in an IPv4 header, and its length, in bytes (RFC 791).
const SOURCE_OFFSET: u32 = 12;
const SOURCE_LENGTH: u32 = 4;

/// All expressions of the rule put their value into this register and take it from there.
const REGISTER: u32 = libc::NFT_REG_1 as u32;

/// Lets a network behind `bridge` speak to the world under the host's own address: the table
///
/// ```text
/// table ip NAME {
///     chain postrouting {
///         type nat hook postrouting priority srcnat; policy accept;
///         ip saddr SOURCE oifname != "BRIDGE" masquerade
///     }
/// }
/// ```
///
/// Packets between the ports of the bridge keep their addresses. Forwarding itself is a sysctl, `net.ipv4.ip_forward`.
///
/// The kernel answers `EEXIST` if the table is there already, `EOPNOTSUPP`, `ENOENT` or `EINVAL` if it lacks nf_tables,
/// its NAT or its masquerading, `EPERM` without `CAP_NET_ADMIN`.
pub fn nft_masquerade(sequence: &mut Sequence, table: &Name, source: Cidr, bridge: &Name) -> Request {
    let source = source.network();
    let table_bytes = table.as_str().as_bytes();
    let bytes = batch(sequence, |bytes, sequence| {
        let mut change = |message, flags, body: &dyn Fn(&mut Vec<u8>)| {
            let flags = NLM_F_ACK | NLM_F_CREATE | flags;
            push_message(bytes, nftables(message), flags, sequence.next(), body);
        };
        change(libc::NFT_MSG_NEWTABLE, NLM_F_EXCL, &|body| {
            OpNewtableDo::encode_request(body, &ipv4()).push_name_bytes(table_bytes);
        });
        change(libc::NFT_MSG_NEWCHAIN, NLM_F_EXCL, &|body| {
            OpNewchainDo::encode_request(body, &ipv4())
                .push_table_bytes(table_bytes)
                .push_name(CHAIN)
                .push_type(c"nat")
                .push_policy(libc::NF_ACCEPT as u32)
                .nested_hook()
                .push_num(libc::NF_INET_POST_ROUTING as u32)
                .push_priority(libc::NF_IP_PRI_NAT_SRC)
                .end_nested();
        });
        change(libc::NFT_MSG_NEWRULE, NLM_F_APPEND, &|body| {
            let rule = OpNewruleDo::encode_request(body, &ipv4())
                .push_table_bytes(table_bytes)
                .push_chain(CHAIN)
                .nested_expressions();
            let rule = push_source_match(rule, source);
            let rule = push_output_mismatch(rule, bridge);
            rule.nested_elem().push_name(c"masq").end_nested().end_nested();
        });
    });
    let brief = format!(
        "NFT_MSG_NEWTABLE {table}, NFT_MSG_NEWCHAIN nat postrouting, \
         NFT_MSG_NEWRULE ip saddr {source} oifname != {bridge} masquerade"
    );
    Request::new(Family::Netfilter, bytes, brief, &[])
}

/// Removes a table with its chains and rules. The kernel answers `ENOENT` if there is none of that name.
pub fn nft_delete_table(sequence: &mut Sequence, table: &Name) -> Request {
    let bytes = batch(sequence, |bytes, sequence| {
        let kind = nftables(libc::NFT_MSG_DELTABLE);
        push_message(bytes, kind, NLM_F_ACK, sequence.next(), |body| {
            OpDeltableDo::encode_request(body, &ipv4()).push_name_bytes(table.as_str().as_bytes());
        });
    });
    Request::new(Family::Netfilter, bytes, format!("NFT_MSG_DELTABLE {table}"), &[])
}

/// A transaction around the messages that `changes` appends.
fn batch(sequence: &mut Sequence, changes: impl FnOnce(&mut Vec<u8>, &mut Sequence)) -> Vec<u8> {
    let mut header = Nfgenmsg::new();
    // Whose transaction it is: netfilter has other parts than nf_tables.
    header.set_res_id(libc::NFNL_SUBSYS_NFTABLES as u16);
    let mut bytes = Vec::new();
    let begin = libc::NFNL_MSG_BATCH_BEGIN as u16;
    push_message(&mut bytes, begin, 0, sequence.next(), |body| {
        OpBatchBeginDo::encode_request(body, &header);
    });
    changes(&mut bytes, sequence);
    let end = libc::NFNL_MSG_BATCH_END as u16;
    push_message(&mut bytes, end, 0, sequence.next(), |body| {
        OpBatchEndDo::encode_request(body, &header);
    });
    bytes
}

/// The type of an nf_tables message: the part of netfilter in the high byte, the message in the low one.
pub(super) fn nftables(message: c_int) -> u16 {
    (libc::NFNL_SUBSYS_NFTABLES << 8 | message) as u16
}

fn ipv4() -> Nfgenmsg {
    let mut header = Nfgenmsg::new();
    header.nfgen_family = libc::NFPROTO_IPV4 as u8;
    header
}

/// `ip saddr SOURCE`: load the source address, clear what is not prefix, and go on only if the network is left.
fn push_source_match<P: Pusher>(rule: PushExprListAttrs<P>, source: Cidr) -> PushExprListAttrs<P> {
    rule.nested_elem()
        .nested_data_payload()
        .push_dreg(REGISTER)
        .push_base(libc::NFT_PAYLOAD_NETWORK_HEADER as u32)
        .push_offset(SOURCE_OFFSET)
        .push_len(SOURCE_LENGTH)
        .end_nested()
        .end_nested()
        .nested_elem()
        .nested_data_bitwise()
        .push_sreg(REGISTER)
        .push_dreg(REGISTER)
        .push_len(SOURCE_LENGTH)
        .nested_mask()
        .push_value(&source.mask().octets())
        .end_nested()
        .nested_xor()
        .push_value(&[0; SOURCE_LENGTH as usize])
        .end_nested()
        .end_nested()
        .end_nested()
        .nested_elem()
        .nested_data_cmp()
        .push_sreg(REGISTER)
        .push_op(libc::NFT_CMP_EQ as u32)
        .nested_data()
        .push_value(&source.address().octets())
        .end_nested()
        .end_nested()
        .end_nested()
}

/// `oifname != "BRIDGE"`: load the name of the interface that the packet leaves by, and go on if it is another.
fn push_output_mismatch<P: Pusher>(rule: PushExprListAttrs<P>, bridge: &Name) -> PushExprListAttrs<P> {
    rule.nested_elem()
        .nested_data_meta()
        .push_key(libc::NFT_META_OIFNAME as u32)
        .push_dreg(REGISTER)
        .end_nested()
        .end_nested()
        .nested_elem()
        .nested_data_cmp()
        .push_sreg(REGISTER)
        .push_op(libc::NFT_CMP_NEQ as u32)
        .nested_data()
        .push_value(&bridge.padded())
        .end_nested()
        .end_nested()
        .end_nested()
}
