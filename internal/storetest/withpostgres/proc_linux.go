package main

import (
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// endWithUs has the kernel signal cmd when this process dies, however it dies.
func endWithUs(cmd *exec.Cmd, s syscall.Signal) { cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: s} }

// endWithParent has the kernel send SIGTERM when the parent dies: "go run" does
// not pass on the SIGTERM that kills it.
func endWithParent() {
	_ = unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(syscall.SIGTERM), 0, 0, 0) // a convenience only
}
