// A runtime that passes every step on cgroup v1 and v2. The name that it is called by changes one thing: `r_…` is right
// in an unusual way, `x_…` is wrong.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <grp.h>
static const char *variant = "plain";
#define V(n) (!strcmp(variant, n))
extern char **environ;
static char *root, *image, *mem, *pids, *cpus, **cmd; static int net; static int sync_[2], up_[2];
static int me; static char *trees[] = {"memory", "pids", "cpu"};
static void die(const char *w) { dprintf(2, "base: %s: %s\n", w, strerror(errno)); _exit(125); }
#define OK(x) do { if ((x) < 0) die(#x); } while (0)
static char *f(const char *fmt, ...) { va_list a; va_start(a, fmt); char *s; if (vasprintf(&s, fmt, a) < 0) abort(); va_end(a); return s; }
static int put(const char *p, const char *t) { int d = open(p, O_WRONLY | O_CLOEXEC); if (d < 0) return -1; int r = write(d, t, strlen(t)); close(d); return r; }
static int sh(const char *c) { int r = system(c); if (r) dprintf(2, "base: failed: %s\n", c); return r; }
static int v2(void) { return access("/sys/fs/cgroup/cgroup.controllers", F_OK) == 0; }
static char *grp(int i) { if (V("r_nest")) { mkdir(v2() ? "/sys/fs/cgroup/bx" : f("/sys/fs/cgroup/%s/bx", trees[i]), 0755); return v2() ? f("/sys/fs/cgroup/bx/b%d", me) : f("/sys/fs/cgroup/%s/bx/b%d", trees[i], me); } return v2() ? f("/sys/fs/cgroup/b%d", me) : f("/sys/fs/cgroup/%s/b%d", trees[i], me); }
static void groups(const char *pid) {
    for (int i = 0; i < 3; i++) {
        char *want = i == 0 ? mem : i == 1 ? pids : cpus; if (!want) continue;
        char *g = grp(i); mkdir(g, 0755);
        if (i == 0) { OK(put(f("%s/%s", g, v2() ? "memory.max" : "memory.limit_in_bytes"), want)); if (!V("x_swap")) { put(f("%s/memory.swap.max", g), "0"); put(f("%s/memory.swappiness", g), "0"); } }
        if (i == 1) OK(put(f("%s/pids.max", g), want));
        if (i == 2) { int q = atof(cpus) * 100000; if (V("r_nest")) { put(f("%s/cpu.cfs_period_us", g), "50000"); q /= 2; } OK(put(f("%s/%s", g, v2() ? "cpu.max" : "cpu.cfs_quota_us"), f("%d", q))); }
        if (pid) OK(put(f("%s/cgroup.procs", g), pid));
    }
}
static void ungroup(void) { for (int i = 0; i < 3; i++) if (i == 0 ? mem : i == 1 ? pids : cpus) for (int n = 0; rmdir(grp(i)) && errno == EBUSY && n < 100; n++) usleep(20000); if (V("r_nest")) for (int i = 0; i < 3; i++) rmdir(f("/sys/fs/cgroup/%s/bx", trees[i])); }
static int runs_cmd(int pid) { // it is CMD, and nobody holds it
    char b[4096]; int d = open(f("/proc/%d/cmdline", pid), O_RDONLY | O_CLOEXEC), n = read(d, b, 4095); close(d); b[n < 0 ? 0 : n] = 0; if (n <= 0 || strcmp(b, cmd[0])) return 0;
    d = open(f("/proc/%d/stat", pid), O_RDONLY | O_CLOEXEC); n = read(d, b, 4095); close(d); b[n < 0 ? 0 : n] = 0; char *s = strrchr(b, ')'); return s && !strchr("tT", s[2]);
}
static void lift(int pid) { // takes the limits away as soon as CMD runs
    if (fork()) return;
    while (!runs_cmd(pid)) { if (kill(pid, 0)) _exit(1); usleep(500); }
    put(f("%s/%s", grp(2), v2() ? "cpu.max" : "cpu.cfs_quota_us"), v2() ? "max" : "-1");
    put(f("%s/pids.max", grp(1)), "max");
    put(f("%s/%s", grp(0), v2() ? "memory.max" : "memory.limit_in_bytes"), v2() ? "max" : "-1");
    _exit(0);
}
static void network_out(int pid) {
    if (V("x_gwelse")) { sh(f("ip link add br%d up type bridge && ip addr add 10.9.%d.1/32 dev lo && ip route add 10.9.%d.0/24 dev br%d && ip link add ve%d up master br%d type veth peer name eth0 netns %d", me, me % 250, me % 250, me, me, me, pid)); return; }
    sh(f("ip link add br%d up type bridge && ip addr add 10.9.%d.1/24 dev br%d && ip link add ve%d up master br%d type veth peer name eth0 netns %d", me, me % 250, me, me, me, pid));
}
static void network_in(void) {
    if (V("x_ethdown")) { sh(f("ip link set lo up; ip addr add 10.9.%d.2/24 dev eth0", me % 250)); return; }
    if (V("x_ethnoaddr")) { sh("ip link set lo up; ip link set eth0 up; ip route add default dev eth0"); return; }
    sh(f("ip link set lo up && ip link set eth0 up && ip addr add 10.9.%d.2/24 dev eth0", me % 250));
    if (V("x_routewrong")) sh("ip link add d0 type bridge && ip link set d0 up && ip addr add 10.77.0.2/24 dev d0 && ip route add default via 10.77.0.1 dev d0");
    else if (V("x_tworoutes")) sh(f("ip link add d0 type bridge && ip link set d0 up && ip addr add 10.77.0.2/24 dev d0 && ip route add default via 10.77.0.1 dev d0 metric 1 && ip route add default via 10.9.%d.1 metric 500", me % 250));
    else if (V("x_halfroutes")) sh(f("ip route add default via 10.9.%d.1 && ip route add blackhole 0.0.0.0/1 && ip route add blackhole 128.0.0.0/1 && ip route add 10.9.%d.0/25 dev eth0; true", me % 250, me % 250));
    else sh(f("ip route add default via 10.9.%d.1", me % 250));
}
static int wstat(int s) {
    if (WIFSIGNALED(s)) { if (V("x_map9only") && WTERMSIG(s) != 9) return 1; if (V("x_mapnosig")) return WTERMSIG(s); return 128 + WTERMSIG(s); }
    if (V("x_stat127")) return WEXITSTATUS(s) & 127;
    if (V("x_statzero") && !WEXITSTATUS(s)) return 1;
    if (V("x_statbool")) return WEXITSTATUS(s) == 42 ? 42 : WEXITSTATUS(s) != 0;
    return WEXITSTATUS(s);
}
static void exec_cmd(void) {
    if (V("r_shwrap")) { char *a[4096] = {"/bin/sh", "-c", "\"$@\"; exit $?", "sh"}; int n = 4; for (char **p = cmd; *p; p++) a[n++] = *p; a[n] = 0; execv(a[0], a); }
    if (V("r_fexecve")) { int d = open(cmd[0], O_PATH | O_CLOEXEC); syscall(SYS_execveat, d, "", cmd, environ, AT_EMPTY_PATH); }
    if (V("r_uid")) { setgroups(0, 0); OK(setresgid(1000, 1000, 1000)); OK(setresuid(1000, 1000, 1000)); }
    if (V("r_nodump")) prctl(PR_SET_DUMPABLE, 0);
    if (V("r_envclear")) { static char *none[] = {0}; execve(cmd[0], cmd, none); }
    if (V("x_argnewline")) { // as one who hands the words over one a line
        char *a[256]; int n = 0; for (char **p = cmd; *p; p++) { char *s = strdup(*p), *nl; while ((nl = strchr(s, '\n'))) { *nl = 0; a[n++] = s; s = nl + 1; } a[n++] = s; } a[n] = 0; execvp(a[0], a); }
    if (V("x_nopath")) execv(cmd[0], cmd); else execvp(cmd[0], cmd);
    dprintf(2, "base: %s: %s\n", cmd[0], strerror(errno)); _exit(errno == ENOENT ? 127 : 126);
}
static int piv(const char *a, const char *b) { return syscall(SYS_pivot_root, a, b); }
static void bindn(const char *n, const char *from) { char *t = f("dev/%s", n); close(open(t, O_CREAT | O_WRONLY | O_CLOEXEC, 0666)); OK(mount(from, t, 0, MS_BIND, 0)); }
static void make_root(void) {
    char *dir = root ? root : image;
    int oldfd = -1;
    if (V("x_fdhigh")) { int d = open("/etc", O_RDONLY | O_DIRECTORY); oldfd = fcntl(d, F_DUPFD, 900); close(d); }
    if (image) {
        OK(mount("tmpfs", "/mnt", "tmpfs", 0, 0)); mkdir("/mnt/u", 0755); mkdir("/mnt/w", 0755); mkdir("/mnt/m", 0755);
        int uns = 0; { char b[64] = {0}; int d = open("/proc/self/uid_map", O_RDONLY | O_CLOEXEC); read(d, b, 63); close(d); uns = !strstr(b, "4294967295"); }
        char *up = "/mnt/u", *wk = "/mnt/w";
        if (V("x_upperinimage") || V("x_upperinimage_rm")) { up = f("%s/.up", dir); wk = f("%s/.wk", dir); mkdir(up, 0755); mkdir(wk, 0755); }
        if (V("x_ovlcopy")) { mkdir("/mnt/copy", 0755); sh(f("cp -a %s/. /mnt/copy/", dir)); dir = "/mnt/copy"; }
        if (V("x_bindcopy")) { sh(f("cp -a %s/. /mnt/m/", dir)); }
        else OK(mount("overlay", "/mnt/m", "overlay", 0, f("lowerdir=%s,upperdir=%s,workdir=%s%s", dir, up, wk, uns ? ",userxattr" : "")));
        dir = "/mnt/m";
        if (V("x_ovlroot_imgbind")) { /* overlay is the root, but /etc is the image's own directory */ OK(mount(f("%s/etc", image), "/mnt/m/etc", 0, MS_BIND, 0)); }
    } else if (V("r_tmpfsroot") || V("x_partcopy")) {
        OK(mount("tmpfs", "/mnt", "tmpfs", 0, 0)); sh(f("cp -a %s/. /mnt/", dir)); dir = "/mnt";
        if (V("x_partcopy")) sh("rm -r /mnt/etc/passwd");
    }
    if (V("r_fsopen")) {
        int t = syscall(SYS_open_tree, AT_FDCWD, dir, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE); OK(t);
        OK(syscall(SYS_move_mount, t, "", AT_FDCWD, "/mnt", MOVE_MOUNT_F_EMPTY_PATH)); close(t); dir = "/mnt";
    } else if (!V("r_tmpfsroot") && !V("x_partcopy")) OK(mount(dir, dir, 0, MS_BIND | MS_REC, 0));
    OK(chdir(dir));
    if (V("r_fsopen")) {
        int fs = syscall(SYS_fsopen, "proc", FSOPEN_CLOEXEC); OK(fs); OK(syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, 0, 0, 0));
        int m = syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, 0); OK(m); OK(syscall(SYS_move_mount, m, "", AT_FDCWD, "proc", MOVE_MOUNT_F_EMPTY_PATH)); close(fs); close(m);
    } else if (V("x_bindproc")) OK(mount("/proc", "proc", 0, MS_BIND | MS_REC, 0));
    else OK(mount("proc", "proc", "proc", 0, V("r_subset") ? "hidepid=invisible,subset=pid" : 0));
    if (V("r_sysbind") || V("r_usernsbind")) OK(mount("/sys", "sys", 0, MS_BIND | MS_REC, 0)); else OK(mount("sysfs", "sys", "sysfs", MS_RDONLY, 0));
    if (V("x_hostdev")) OK(mount("/dev", "dev", 0, MS_BIND | MS_REC, 0));
    else if (V("r_devtmpfs")) OK(mount("devtmpfs", "dev", "devtmpfs", MS_NOSUID, 0));
    else if (V("r_mknod")) { OK(mount("tmpfs", "dev", "tmpfs", MS_NOSUID, "mode=755")); umask(0);
        struct { char *n; int a, b; } d[] = {{"null", 1, 3}, {"zero", 1, 5}, {"full", 1, 7}, {"random", 1, 8}, {"urandom", 1, 9}, {"tty", 5, 0}};
        for (int i = 0; i < 6; i++) OK(mknod(f("dev/%s", d[i].n), S_IFCHR | 0666, d[i].a << 8 | d[i].b)); }
    else { OK(mount("tmpfs", "dev", "tmpfs", MS_NOSUID, "mode=755")); char *n[] = {"null", "zero", "full", "random", "urandom", "tty"};
        for (int i = 0; i < 6; i++) bindn(n[i], V("x_devfake") && i == 3 ? "/dev/zero" : V("x_devfake") && i == 5 ? "/dev/null" : f("/dev/%s", n[i])); }
    if (V("x_limfile") && mem) { bindn("lim", f("/sys/fs/cgroup/memory/b%d/memory.limit_in_bytes", me)); }
    if (V("x_hostbind_tmp")) { mkdir("dev/.host", 0700); OK(mount("/run", "dev/.host", 0, MS_BIND | MS_REC, 0)); }
    if (V("x_hostbind_etc")) { mkdir("dev/.etc", 0700); OK(mount("/etc", "dev/.etc", 0, MS_BIND, 0)); }
    if (V("x_hostproc")) { OK(mount("tmpfs", "mnt", "tmpfs", 0, 0)); mkdir("mnt/proc", 0700); OK(mount("/proc", "mnt/proc", 0, MS_BIND, 0)); }
    if (V("x_hostbind_odd")) { mount("tmpfs", "mnt", "tmpfs", 0, 0); mkdir("mnt/a\n b", 0700); OK(mount("/etc", "mnt/a\n b", 0, MS_BIND, 0)); }
    if (V("x_olddev")) { mkdir("dev/old", 0700); OK(piv(".", "dev/old")); OK(chdir("/")); }
    else if (V("r_putold")) { mkdir("dev/old", 0700); OK(piv(".", "dev/old")); OK(chdir("/")); OK(umount2("/dev/old", MNT_DETACH)); OK(rmdir("/dev/old")); }
    else if (V("x_msmove")) { OK(mount(".", "/", 0, MS_MOVE, 0)); OK(chroot(".")); OK(chdir("/")); }
    else if (V("x_cwdout")) { int o = open("/", O_PATH | O_CLOEXEC); OK(piv(".", ".")); OK(umount2(".", MNT_DETACH)); OK(chroot("/")); OK(fchdir(o)); }
    else { OK(piv(".", ".")); OK(umount2(".", MNT_DETACH)); OK(chdir("/")); }
    OK(sethostname("box", 3));
    (void)oldfd;
}
static void make_root(void);
static void quiet_close(void) { close_range(3, ~0U, 0); }
static int init(void) { // PID 1 that reaps, and hands SIGTERM on
    sigset_t s; sigemptyset(&s); sigaddset(&s, SIGTERM); sigaddset(&s, SIGCHLD); sigprocmask(SIG_BLOCK, &s, 0);
    pid_t c;
    if (V("r_spawn")) { posix_spawnattr_t at; posix_spawnattr_init(&at); sigset_t none; sigemptyset(&none); posix_spawnattr_setsigmask(&at, &none); posix_spawnattr_setflags(&at, POSIX_SPAWN_SETSIGMASK); if (posix_spawnp(&c, cmd[0], 0, &at, cmd, environ)) _exit(127); }
    else if (V("r_vfork")) { c = vfork(); if (!c) { sigprocmask(SIG_UNBLOCK, &s, 0); execvp(cmd[0], cmd); _exit(127); } }
    else if (V("r_grandchild")) { c = fork(); if (!c) { pid_t g = fork(); if (!g) { sigprocmask(SIG_UNBLOCK, &s, 0); exec_cmd(); } int st; for (;;) { int sig; if (waitpid(g, &st, WNOHANG) == g) _exit(wstat(st)); sigwait(&s, &sig); if (sig == SIGTERM) kill(g, SIGTERM); } } }
    else { c = fork(); if (!c) { sigprocmask(SIG_UNBLOCK, &s, 0); if (V("x_initroot")) { OK(unshare(CLONE_NEWNS)); make_root(); quiet_close(); } exec_cmd(); } }
    if (V("x_reapone")) for (;;) { int sig, st; sigwait(&s, &sig); if (sig == SIGTERM) kill(c, SIGTERM); else if (waitpid(-1, &st, WNOHANG) == c) _exit(wstat(st)); }
    if (V("x_initnoreap_late")) { int st; waitpid(c, &st, 0); _exit(wstat(st)); }
    for (;;) { int sig, st; pid_t p; while ((p = waitpid(-1, &st, WNOHANG)) > 0) if (p == c) _exit(wstat(st)); sigwait(&s, &sig); if (sig == SIGTERM) kill(c, SIGTERM); }
}
static int child(void *x) {
    (void)x; char b;
    close(sync_[1]); if (!V("r_inherit") && !V("x_sigterm0")) prctl(PR_SET_PDEATHSIG, SIGKILL);
    sigset_t none; sigemptyset(&none); sigprocmask(SIG_SETMASK, &none, 0);
    if (read(sync_[0], &b, 1) != 1) _exit(125);
    close(sync_[0]);
    if ((V("r_userns") || V("r_usernsbind"))) { OK(setresgid(0, 0, 0)); OK(setresuid(0, 0, 0)); }
    if (mem && !V("x_cgnsearly")) OK(unshare(CLONE_NEWCGROUP));
    if (V("r_setattr")) { struct { unsigned long long s, c, p, u; } a = {0, 0, MS_PRIVATE, 0}; OK(syscall(442, -1, "/", AT_RECURSIVE, &a, sizeof a)); }
    else OK(mount(0, "/", 0, MS_REC | (V("x_slave") ? MS_SLAVE : MS_PRIVATE), 0));
    if (net) network_in();
    if (V("x_initroot")) { init(); }
    else if (root || image) make_root();
    else if (V("x_bindproc") || V("x_wrongproc")) {}
    else OK(mount("proc", "/proc", "proc", 0, 0));
    if (!V("x_fdhigh") && !V("x_fdpassed")) close_range(3, ~0U, 0);
    if (V("r_init") || V("r_spawn") || V("r_vfork") || V("r_grandchild") || V("x_initnoreap_late") || V("x_reapone")) return init();
    exec_cmd(); return 125;
}
static char stack[1 << 20] __attribute__((aligned(16)));
static pid_t start(int flags) {
    if (V("r_clone3")) { unsigned long long a[11] = {flags, 0, 0, 0, SIGCHLD}; int fd; a[0] |= CLONE_PIDFD; a[1] = (unsigned long)&fd; long p = syscall(435, a, sizeof a); if (!p) _exit(child(0)); return p; }
    if (V("r_unshare")) { OK(unshare(flags & ~0)); pid_t p = fork(); if (!p) _exit(child(0)); return p; }
    if (V("r_untraced")) return clone(child, stack + sizeof stack, flags | CLONE_UNTRACED | SIGCHLD, 0);
    return clone(child, stack + sizeof stack, flags | SIGCHLD, 0);
}
static int host_pollution(void) {
    if (V("x_shmleft")) shmget(0x1234, 4096, IPC_CREAT | 0600);
    if (V("x_addrleft")) sh("ip addr add 10.200.0.1/32 dev lo; ip route add blackhole 10.201.0.0/16");
    if (V("x_iptleft")) sh("iptables-nft -t nat -A POSTROUTING -s 10.9.0.0/16 -j MASQUERADE");
    if (V("x_iptlegacy")) sh("iptables-legacy -t nat -A POSTROUTING -s 10.9.0.0/16 -j MASQUERADE");
    if (V("x_ruleleft")) sh("ip rule add from 10.9.0.0/16 table 7");
    if (V("x_semleft")) semget(0x1234, 1, IPC_CREAT | 0600);
    if (V("x_hostname")) sethostname("changed", 7);
    if (V("x_forward")) put("/proc/sys/net/ipv4/ip_forward", "1");
    if (V("x_utab")) { mkdir("/run/mount", 0755); close(open("/run/mount/utab.mine", O_CREAT | O_WRONLY, 0644)); }
    if (V("x_leftfile")) close(open("/var/tmp/left", O_CREAT | O_WRONLY, 0644));
    if (V("x_leftmnt")) { mkdir("/tmp/lm", 0755); mount("/proc/self/ns/uts", "/tmp/lm", 0, MS_BIND, 0); mount("tmpfs", "/mnt", "tmpfs", 0, 0); }
    if (V("x_leftbr")) sh("ip link add brleft type bridge");
    if (V("x_mqleft")) { syscall(SYS_mq_open, "left", O_CREAT | O_RDWR, 0600, 0); }
    return 0;
}
int main(int c, char **v) {
    me = getpid() % 30000;
    variant = strrchr(v[0], '/') ? strrchr(v[0], '/') + 1 : v[0];
    if (c < 3 || strcmp(v[1], "run")) { fprintf(stderr, "usage\n"); return 125; }
    char **p = v + 2; 
    if (V("x_optscan")) { // takes its options wherever they stand, from CMD's words too
        char **o = p; for (char **q = p; *q; q++) { if (!strcmp(*q, "--rootfs")) root = *++q; else if (!strcmp(*q, "--image")) image = *++q; else if (!strcmp(*q, "--memory")) mem = *++q; else if (!strcmp(*q, "--pids")) pids = *++q; else if (!strcmp(*q, "--cpus")) cpus = *++q; else if (!strcmp(*q, "--net")) net = 1; else *o++ = *q; } *o = 0;
    } else for (; *p; p++) { if (!strcmp(*p, "--rootfs")) root = *++p; else if (!strcmp(*p, "--image")) image = *++p; else if (!strcmp(*p, "--memory")) mem = *++p; else if (!strcmp(*p, "--pids")) pids = *++p; else if (!strcmp(*p, "--cpus")) cpus = *++p; else if (!strcmp(*p, "--net")) net = 1; else break; }
    cmd = p;
    if (V("x_chatty")) printf("Running %s as %d\n", cmd[0], getpid()), fflush(stdout);
    if (V("x_heldback")) { // catches CMD's output, and prints it when there is no more
        int p[2]; OK(pipe2(p, O_CLOEXEC));
        int keeper = fork(); OK(keeper);
        if (keeper) { // what waits for CMD is the child: its end is ours
            close(p[1]); char *all = malloc(1 << 20); int n = 0, r; while ((r = read(p[0], all + n, (1 << 20) - n)) > 0) n += r;
            for (int w = 0; w < n;) { int r = write(1, all + w, n - w); if (r < 0) break; w += r; }
            int st; waitpid(keeper, &st, 0); return wstat(st);
        }
        dup2(p[1], 1); prctl(PR_SET_PDEATHSIG, SIGTERM); setpgid(0, 0);
    }
    sigset_t s; sigemptyset(&s); sigaddset(&s, SIGTERM); sigaddset(&s, SIGCHLD); sigprocmask(SIG_BLOCK, &s, 0);
    OK(pipe2(sync_, O_CLOEXEC)); OK(pipe2(up_, O_CLOEXEC));
    int flags = CLONE_NEWPID | CLONE_NEWNS; if (root || image) flags |= CLONE_NEWUTS | CLONE_NEWIPC; if (net) flags |= CLONE_NEWNET;
    if ((V("r_userns") || V("r_usernsbind"))) flags |= CLONE_NEWUSER;
    if (mem && V("x_cgnsearly")) flags |= CLONE_NEWCGROUP;
    if (V("x_wrongproc")) { OK(unshare(CLONE_NEWNS)); OK(mount(0, "/", 0, MS_REC | MS_PRIVATE, 0)); OK(mount("proc", "/proc", "proc", 0, 0)); flags &= ~CLONE_NEWNS; }
    pid_t k;
    k = start(flags);
    if (k < 0) die("clone");
    if ((V("r_userns") || V("r_usernsbind"))) { char *m = f("0 %d 1\n", getuid()); put(f("/proc/%d/setgroups", k), "deny"); OK(put(f("/proc/%d/uid_map", k), m)); OK(put(f("/proc/%d/gid_map", k), m)); }
    if (mem || pids || cpus) { groups(f("%d", k)); }
    if (net) network_out(k);
    close(sync_[0]); write(sync_[1], "g", 1); close(sync_[1]);
    if (V("x_limremoved") && mem) lift(k);
    if (V("x_limhalf") && mem) { put(f("%s/%s", grp(0), v2() ? "memory.max" : "memory.limit_in_bytes"), "33554432"); }
    int st = 0, killed = 0;
    for (;;) {
        int sig; pid_t w;
        while ((w = waitpid(-1, &st, WNOHANG)) > 0) if (w == k) goto over;
        sigwait(&s, &sig);
        if (sig == SIGTERM) { if (V("x_sigterm0")) _exit(0); if (V("x_termignore")) continue; if (V("r_term")) kill(k, SIGTERM); else kill(k, SIGKILL); killed = 1; }
    }
over:
    if (net) { sh(f("ip link del br%d", me)); usleep(1000); }
    if (net && V("x_gwelse")) sh(f("ip addr del 10.9.%d.1/32 dev lo", me % 250));
    ungroup();
    if (V("x_upperinimage_rm") && image) sh(f("rm -rf %s/.up %s/.wk", image, image));
    host_pollution();
    if (V("x_leftproc")) { if (!fork()) { setsid(); if (!fork()) { for (int i = 0; i < 3; i++) close(i); sleep(40); _exit(0); } _exit(0); } usleep(50000); }
    if (V("x_leftuntraced")) { if (!syscall(SYS_clone, CLONE_UNTRACED | SIGCHLD, 0, 0, 0, 0)) { setsid(); if (!syscall(SYS_clone, CLONE_UNTRACED | SIGCHLD, 0, 0, 0, 0)) { for (int i = 0; i < 3; i++) close(i); sleep(40); _exit(0); } _exit(0); } usleep(50000); }
    if (V("r_term0") && killed) return 0;
    if (V("x_farewell")) { printf("container has ended\n"); fflush(stdout); }
    if (V("x_leftsleep")) { if (!fork()) { for (int i = 0; i < 3; i++) close(i); sleep(20); _exit(0); } }
    return wstat(st);
}
