package harness

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"runtime/debug"
)

// Program is the path of the program that New gives to an Env. TestMain sets it.
var Program string

// Build builds the program into dir, with the race detector where the test has it, and returns the path of the binary.
// extraArgs are further arguments of `go build`.
func Build(dir, name string, extraArgs ...string) (path string, err error) {
	path = filepath.Join(dir, name)
	args := append([]string{"build", "-o", path}, extraArgs...)
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, setting := range info.Settings {
			if setting.Key == "-race" && setting.Value == "true" {
				args = append(args, "-race")
			}
		}
	}
	if output, err := exec.Command("go", append(args, "invited/cmd/invited")...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, output)
	}
	return path, nil
}
