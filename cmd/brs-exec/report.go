package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"
	"unicode"
)

// The rules of brs-exec's voice: every message is one line on stderr that
// begins "brs-exec: ", without capitals at the start and without a full stop;
// an error may be followed by one line "brs-exec: hint: " that says what to
// type. On success nothing is printed but warnings.

// hinted adds what to type to an error.
func hinted(err error, hint string) error { return hintError{err, hint} }

type hintError struct {
	error
	hint string
}

func (e hintError) Unwrap() error   { return e.error }
func (e hintError) Hints() []string { return []string{e.hint} }

// report prints the error on one line, and its first hint on another.
func report(w io.Writer, err error) {
	fmt.Fprintf(w, "brs-exec: %s\n%s", oneLine(err.Error()), hintLine(err))
}

func hintLine(err error) string {
	if hint := hintOf(err); hint != "" {
		return "brs-exec: hint: " + hint + "\n"
	}
	return ""
}

// hintOf is what to type, or "".
func hintOf(err error) string {
	var h interface{ Hints() []string }
	if errors.As(err, &h) && len(h.Hints()) > 0 {
		return oneLine(h.Hints()[0])
	}
	return ""
}

// oneLine keeps text from others (STS, a process, a file name) from breaking the
// line, flooding it or driving the terminal.
func oneLine(s string) string {
	const most = 2000
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r == '\n' || r == '\r' }), " ")
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) || r == ' ' {
			return r
		}
		return '�'
	}, s)
}

// newLogger makes the logger of --log-level, --log-format and --log-file.
// The file is appended to, and made for its owner alone.
func newLogger(c *cli, stderr io.Writer) (*slog.Logger, io.Closer, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.LogLevel)); err != nil {
		return nil, nil, err
	}
	w, closer := stderr, io.Closer(io.NopCloser(nil))
	if c.LogFile != "" {
		f, err := os.OpenFile(c.LogFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			return nil, nil, hinted(fmt.Errorf("--log-file: %w", err), "name a file in a directory that is there and can be written to")
		}
		w, closer = f, f
	}
	if c.LogFormat == "json" {
		log := slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: forMachines}))
		return log.With("wrapper", os.Getpid()), closer, nil // several may share a file
	}
	return slog.New(&lineHandler{w: w, level: level, mu: new(sync.Mutex)}), closer, nil
}

// forMachines puts the hint of an error beside it, and has durations as seconds,
// as AWS has them.
func forMachines(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		a.Value = slog.Float64Value(a.Value.Duration().Seconds())
		return a
	}
	err, _ := a.Value.Any().(error)
	if hint := hintOf(err); hint != "" {
		return slog.Attr{Value: slog.GroupValue(slog.String(a.Key, err.Error()), slog.String("hint", hint))} // without a key: inlined
	}
	return a
}

// lineHandler writes a record as "brs-exec: warning: message (key=value, …)". The hint of an error in it, which a warning
// may have as well as an end, is another line.
type lineHandler struct {
	w      io.Writer
	level  slog.Level
	mu     *sync.Mutex // one line at a time
	attrs  []slog.Attr
	prefix string
}

func (h *lineHandler) Enabled(_ context.Context, l slog.Level) bool { return l >= h.level }

func (h *lineHandler) Handle(_ context.Context, r slog.Record) error {
	var b strings.Builder
	b.WriteString("brs-exec: ")
	switch {
	case r.Level >= slog.LevelError:
		b.WriteString("error: ")
	case r.Level >= slog.LevelWarn:
		b.WriteString("warning: ")
	}
	b.WriteString(oneLine(r.Message))
	sep, hint := " (", ""
	add := func(a slog.Attr) bool {
		if a.Key == "event" { // for machines; the message says it
			return true
		}
		if err, ok := a.Value.Any().(error); ok {
			hint = hintLine(err)
		}
		if !a.Equal(slog.Attr{}) {
			b.WriteString(sep + a.Key + "=" + oneLine(text(a.Value.Resolve())))
			sep = ", "
		}
		return true
	}
	for _, a := range h.attrs {
		add(a)
	}
	r.Attrs(func(a slog.Attr) bool { a.Key = h.prefix + a.Key; return add(a) })
	if sep == ", " {
		b.WriteByte(')')
	}
	b.WriteString("\n" + hint)
	h.mu.Lock()
	defer h.mu.Unlock()
	_, err := io.WriteString(h.w, b.String())
	return err
}

func (h *lineHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	c := *h
	c.attrs = append(c.attrs[:len(c.attrs):len(c.attrs)], attrs...)
	return &c
}

func (h *lineHandler) WithGroup(name string) slog.Handler {
	c := *h
	c.prefix += name + "."
	return &c
}

// text renders a value for a person: times in UTC to the second, durations
// without the digits nobody reads.
func text(v slog.Value) string {
	switch v.Kind() {
	case slog.KindTime:
		return v.Time().UTC().Format(time.RFC3339)
	case slog.KindDuration:
		d := v.Duration()
		if d > time.Second || d < -time.Second {
			d = d.Round(100 * time.Millisecond)
		}
		return d.String()
	}
	return v.String()
}
