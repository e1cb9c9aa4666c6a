//go:build unix

package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"brs-exec/internal/sandbox"
	"brs-exec/need"
)

// server is a brs-exec --serve.
type server struct {
	*exec.Cmd
	dir string // of its share
	log string
}

// start starts a server without a terminal. A first descriptor that it inherits is 3.
func (w *world) start(t *testing.T, dir string, inherited []*os.File, args ...string) *server {
	t.Helper()
	s := &server{dir: dir, log: filepath.Join(t.TempDir(), "log")}
	args = append([]string{"-c", `export LISTEN_PID=$$; exec "$@"`, "sh", tools.brsExec, "--role-arn", role,
		"--serve", "--share", dir, "--log-level", "info", "--log-file", s.log}, args...)
	s.Cmd = exec.Command("sh", args...)
	s.Env = append(w.env, fmt.Sprintf("LISTEN_FDS=%d", len(inherited)))
	s.ExtraFiles = inherited
	s.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Process.Kill(); s.Wait() })
	s.await(t, "serving")
	return s
}

// await waits for a line in the log.
func (s *server) await(t *testing.T, text string) {
	t.Helper()
	var log []byte
	for deadline := time.Now().Add(60 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if log, _ = os.ReadFile(s.log); bytes.Contains(log, []byte(text)) {
			return
		}
	}
	t.Fatalf("no %q in the log:\n%s", text, log)
}

// end ends it by a signal, and checks the status of TERM.
func (s *server) end(t *testing.T, sig syscall.Signal) {
	t.Helper()
	s.Process.Signal(sig)
	if err := s.Wait(); sig == syscall.SIGTERM && err != nil {
		t.Errorf("TERM: %v", err)
	}
}

// environment is what a shell has after `set -a; . DIR/env`.
func (s *server) environment(t *testing.T, w *world) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(s.dir, "env"))
	if err != nil {
		t.Fatal(err)
	}
	return append(w.env, strings.Split(strings.TrimSpace(string(text)), "\n")...)
}

// A boto3 loop that began before, through restarts by TERM and by KILL: no failed call. Its environment is the first
// server's; keys of ten seconds are asked for anew all the time.
func TestServeRestart(t *testing.T) {
	needPython(t)
	w := newWorld(t, sandbox.Options{TTL: 10 * time.Second}).base()
	dir, port := filepath.Join(t.TempDir(), "aws"), need.Port()
	s := w.start(t, dir, nil, "--port", port)
	loop := exec.CommandContext(t.Context(), tools.python, script("identity_loop.py"), "16", "0.1")
	loop.Env = s.environment(t, w)
	var out, errs bytes.Buffer
	loop.Stdout, loop.Stderr = &out, &errs
	if err := loop.Start(); err != nil {
		t.Fatal(err)
	}
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL, syscall.SIGTERM} {
		time.Sleep(4 * time.Second) // the loop's, not ours: it has to ask between restarts
		s.end(t, sig)
		s = w.start(t, dir, nil, "--port", port)
	}
	if err := loop.Wait(); err != nil {
		t.Fatalf("%v: %s", err, &errs)
	}
	if l := parseLoop(t, out.String()); len(l.Errors) > 0 || l.Calls < 50 || l.Keys < 3 || len(l.Arns) != 1 {
		t.Errorf("%+v", l)
	}
	s.end(t, syscall.SIGTERM)
}

