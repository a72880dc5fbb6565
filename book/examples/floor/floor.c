/*
 * The least that starting a Linux container costs: one program that makes the system calls and nothing else, with each
 * part of a container to be switched on by itself, and a clock between them. The figures on the book's page "What they
 * cost" are its.
 *
 *   ./run.sh              the parts of that page, as root, in namespaces of its own
 *   ./run.sh SPEC...      any others
 *
 * usage: floor [-n ROUNDS] [-w WARM-UP ROUNDS] [-g US] [-p] [-M] [-X K] [-S N] [-1] [-H S] SPEC...
 *   -n, -w  rounds, and rounds before them that don't count; the specs take turns
 *   -g      pause between two starts, in microseconds: what the kernel takes back later is gone by then
 *   -p      the medians of each phase
 *   -M      first reduce the mount namespace to /, /proc and the scratch tmpfs
 *   -X      first add K bind mounts
 *   -S      start N containers that sleep, hold them, end them
 *   -1      one start, without a word, for a clock outside; -H holds it S seconds
 *
 * A SPEC is a comma list of
 *   ns=LETTERS    namespaces: p m u i n c, U (user), T (time)
 *   vm            CLONE_VM|CLONE_VFORK: the child borrows the parent's memory
 *   priv | slave  propagation of the mounts
 *   ovl           overlay; ovlv (volatile), ovln (by fsopen), ovle (upper on the disk), ovlev, ovlt (upper on a tmpfs of its
 *                 own), or bind
 *   piv           pivot_root; pivn (the old root stays), mvroot (MS_MOVE and chroot), or chroot
 *   proc procsub sys dev devoci devbind pts shm mq mask cgm     mounts
 *   host lo sid fds rlim caps nnp sec[=N]                        names, loopback, session, descriptors, limits, privileges
 *   veth          veth pair and bridge; vethq (one queue), veth6 (and no IPv6), vethnb (no bridge)
 *   npool         enter a network namespace that was made before
 *   cg=A+B | all  cgroup v1 controllers; cglim sets limits, cgkeep keeps the group, cgns makes the namespace after the move
 *   cgw=HOW       the move: p (the parent writes cgroup.procs), 0 (the child does), t (the child writes tasks)
 *   cg2=HOW       cgroup v2: into (CLONE_INTO_CGROUP), p, 0
 *   exec=PATH     the program; hold keeps the mounts until the clock has stopped
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/if_link.h>
#include <linux/mount.h>
#include <linux/rtnetlink.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#ifndef BASE
#error "build with -DBASE=\"a scratch directory\", as run.sh does"
#endif
// The group, in each hierarchy, that those of the containers are made in; whoever measures removes it.
#ifndef GROUP
#define GROUP "floor"
#endif
#define ROOTFS BASE "/bundle/rootfs"
#define TM BASE "/tm"  // scratch tmpfs
#define EX BASE "/ext" // scratch on ext4
#ifndef SYS_clone3
#define SYS_clone3 435
#endif
static char **environ_min = (char *[]){"PATH=/bin", 0};
static inline uint64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000ull + t.tv_nsec;
}
static void die(const char *m) {
  fprintf(stderr, "floor: %s: %s\n", m, strerror(errno));
  _exit(99);
}
#define CK(x)                                                                                                        \
  do {                                                                                                               \
    if ((long)(x) < 0)                                                                                               \
      die(#x);                                                                                                       \
  } while (0)

enum {
  P_T0,
  P_PREP,
  P_CLONE,
  P_CG,
  P_NET,
  P_PRIV,
  P_ROOT,
  P_PROC,
  P_DEV,
  P_SYS,
  P_MISC,
  P_PIV,
  P_HOST,
  P_SEC,
  P_EXEC,
  P_RESUME,
  P_WAIT,
  P_CGRM,
  P_FSRM,
  P_END,
  P_N
};
static const char *pn[] = {"t0",
                           "prep(mkdir cg/upper)",
                           "clone3->child",
                           "cgroup join",
                           "netlink",
                           "propagation",
                           "overlay/root",
                           "proc",
                           "dev",
                           "sys",
                           "pts/shm/mq/mask",
                           "pivot+umount",
                           "hostname/lo",
                           "caps/nnp/seccomp",
                           "(pre-exec)",
                           "exec (vfork resume)",
                           "run+exit+reap",
                           "cgroup rmdir",
                           "upper cleanup",
                           "end"};

struct spec {
  char name[512];
  uint64_t ns;
  int vm, priv, ovl, piv, proc, sys, dev, pts, shm, mq, mask, cgm, host, lo, veth, caps, nnp, sec, rlim, sid;
  char ctl[12][16];
  int nctl;
  char cgw;
  int cglim, cgkeep, cg2;
  const char *exe;
  int fds, hold, npool, cgns;
  uint64_t *samp;
  uint64_t *ph;
  int ns_;
  long retries;
};
static struct {
  uint64_t t[P_N];
  int err;
} *sh;
static int cgfd[12], cg2fd = -1, rtfd = -1, brix, seq, evp[2], keepfd[500];
static struct spec *S;
static int id, vpid, poolfd = -1, holdfd = -1;
static char idn[32];
static const char *allctl[] = {"pids",    "memory",  "cpu",   "cpuacct", "cpuset",
                               "devices", "freezer", "blkio", "systemd"};
static int ctlfd(const char *c) {
  static int fds[9];
  for (int i = 0; i < 9; i++)
    if (!strcmp(c, allctl[i])) {
      if (!fds[i]) {
        char p[128];
        sprintf(p, "/sys/fs/cgroup/%s/" GROUP, c);
        mkdir(p, 0755);
        fds[i] = open(p, O_DIRECTORY | O_CLOEXEC);
        CK(fds[i]);
        if (!strcmp(c, "cpuset")) {
          int f;
          CK(f = openat(fds[i], "cpuset.cpus", O_WRONLY));
          write(f, "0-1", 3);
          close(f);
          CK(f = openat(fds[i], "cpuset.mems", O_WRONLY));
          write(f, "0", 1);
          close(f);
          CK(f = openat(fds[i], "cgroup.clone_children", O_WRONLY));
          write(f, "1", 1);
          close(f);
        }
      }
      return fds[i];
    }
  errno = EINVAL;
  die(c);
  return -1;
}
// The group in the v2 hierarchy: a host with both versions has that one in a directory of its own.
static const char *v2(void) {
  return access("/sys/fs/cgroup/unified", F_OK) ? "/sys/fs/cgroup/" GROUP : "/sys/fs/cgroup/unified/" GROUP;
}
static void wr(int d, const char *p, const char *v) {
  int f = openat(d, p, O_WRONLY | O_CLOEXEC);
  if (f < 0)
    die(p);
  if (write(f, v, strlen(v)) < 0)
    die(p);
  close(f);
}

// ---- netlink ----
struct nlb {
  char b[2048];
  int len;
};
static struct nlmsghdr *nl_new(struct nlb *n, int type, int flags, const void *hdr, int hl) {
  struct nlmsghdr *h = (void *)(n->b + n->len);
  memset(h, 0, NLMSG_SPACE(hl));
  h->nlmsg_type = type;
  h->nlmsg_flags = NLM_F_REQUEST | flags;
  h->nlmsg_seq = ++seq;
  memcpy(NLMSG_DATA(h), hdr, hl);
  h->nlmsg_len = NLMSG_LENGTH(hl);
  return h;
}
static struct rtattr *nl_attr(struct nlmsghdr *h, int t, const void *d, int l) {
  struct rtattr *a = (void *)((char *)h + NLMSG_ALIGN(h->nlmsg_len));
  a->rta_type = t;
  a->rta_len = RTA_LENGTH(l);
  if (l)
    memcpy(RTA_DATA(a), d, l);
  h->nlmsg_len = NLMSG_ALIGN(h->nlmsg_len) + RTA_ALIGN(a->rta_len);
  return a;
}
static void nl_end(struct nlmsghdr *h, struct rtattr *a) {
  a->rta_len = (char *)h + NLMSG_ALIGN(h->nlmsg_len) - (char *)a;
}
static void nl_done(struct nlb *n, struct nlmsghdr *h) {
  n->len += NLMSG_ALIGN(h->nlmsg_len);
}
static int okexist = 0;
static int nl_xfer(int fd, struct nlb *n, int acks) {
  if (send(fd, n->b, n->len, 0) < 0)
    return -errno;
  n->len = 0;
  char r[4096];
  while (acks) {
    int l = recv(fd, r, sizeof r, 0);
    if (l < 0)
      return -errno;
    for (struct nlmsghdr *h = (void *)r; NLMSG_OK(h, l); h = NLMSG_NEXT(h, l))
      if (h->nlmsg_type == NLMSG_ERROR) {
        int e = ((struct nlmsgerr *)NLMSG_DATA(h))->error;
        acks--;
        if (e && (e != -EEXIST || !okexist))
          return e;
      }
  }
  return 0;
}
static int rtnl(void) {
  int f = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  CK(f);
  return f;
}
static int ifix(const char *n) {
  return if_nametoindex(n);
}
static void mkbridge(void) {
  rtfd = rtnl();
  struct nlb n = {.len = 0};
  struct ifinfomsg i = {.ifi_flags = IFF_UP, .ifi_change = IFF_UP};
  struct nlmsghdr *h = nl_new(&n, RTM_NEWLINK, NLM_F_CREATE | NLM_F_ACK, &i, sizeof i);
  nl_attr(h, IFLA_IFNAME, "flbr0", 6);
  struct rtattr *a = nl_attr(h, IFLA_LINKINFO, 0, 0);
  nl_attr(h, IFLA_INFO_KIND, "bridge", 6);
  nl_end(h, a);
  nl_done(&n, h);
  okexist = 1;
  nl_xfer(rtfd, &n, 1);
  okexist = 0;
  brix = ifix("flbr0");
  if (!brix)
    die("bridge");
}
static void veth_child(
    int self_net) { // runs in child; rtfd lives in host netns. one message makes the pair, enslaves, ups; peer is born inside our netns
  struct nlb n = {.len = 0};
  struct ifinfomsg i = {.ifi_flags = IFF_UP, .ifi_change = IFF_UP}, zi = {0};
  char nm[16];
  sprintf(nm, "f%x.%d", vpid & 0xfffff, id);
  int no6 = S->veth == 3;
  if (no6)
    wr(AT_FDCWD, "/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
  struct nlmsghdr *h = nl_new(&n, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK, no6 ? &zi : &i, sizeof i);
  nl_attr(h, IFLA_IFNAME, nm, strlen(nm) + 1);
  if (!no6 && S->veth != 4)
    nl_attr(h, IFLA_MASTER, &brix, 4);
  int one = 1;
  if (S->veth >= 2) {
    nl_attr(h, IFLA_NUM_TX_QUEUES, &one, 4);
    nl_attr(h, IFLA_NUM_RX_QUEUES, &one, 4);
  }
  struct rtattr *a = nl_attr(h, IFLA_LINKINFO, 0, 0);
  nl_attr(h, IFLA_INFO_KIND, "veth", 4);
  struct rtattr *d = nl_attr(h, IFLA_INFO_DATA, 0, 0);
  struct rtattr *p = nl_attr(h, VETH_INFO_PEER, &zi, sizeof zi);
  nl_attr(h, IFLA_IFNAME, "eth0", 5);
  nl_attr(h, IFLA_NET_NS_FD, &self_net, 4);
  if (S->veth >= 2) {
    nl_attr(h, IFLA_NUM_TX_QUEUES, &one, 4);
    nl_attr(h, IFLA_NUM_RX_QUEUES, &one, 4);
  }
  nl_end(h, p);
  nl_end(h, d);
  nl_end(h, a);
  nl_done(&n, h);
  if (no6) {
    h = nl_new(&n, RTM_NEWLINK, NLM_F_ACK, &zi, sizeof zi);
    nl_attr(h, IFLA_IFNAME, nm, strlen(nm) + 1);
    a = nl_attr(h, IFLA_AF_SPEC, 0, 0);
    d = nl_attr(h, AF_INET6, 0, 0);
    uint8_t none = 1;
    nl_attr(h, IFLA_INET6_ADDR_GEN_MODE, &none, 1);
    nl_end(h, d);
    nl_end(h, a);
    nl_done(&n, h);
    h = nl_new(&n, RTM_NEWLINK, NLM_F_ACK, &i, sizeof i);
    nl_attr(h, IFLA_IFNAME, nm, strlen(nm) + 1);
    nl_attr(h, IFLA_MASTER, &brix, 4);
    nl_done(&n, h);
  }
  int e = nl_xfer(rtfd, &n, no6 ? 3 : 1);
  if (e) {
    errno = -e;
    die("veth");
  }
  int f = rtnl();
  int lo = 1, et = ifix("eth0"); // eth0 is ifindex 2 in a fresh netns
  n.len = 0;
  i.ifi_index = lo;
  h = nl_new(&n, RTM_NEWLINK, NLM_F_ACK, &i, sizeof i);
  nl_done(&n, h);
  struct ifaddrmsg am = {.ifa_family = AF_INET, .ifa_prefixlen = 16, .ifa_index = et};
  uint32_t ip = htonl(0x0a640000 + 2 + id % 60000), gw = htonl(0x0a640001);
  h = nl_new(&n, RTM_NEWADDR, NLM_F_CREATE | NLM_F_ACK, &am, sizeof am);
  nl_attr(h, IFA_LOCAL, &ip, 4);
  nl_attr(h, IFA_ADDRESS, &ip, 4);
  nl_done(&n, h);
  i.ifi_index = et;
  h = nl_new(&n, RTM_NEWLINK, NLM_F_ACK, &i, sizeof i);
  nl_done(&n, h);
  struct rtmsg rm = {.rtm_family = AF_INET,
                     .rtm_table = RT_TABLE_MAIN,
                     .rtm_protocol = RTPROT_BOOT,
                     .rtm_scope = RT_SCOPE_UNIVERSE,
                     .rtm_type = RTN_UNICAST};
  h = nl_new(&n, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_ACK, &rm, sizeof rm);
  nl_attr(h, RTA_GATEWAY, &gw, 4);
  nl_attr(h, RTA_OIF, &et, 4);
  nl_done(&n, h);
  e = nl_xfer(f, &n, 4);
  if (e) {
    errno = -e;
    die("net cfg");
  }
  close(f);
}
static void lo_up(void) {
  int f = rtnl();
  struct nlb n = {.len = 0};
  struct ifinfomsg i = {.ifi_index = 1, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
  struct nlmsghdr *h = nl_new(&n, RTM_NEWLINK, NLM_F_ACK, &i, sizeof i);
  nl_done(&n, h);
  if (nl_xfer(f, &n, 1))
    die("lo");
  close(f);
}

static void
seccomp_load(int n) { // n allow entries: x86-64 arch check + linear compare, like an unoptimised allow list
  static struct sock_filter f[1024];
  int k = 0;
  f[k++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 4);
  f[k++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0);
  f[k++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
  f[k++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0);
  for (int i = 0; i < n; i++) {
    f[k++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, i, 0, 1);
    f[k++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
  }
  f[k++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS);
  struct sock_fprog pr = {k, f};
  CK(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &pr));
}

static char upper[128], work[128], merged[128];
static void nmount(const char *fs, const char *dst, unsigned attr, int nk, const char *kv[][2]) {
  int f = syscall(SYS_fsopen, fs, 1);
  CK(f);
  for (int i = 0; i < nk; i++)
    CK(syscall(SYS_fsconfig, f, kv[i][1] ? 1 : 0, kv[i][0], kv[i][1], 0));
  CK(syscall(SYS_fsconfig, f, 6, 0, 0, 0));
  int m = syscall(SYS_fsmount, f, 1, attr);
  CK(m);
  CK(syscall(SYS_move_mount, m, "", AT_FDCWD, dst, 4));
  close(m);
  close(f);
}
static const char *masks[] = {"proc/acpi",          "proc/asound",     "proc/kcore",       "proc/keys",
                              "proc/latency_stats", "proc/timer_list", "proc/timer_stats", "proc/sched_debug",
                              "sys/firmware",       "proc/scsi"};
static const char *ros[] = {"proc/bus", "proc/fs", "proc/irq", "proc/sys", "proc/sysrq-trigger"};

static int child(void *a) {
  struct spec *s = S;
  uint64_t *t = sh->t;
  char o[512];
  t[P_CLONE] = now();
  if (s->ns & CLONE_NEWUSER) {
    wr(AT_FDCWD, "/proc/self/setgroups", "deny");
    wr(AT_FDCWD, "/proc/self/uid_map", "0 0 1");
    wr(AT_FDCWD, "/proc/self/gid_map", "0 0 1");
  }
  if (s->npool)
    CK(syscall(SYS_setns, poolfd, CLONE_NEWNET));
  if (s->hold) {
    holdfd = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
    CK(holdfd);
  }
  if (s->cgw == 'p' || s->cg2 == 2) {
    char c;
    if (read(evp[0], &c, 1) != 1)
      die("sync");
  } else if (s->nctl)
    for (int i = 0; i < s->nctl; i++) {
      int f = cgfd[i];
      if (write(f, "0", 1) < 0)
        die("cg join");
    }
  if (s->cg2 == 3)
    wr(cg2fd, "cgroup.procs", "0");
  if (s->cgns)
    CK(unshare(CLONE_NEWCGROUP));
  t[P_CG] = now();
  if (s->veth) {
    int nf = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    CK(nf);
    veth_child(nf);
    close(nf);
  }
  t[P_NET] = now();
  if (s->priv)
    CK(mount(0, "/", 0, (s->priv == 2 ? MS_SLAVE : MS_PRIVATE) | MS_REC, 0));
  t[P_PRIV] = now();
  if (s->ovl == 7) {
    CK(mount(ROOTFS, merged, 0, MS_BIND | MS_REC, 0));
  } else if (s->ovl == 4) {
    const char *kv[][2] = {
        {"source", "overlay"}, {"lowerdir", ROOTFS}, {"upperdir", upper}, {"workdir", work}, {"volatile", 0}};
    nmount("overlay", merged, 0, 5, kv);
  } else if (s->ovl == 6) {
    CK(mount("t", merged, "tmpfs", 0, 0));
    sprintf(o, "%s/u", merged);
    mkdir(o, 0755);
    sprintf(o, "%s/w", merged);
    mkdir(o, 0755);
    sprintf(o, "lowerdir=%s,upperdir=%s/u,workdir=%s/w,volatile", ROOTFS, merged, merged);
    CK(mount("overlay", merged, "overlay", 0, o));
  } else if (s->ovl) {
    sprintf(o, "lowerdir=%s,upperdir=%s,workdir=%s%s", ROOTFS, upper, work,
            (s->ovl == 2 || s->ovl == 5) ? ",volatile" : "");
    CK(mount("overlay", merged, "overlay", 0, o));
  }
  if (s->piv || s->proc || s->dev || s->sys)
    CK(chdir(s->ovl ? merged : ROOTFS));
  t[P_ROOT] = now();
  if (s->proc)
    CK(mount("proc", "proc", "proc", MS_NOSUID | MS_NOEXEC | MS_NODEV, s->proc == 2 ? "subset=pid" : 0));
  t[P_PROC] = now();
  if (s->dev == 3) {
    CK(mount(TM "/dev", "dev", 0, MS_BIND, 0));
  } else if (s->dev) {
    CK(mount("tmpfs", "dev", "tmpfs", MS_NOSUID, "mode=755,size=65536k"));
    int um = umask(0);
    CK(mknod("dev/null", S_IFCHR | 0666, makedev(1, 3)));
    CK(mknod("dev/zero", S_IFCHR | 0666, makedev(1, 5)));
    CK(mknod("dev/full", S_IFCHR | 0666, makedev(1, 7)));
    CK(mknod("dev/urandom", S_IFCHR | 0666, makedev(1, 9)));
    if (s->dev == 2) {
      CK(mknod("dev/random", S_IFCHR | 0666, makedev(1, 8)));
      CK(mknod("dev/tty", S_IFCHR | 0666, makedev(5, 0)));
      symlink("/proc/self/fd", "dev/fd");
      symlink("/proc/self/fd/0", "dev/stdin");
      symlink("/proc/self/fd/1", "dev/stdout");
      symlink("/proc/self/fd/2", "dev/stderr");
      symlink("pts/ptmx", "dev/ptmx");
      symlink("/proc/kcore", "dev/core");
    }
    umask(um);
  }
  t[P_DEV] = now();
  if (s->sys)
    CK(mount("sysfs", "sys", "sysfs", MS_RDONLY | MS_NOSUID | MS_NOEXEC | MS_NODEV, 0));
  t[P_SYS] = now();
  if (s->pts) {
    mkdir("dev/pts", 0755);
    CK(mount("devpts", "dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620,gid=5"));
  }
  if (s->shm) {
    mkdir("dev/shm", 0755);
    CK(mount("shm", "dev/shm", "tmpfs", MS_NOSUID | MS_NOEXEC | MS_NODEV, "mode=1777,size=65536k"));
  }
  if (s->mq) {
    mkdir("dev/mqueue", 0755);
    CK(mount("mqueue", "dev/mqueue", "mqueue", MS_NOSUID | MS_NOEXEC | MS_NODEV, 0));
  }
  if (s->cgm) {
    CK(mount("cgroup2", "sys/fs/cgroup", "cgroup2", MS_RDONLY | MS_NOSUID | MS_NOEXEC | MS_NODEV, 0));
  }
  if (s->mask) {
    struct stat st;
    for (unsigned i = 0; i < sizeof masks / sizeof *masks; i++)
      if (!stat(masks[i], &st)) {
        if (S_ISDIR(st.st_mode))
          CK(mount("tmpfs", masks[i], "tmpfs", MS_RDONLY, 0));
        else
          CK(mount("/dev/null", masks[i], 0, MS_BIND, 0));
      }
    for (unsigned i = 0; i < sizeof ros / sizeof *ros; i++)
      if (!mount(ros[i], ros[i], 0, MS_BIND | MS_REC, 0))
        CK(mount(0, ros[i], 0, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, 0));
  }
  t[P_MISC] = now();
  if (s->piv == 1 || s->piv == 2) {
    CK(syscall(SYS_pivot_root, ".", "."));
    if (s->piv == 1)
      CK(umount2(".", MNT_DETACH));
    CK(chdir("/"));
  } else if (s->piv == 3) {
    CK(mount(".", "/", 0, MS_MOVE, 0));
    CK(chroot("."));
  } else if (s->piv == 4)
    CK(chroot("."));
  t[P_PIV] = now();
  if (s->host)
    CK(sethostname("floor", 5));
  if (s->lo)
    lo_up();
  t[P_HOST] = now();
  if (s->sid)
    setsid();
  if (s->fds)
    syscall(SYS_close_range, 3, ~0u, 4 /*CLOEXEC*/);
  if (s->rlim) {
    struct rlimit r = {1024, 1024};
    CK(setrlimit(RLIMIT_NOFILE, &r));
  }
  if (s->caps) {
    uint64_t keep = 1ull << CAP_AUDIT_WRITE | 1ull << CAP_KILL | 1ull << CAP_NET_BIND_SERVICE;
    for (int c = 0; c <= 40; c++)
      if (!(keep >> c & 1))
        if (prctl(PR_CAPBSET_DROP, c, 0, 0, 0) && errno != EINVAL)
          die("bset");
    struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct d[2] = {{keep, keep, keep}, {keep >> 32, keep >> 32, keep >> 32}};
    CK(syscall(SYS_capset, &h, d));
  }
  if (s->nnp || s->sec)
    CK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
  if (s->sec)
    seccomp_load(s->sec);
  t[P_SEC] = now();
  char *av[] = {(char *)s->exe, strstr(s->exe, "sleep") ? "100000" : 0, 0};
  const char *e = s->exe;
  char full[256];
  if (!s->piv) {
    sprintf(full, ROOTFS "%s", e);
    e = full;
    if (strstr(e, "/bin/true") && !strstr(e, "true0"))
      e = ROOTFS "/bin/busybox", av[0] = "true";
    else if (strstr(e, "sleep"))
      e = ROOTFS "/bin/busybox", av[0] = "sleep";
  }
  t[P_EXEC] = now();
  execve(e, av, environ_min);
  sh->err = errno;
  _exit(127);
}
extern long do_clone3(struct clone_args *a, size_t sz, int (*fn)(void *), void *arg);
#ifdef __x86_64__
__asm__(".text\n.globl do_clone3\ndo_clone3:\n mov %rdx,%r8\n mov %rcx,%r9\n mov $435,%eax\n syscall\n test "
        "%rax,%rax\n jz 1f\n ret\n1: xor %ebp,%ebp\n and $-16,%rsp\n mov %r9,%rdi\n call *%r8\n mov %eax,%edi\n mov "
        "$231,%eax\n syscall\n");
