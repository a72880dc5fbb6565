//! What the messages say: `shown` and `brief`, and strace's own words for the same calls.

use std::fmt::Write;
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd;
use std::path::Path;

use nix::sys::socket::{MsgFlags, sendto};
use nix::unistd::Pid;

use super::*;
use crate::netlink::nft::{nft_delete_table, nft_masquerade};
use crate::netlink::route::{Peer, address, bridge, default_route, delete_link, veth};
use crate::netlink::strace::{DEFAULT_LIMIT, decode};
use crate::netlink::{Cidr, NetNs, Request, Sequence, kernel_address};
use testing::command;

/// Each message there is, most with each option. `lo` is the only device; nothing here needs to succeed.
fn route_requests(sequence: &mut Sequence, netns: BorrowedFd<'_>) -> Vec<Request> {
    let lo = Device { index: 1, name: name("lo") };
    let (near, far) = (name("ve-1"), name("eth0"));
    let peer = |netns| Peer { name: &far, netns };
    let cidr = Cidr::new(Ipv4Addr::new(10, 77, 0, 1), 24).unwrap();
    let moved = LinkChange { netns: Some(NetNs::Pid(Pid::from_raw(4711))), ..LinkChange::default() };
    let changed = LinkChange {
        up: Some(true),
        master: Some(&lo),
        rename: Some(&far),
        netns: Some(NetNs::Fd(netns)),
        no_ipv6_address: true,
    };
    let quiet = LinkChange { no_ipv6_address: true, ..LinkChange::default() };
    let down = LinkChange { up: Some(false), ..LinkChange::default() };
    vec![
        bridge(sequence, &name("br0")),
        bridge(sequence, &name("br-odd")),
        veth(sequence, &near, &peer(None)),
        veth(sequence, &near, &peer(Some(NetNs::Fd(netns)))),
        veth(sequence, &near, &peer(Some(NetNs::Pid(Pid::this())))),
        link_set(sequence, &lo, &moved),
        link_set(sequence, &lo, &changed),
        link_set(sequence, &lo, &quiet),
        link_set(sequence, &lo, &down),
        address(sequence, &lo, cidr),
        default_route(sequence, Ipv4Addr::new(10, 99, 0, 1), &lo),
        default_route(sequence, Ipv4Addr::new(10, 77, 0, 254), &lo),
        delete_link(sequence, &lo),
    ]
}

fn netfilter_requests(sequence: &mut Sequence) -> Vec<Request> {
    let source = Cidr::new(Ipv4Addr::new(10, 77, 0, 1), 20).unwrap();
    let (table, bridge) = (name("workshop"), name("br0"));
    vec![
        nft_masquerade(sequence, &table, source, &bridge),
        nft_delete_table(sequence, &table),
        nft_delete_table(sequence, &table),
    ]
}

#[test]
fn brief_reads_like_ip() {
    let lo = fs::File::open("/dev/null").unwrap();
    let briefs: Vec<String> = route_requests(&mut Sequence::new(), lo.as_fd())
        .into_iter()
        .chain(netfilter_requests(&mut Sequence::new()))
        .map(|request| request.brief)
        .collect();
    let fd = lo.as_raw_fd();
    let pid = Pid::this();
    let expected = [
        "RTM_NEWLINK br0 type bridge".to_owned(),
        "RTM_NEWLINK br-odd type bridge".to_owned(),
        "RTM_NEWLINK ve-1 type veth peer eth0".to_owned(),
        format!("RTM_NEWLINK ve-1 type veth peer eth0 netns fd {fd}"),
        format!("RTM_NEWLINK ve-1 type veth peer eth0 netns {pid}"),
        "RTM_SETLINK lo netns 4711".to_owned(),
        format!("RTM_SETLINK lo master lo name eth0 netns fd {fd} addrgenmode none up"),
        "RTM_SETLINK lo addrgenmode none".to_owned(),
        "RTM_SETLINK lo down".to_owned(),
        "RTM_NEWADDR 10.77.0.1/24 dev lo".to_owned(),
        "RTM_NEWROUTE default via 10.99.0.1 dev lo".to_owned(),
        "RTM_NEWROUTE default via 10.77.0.254 dev lo".to_owned(),
        "RTM_DELLINK lo".to_owned(),
        "NFT_MSG_NEWTABLE workshop, NFT_MSG_NEWCHAIN nat postrouting, \
         NFT_MSG_NEWRULE ip saddr 10.77.0.0/20 oifname != br0 masquerade"
            .to_owned(),
        "NFT_MSG_DELTABLE workshop".to_owned(),
        "NFT_MSG_DELTABLE workshop".to_owned(),
    ];
    assert_eq!(briefs, expected);
}

