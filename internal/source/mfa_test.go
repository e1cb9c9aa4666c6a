//go:build linux || darwin

package source

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"

	"brs-exec/internal/sandbox"
)

const (
	testSerial = "arn:aws:iam::000000000000:mfa/me"
	mfaRole    = "arn:aws:iam::123456789012:role/needs-mfa"
	mfaARN     = "arn:aws:sts::123456789012:assumed-role/needs-mfa/me"
)

// The code is asked once; the role is refreshed from the session that it bought.
func TestMFASession(t *testing.T) {
	for _, c := range []struct {
		name   string
		config string
		o      Options
	}{
		{"flag", "", Options{RoleARNs: []string{mfaRole}, SerialNumber: testSerial, TokenCode: "123456"}},
		{"profile", "[profile p]\nrole_arn=" + mfaRole + "\ncredential_source=Environment\nmfa_serial=" + testSerial + "\n", Options{Profile: "p", TokenCode: "123456"}},
		{"flag over a profile's device", "[profile p]\nrole_arn=" + mfaRole + "\ncredential_source=Environment\nmfa_serial=arn:aws:iam::9:mfa/x\n", Options{Profile: "p", SerialNumber: testSerial, TokenCode: "123456"}},
		{"command", "", Options{RoleARNs: []string{mfaRole}, SerialNumber: testSerial, MFACommand: "echo 'account 1234567, code: 123456.'"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			sts := newSandbox(t, sandbox.Options{})
			sts.useKeys(t)
			writeConfig(t, c.config, "")
			c.o.RoleSessionName = "me"
			s := mustNew(t, c.o)
			defer s.Close()
			if err := s.Prepare(t.Context()); err != nil {
				t.Fatal(err)
			}
			refreshThrice(t, s, mfaARN, nil)
			if got := sts.count("GetSessionToken"); got != 1 {
				t.Errorf("%d sessions bought; want one", got)
			}
			until := time.Until(s.RenewableUntil())
			if c.o.MFACommand != "" && !s.RenewableUntil().IsZero() || c.o.MFACommand == "" && (until < 35*time.Hour || until > 36*time.Hour) {
				t.Errorf("renewable until %v", s.RenewableUntil())
			}
		})
	}
}

// A session about to end is bought anew if a command makes codes, and used to its end if not.
func TestMFARenewal(t *testing.T) {
	sts := newSandbox(t, sandbox.Options{})
	sts.useKeys(t)
	codes := filepath.Join(t.TempDir(), "codes")
	command := fmt.Sprintf("echo x >>%s; wc -l <%s | awk '{printf \"%%06d\\n\", $1}'", codes, codes)
	s := mustNew(t, Options{RoleARNs: []string{mfaRole}, SerialNumber: testSerial, MFACommand: command})
	defer s.Close()
	mustRetrieve(t, s)
	s.mfas[0].session.Expires = time.Now().Add(time.Minute)
	s.mfas[0].bought = time.Now().Add(-36 * time.Hour)
	mustRetrieve(t, s)
	if got := sts.count("GetSessionToken"); got != 2 {
		t.Errorf("%d sessions; want a second one before the first ends", got)
	}

	var log bytes.Buffer
	s = mustNew(t, Options{RoleARNs: []string{mfaRole}, SerialNumber: testSerial, TokenCode: "111111", Log: slog.New(slog.NewTextHandler(&log, nil))})
	mustRetrieve(t, s)
	s.mfas[0].session.Expires = time.Now().Add(time.Minute)
	s.mfas[0].bought = time.Now().Add(-36 * time.Hour)
	mustRetrieve(t, s)
	mustRetrieve(t, s)
	if n := strings.Count(log.String(), "can't be refreshed"); n != 1 {
		t.Errorf("%d warnings that it ends; want one:\n%s", n, log.String())
	}
	s.mfas[0].session.Expires = time.Now().Add(-time.Second)
	_, err := s.Retrieve(t.Context())
	if err == nil || !strings.Contains(err.Error(), "--token-code is used up") || !Permanent(err) {
		t.Errorf("after its end: %v", err)
	}
}

// Keys that are a session already can't buy another: the code goes into AssumeRole.
func TestMFAInAssumeRole(t *testing.T) {
	useTestKeys(t)
	t.Setenv("AWS_SESSION_TOKEN", "t")
	sts := newStub(t)
	var log bytes.Buffer
	s := mustNew(t, Options{
		RoleARNs: []string{testRole}, SerialNumber: testSerial, TokenCode: "654321",
		Log: slog.New(slog.NewTextHandler(&log, nil)),
	})
	mustRetrieve(t, s)
	if r := sts.last(t); r.Get("SerialNumber") != testSerial || r.Get("TokenCode") != "654321" || len(sts.calls()) != 1 {
		t.Errorf("asked %v", r.Values)
	}
	if !strings.Contains(log.String(), "another code") {
		t.Errorf("no warning: %s", log.String())
	}
	if s.RenewableUntil().IsZero() {
		t.Error("no end is known, though the code is used up")
	}
	if _, err := s.Retrieve(t.Context()); err == nil || !strings.Contains(err.Error(), "used up") || len(sts.calls()) != 1 {
		t.Errorf("second: %v", err)
	}
}

func TestMFAWithoutRole(t *testing.T) {
	sts := newSandbox(t, sandbox.Options{})
	sts.useKeys(t)
	s := mustNew(t, Options{SerialNumber: testSerial, TokenCode: "123456"})
	a, b := mustRetrieve(t, s), mustRetrieve(t, s)
	if a.SessionToken == "" || a != b || sts.count("GetSessionToken") != 1 || time.Until(a.Expires) < 35*time.Hour {
		t.Errorf("got %s then %s, %d calls", a.AccessKeyID, b.AccessKeyID, sts.count("GetSessionToken"))
	}
}

