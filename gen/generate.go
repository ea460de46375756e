// Package gen generates code from openapi.yaml: package server (types, strict interface, echo routes, the embedded
// contract) and package client (the Go SDK). `make generate` runs the generator. Only this file, the two configurations
// and the client's overlay are written by hand.
package gen

//go:generate go run github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen -config server.yaml ../openapi.yaml
//go:generate go run github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen -config client.yaml ../openapi.yaml