#[test]
fn a_bridge_is_shown_as_strace_shows_it() {
    let request = bridge(&mut Sequence::new(), &name("br0"));
    assert_eq!(
        request.shown,
        "[{nlmsg_len=72, nlmsg_type=RTM_NEWLINK, \
         nlmsg_flags=NLM_F_REQUEST|NLM_F_ACK|NLM_F_EXCL|NLM_F_CREATE, nlmsg_seq=1, nlmsg_pid=0}, \
         {ifi_family=AF_UNSPEC, ifi_type=ARPHRD_NETROM, ifi_index=0, ifi_flags=0, ifi_change=0}, \
         [[{nla_len=8, nla_type=IFLA_IFNAME}, \"br0\"], \
         [{nla_len=8, nla_type=IFLA_NUM_TX_QUEUES}, 1], \
         [{nla_len=8, nla_type=IFLA_NUM_RX_QUEUES}, 1], \
         [{nla_len=16, nla_type=NLA_F_NESTED|IFLA_LINKINFO}, \
         [{nla_len=11, nla_type=IFLA_INFO_KIND}, \"bridge\"]]]]"
    );
}

#[test]
fn broken_messages_are_shown_without_a_panic() {
    let request = bridge(&mut Sequence::new(), &name("br0"));
    for length in 0..request.bytes.len() {
        let mut cut = request.bytes[..length].to_vec();
        decode(Family::Route, &cut, &[], DEFAULT_LIMIT);
        decode(Family::Netfilter, &cut, &[], DEFAULT_LIMIT);
        // A header that claims no more than there is lets the decoder get to the attributes.
        if length >= 4 {
            cut[..4].copy_from_slice(&(length as u32).to_ne_bytes());
            decode(Family::Route, &cut, &[], DEFAULT_LIMIT);
        }
        for value in [0, 2, 0x80, 0xff] {
            let mut spoiled = request.bytes.clone();
            spoiled[length] = value;
            decode(Family::Route, &spoiled, &[], DEFAULT_LIMIT);
        }
    }
}

/// Where the straced process writes the calls that it makes, as it would tell them.
const CALLS: &str = "WORKSHOP_TEST_CALLS";

#[test]
fn shown_is_what_strace_prints() {
    if let Some(path) = env::var_os(CALLS) {
        return send_everything(Path::new(&path));
    }
    if command("strace").arg("-V").output().is_err() {
        return skip("strace is missing", "Install strace");
    }
    for limit in [DEFAULT_LIMIT, 4096] {
        let dir = tempfile::tempdir().unwrap();
        let (calls, trace) = (dir.path().join("calls"), dir.path().join("trace"));
        let mut strace = command("strace");
        strace
            .args(["-f", "-e", "trace=sendto,recvfrom", "-e", "signal=none"])
            .args(["-s", &limit.to_string(), "-o"])
            .arg(&trace)
            .arg(env::current_exe().unwrap())
            .env(CALLS, &calls)
            .env("WORKSHOP_TEST_LIMIT", limit.to_string());
        run_inside(&mut strace, "text::shown_is_what_strace_prints");
        // Not there if the test was skipped.
        let Ok(calls) = fs::read_to_string(&calls) else {
            return;
        };
        compare(&calls, &fs::read_to_string(&trace).unwrap());
    }
}

/// Each line of `calls` must be the beginning of the next netlink call in `trace`.
fn compare(calls: &str, trace: &str) {
    let traced: Vec<&str> = trace
        .lines()
        .filter_map(|line| line.split_once(' ').map(|(_pid, call)| call.trim_start()))
        .filter(|call| call.contains("nlmsg_len"))
        .collect();
    assert_eq!(traced.len(), calls.lines().count(), "{trace}");
    for (told, traced) in calls.lines().zip(traced) {
        assert!(traced.starts_with(told), "\ntold   {told}\nstrace {traced}");
    }
}

fn send_everything(path: &Path) {
    let limit: usize = env::var("WORKSHOP_TEST_LIMIT").unwrap().parse().unwrap();
    let mut calls = String::new();
    let netns = fs::File::open("/proc/self/ns/net").unwrap();
    let mut route = route_socket();
    // So that the default route has a link to go out by.
    up(&mut route, &device("lo"));
    calls += "sendto(\nrecvfrom(\n";
    for request in route_requests(&mut route.sequence, netns.as_fd()) {
        exchange(&route, Family::Route, &request, limit, &mut calls);
    }
    let mut netfilter = NetlinkSocket::open(Family::Netfilter).unwrap();
    for request in netfilter_requests(&mut netfilter.sequence) {
        exchange(&netfilter, Family::Netfilter, &request, limit, &mut calls);
    }
    fs::write(path, calls).unwrap();
}

/// Sends `request`, reads one answer, and writes down both calls.
fn exchange(socket: &NetlinkSocket, family: Family, request: &Request, limit: usize, calls: &mut String) {
    let fd = socket.as_fd().as_raw_fd();
    let sent = sendto(fd, &request.bytes, &kernel_address(), MsgFlags::empty()).unwrap();
    let mut args = request.args(fd);
    if limit != DEFAULT_LIMIT {
        let known = [&device("lo")];
        args[1] = decode(family, &request.bytes, &known, limit);
    }
    writeln!(calls, "sendto({}) = {sent}", args.join(", ")).unwrap();
    let replies = socket.receive().unwrap();
    for (at, reply) in replies.iter().enumerate() {
        assert_eq!(at, 0, "one message in each datagram");
        let shown = decode(family, &reply.bytes, &[], limit);
        writeln!(calls, "recvfrom({fd}, {shown}, ").unwrap();
    }
}
