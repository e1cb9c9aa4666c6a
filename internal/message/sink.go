package message

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"
)

const (
	// sinkRoom is how many bytes wait for a reader that stands still.
	sinkRoom = 1 << 20
	// sinkPatience is how long a message waits to be written, so that what the command prints next
	// comes after it. A GET is promised an answer within 600 ms, of which it waits 400 for STS.
	sinkPatience = 100 * time.Millisecond
	// flushPatience is how long Flush waits for a reader that takes nothing, flushLimit for one
	// that takes little.
	flushPatience = 300 * time.Millisecond
	flushLimit    = 900 * time.Millisecond
)

// Sink is a writer that holds nobody up. Messages are written in their order, each with one write;
// while nobody takes them they are queued, and beyond a megabyte they are dropped and counted. The
// count is told as a message of its own, where the dropped ones would stand.
//
// What it writes to may block for ever: a goroutine writes there, which the end of the process
// abandons.
type Sink struct {
	w io.Writer

	mu     sync.Mutex
	form   Form
	queue  []queued
	size   int  // bytes in the queue
	lost   int  // messages, which nobody was told of
	behind bool // a message waited in vain, and the queue wasn't empty since

	torn bool // the last write ended within a line, as on a full disk; the writing goroutine's
}

// queued is in the queue until it is written.
type queued struct {
	text   []byte
	stands int // for so many messages
	done   chan struct{}
}

// Form is NewLogger, NewFileLogger or NewJSONLogger.
type Form func(w io.Writer, level slog.Level) *slog.Logger

// NewSink makes a sink that writes to w.
func NewSink(w io.Writer) *Sink { return &Sink{w: w, form: NewLogger} }

// Logger makes a logger that writes to the sink, which from now on tells of losses in that form.
func (s *Sink) Logger(form Form, level slog.Level) *slog.Logger {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.form = form
	return form(s, level)
}

// Write takes one message, and never fails.
func (s *Sink) Write(p []byte) (int, error) {
	s.mu.Lock()
	if s.size+len(p) > sinkRoom {
		s.lost++
		s.mu.Unlock()
		return len(p), nil
	}
	s.tellLost()
	done := s.push(bytes.Clone(p), 1)
	behind := s.behind
	s.mu.Unlock()
	if !behind {
		s.await(done)
	}
	return len(p), nil
}

func (s *Sink) await(done <-chan struct{}) {
	select {
	case <-done:
	case <-time.After(sinkPatience):
		s.mu.Lock()
		defer s.mu.Unlock()
		s.behind = len(s.queue) > 0
	}
}

// tellLost queues the count of those that were lost, if there are any.
func (s *Sink) tellLost() {
	if s.lost == 0 {
		return
	}
	var b bytes.Buffer
	s.form(&b, slog.LevelWarn).Warn(Lost(s.lost))
	s.push(b.Bytes(), s.lost)
	s.lost = 0
}

// Lost says how many messages were lost.
func Lost(n int) string {
	if n == 1 {
		return "1 message lost"
	}
	return fmt.Sprintf("%d messages lost", n)
}

func (s *Sink) push(text []byte, stands int) (done chan struct{}) {
	done = make(chan struct{})
	s.queue = append(s.queue, queued{text, stands, done})
	s.size += len(text)
	if len(s.queue) == 1 {
		go s.writeQueue(s.queue[0])
	}
	return done
}

// writeQueue writes until the queue is empty, beginning with its first.
func (s *Sink) writeQueue(next queued) {
	for more := true; more; {
		text := next.text
		if s.torn {
			text = append([]byte("\n"), text...)
		}
		n, err := s.w.Write(text)
		s.torn = err != nil && n < len(text) && (n > 0 || s.torn)
		next, more = s.written(next, err)
	}
}

// written takes out of the queue what was written, and returns what is next.
func (s *Sink) written(q queued, err error) (next queued, more bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.lost += q.stands
	}
	close(q.done)
	s.queue, s.size = s.queue[1:], s.size-len(q.text)
	if len(s.queue) > 0 {
		return s.queue[0], true
	}
	s.queue, s.behind = nil, false
	if err == nil { // else the next message tries, or Flush
		s.tellLost()
	}
	return queued{}, false
}

// Flush waits a moment until all is written, and returns how many messages are lost. It is the
// end: what is then still being written is abandoned.
func (s *Sink) Flush() (lost int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tellLost()
	for end := time.Now().Add(flushLimit); len(s.queue) > 0; {
		first := s.queue[0].done
		s.mu.Unlock()
		moved := closedWithin(first, min(flushPatience, time.Until(end)))
		s.mu.Lock()
		if !moved {
			break
		}
	}
	lost = s.lost
	for _, q := range s.queue {
		lost += q.stands
	}
	return lost
}

func closedWithin(c <-chan struct{}, d time.Duration) bool {
	select {
	case <-c:
		return true
	case <-time.After(d):
		return false
	}
}
