//go:build unix

package source

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"brs-exec/internal/sandbox"
)

func stderrTo(w io.Writer) func(*builder) { return func(b *builder) { b.commands.Stderr = w } }

func processSource(t *testing.T, command string) (*Source, *bytes.Buffer) {
	t.Helper()
	stderr := new(bytes.Buffer)
	s := mustNew(t, Options{CredentialCommand: command}, stderrTo(stderr))
	t.Cleanup(func() { s.Close() })
	return s, stderr
}

// A process yields the base; its next answer is read at the next refresh.
func TestProcess(t *testing.T) {
	sts := newSandbox(t, sandbox.Options{})
	c := sts.BaseCredentials()
	answer := filepath.Join(t.TempDir(), "answer")
	write := func(int) {
		data := `{"Version":1,"AccessKeyId":"` + c.AccessKeyID + `","SecretAccessKey":"` + c.SecretAccessKey + `"}`
		if err := os.WriteFile(answer, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	role := "arn:aws:sts::123456789012:assumed-role/etl/me"
	for name, s := range map[string]*Source{
		"flag": mustNew(t, Options{CredentialCommand: "cat " + answer, RoleARNs: []string{testRole}, RoleSessionName: "me"}),
		"profile": func() *Source {
			writeConfig(t, "[profile p]\nsource_profile=q\nrole_arn="+testRole+"\nrole_session_name=me\n[profile q]\ncredential_process = cat "+answer+"\n", "")
			return mustNew(t, Options{Profile: "p"})
		}(),
	} {
		t.Run(name, func(t *testing.T) {
			refreshThrice(t, s, role, write)
			if err := os.WriteFile(answer, []byte("{}"), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Retrieve(t.Context()); err == nil || !strings.Contains(err.Error(), "Version 0") {
				t.Errorf("the answer was not read anew: %v", err)
			}
		})
	}
}

// A command is told which commands it is within; a Source within its own command does not run it
// again, one within another's does.
func TestCommandWithinItself(t *testing.T) {
	const command = `printf '{"Version":1,"AccessKeyId":"%s","SecretAccessKey":"s","SessionToken":"t"}' "$BRS_COMMANDS" | tr ' ' _`
	s, _ := processSource(t, command)
	c, err := s.Retrieve(t.Context())
	if err != nil || c.AccessKeyID == "" {
		t.Fatalf("got %q, %v", c.AccessKeyID, err)
	}
	t.Setenv("BRS_COMMANDS", c.AccessKeyID)
	s, _ = processSource(t, command)
	if c, err := s.Retrieve(t.Context()); err == nil || !strings.Contains(err.Error(), "would run it again") || !Permanent(err) {
		t.Errorf("got %q, %v; want it not to be run within itself", c.AccessKeyID, err)
	}
	other, _ := processSource(t, command+" # another")
	if d, err := other.Retrieve(t.Context()); err != nil || !strings.HasPrefix(d.AccessKeyID, c.AccessKeyID+"_") {
		t.Errorf("got %q, %v; want both marks", d.AccessKeyID, err)
	}
}

func TestCommandFailures(t *testing.T) {
	dir := t.TempDir()
	script := func(text string) string {
		path := filepath.Join(dir, fmt.Sprint(len(text)))
		if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
		return path + " --password hush"
	}
	for _, c := range []struct {
		name, command, text, hint string
		permanent                 bool
	}{
		{"status", "echo hush; echo told >&2; exit 3", "--credential-command: exit status 3", "by hand", true},
		{"missing", "no-such-program --password hush", "no such command", "whole path", true},
		{"a Windows line end", script("#!/bin/sh\r\necho hush\r\n"), "the interpreter that its first line names is not there", "sed -i 's/\\r$//'", true},
		{"a script that lacks a program", script("#!/bin/sh -e\nno-such-program\n"), "no such command", "whole path", true},
		{"garbage", "echo hush", "no JSON of credentials", `"Version":1`, true},
		{"nothing", "true", "it printed nothing", `"Version":1`, true},
		{"half", `echo '{"Version":1,"AccessKeyId":"hush"}'`, "lacks AccessKeyId or SecretAccessKey", `"Version":1`, true},
		{"hangs", "sleep 60", "no end after 300ms", "no terminal", false},
		{"hangs, deaf", "trap '' TERM; sleep 60", "no end after 300ms", "no terminal", false},
		{"floods", "yes hush", "more than 64 KiB", "", true},
		{"asks", "read x && echo $x", "exit status", "by hand", true},
		{"signal", "kill -KILL $$", "signal: killed", "by hand", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			stderr := new(bytes.Buffer)
			s := mustNew(t, Options{CredentialCommand: c.command}, func(b *builder) {
				b.commands.Stderr, b.commands.Limit = stderr, 300*time.Millisecond
			})
			defer s.Close()
			start := time.Now()
			_, err := s.Retrieve(t.Context())
			if err == nil || !strings.Contains(err.Error(), c.text) || !strings.Contains(hintOf(err), c.hint) || Permanent(err) != c.permanent {
				t.Errorf("%v; hint %q, permanent %v", err, hintOf(err), Permanent(err))
			}
			if err != nil && strings.Contains(err.Error()+hintOf(err), "hush") {
				t.Errorf("shows a secret: %v", err)
			}
			if took := time.Since(start); took > 5*time.Second {
				t.Errorf("took %v", took)
			}
			if c.name == "status" && stderr.String() != "told\n" {
				t.Errorf("stderr %q was not shown", stderr)
			}
		})
	}
}

// A child that the command leaves behind with its output open doesn't hold the answer back.
func TestCommandLeavesAChild(t *testing.T) {
	s, _ := processSource(t, `echo '{"Version":1,"AccessKeyId":"A","SecretAccessKey":"S","SessionToken":"T"}'; sleep 30 &`)
	start := time.Now()
	if c := mustRetrieve(t, s); c.AccessKeyID != "A" || time.Since(start) > 5*time.Second {
		t.Errorf("got %s after %v", c.AccessKeyID, time.Since(start))
	}
}

// A slow command outlives the deadline of one attempt; the next attempt takes its answer.
func TestCommandOutlivesADeadline(t *testing.T) {
	dir := t.TempDir()
	s, _ := processSource(t, `echo x >>`+dir+`/runs; until test -e `+dir+`/go; do sleep 0.01; done; echo '{"Version":1,"AccessKeyId":"A","SecretAccessKey":"S","SessionToken":"T"}'`)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := s.Retrieve(ctx); !errors.Is(err, context.DeadlineExceeded) || Permanent(err) {
		t.Fatalf("got %v", err)
	}
	if err := os.WriteFile(dir+"/go", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	mustRetrieve(t, s)
	if runs, _ := os.ReadFile(dir + "/runs"); string(runs) != "x\n" {
		t.Errorf("ran %d times; want once", len(runs)/2)
	}
	mustRetrieve(t, s)
	if runs, _ := os.ReadFile(dir + "/runs"); string(runs) != "x\nx\n" {
		t.Errorf("ran %d times; want anew for the next refresh", len(runs)/2)
	}
}

// Close ends a command that is under way.
func TestCloseEndsCommands(t *testing.T) {
	started := make(chan []byte, 1)
	s := mustNew(t, Options{CredentialCommand: "echo started >&2; exec sleep 60"}, stderrTo(chanWriter(started)))
	got := make(chan error, 1)
	go func() { _, err := s.Retrieve(context.Background()); got <- err }()
	<-started
	start := time.Now()
	s.Close()
	if err := <-got; !errors.Is(err, context.Canceled) || time.Since(start) > 5*time.Second {
		t.Errorf("%v after %v", err, time.Since(start))
	}
}

type chanWriter chan []byte

func (w chanWriter) Write(p []byte) (int, error) { w <- p; return len(p), nil }

func TestParseProcess(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct{ in, text string }{
		{`{"Version":1,"AccessKeyId":"A","SecretAccessKey":"S","SessionToken":"T","Expiration":"2026-01-01T00:00:01Z","AccountId":"1"}`, ""},
		{`{"Version":1,"AccessKeyId":"A","SecretAccessKey":"S"}`, ""},
		{`{"Version":1,"AccessKeyId":"A","SecretAccessKey":"S","Expiration":"2026-01-01T00:00:00Z"}`, "has expired, 0s ago"},
		{`{"Version":1,"AccessKeyId":"A","SecretAccessKey":"S","Expiration":"2025-12-31T23:00:00Z"}`, "has expired, 1h0m0s ago"},
		{`{"Version":1,"AccessKeyId":"A","SecretAccessKey":"S","Expiration":"tomorrow"}`, "no ISO 8601 time"},
		{`{"Version":2,"AccessKeyId":"A","SecretAccessKey":"S"}`, "Version 2"},
		{`{"Version":"1"}`, "Version 0"},
		{`{"Version":1.0,"AccessKeyId":"A","SecretAccessKey":"S","AccountId":123456789012,"SessionToken":null}`, ""},
		{`{"Version":1,"AccessKeyId":"A","SecretAccessKey":"S","accessKeyID":"B","secretaccesskey":"B"}`, ""},
		{`{"version":1,"accessKeyId":"A","secretAccessKey":"S"}`, "Version 0"},
		{`{"Version":1,"AccessKeyId":{"a":"A"},"SecretAccessKey":"S"}`, "no JSON of credentials"},
		{`[]`, "no JSON of credentials"},
		{`{"Version":1}`, "lacks"},
		{``, "printed nothing"},
	} {
		got, err := parseProcess([]byte(c.in), now)
		if c.text == "" && (err != nil || got.AccessKeyID != "A" || got.SecretAccessKey != "S") || c.text != "" && (err == nil || !strings.Contains(err.Error(), c.text)) {
			t.Errorf("%s: %v; want %q", c.in, err, c.text)
		}
	}
}

// No error shows what was read.
func FuzzParseProcess(f *testing.F) {
	f.Add([]byte(`{"Version":1,"AccessKeyId":"A","SecretAccessKey":"S","SessionToken":"T","Expiration":"2036-01-01T00:00:01Z"}`))
	f.Add([]byte(`{"Version":1,"AccessKeyId":"A","SecretAccessKey":"S","Expiration":"hush"}`))
	f.Add([]byte(`hush`))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := parseProcess(data, time.Now())
		if err != nil {
			if strings.Contains(err.Error(), "hush") {
				t.Errorf("shows its input: %v", err)
			}
			return
		}
		if c.AccessKeyID == "" || c.SecretAccessKey == "" || c.CanExpire && !c.Expires.After(time.Now().Add(-time.Minute)) {
			t.Errorf("parseProcess(%q) = %s", data, c.AccessKeyID)
		}
	})
}

// A command has the user's keys only where they are its base: any process of the user, the child too, can read its
// environment.
func TestCommandsWithoutKeys(t *testing.T) {
	newSandbox(t, sandbox.Options{}).useKeys(t)
	t.Setenv("AWS_SESSION_TOKEN", "a-session")
	answer := `{"Version":1,"AccessKeyId":"ASIA","SecretAccessKey":"s","SessionToken":"t"}`
	seen := filepath.Join(t.TempDir(), "seen")
	look := "env | grep -E '^AWS_(ACC|SECR|SESS)' >" + seen + "; "
	writeConfig(t, "[profile p]\ncredential_process = "+look+"echo '"+answer+"'\n", "")
	for _, c := range []struct {
		name string
		o    Options
		want bool
	}{
		{"credential command", Options{CredentialCommand: look + "echo '" + answer + "'"}, true},
		{"profile's process", Options{Profile: "p"}, true},
		{"token command", Options{WebIdentityTokenCommand: look + "echo token", RoleARNs: []string{testRole}}, false},
		{"MFA command", Options{MFACommand: look + "echo 123456", SerialNumber: testSerial, RoleARNs: []string{testRole}}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := mustNew(t, c.o)
			defer s.Close()
			_ = s.Prepare(t.Context())
			_, _ = s.Retrieve(t.Context()) // STS may refuse what they print
			env, err := os.ReadFile(seen)
			if got := len(env) > 0; err != nil || got != c.want {
				t.Errorf("it sees %q, %v; want keys: %t", env, err, c.want)
			}
		})
		os.Remove(seen)
	}
}
