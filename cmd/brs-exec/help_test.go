//go:build unix

package main

import (
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/creack/pty"
)

// -h fits on a screen, and no line is longer than it may be.
func TestHelpFits(t *testing.T) {
	t.Parallel()
	for _, width := range []int{70, 80, 100} {
		for _, short := range []bool{true, false} {
			c := newCLI()
			c.helpShort = short
			page := c.helpPage(width)
			if n := strings.Count(page, "\n"); short && width >= 80 && n >= 40 {
				t.Errorf("-h has %d lines; want fewer than 40", n)
			}
			for line := range strings.Lines(strings.TrimPrefix(page, usage)) {
				if utf8.RuneCountInString(line) > width+1 {
					t.Errorf("longer than %d: %s", width, line)
				}
			}
		}
	}
	if len(common) != 21 {
		t.Errorf("-h shows %d flags; want 21", len(common))
	}
}

// The page is as wide as the terminal, up to 100.
func TestHelpWidth(t *testing.T) {
	t.Parallel()
	ptmx, tty, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer ptmx.Close()
	defer tty.Close()
	for columns, want := range map[uint16]int{0: 80, 20: 70, 90: 90, 200: 100} {
		if err := pty.Setsize(ptmx, &pty.Winsize{Rows: 24, Cols: columns}); err != nil {
			t.Fatal(err)
		}
		if got := widthOf(tty); got != want {
			t.Errorf("%d columns: got %d; want %d", columns, got, want)
		}
	}
	if got := widthOf(io.Discard); got != 80 {
		t.Errorf("no terminal: got %d; want 80", got)
	}
}
