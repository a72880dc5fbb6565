/* box run [OPTIONS] CMD [ARGS…]: runs CMD. Step by step it becomes a container runtime. */
#define _GNU_SOURCE /* clone, unshare, pivot_root's number: what is Linux's own */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* What the command line asks for. */
struct options {
    char **command;
};

/* Ends with the status of a runtime that failed itself, as Docker does. */
static void fail(const char *what)
{
    perror(what);
    exit(125);
}

static void parse(struct options *options, char **args)
{
    if (*args && strcmp(*args, "run") == 0)
        for (args++; *args; args++) {
            /* An option with a value: if (strcmp(*args, "--name") == 0 && args[1]) options->name = *++args; else */
            if (**args == '-')
                break;
            /* The first word that is no option is CMD, and all behind it is CMD's. */
            options->command = args;
            return;
        }
    fputs("usage: box run [OPTIONS] CMD [ARGS...]\n", stderr);
    exit(2);
}

/* Waits for the child, passes SIGTERM on, and returns the exit status to end with. */
static int wait_for(pid_t child, const sigset_t *signals)
{
    for (;;) {
        int signal, status;
        if (sigwait(signals, &signal) != 0)
            fail("sigwait");
        if (signal != SIGCHLD)
            kill(child, signal);
        else if (waitpid(child, &status, WNOHANG) == child)
            return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    }
}

int main(int argc, char **argv)
{
    struct options options = {0};
    sigset_t signals;

    (void)argc;
    parse(&options, argv + 1);
    /* Blocked signals wait until they are asked for, so none is lost between fork and wait. */
    sigemptyset(&signals);
    sigaddset(&signals, SIGCHLD);
    sigaddset(&signals, SIGTERM);
    sigprocmask(SIG_BLOCK, &signals, NULL);

    pid_t child = fork();
    if (child < 0)
        fail("fork");
    if (child == 0) {
        sigprocmask(SIG_UNBLOCK, &signals, NULL);
        execvp(options.command[0], options.command);
        int status = errno == ENOENT ? 127 : 126;
        perror(options.command[0]);
        _exit(status);
    }
    return wait_for(child, &signals);
}
