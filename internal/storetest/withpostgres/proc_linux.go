package main

import (
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// signalAtOurDeath makes the kernel send a signal to cmd when this process dies, also by SIGKILL.
func signalAtOurDeath(cmd *exec.Cmd, s syscall.Signal) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: s}
}

// terminateAtParentsDeath makes the kernel send this process SIGTERM when the
// parent dies: "go run" does not pass on the SIGTERM that kills it.
func terminateAtParentsDeath() {
	_ = unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(syscall.SIGTERM), 0, 0, 0) // without it only the cleanup is lost
}
