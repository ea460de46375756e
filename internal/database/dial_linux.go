package database

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// limitSilence makes the kernel give a connection up where what was sent is not acknowledged within deadPeerTimeout.
func limitSilence(network, _ string, conn syscall.RawConn) (err error) {
	if network == "unix" {
		return nil
	}
	failed := conn.Control(func(descriptor uintptr) {
		err = unix.SetsockoptInt(int(descriptor), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(deadPeerTimeout.Milliseconds()))
	})
	if failed != nil {
		return failed
	}
	return err
}
