//! Where groups may be made, from tables as the kernel has them.

use super::*;

const HYBRID: &str = "9:name=systemd:/\n4:memory:/user/7\n1:cpu,cpuacct:/\n0::/\n";

fn table() -> Vec<mounts::Mount> {
    mounts::parse(
        "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
         36 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n\
         41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
    )
}

#[test]
fn each_controller_is_looked_for_by_itself() {
    let cpu = v1_hierarchy(HYBRID, &table(), "cpu").unwrap();
    assert_eq!(cpu.controllers, "cpu,cpuacct");
    assert_eq!(cpu.own, Path::new("/sys/fs/cgroup/cpu,cpuacct"));
    assert_eq!(v1_hierarchy(HYBRID, &table(), "pids"), None);
    assert_eq!(v2_hierarchy(HYBRID, &table()).unwrap().version, Version::V2);
}

#[test]
fn a_group_further_up_is_not_ours() {
    let mut hierarchy = v2_hierarchy("0::/\n", &table()).unwrap();
    hierarchy.own = format!("/sys/fs/cgroup/user.slice/mine/workshop-7{LEAF}").into();
    let place = |parent: &str| Place {
        hierarchy: hierarchy.clone(),
        wanted: vec![Controller::Cpu],
        parent: parent.into(),
        step_aside: false,
    };
    assert!(!place("/sys/fs/cgroup/user.slice/mine").is_above_us(), "we have stepped aside in it");
    assert!(place("/sys/fs/cgroup/user.slice").is_above_us());
}