#else
// A child that borrows memory needs a stack switched in assembly.
long do_clone3(struct clone_args *a, size_t sz, int (*fn)(void *), void *arg) {
  return -ENOSYS;
}
#endif

static void parse(struct spec *s, const char *str) {
  memset(s, 0, sizeof *s);
  snprintf(s->name, sizeof s->name, "%s", str);
  s->exe = "/bin/true";
  s->cgw = 't';
  char b[512];
  snprintf(b, sizeof b, "%s", str);
  for (char *p = strtok(b, ","); p; p = strtok(0, ",")) {
    char *v = strchr(p, '=');
    if (v)
      *v++ = 0;
#define IS(x) !strcmp(p, x)
    if (IS("ns")) {
      for (; *v; v++)
        s->ns |= *v == 'p'   ? CLONE_NEWPID
                 : *v == 'm' ? CLONE_NEWNS
                 : *v == 'u' ? CLONE_NEWUTS
                 : *v == 'i' ? CLONE_NEWIPC
                 : *v == 'n' ? CLONE_NEWNET
                 : *v == 'c' ? CLONE_NEWCGROUP
                 : *v == 'U' ? CLONE_NEWUSER
                 : *v == 'T' ? 0x80
                             : 0;
    } else if (IS("vm"))
      s->vm = 1;
    else if (IS("priv"))
      s->priv = 1;
    else if (IS("slave"))
      s->priv = 2;
    else if (IS("ovl"))
      s->ovl = 1;
    else if (IS("ovlv"))
      s->ovl = 2;
    else if (IS("ovle"))
      s->ovl = 3;
    else if (IS("ovln"))
      s->ovl = 4;
    else if (IS("ovlev"))
      s->ovl = 5;
    else if (IS("ovlt"))
      s->ovl = 6;
    else if (IS("bind"))
      s->ovl = 7;
    else if (IS("piv"))
      s->piv = 1;
    else if (IS("pivn"))
      s->piv = 2;
    else if (IS("mvroot"))
      s->piv = 3;
    else if (IS("chroot"))
      s->piv = 4;
    else if (IS("proc"))
      s->proc = 1;
    else if (IS("procsub"))
      s->proc = 2;
    else if (IS("dev"))
      s->dev = 1;
    else if (IS("devoci"))
      s->dev = 2;
    else if (IS("devbind"))
      s->dev = 3;
    else if (IS("sys"))
      s->sys = 1;
    else if (IS("pts"))
      s->pts = 1;
    else if (IS("shm"))
      s->shm = 1;
    else if (IS("mq"))
      s->mq = 1;
    else if (IS("mask"))
      s->mask = 1;
    else if (IS("cgm"))
      s->cgm = 1;
    else if (IS("host"))
      s->host = 1;
    else if (IS("lo"))
      s->lo = 1;
    else if (IS("veth"))
      s->veth = 1;
    else if (IS("vethq"))
      s->veth = 2;
    else if (IS("veth6"))
      s->veth = 3;
    else if (IS("vethnb"))
      s->veth = 4;
    else if (IS("caps"))
      s->caps = 1;
    else if (IS("nnp"))
      s->nnp = 1;
    else if (IS("sec"))
      s->sec = v ? atoi(v) : 350;
    else if (IS("rlim"))
      s->rlim = 1;
    else if (IS("sid"))
      s->sid = 1;
    else if (IS("fds"))
      s->fds = 1;
    else if (IS("cg")) {
      if (!strcmp(v, "all"))
        for (int i = 0; i < 9; i++)
          strcpy(s->ctl[s->nctl++], allctl[i]);
      else {
        char *sv;
        char *c2 = strdup(v);
        for (char *c = strtok_r(c2, "+", &sv); c; c = strtok_r(0, "+", &sv))
          strcpy(s->ctl[s->nctl++], c);
      }
    } else if (IS("cgw"))
      s->cgw = *v;
    else if (IS("cglim"))
      s->cglim = 1;
    else if (IS("cgkeep"))
      s->cgkeep = 1;
    else if (IS("cg2"))
      s->cg2 = *v == 'i' ? 1 : *v == 'p' ? 2 : 3;
    else if (IS("exec"))
      s->exe = strdup(v);
    else if (IS("hold"))
      s->hold = 1;
    else if (IS("npool"))
      s->npool = 1;
    else if (IS("cgns"))
      s->cgns = 1;
    else if (IS("min")) {
    } else {
      fprintf(stderr, "bad token %s\n", p);
      exit(2);
    }
  }
  if (!s->nctl && s->cgw == 'p')
    s->cgw = 't';
}
static char *stk;
static int hold;
static pid_t launch(struct spec *s) { // start; returns pid
  S = s;
  uint64_t *t = sh->t;
  memset(sh, 0, sizeof *sh);
  id++;
  if (s->npool) {
    static int self = -1;
    if (self < 0)
      CK(self = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
    CK(unshare(CLONE_NEWNET));
    CK(poolfd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
    CK(setns(self, CLONE_NEWNET));
  }
  sprintf(idn, "f%d-%d", (int)getpid() % 10000, id);
  t[P_T0] = now();
  struct clone_args ca = {.flags = s->ns, .exit_signal = SIGCHLD};
  const char *cd = s->cgkeep ? "keep" : idn;
  for (int i = 0; i < s->nctl; i++) {
    int b = ctlfd(s->ctl[i]);
    if (mkdirat(b, cd, 0755) && errno != EEXIST)
      die("mkdir cg");
    char p[96];
    if (s->cglim) {
      if (!strcmp(s->ctl[i], "memory")) {
        sprintf(p, "%s/memory.limit_in_bytes", cd);
        wr(b, p, "536870912");
      } else if (!strcmp(s->ctl[i], "pids")) {
        sprintf(p, "%s/pids.max", cd);
        wr(b, p, "100");
      } else if (!strcmp(s->ctl[i], "cpu")) {
        sprintf(p, "%s/cpu.cfs_quota_us", cd);
        wr(b, p, "100000");
      }
    }
    if (s->cgw != 'p') {
      sprintf(p, "%s/%s", cd, s->cgw == 't' ? "tasks" : "cgroup.procs");
      cgfd[i] = openat(b, p, O_WRONLY | O_CLOEXEC);
      CK(cgfd[i]);
    }
  }
  if (s->cg2) {
    static int u = -1;
    if (u < 0) {
      mkdir(v2(), 0755);
      u = open(v2(), O_DIRECTORY | O_CLOEXEC);
    }
    if (mkdirat(u, cd, 0755) && errno != EEXIST)
      die("cg2 mkdir");
    if (s->cglim) {
      // The controllers are on for the children of GROUP: whoever made it has seen to that.
      const char *limits[][2] = {{"memory.max", "536870912"}, {"pids.max", "100"}, {"cpu.max", "100000"}};
      for (int i = 0; i < 3; i++) {
        char p[96];
        sprintf(p, "%s/%s", cd, limits[i][0]);
        wr(u, p, limits[i][1]);
      }
    }
    cg2fd = openat(u, cd, O_DIRECTORY | O_CLOEXEC);
    CK(cg2fd);
    if (s->cg2 == 1) {
      ca.flags |= CLONE_INTO_CGROUP;
      ca.cgroup = cg2fd;
    }
  }
  if (s->ovl && s->ovl != 6 && s->ovl != 7) {
    const char *b = (s->ovl == 3 || s->ovl == 5) ? EX : TM;
    sprintf(upper, "%s/u%s", b, idn);
    sprintf(work, "%s/w%s", b, idn);
    CK(mkdir(upper, 0755));
    CK(mkdir(work, 0755));
  }
  strcpy(merged, TM "/m");
  if (s->cgw == 'p' || s->cg2 == 2)
    CK(pipe2(evp, O_CLOEXEC));
  t[P_PREP] = now();
  if (s->hold)
    ca.flags |= CLONE_FILES;
  if (s->vm) {
    ca.flags |= CLONE_VM | CLONE_VFORK;
    ca.stack = (uint64_t)(uintptr_t)stk;
    ca.stack_size = 1 << 18;
  }
  pid_t pid;
  if (s->vm)
    pid = do_clone3(&ca, sizeof ca, child, 0);
  else {
    pid = syscall(SYS_clone3, &ca, sizeof ca);
    if (pid == 0)
      child(0);
  }
  if (pid < 0) {
    errno = s->vm ? -pid : errno;
    die("clone3");
  }
  t[P_RESUME] = now();
  char pb[32];
  if (s->cgw == 'p' || s->cg2 == 2) {
    sprintf(pb, "%d", pid);
    for (int i = 0; i < s->nctl; i++) {
      char p[96];
      sprintf(p, "%s/cgroup.procs", cd);
      wr(ctlfd(s->ctl[i]), p, pb);
    }
    if (s->cg2 == 2)
      wr(cg2fd, "cgroup.procs", pb);
    write(evp[1], "x", 1);
    close(evp[0]);
    close(evp[1]);
  } else
    for (int i = 0; i < s->nctl; i++)
      close(cgfd[i]);
  if (s->cg2)
    close(cg2fd);
  return pid;
}
static void cleanup(struct spec *s, const char *cd, const char *up, const char *wk) {
  uint64_t *t = sh->t;
  if (!s->cgkeep) {
    for (int i = 0; i < s->nctl; i++)
      while (unlinkat(ctlfd(s->ctl[i]), cd, AT_REMOVEDIR)) {
        if (errno != EBUSY)
          die("rmdir cg");
        s->retries++;
        usleep(50);
      }
    if (s->cg2) {
      char p[128];
      sprintf(p, "%s/%s", v2(), cd);
      while (rmdir(p)) {
        if (errno != EBUSY)
          die("rmdir cg2");
        s->retries++;
        usleep(50);
      }
    }
  }
  t[P_CGRM] = now();
  if (s->ovl && s->ovl != 6 && s->ovl != 7) {
    char b[160];
    if (rmdir(up)) {
      sprintf(b, "rm -rf %s", up);
      if (system(b))
        die("rm upper");
    }
    if (s->ovl != 1 && s->ovl != 3) {
      sprintf(b, "%s/work/incompat/volatile/dirty", wk);
      unlink(b);
      sprintf(b, "%s/work/incompat/volatile", wk);
      rmdir(b);
      sprintf(b, "%s/work/incompat", wk);
      rmdir(b);
    }
    sprintf(b, "%s/work", wk);
    rmdir(b);
    sprintf(b, "%s/index", wk);
    rmdir(b);
    if (rmdir(wk))
      die("rmdir work");
  }
  t[P_FSRM] = now();
}
static uint64_t run1(struct spec *s) {
  pid_t pid = launch(s);
  int st;
  if (waitpid(pid, &st, 0) != pid)
    die("wait");
  sh->t[P_WAIT] = now();
  if (!WIFEXITED(st) || WEXITSTATUS(st)) {
    fprintf(stderr, "child failed st=%x err=%s spec=%s\n", st, strerror(sh->err), s->name);
    exit(1);
  }
  if (s->hold) {
    sh->t[P_END] = now();
    uint64_t d = sh->t[P_END] - sh->t[P_T0];
    close(holdfd);
    if (s->npool)
      close(poolfd);
    cleanup(s, idn, upper, work);
    return d;
  }
  if (s->npool)
    close(poolfd);
  cleanup(s, idn, upper, work);
  sh->t[P_END] = now();
  return sh->t[P_END] - sh->t[P_T0];
}
static int cmp(const void *a, const void *b) {
  uint64_t x = *(uint64_t *)a, y = *(uint64_t *)b;
  return x < y ? -1 : x > y;
}
static uint64_t pct(uint64_t *v, int n, double q) {
  qsort(v, n, 8, cmp);
  return v[(int)(q * (n - 1) + .5)];
}
static long meminfo(const char *k) {
  static char b[8192];
  int f = open("/proc/meminfo", O_RDONLY);
  int n = read(f, b, sizeof b - 1);
  b[n] = 0;
  close(f);
  char *p = strstr(b, k);
  return p ? atol(p + strlen(k)) : 0;
}

int main(int ac, char **av) {
  int n = 100, w = 5, gap = 0, ph = 0, small = 0, xm = 0, scale = 0, one = 0, c;
  while ((c = getopt(ac, av, "n:w:g:pMX:S:1H:")) != -1)
    switch (c) {
    case 'n':
      n = atoi(optarg);
      break;
    case 'w':
      w = atoi(optarg);
      break;
    case 'g':
      gap = atoi(optarg);
      break;
    case 'p':
      ph = 1;
      break;
    case 'M':
      small = 1;
      break;
    case 'X':
      xm = atoi(optarg);
      break;
    case 'S':
      scale = atoi(optarg);
      break;
    case '1':
      one = 1;
      break;
    case 'H':
      hold = atoi(optarg);
      break;
    }
  vpid = getpid();
  int ns = ac - optind;
  struct spec *sp = calloc(ns ? ns : 1, sizeof *sp);
  int need_br = 0;
  for (int i = 0; i < ns; i++) {
    parse(&sp[i], av[optind + i]);
    need_br |= sp[i].veth;
  }
  sh = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  stk = mmap(0, 1 << 18, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
  if (xm || small) {
    CK(unshare(CLONE_NEWNS));
    CK(mount(0, "/", 0, MS_REC | MS_PRIVATE, 0));
  }
  for (int i = 0; i < xm; i++) {
    char p[128];
    sprintf(p, TM "/x%d", i);
    mkdir(p, 0755);
    CK(mount(p, p, 0, MS_BIND, 0));
  }
  if (small) {
    for (int k = 0; k < 9; k++)
      ctlfd(allctl[k]);
    for (int pass = 0; pass < 3; pass++) {
      FILE *f = fopen("/proc/self/mountinfo", "r");
      static char l[2048];
      static char mp[512][256];
      int m = 0;
      while (fgets(l, sizeof l, f) && m < 512) {
        sscanf(l, "%*s %*s %*s %*s %255s", mp[m]);
        m++;
      }
      fclose(f);
      for (int i = m - 1; i >= 0; i--)
        if (strcmp(mp[i], "/") && strcmp(mp[i], "/proc") && strcmp(mp[i], TM) && strcmp(mp[i], "/dev"))
          umount2(mp[i], MNT_DETACH);
    }
  }
  if (need_br)
    mkbridge();
  if (one) {
    pid_t pid = launch(&sp[0]);
    if (hold) {
      static char idc[32];
      strcpy(idc, idn);
    }
    int st;
    waitpid(pid, &st, 0);
    cleanup(&sp[0], idn, upper, work);
    return WIFEXITED(st) ? WEXITSTATUS(st) : 128 + WTERMSIG(st);
  }
  if (scale) {
    struct spec *s = &sp[0];
    pid_t *pids = calloc(scale, sizeof(pid_t));
    uint64_t *ts = calloc(scale + 1, 8);
    char (*ids)[32] = calloc(scale, 32);
    char (*us)[128] = calloc(scale, 128), (*ws)[128] = calloc(scale, 128);
    long slab0 = meminfo("Slab:"), av0 = meminfo("MemAvailable:"), pc0 = meminfo("Percpu:"),
         fr0 = meminfo("MemFree:"), ks0 = meminfo("KernelStack:"), pt0 = meminfo("PageTables:");
    ts[0] = now();
    for (int i = 0; i < scale; i++) {
      pids[i] = launch(s);
      strcpy(ids[i], idn);
      strcpy(us[i], upper);
      strcpy(ws[i], work);
      ts[i + 1] = now();
    }
    uint64_t *d = calloc(scale, 8);
    for (int i = 0; i < scale; i++)
      d[i] = ts[i + 1] - ts[i];
    int q = scale >= 20 ? scale / 10 : 1;
    uint64_t f10 = 0, l10 = 0;
    for (int i = 0; i < q; i++)
      f10 += d[i], l10 += d[scale - 1 - i];
    usleep(300000);
    if (hold)
      sleep(hold);
    long slab1 = meminfo("Slab:"), av1 = meminfo("MemAvailable:"), pc1 = meminfo("Percpu:"),
         fr1 = meminfo("MemFree:"), ks1 = meminfo("KernelStack:"), pt1 = meminfo("PageTables:");
    long pss = 0, rss = 0;
    FILE *f = fopen("/proc/self/smaps_rollup", "r");
    char l[256];
    while (fgets(l, sizeof l, f)) {
      sscanf(l, "Pss: %ld", &pss);
      sscanf(l, "Rss: %ld", &rss);
    }
    fclose(f);
    long cp = 0;
    for (int i = 0; i < scale; i++) {
      sprintf(l, "/proc/%d/smaps_rollup", pids[i]);
      f = fopen(l, "r");
      if (!f)
        continue;
      long v;
      while (fgets(l, sizeof l, f))
        if (sscanf(l, "Pss: %ld", &v) == 1)
          cp += v;
      fclose(f);
    }
    uint64_t k0 = now();
    for (int i = 0; i < scale; i++)
      kill(pids[i], SIGKILL);
    uint64_t k1 = now();
    for (int i = 0; i < scale; i++) {
      int st;
      waitpid(pids[i], &st, 0);
    }
    uint64_t k2 = now();
    for (int i = 0; i < scale; i++)
      cleanup(s, ids[i], us[i], ws[i]);
    uint64_t k3 = now();
    uint64_t k4 = 0;
    if (s->ns &
        CLONE_NEWNET) { // wait until async netns teardown has drained: the last veth leaves the host, else a fresh netns + rtnl round trip
      if (s->veth) {
        char nm[16];
        for (;;) {
          int any = 0;
          for (int i = id - scale + 1; i <= id; i++) {
            sprintf(nm, "f%x.%d", vpid & 0xfffff, i);
            if (ifix(nm)) {
              any = 1;
              break;
            }
          }
          if (!any)
            break;
          usleep(1000);
        }
      }
      k4 = now();
    }
    uint64_t tot = ts[scale] - ts[0];
    uint64_t med = pct(d, scale, .5);
    printf("N=%d start total %.1f ms  mean %.1f us  med %.1f us  first-tenth mean %.1f us  last-tenth mean %.1f us | "
           "kill %.1f ms  reap %.1f ms  cleanup(cg rmdir+upper) %.1f ms  net drain %.1f ms | per container kB: "
           "supervisor PSS %.1f (RSS %ld total)  payload PSS %.1f  slab %.1f  percpu %.1f kstack %.1f pgtbl %.1f "
           "memfree %.1f  ebusy retries %ld\n",
           scale, tot / 1e6, tot / 1e3 / scale, med / 1e3, f10 / 1e3 / q, l10 / 1e3 / q, (k1 - k0) / 1e6,
           (k2 - k1) / 1e6, (k3 - k2) / 1e6, k4 ? (k4 - k3) / 1e6 : 0., (double)pss / scale, rss, (double)cp / scale,
           (double)(slab1 - slab0) / scale, (double)(pc1 - pc0) / scale, (double)(ks1 - ks0) / scale,
           (double)(pt1 - pt0) / scale, (double)(fr0 - fr1) / scale, s->retries);
    (void)av0;
    (void)av1;
    return 0;
  }
  for (int i = 0; i < ns; i++) {
    sp[i].samp = calloc(n, 8);
    sp[i].ph = calloc((size_t)n * P_N, 8);
  }
  for (int r = -w; r < n; r++)
    for (int i = 0; i < ns; i++) {
      uint64_t d = run1(&sp[i]);
      if (r >= 0) {
        sp[i].samp[r] = d;
        memcpy(sp[i].ph + (size_t)r * P_N, sh->t, sizeof sh->t);
      }
      if (gap)
        usleep(gap);
    }
  printf("%9s %9s %9s %9s  spec (us, n=%d, gap=%d)\n", "median", "p10", "p90", "min", n, gap);
  for (int i = 0; i < ns; i++) {
    uint64_t *v = sp[i].samp;
    pct(v, n, .5);
    printf("%9.1f %9.1f %9.1f %9.1f  %s%s\n", pct(v, n, .5) / 1e3, pct(v, n, .1) / 1e3, pct(v, n, .9) / 1e3,
           v[0] / 1e3, sp[i].name, sp[i].retries ? " (EBUSY retries)" : "");
    if (ph) {
      uint64_t *x = malloc(n * 8);
      uint64_t *H = sp[i].ph;
      int order[] = {P_T0,   P_PREP, P_CLONE, P_CG,  P_NET,  P_PRIV, P_ROOT, P_PROC,
                     P_DEV,  P_SYS,  P_MISC,  P_PIV, P_HOST, P_SEC,  P_EXEC, sp[i].vm ? P_RESUME : P_EXEC,
                     P_WAIT, P_CGRM, P_FSRM,  P_END};
      int m = sizeof order / sizeof *order;
      for (int k = 1; k < m; k++) {
        if (order[k] == order[k - 1])
          continue;
        for (int r = 0; r < n; r++) {
          uint64_t *t = H + (size_t)r * P_N;
          x[r] = t[order[k]] - t[order[k - 1]];
        }
        double md = pct(x, n, .5) / 1e3;
        if (md > 0.3)
          printf("            %9.1f us  (p90 %9.1f) %s\n", md, pct(x, n, .9) / 1e3, pn[order[k]]);
      }
      free(x);
    }
  }
  return 0;
}
