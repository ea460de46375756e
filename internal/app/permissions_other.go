//go:build !unix

package app

import "invited/internal/config"

// Modes say nothing about who can write a file on Windows: access lists do, and the operator keeps those.

func keepOthersOut() {}

func checkDatabaseFile(config.Config) error { return nil }

func checkSecretFile(config.Config) error { return nil }

func checkMailDir(config.Config) error { return nil }
