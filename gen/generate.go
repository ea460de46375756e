// Package gen is where code is generated from openapi.yaml: package server (types, strict interface, echo
// routes, the embedded contract) and package client (the Go SDK), which `make generate` makes anew. What is written by
// hand is this file and the two configurations, the client's README and test, and sdk/: how the Python and TypeScript
// SDKs are made, and what tries all three against a server.
package gen

//go:generate go run github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen -config server.yaml ../openapi.yaml
//go:generate go run github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen -config client.yaml ../openapi.yaml
