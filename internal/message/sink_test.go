package message

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// gate is a reader that takes a message only when it is let.
type gate struct {
	let chan error // what the next write returns
	mu  sync.Mutex
	got strings.Builder
}

func newGate() *gate { return &gate{let: make(chan error)} }

func (g *gate) Write(p []byte) (int, error) {
	err := <-g.let
	if err == nil {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.got.Write(p)
	}
	return len(p), err
}

// took are the messages taken so far, without the prefix.
func (g *gate) took() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return strings.ReplaceAll(g.got.String(), prefix, "")
}

// A healthy sink has written a message when the logger returns, and keeps the order of all.
func TestSinkHealthy(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	s := NewSink(&b)
	log := s.Logger(NewLogger, slog.LevelInfo)
	want := ""
	for i := range 2000 {
		log.Info("message", "i", i)
		want += fmt.Sprintf("%smessage (i=%d)\n", prefix, i)
		if i%500 == 0 && b.String() != want {
			t.Fatalf("after %d: got %q", i, b.String())
		}
	}
	if lost := s.Flush(); lost != 0 || b.String() != want {
		t.Errorf("lost %d", lost)
	}
}

// Many who log at once lose nothing, and no line is torn.
func TestSinkManyWriters(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	s := NewSink(&b)
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			for range 100 {
				io.WriteString(s, "line\n")
			}
		})
	}
	all.Wait()
	if lost := s.Flush(); lost != 0 || b.String() != strings.Repeat("line\n", 5000) {
		t.Errorf("lost %d of 5000; %d bytes", lost, b.Len())
	}
}

// shortDisk takes so many bytes, then none until there is room.
type shortDisk struct {
	room int
	got  strings.Builder
}

func (d *shortDisk) Write(p []byte) (int, error) {
	n := min(len(p), d.room)
	d.room -= n
	d.got.Write(p[:n])
	if n < len(p) {
		return n, io.ErrShortWrite
	}
	return n, nil
}

// A line that a full disk has cut short takes no other with it.
func TestSinkTornLine(t *testing.T) {
	t.Parallel()
	d := &shortDisk{room: 4 + 3}
	s := NewSink(d)
	for _, line := range []string{"one\n", "two-and-more\n", "three\n"} {
		io.WriteString(s, line)
	}
	d.room = 1 << 10
	io.WriteString(s, "four\n")
	s.Flush()
	if got, want := d.got.String(), "one\ntwo\nbrs-exec: warning: 2 messages lost\nfour\n"; got != want {
		t.Errorf("got %q; want %q", got, want)
	}
}

// A reader that stands still holds the loggers up once, for a moment. What has no room is counted,
// and the count is told where those messages would stand.
func TestSinkStalled(t *testing.T) {
	t.Parallel()
	for _, form := range []struct {
		Form
		lost string
	}{
		{NewLogger, "brs-exec: warning: 7 messages lost\n"},
		{NewFileLogger, "2000-01-01T00:00:00Z brs-exec: warning: 7 messages lost\n"}, // synctest's time
		{NewJSONLogger, `"level":"WARN","msg":"7 messages lost","wrapper":`},
	} {
		synctest.Test(t, func(t *testing.T) {
			g := newGate()
			s := NewSink(g)
			s.Logger(form.Form, slog.LevelError) // a loss is told at every level
			began := time.Now()
			big := strings.Repeat("x", sinkRoom/4-1) + "\n"
			for range 4 + 7 {
				io.WriteString(s, big)
			}
			if took := time.Since(began); took != sinkPatience {
				t.Errorf("held up for %v", took)
			}
			for range 4 + 1 { // the count comes by itself
				g.let <- nil
			}
			synctest.Wait()
			rest := strings.TrimPrefix(g.got.String(), strings.Repeat(big, 4))
			if !strings.Contains(rest, form.lost) || strings.Count(rest, "\n") != 1 {
				t.Errorf("got %q; want %q", rest, form.lost)
			}
			if lost := s.Flush(); lost != 0 {
				t.Errorf("%d lost, though told", lost)
			}
		})
	}
}

// A sink that can't be written (a full disk) tells what it lost when it can be again.
func TestSinkFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		s := NewSink(g)
		full := errors.New("full")
		write := func(text string, results ...error) {
			go func() {
				for _, r := range results {
					g.let <- r
				}
			}()
			io.WriteString(s, prefix+text)
			synctest.Wait()
		}
		write("a\n", nil)
		write("b\n", full)
		write("c\n", full, full) // the count of b, and c
		write("d\n", nil, nil)
		write("e\n", full)
		go func() { g.let <- full }()
		if lost := s.Flush(); lost != 1 {
			t.Errorf("Flush: %d lost; want 1", lost)
		}
		if got, want := g.took(), "a\nwarning: 2 messages lost\nd\n"; got != want {
			t.Errorf("got %q; want %q", got, want)
		}
	})
}

// The end waits for a slow reader, not for one that stands still.
func TestSinkFlush(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		each        time.Duration // between two that are taken; 0: none is
		lost        int
		took, bound time.Duration
	}{
		{0, 5, flushPatience, flushPatience},
		{100 * time.Millisecond, 0, 400 * time.Millisecond, 500 * time.Millisecond},
		{280 * time.Millisecond, 2, 800 * time.Millisecond, flushLimit},
	} {
		synctest.Test(t, func(t *testing.T) {
			g := newGate()
			s := NewSink(g)
			for range 5 {
				io.WriteString(s, "x\n")
			}
			stop := make(chan struct{})
			go func() {
				for tick := time.Tick(max(tt.each, time.Millisecond)); ; {
					select {
					case <-tick:
						if tt.each != 0 {
							select {
							case g.let <- nil:
							case <-stop:
							}
						}
					case <-stop:
						return
					}
				}
			}()
			began := time.Now()
			lost := s.Flush()
			if took := time.Since(began); lost != tt.lost || took < tt.took || took > tt.bound {
				t.Errorf("every %v: %d lost after %v", tt.each, lost, took)
			}
			close(stop)
			for range 5 { // so that the goroutine ends
				select {
				case g.let <- nil:
				case <-time.After(time.Second):
				}
			}
		})
	}
}
