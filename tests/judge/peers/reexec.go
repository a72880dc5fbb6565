// "Containers from scratch": the program starts itself again in new namespaces, and that becomes the command by way of
// chroot(2).
package main

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "reexec:", err)
		os.Exit(125)
	}
}

func main() {
	switch os.Args[1] {
	case "run":
		run(os.Args[2:])
	case "child":
		child(os.Args[2:])
	}
}

func run(args []string) {
	cmd := exec.Command("/proc/self/exe", append([]string{"child"}, args...)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:   syscall.CLONE_NEWUTS | syscall.CLONE_NEWPID | syscall.CLONE_NEWNS,
		Unshareflags: syscall.CLONE_NEWNS,
	}
	if err := cmd.Run(); err != nil {
		if exit, ok := err.(*exec.ExitError); ok {
			os.Exit(exit.ExitCode())
		}
		must(err)
	}
}

func child(args []string) {
	must(syscall.Sethostname([]byte("container")))
	if args[0] == "--rootfs" {
		must(syscall.Chroot(args[1]))
		must(os.Chdir("/"))
		args = args[2:]
	}
	must(syscall.Mount("proc", "proc", "proc", 0, ""))
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	err := cmd.Run()
	must(syscall.Unmount("proc", 0))
	if exit, ok := err.(*exec.ExitError); ok {
		os.Exit(exit.ExitCode())
	}
	must(err)
}
