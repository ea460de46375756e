package systemtest

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"invited/internal/systemtest/harness"
)

// faultTableVariable names the file to which the table of faults is written. Without the variable no table is written.
const faultTableVariable = "INVITED_TEST_FAULT_TABLE"

// buildDir is the folder of the built program.
var buildDir string

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	if point := os.Getenv(killVariable); point != "" {
		return runWithKiller(point)
	}
	flag.Parse()
	err := prepare()
	defer func() { _ = os.RemoveAll(buildDir) }()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := m.Run()
	if path := os.Getenv(faultTableVariable); path != "" {
		if err := faults.writeFile(path); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return code
}

// prepare builds the program, once for all tests: what is tested is what is deployed.
func prepare() (err error) {
	// Most of these tests wait for processes and timeouts rather than for a processor.
	if err := flag.Set("test.parallel", "24"); err != nil {
		return err
	}
	if buildDir, err = os.MkdirTemp("", "invited-binary-"); err != nil {
		return err
	}
	harness.Program, err = harness.Build(buildDir, "invited")
	return err
}
