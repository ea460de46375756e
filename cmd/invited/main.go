// Command invited is the invitation server and the tools to run it. See `invited --help`.
package main

import (
	"os"

	"invited/internal/app"
)

func main() { os.Exit(app.Main(os.Args, os.Environ())) }
