package postgres

import (
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"syscall"
)

// signalAtOurDeath makes the kernel send a signal to cmd when this process dies, also by SIGKILL.
func signalAtOurDeath(cmd *exec.Cmd, s syscall.Signal) { attributes(cmd).Pdeathsig = s }

// dropRoot makes cmd run as another user where this process is root's, because PostgreSQL refuses to run as root. The other
// user becomes the owner of paths.
func dropRoot(cmd *exec.Cmd, paths ...string) error {
	if os.Getuid() != 0 {
		return nil
	}
	account, err := user.Lookup("postgres")
	if err != nil {
		if account, err = user.Lookup("nobody"); err != nil {
			return err
		}
	}
	uid, err := strconv.ParseUint(account.Uid, 10, 32)
	if err != nil {
		return err
	}
	gid, err := strconv.ParseUint(account.Gid, 10, 32)
	if err != nil {
		return err
	}
	attributes(cmd).Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	for _, path := range paths {
		if err := os.Chown(path, int(uid), int(gid)); err != nil {
			return err
		}
	}
	return nil
}

// detach keeps a terminal's Ctrl-C from cmd: the server must outlive the tests.
func detach(cmd *exec.Cmd) { attributes(cmd).Setpgid = true }

func attributes(cmd *exec.Cmd) *syscall.SysProcAttr {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	return cmd.SysProcAttr
}
