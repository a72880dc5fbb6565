// box run [OPTIONS] CMD [ARGS…]: runs CMD. Step by step it becomes a container runtime.
package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
)

// options is what the command line asks for.
type options struct {
	command []string
}

func main() {
	opts, ok := parse(os.Args[1:])
	if !ok {
		fmt.Fprintln(os.Stderr, "usage: box run [OPTIONS] CMD [ARGS...]")
		os.Exit(2)
	}
	os.Exit(run(opts))
}

func parse(args []string) (opts options, ok bool) {
	if len(args) == 0 || args[0] != "run" {
		return opts, false
	}
	for args = args[1:]; len(args) > 0 && strings.HasPrefix(args[0], "-"); {
		switch args[0] {
		// An option with a value:
		// case "--name": opts.name, args = args[1], args[2:] (if there are two)
		default:
			return opts, false
		}
	}
	// The first word that is no option is CMD, and all behind it is CMD's.
	opts.command = args
	return opts, len(args) > 0
}

// run runs CMD and returns the exit status to end with.
func run(opts options) int {
	cmd := exec.Command(opts.command[0], opts.command[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	// Go's runtime has several threads, so there is no fork of its own: what the new process needs is asked for
	// in SysProcAttr, or done by running this program again (/proc/self/exe) with a word of its own.
	cmd.SysProcAttr = &syscall.SysProcAttr{}

	// Before the start, so that none is lost.
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGTERM)
	if err := cmd.Start(); err != nil {
		fmt.Fprintln(os.Stderr, "box:", err)
		if errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist) {
			return 127
		}
		return 126
	}
	go func() {
		for received := range signals {
			_ = cmd.Process.Signal(received)
		}
	}()
	_ = cmd.Wait()
	status := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if status.Signaled() {
		return 128 + int(status.Signal())
	}
	return status.ExitStatus()
}
