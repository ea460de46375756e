//go:build !linux

package postgres

import (
	"os/exec"
	"syscall"
)

// Elsewhere a server outlives this process if that is killed outright.
func endWithUs(*exec.Cmd, syscall.Signal) {}

// Root is left to be refused by PostgreSQL, in its own words.
func unprivileged(*exec.Cmd, ...string) error { return nil }

func apart(*exec.Cmd) {}
