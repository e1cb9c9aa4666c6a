//go:build unix

package pty

import (
	"io"
	"os"
	"testing"
	"time"
)

// TestT04Starved: a relay that gets no processor until its time is over copies what is there.
func TestT04Starved(t *testing.T) {
	r, tty, err := New()
	if err != nil {
		t.Fatal(err)
	}
	defer r.master.Close()
	defer tty.Close()
	if _, err := tty.WriteString("last\n"); err != nil {
		t.Fatal(err)
	}
	out, stdout, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	r.until = time.Now().Add(-time.Second)
	r.awaitMore()
	r.output(int(stdout.Fd()))
	stdout.Close()
	if got, _ := io.ReadAll(out); string(got) != "last\r\n" {
		t.Errorf("got %q", got)
	}
}
