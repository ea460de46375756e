package postgres

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// tick is the kernel's unit of CPU time, on every architecture that Go runs on.
const tick = 10 * time.Millisecond

// Fields of /proc/PID/stat after the name of the command.
const (
	fieldParent = 1
	fieldUser   = 11 // followed by system, and those of the children that have ended
)

func statOf(pid int) []string {
	content, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return nil
	}
	text := string(content)
	return strings.Fields(text[strings.LastIndexByte(text, ')')+1:]) // the name may have spaces and parentheses
}

// CPU returns the CPU time of all the server's processes so far; 0 where the machine has no /proc.
func (s *Server) CPU() time.Duration { return CPU(s.cmd.Process.Pid) }

func ticks(fields []string, of int) time.Duration {
	total := 0
	for i := range of {
		if fieldUser+i < len(fields) {
			n, _ := strconv.Atoi(fields[fieldUser+i])
			total += n
		}
	}
	return time.Duration(total) * tick
}

// CPU returns the CPU time of a process and its children; 0 where the machine has no /proc.
func CPU(pid int) time.Duration {
	if pid == 0 {
		return 0
	}
	total := ticks(statOf(pid), 4)
	all, _ := filepath.Glob("/proc/[0-9]*")
	for _, each := range all {
		child, _ := strconv.Atoi(filepath.Base(each))
		if fields := statOf(child); len(fields) > fieldParent && fields[fieldParent] == strconv.Itoa(pid) {
			total += ticks(fields, 2)
		}
	}
	return total
}

// ParentOf returns the process id of a process's parent; 0 where the machine has no /proc.
func ParentOf(pid int) int {
	fields := statOf(pid)
	if len(fields) <= fieldParent {
		return 0
	}
	parent, _ := strconv.Atoi(fields[fieldParent])
	return parent
}
