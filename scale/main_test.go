// Package scale runs the engines that people have (Slurm, Spark, Dask …) with brs-exec around and inside their parts, as
// docs/SCALE.md says: the lines of that page are what these tests type.
package scale

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"brs-exec/need"
)

var brsExec, whois string // the binary under test, and a client of STS

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	flag.Parse()
	dir, err := os.MkdirTemp("", "brs-exec-scale-")
	if err != nil {
		return fail(err)
	}
	defer os.RemoveAll(dir)
	brsExec, whois = filepath.Join(dir, "brs-exec"), filepath.Join(dir, "whois")
	build := exec.Command("go", "build", "-o", dir, "brs-exec/cmd/brs-exec", "brs-exec/e2e/whois")
	build.Env = append(os.Environ(), "GOFLAGS=-buildvcs=false") // as users build it, without -race
	if out, err := build.CombinedOutput(); err != nil {
		return fail(fmt.Sprintf("go build: %v\n%s", err, out))
	}
	return need.Run(m)
}

func fail(why any) int {
	fmt.Fprintln(os.Stderr, "scale:", why)
	return 1
}
