//go:build tools

// Package tools pins the versions of the programs that generate code, so that
// every checkout generates the same bytes.
package tools

import (
	_ "github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen"
)
