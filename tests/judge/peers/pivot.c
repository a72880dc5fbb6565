// clone(2) with all flags at once, pivot_root(2) in the child, waitpid(2) in the parent.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

struct config {
    char *root;
    char **argv;
};

static char stack[1024 * 1024];
static pid_t child;

static void check(int result, const char *what) {
    if (result < 0) {
        fprintf(stderr, "pivot: %s: %s\n", what, strerror(errno));
        exit(125);
    }
}

static void forward(int signal) {
    (void)signal;
    kill(child, SIGKILL);
}

static void new_root(const char *root) {
    check(mount(root, root, NULL, MS_BIND | MS_REC, NULL), "bind");
    check(chdir(root), "chdir");
    check(mount("proc", "proc", "proc", 0, NULL), "proc");
    check(syscall(SYS_pivot_root, ".", "."), "pivot_root");
    check(umount2(".", MNT_DETACH), "umount");
    check(chdir("/"), "chdir /");
}

static int start(void *arg) {
    struct config *config = arg;
    check(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), "private");
    if (config->root)
        new_root(config->root);
    else
        check(mount("proc", "/proc", "proc", 0, NULL), "proc");
    execvp(config->argv[0], config->argv);
    fprintf(stderr, "pivot: %s: %s\n", config->argv[0], strerror(errno));
    return errno == ENOENT ? 127 : 126;
}

int main(int argc, char **argv) {
    struct config config = {0};
    int place = 2, status;
    if (argc > 4 && strcmp(argv[2], "--rootfs") == 0) {
        config.root = argv[3];
        place = 4;
    }
    config.argv = argv + place;
    child = clone(start, stack + sizeof stack, CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | SIGCHLD, &config);
    check(child, "clone");
    signal(SIGTERM, forward);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
