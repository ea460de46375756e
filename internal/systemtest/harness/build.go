package harness

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"time"
)

// Program is the path of the program that New gives to an Env. TestMain sets it.
var Program string

// buildLimit is for a machine with an empty build cache.
const buildLimit = 10 * time.Minute

// Build builds the program into dir as `make build` does, with the race detector where the test has it, and returns the path
// of the binary.
// extraArgs are further arguments of `go build`.
func Build(dir, name string, extraArgs ...string) (path string, err error) {
	path = filepath.Join(dir, name)
	args, environ := append([]string{"build", "-o", path}, extraArgs...), append(os.Environ(), "CGO_ENABLED=0")
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, setting := range info.Settings {
			if setting.Key == "-race" && setting.Value == "true" {
				args, environ = append(args, "-race"), os.Environ() // the race detector needs cgo
			}
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), buildLimit)
	defer cancel()
	command := exec.CommandContext(ctx, "go", append(args, "invited/cmd/invited")...)
	command.Env = environ
	if output, err := command.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, output)
	}
	return path, nil
}
