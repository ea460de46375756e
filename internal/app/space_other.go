//go:build !linux && !darwin

package app

// freeSpace returns false: how much is free can't be known.
func freeSpace(string) (free uint64, ok bool) { return 0, false }