// A code that STS did not judge is sent again; one that it refused is not.
func TestMFACodeAndFailure(t *testing.T) {
	useTestKeys(t)
	sts := newStub(t)
	s := mustNew(t, Options{RoleARNs: []string{testRole}, SerialNumber: testSerial, TokenCode: "654321"})
	sts.refuse(503, "ServiceUnavailable", "later")
	if _, err := s.Retrieve(t.Context()); err == nil || Permanent(err) {
		t.Fatalf("got %v", err)
	}
	sts.refuse(403, "AccessDenied", "MultiFactorAuthentication failed with invalid MFA one time pass code. ")
	_, err := s.Retrieve(t.Context())
	if !strings.Contains(hintOf(err), "fresh") || sts.last(t).Get("TokenCode") != "654321" {
		t.Fatalf("%v; hint %q", err, hintOf(err))
	}
	if _, err := s.Retrieve(t.Context()); !strings.Contains(fmt.Sprint(err), "used up") || len(sts.calls()) != 2 {
		t.Errorf("%d calls, %v", len(sts.calls()), err)
	}
}

func TestWrongMFA(t *testing.T) {
	useTestKeys(t)
	for _, c := range []struct {
		name       string
		o          Options
		text, hint string
	}{
		{"five digits", Options{TokenCode: "12345", SerialNumber: testSerial}, "a code is six digits", "123456"},
		{"both", Options{TokenCode: "123456", MFACommand: "x", SerialNumber: testSerial}, "exclude each other", "drop one"},
		{"no device", Options{TokenCode: "123456"}, "needs the device", "--serial-number"},
		{"bad device", Options{TokenCode: "123456", SerialNumber: "phone"}, `--serial-number "phone" is no MFA device`, "aws iam list-mfa-devices"},
		{"no terminal", Options{SerialNumber: testSerial}, "no terminal to ask on", "--mfa-command"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.o.RoleARNs = []string{testRole}
			_, err := newSource(t, c.o, withoutTerminal)
			if err == nil || !strings.Contains(err.Error(), c.text) || !strings.Contains(hintOf(err), c.hint) || !Permanent(err) {
				t.Errorf("%v; hint %q", err, hintOf(err))
			}
			if err != nil && strings.Contains(err.Error(), "12345") {
				t.Errorf("shows the code: %v", err)
			}
		})
	}
	for _, c := range []struct{ command, text string }{
		{"echo hello", "printed no six-digit code"},
		{"exit 3", "exit status 3"},
		{"no-such-command", "no such command"},
	} {
		s := mustNew(t, Options{RoleARNs: []string{testRole}, SerialNumber: testSerial, MFACommand: c.command}, stderrTo(io.Discard))
		if err := s.Prepare(t.Context()); err == nil || !strings.Contains(err.Error(), c.text) || !Permanent(err) || hintOf(err) == "" {
			t.Errorf("%s: %v; hint %q", c.command, err, hintOf(err))
		}
		s.Close()
	}
}

// The prompt is on the terminal, without echo, and insists on six digits.
func TestMFAPrompt(t *testing.T) {
	user, tty, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer user.Close()
	defer tty.Close()
	sts := newSandbox(t, sandbox.Options{})
	sts.useKeys(t)
	s := mustNew(t, Options{RoleARNs: []string{mfaRole}, RoleSessionName: "me", SerialNumber: testSerial}, func(b *builder) { b.terminal = tty.Name() })
	defer s.Close()
	shown := make(chan string)
	go func() {
		defer close(shown)
		r := bufio.NewReader(user)
		for _, line := range []string{"12345\n", "123456\n"} {
			prompt, _ := r.ReadString(':')
			for !strings.Contains(prompt, testSerial) {
				more, err := r.ReadString(':')
				if err != nil {
					return
				}
				prompt += more
			}
			shown <- prompt
			user.WriteString(line)
		}
	}()
	done := make(chan error, 1)
	go func() { done <- s.Prepare(t.Context()) }()
	first, second := <-shown, <-shown
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(first, "Enter MFA code for "+testSerial+":") || !strings.Contains(second, "six digits") || strings.Contains(first+second, "12345") {
		t.Errorf("the terminal shows %q, %q", first, second)
	}
	if got := whoIs(t, s, mustRetrieve(t, s)); got != mfaARN {
		t.Errorf("became %s", got)
	}
	if !echoes(t, tty) {
		t.Error("the terminal was left without echo")
	}
}

// A prompt ends with brs-exec, and leaves the terminal as it was.
func TestMFAPromptInterrupted(t *testing.T) {
	useTestKeys(t)
	user, tty, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer user.Close()
	defer tty.Close()
	s := mustNew(t, Options{RoleARNs: []string{testRole}, SerialNumber: testSerial}, func(b *builder) { b.terminal = tty.Name() })
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		bufio.NewReader(user).ReadString(':') // arn
		cancel()
	}()
	if err := s.Prepare(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	s.Close()
	if !echoes(t, tty) {
		t.Error("the terminal was left without echo")
	}
}

func echoes(t *testing.T, tty *os.File) bool {
	t.Helper()
	mode, err := unix.IoctlGetTermios(int(tty.Fd()), getTermios)
	if err != nil {
		t.Fatal(err)
	}
	return mode.Lflag&unix.ECHO != 0
}
