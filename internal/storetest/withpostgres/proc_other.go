//go:build !linux

package main

import (
	"os/exec"
	"syscall"
)

// signalAtOurDeath does nothing here: the command outlives this process where this process is killed by SIGKILL.
func signalAtOurDeath(*exec.Cmd, syscall.Signal) {}

// terminateAtParentsDeath does nothing here.
func terminateAtParentsDeath() {}
