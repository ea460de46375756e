// Package gen is where code is generated from openapi.yaml: package server (types, strict interface, echo
// routes, the embedded contract) and package client (the Go SDK). Nothing in it but this file and the two
// configurations is written by hand; `make generate` makes it anew.
package gen

//go:generate go run github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen -config server.yaml ../openapi.yaml
//go:generate go run github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen -config client.yaml ../openapi.yaml
