package harness

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"time"
)

// Program is the path of the program that New gives to an Env. TestMain sets it.
var Program string

// buildLimit is for a machine with an empty build cache.
const buildLimit = 10 * time.Minute

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
	ctx, cancel := context.WithTimeout(context.Background(), buildLimit)
	defer cancel()
	if output, err := exec.CommandContext(ctx, "go", append(args, "invited/cmd/invited")...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, output)
	}
	return path, nil
}
