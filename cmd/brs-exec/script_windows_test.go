package main

import (
	"io"
	"os"
	"path/filepath"

	"github.com/rogpeppe/go-internal/testscript"
)

// scripts are those that need no shell.
var scripts = testscript.Params{Files: func() (paths []string) {
	names := []string{
		"assume_role_parameters", "bug", "chain", "demo", "denied", "empty_values", "role", "source_github", "source_iot", "source_role",
		"source_stored_delivered", "source_web_identity_profile", "whoami",
	}
	if os.Getenv("LONG") != "" { // cmd.exe or more refreshes: for a machine that is not busy
		names = append(names, "source_ci_buildkite", "source_process_command", "source_role_parameters")
	}
	for _, name := range names {
		paths = append(paths, filepath.Join("..", "..", "testdata", "scripts", name+".txtar"))
	}
	return paths
}()}

var systemCmds map[string]func(*testscript.TestScript, bool, []string)

// systemCommands are Unix's, as far as these scripts use them.
var systemCommands = map[string]func(){
	"true":  func() {},
	"false": func() { os.Exit(1) },
	"touch": func() {
		for _, name := range os.Args[1:] {
			if err := os.WriteFile(name, nil, 0o600); err != nil {
				fail(err)
			}
		}
	},
	"cat": func() {
		for _, name := range os.Args[1:] {
			text, err := os.ReadFile(name)
			if err != nil {
				fail(err)
			}
			os.Stdout.Write(text)
		}
		if len(os.Args) == 1 {
			io.Copy(os.Stdout, os.Stdin)
		}
	},
}

func signalOf(*os.ProcessState) string { return "" }
