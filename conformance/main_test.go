// Package conformance runs real SDK clients under the real brs-exec and writes
// what came of it to docs/evidence/CONFORMANCE.md.
//
//	go test ./conformance                                       # two that need no long build, and curl: half a minute
//	CONFORMANCE=full go test ./conformance -timeout 40m         # all of them; -update writes the document
//	CONFORMANCE=long go test ./conformance -run TestLong -timeout 45m   # half an hour; -update writes its table
//
// On Linux the full matrix runs in a network namespace that has nothing but loopback:
// nothing in it needs, or reaches, another address. Only the builds are outside, beside
// it: a client runs as soon as it is built.
//
// Each folder of clients/ is a program of a few lines with a lock file, copied and
// built in a cache outside the repository ($BRS_CONFORMANCE_CACHE, else
// brs-exec-conformance in the user's cache directory) the first time it is needed.
// Nothing about credentials is configured in any of them.
//
// Who called is never the client's word: the sandbox (an STS that checks signatures
// and expiry) and an S3 of this package (s3_test.go) say it.
package conformance

import (
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"brs-exec/need"
)

var (
	update = flag.Bool("update", false, "write docs/evidence/CONFORMANCE.md (with CONFORMANCE=full)")
	full   = os.Getenv("CONFORMANCE") == "full"
	long   = os.Getenv("CONFORMANCE") == "long" // TestLong

	brsExec string // the binary under test
	onlyLo  bool   // there is no other address here
	python  string // an interpreter, "" without
)

// inside marks the process that runs in a network namespace; it is the path of brs-exec.
const inside = "CONFORMANCE_INSIDE_LO"

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	flag.Parse()
	if *update && !full && !long {
		return fail("-update needs CONFORMANCE=full or long: the document tells of all clients")
	}
	if run := flag.Lookup("test.run").Value.String(); *update && full && run != "" {
		return fail("-update with CONFORMANCE=full takes no -run: the document tells of all clients")
	}
	if out, err := exec.Command("python3", "-c", "import sys, pip; print(sys.executable)").Output(); err == nil {
		python = strings.TrimSpace(string(out)) // a version manager's shim would ask for a HOME
	}
	if brsExec = os.Getenv(inside); brsExec == "" {
		dir, err := os.MkdirTemp("", "brs-exec-conformance-")
		if err != nil {
			return fail(err)
		}
		defer os.RemoveAll(dir)
		brsExec = filepath.Join(dir, "brs-exec")
		if out, err := exec.Command("go", "build", "-o", brsExec, "brs-exec/cmd/brs-exec").CombinedOutput(); err != nil {
			return fail(fmt.Sprintf("go build: %v\n%s", err, out))
		}
	}
	if full || long {
		if done, status := onlyLoopback(); done {
			return status
		}
	}
	if err := flag.Set("test.parallel", "64"); err != nil { // waits and works say how many
		return fail(err)
	}
	go watchLag()
	status := need.Run(m)
	if *update && status == 0 {
		if err := writeDocument(); err != nil {
			return fail(err)
		}
	}
	return status
}

func fail(why any) int {
	fmt.Fprintln(os.Stderr, "conformance:", why)
	return 1
}

// dependOn makes go test's cache know that these files matter: what a test stats
// is part of the key, what a go build that TestMain runs reads is not.
func dependOn(t *testing.T, dirs ...string) {
	t.Helper()
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() {
				_, err = os.Stat(path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
