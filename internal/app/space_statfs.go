//go:build linux || darwin

package app

import "syscall"

// freeSpace returns the bytes that are free for this process on the disk of a folder; false where they can't be known.
func freeSpace(folder string) (free uint64, ok bool) {
	var found syscall.Statfs_t
	if err := syscall.Statfs(folder, &found); err != nil {
		return 0, false
	}
	return found.Bavail * uint64(found.Bsize), true //nolint:gosec // the size of a block is not negative
}
