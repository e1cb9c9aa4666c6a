package message

import (
	"context"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"brs-exec/internal/hint"
)

// NewLogger writes lines for people to w, each with the hint of an error in it below.
func NewLogger(w io.Writer, level slog.Level) *slog.Logger {
	return prefixLogger(w, level, func() string { return prefix })
}

// NewFileLogger writes the same lines, each after the time in UTC: a file is read later.
func NewFileLogger(w io.Writer, level slog.Level) *slog.Logger {
	return prefixLogger(w, level, func() string { return time.Now().UTC().Format(time.RFC3339) + " " + prefix })
}

func prefixLogger(w io.Writer, level slog.Level, before func() string) *slog.Logger {
	return lineLogger(level, new(sync.Mutex), func(lines []string) error {
		start := before()
		_, err := io.WriteString(w, start+strings.Join(lines, "\n"+start)+"\n")
		return err
	})
}

// NewRecorder makes a logger whose lines the function returns, without their prefix.
func NewRecorder(level slog.Level) (log *slog.Logger, lines func() []string) {
	recorded := []string{}
	mu := new(sync.Mutex)
	log = lineLogger(level, mu, func(lines []string) error {
		recorded = append(recorded, lines...)
		return nil
	})
	return log, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(recorded)
	}
}

func lineLogger(level slog.Level, mu *sync.Mutex, write func([]string) error) *slog.Logger {
	return slog.New(&lineHandler{write: write, level: level, mu: mu})
}

// NewJSONLogger writes JSON for machines to w. Each record names this process, since several may
// share a file.
func NewJSONLogger(w io.Writer, level slog.Level) *slog.Logger {
	handler := slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: forMachines})
	return slog.New(handler).With("wrapper", os.Getpid())
}

// forMachines puts the hint of an error beside it, and has durations in seconds, as AWS has them.
func forMachines(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		a.Value = slog.Float64Value(a.Value.Duration().Seconds())
		return a
	}
	err, _ := a.Value.Any().(error)
	told := OneLine(hint.Of(err))
	if told == "" {
		return a
	}
	// A group without a key is inlined.
	return slog.Attr{Value: slog.GroupValue(slog.String(a.Key, err.Error()), slog.String("hint", told))}
}

// lineHandler makes of a record "warning: message (key=value, …)" and perhaps "hint: …".
type lineHandler struct {
	write func(lines []string) error
	level slog.Level
	mu    *sync.Mutex // guards what write writes to
	attrs []slog.Attr
}

func (h *lineHandler) Enabled(_ context.Context, l slog.Level) bool { return l >= h.level }

func (h *lineHandler) Handle(_ context.Context, r slog.Record) error {
	var b strings.Builder
	switch {
	case r.Level >= slog.LevelError:
		b.WriteString("error: ")
	case r.Level >= slog.LevelWarn:
		b.WriteString("warning: ")
	}
	b.WriteString(OneLine(r.Message))
	sep, told := " (", ""
	add := func(a slog.Attr) bool {
		if a.Key == "event" || a.Equal(slog.Attr{}) { // an event's name is for machines; the message says it
			return true
		}
		if a.Key == "hint" { // of a warning that is no error's
			told = a.Value.String()
			return true
		}
		if err, ok := a.Value.Any().(error); ok {
			told = hint.Of(err)
		}
		b.WriteString(sep + a.Key + "=" + OneLine(text(a.Value.Resolve())))
		sep = ", "
		return true
	}
	for _, a := range h.attrs {
		add(a)
	}
	r.Attrs(add)
	if sep == ", " {
		b.WriteByte(')')
	}
	lines := []string{b.String()}
	if told != "" {
		lines = append(lines, hintPrefix+OneLine(told))
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.write(lines)
}

func (h *lineHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	c := *h
	c.attrs = append(c.attrs[:len(c.attrs):len(c.attrs)], attrs...)
	return &c
}

// WithGroup is there for slog.Handler: nothing of ours is logged in groups.
func (h *lineHandler) WithGroup(string) slog.Handler { return h }

// text renders a value for a person: times in UTC to the second, durations without the digits
// nobody reads.
func text(v slog.Value) string {
	switch v.Kind() {
	case slog.KindTime:
		return v.Time().UTC().Format(time.RFC3339)
	case slog.KindDuration:
		d := v.Duration()
		if d.Abs() > time.Second {
			d = d.Round(100 * time.Millisecond)
		}
		return d.String()
	}
	return v.String()
}
