//go:build !linux

package postgres

import (
	"os/exec"
	"syscall"
)

// signalAtOurDeath does nothing here: a server outlives this process where this process is killed by SIGKILL.
func signalAtOurDeath(*exec.Cmd, syscall.Signal) {}

// dropRoot does nothing here: PostgreSQL refuses to run as root, with its own message.
func dropRoot(*exec.Cmd, ...string) error { return nil }

// detach does nothing here: Ctrl-C in a terminal reaches the server too.
func detach(*exec.Cmd) {}