// Sockets that a manager holds, as systemd does: through restarts not one connection is refused, and not one request
// fails, by the port and by the socket.
func TestServeInherited(t *testing.T) {
	w := newWorld(t, sandbox.Options{}).base()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	inherited, port := held(t, filepath.Join(dir, "aws.sock"))
	s := w.start(t, dir, inherited)
	token, err := os.ReadFile(filepath.Join(dir, "token"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	var served, failed atomic.Int64
	for _, addr := range []string{port, filepath.Join(dir, "aws.sock")} {
		for range 4 {
			clients.Go(func() {
				for ctx.Err() == nil {
					if err := askOnce(addr, string(token)); err != nil && failed.Add(1) < 5 {
						t.Errorf("%s: %v", addr, err)
					}
					served.Add(1)
				}
			})
		}
	}
	restarts := 4
	if os.Getenv("REPEAT") != "" {
		restarts = 50
	}
	for range restarts {
		for enough := served.Load() + 100; served.Load() < enough && failed.Load() == 0; {
			time.Sleep(time.Millisecond)
		}
		s.end(t, syscall.SIGTERM)
		s = w.start(t, dir, inherited)
	}
	stop()
	clients.Wait()
	s.end(t, syscall.SIGTERM)
	if info, err := os.Lstat(filepath.Join(dir, "aws.sock")); err != nil || info.Mode() != os.ModeSocket|0o600 {
		t.Errorf("the manager's socket: %v, %v", info, err)
	}
}

// held opens what a manager opens, and keeps it.
func held(t *testing.T, socket string) (files []*os.File, port string) {
	t.Helper()
	tcp, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	unix, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(socket, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, ln := range []net.Listener{tcp, unix} {
		f, err := ln.(interface{ File() (*os.File, error) }).File()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { ln.Close(); f.Close() })
		files = append(files, f)
	}
	return files, tcp.Addr().String()
}

// askOnce asks on a connection of its own, at a path or at HOST:PORT.
func askOnce(addr, token string) error {
	network := "tcp4"
	if filepath.IsAbs(addr) {
		network = "unix"
	}
	c, err := net.Dial(network, addr)
	if err != nil {
		return err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(30 * time.Second))
	req, err := http.NewRequest("GET", "http://localhost/credentials", nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", token)
	req.Close = true
	if err := req.Write(c); err != nil {
		return err
	}
	answer, err := io.ReadAll(c)
	if err != nil || !bytes.HasPrefix(answer, []byte("HTTP/1.1 200 ")) {
		return fmt.Errorf("%w: %.100q", err, answer)
	}
	return nil
}

// The unit that systemd-socket-activate stands for.
func TestServeSocketActivated(t *testing.T) {
	need.Tools(t, "systemd-socket-activate")
	w := newWorld(t, sandbox.Options{}).base()
	dir, port := filepath.Join(t.TempDir(), "aws"), need.Port()
	log := filepath.Join(t.TempDir(), "log")
	args := []string{"-l", "127.0.0.1:" + port}
	for _, entry := range w.env {
		args = append(args, "-E", entry)
	}
	args = append(args, tools.brsExec, "--role-arn", role, "--serve", "--share", dir, "--log-file", log)
	cmd := exec.CommandContext(t.Context(), "systemd-socket-activate", args...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	var c net.Conn
	var err error
	for deadline := time.Now().Add(60 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if c, err = net.Dial("tcp4", "127.0.0.1:"+port); err == nil { // which starts it
			c.Close()
			break
		}
	}
	for deadline := time.Now().Add(60 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if _, err = os.Stat(filepath.Join(dir, "env")); err == nil {
			break
		}
	}
	token, err := os.ReadFile(filepath.Join(dir, "token"))
	if err == nil {
		err = askOnce("127.0.0.1:"+port, string(token))
	}
	if err != nil {
		text, _ := os.ReadFile(log)
		t.Fatalf("%v\n%s", err, text)
	}
	cmd.Process.Signal(syscall.SIGTERM)
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "token")); err != nil {
		t.Errorf("the token is to stay: %v", err)
	}
}

// What the manager is told, in its order.
func TestServeNotifies(t *testing.T) {
	w := newWorld(t, sandbox.Options{}).base()
	path := filepath.Join(t.TempDir(), "notify")
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path})
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	manager.SetReadDeadline(time.Now().Add(time.Minute))
	told := func(want ...string) {
		t.Helper()
		b := make([]byte, 1000)
		n, err := manager.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range want {
			if !strings.Contains(string(b[:n]), want) {
				t.Errorf("told %q; want %q in it", b[:n], want)
			}
		}
	}
	w.set("NOTIFY_SOCKET=" + path)
	s := w.start(t, filepath.Join(t.TempDir(), "aws"), nil)
	told("READY=1\n", "STATUS=serving", "valid until 20")
	s.Process.Signal(syscall.SIGHUP)
	told("RELOADING=1\n", "MONOTONIC_USEC=")
	told("READY=1\n", "STATUS=serving")
	if n := w.count("AssumeRole"); n != 2 {
		t.Errorf("%d AssumeRole calls; want 2", n)
	}
	s.Process.Signal(syscall.SIGTERM)
	told("STOPPING=1")
	s.Wait()
}
