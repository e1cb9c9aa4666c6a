package runner

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// TestMain makes the test binary, under another name, what the tests run.
func TestMain(m *testing.M) {
	switch filepath.Base(os.Args[0]) {
	case "w":
		wrapperMain()
	}
	os.Exit(m.Run())
}

// wrapperMain is brs-exec without AWS: w command [args…]
func wrapperMain() {
	Harden()
	sigs := Catch()
	argv := os.Args[1:]
	path, s, err := Find(argv, os.Environ())
	if err == nil {
		s, err = Run(sigs, Command{Path: path, Args: argv, Env: os.Environ()})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "w:", err)
	}
	s.Exit()
}
