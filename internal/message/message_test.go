package message

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"brs-exec/internal/hint"
)

// A message is one line, whoever wrote the text, and can't drive the terminal.
func TestReport(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	Report(&b, hint.Errorf("try\nthis", "assume role: AccessDenied: a\nb\r\n\x1b[2Jc\u202e"))
	if got, want := b.String(), "brs-exec: assume role: AccessDenied: a b �[2Jc�\nbrs-exec: hint: try this\n"; got != want {
		t.Errorf("got %q; want %q", got, want)
	}
}

func TestLogger(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	log := NewLogger(&b, slog.LevelInfo)
	log.Debug("unheard")
	log.With("a", 1).Info("rotated", "expires", time.Unix(0, 0), "life", 3599_876*time.Millisecond, "short", 12*time.Millisecond)
	log.Warn("two\nlines", "error", errors.New("x\ny"))
	log.Error("gone", slog.Group("g", "k", "v"))
	log.Warn("over", "error", fmt.Errorf("z: %w", hint.Errorf("log in\nanew", "y")), "retry_in", time.Second)
	want := "brs-exec: rotated (a=1, expires=1970-01-01T00:00:00Z, life=59m59.9s, short=12ms)\n" +
		"brs-exec: warning: two lines (error=x y)\n" +
		"brs-exec: error: gone (g=[k=v])\n" +
		"brs-exec: warning: over (error=z: y, retry_in=1s)\nbrs-exec: hint: log in anew\n"
	if b.String() != want {
		t.Errorf("got\n%s; want\n%s", b.String(), want)
	}
}

func TestHintsInJSON(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	log := NewJSONLogger(&b, slog.LevelInfo)
	log.Warn("over", "error", hint.Errorf("log in anew", "y"))
	log.Warn("over", "error", errors.New("y"))
	with, without, _ := strings.Cut(b.String(), "\n")
	begins := fmt.Sprintf(`"msg":"over","wrapper":%d,"error":"y"`, os.Getpid())
	if !strings.HasSuffix(with, begins+`,"hint":"log in anew"}`) || !strings.HasSuffix(without, begins+"}\n") {
		t.Errorf("got\n%s", b.String())
	}
}
