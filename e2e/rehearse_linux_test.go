package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"brs-exec/internal/sandbox"
	"brs-exec/need"
)

// rehearsed runs a rehearsal of real credentials, which live an hour, and returns the verdict lines.
func rehearsed(t *testing.T, w *world, life string, wantStatus int, command ...string) []string {
	t.Helper()
	args := append([]string{"--role-arn", role, "--rehearse", life, "--rehearse-fail", "--"}, command...)
	out, errs, status := w.run(t, args...)
	if status != wantStatus {
		t.Errorf("status %d; want %d; stdout %q", status, wantStatus, out)
	}
	lines := strings.Split(strings.TrimSuffix(errs, "\n"), "\n")
	for _, line := range lines {
		if !strings.HasPrefix(line, "brs-exec: rehearsal: ") || len(word.FindAllString(line, -1)) != 1 {
			t.Errorf("no verdict with one word: %q", line)
		}
	}
	return lines
}

var (
	word    = regexp.MustCompile(`refreshes|not exercised|would fail`)
	verdict = `^brs-exec: rehearsal: %s \(%s\): fetched %s`
)

// match wants one line, and that it matches.
func match(t *testing.T, lines []string, name, count, rest string) {
	t.Helper()
	re := regexp.MustCompile(fmt.Sprintf(verdict, name, count, rest))
	if len(lines) != 1 || !re.MatchString(lines[0]) {
		t.Errorf("got\n%s\nwant one line like %s", strings.Join(lines, "\n"), re)
	}
}

func TestRehearseBoto3(t *testing.T) {
	needPython(t)
	w := newWorld(t, sandbox.Options{}).base()
	lines := rehearsed(t, w, "6s", 0, tools.python, script("identity_loop.py"), "12", "0.5")
	match(t, lines, `python\S* identity_loop.py`, `pid \d+`, `\d+ times in 1\ds, at most \S+ apart: refreshes$`)
}

func TestRehearseReadOnce(t *testing.T) {
	needPython(t)
	w := newWorld(t, sandbox.Options{}).base()
	lines := rehearsed(t, w, "6s", 124, tools.python, script("read_once.py"), "14", "0.5")
	match(t, lines, `python\S* read_once.py`, `pid \d+`, `.*, still talking after 1\ds \(to 127\.0\.0\.1:\d+\): would fail after 1h$`)
}

func TestRehearseEndsEarly(t *testing.T) {
	needPython(t)
	w := newWorld(t, sandbox.Options{}).base()
	lines := rehearsed(t, w, "60s", 0, tools.python, script("read_once.py"), "2", "0.5")
	match(t, lines, `python\S* read_once.py`, `pid \d+`, `.*: not exercised: must run longer than 1m$`)
}

// A program that did nothing after its copy ended, but held its connection.
func TestRehearseIdle(t *testing.T) {
	needPython(t)
	w := newWorld(t, sandbox.Options{}).base()
	lines := rehearsed(t, w, "6s", 0, tools.python, script("read_once.py"), "1", "14")
	match(t, lines, `python\S* read_once.py`, `pid \d+`, `.*: not exercised: must run longer than 1\ds, until it calls AWS again$`)
}

// Each aws process fetches for itself: there is nothing that could expire.
func TestRehearseAWSCLI(t *testing.T) {
	needPython(t)
	w := newWorld(t, sandbox.Options{}).base()
	aws := filepath.Join(w.home, "aws")
	w.write(t, "aws", "import sys\nfrom awscli.clidriver import main\nsys.exit(main())\n")
	lines := rehearsed(t, w, "30s", 0, "sh", "-ec", `for i in 1 2 3; do "$@" sts get-caller-identity >/dev/null; done`, "sh", tools.python, aws)
	match(t, lines, `python\S* aws`, `3 processes`, `\d times, each ended before its copy did: not exercised: each must run longer than 30s`)
}

// The Go SDK asks at every call within its last five minutes; its S3 backend does so at each of terraform's steps.
func TestRehearseTerraform(t *testing.T) {
	need.Long(t, "20 seconds, and a moto_server of its own")
	needPython(t)
	need.That(t, tools.terraform != "", "terraform", "https://developer.hashicorp.com/terraform/install")
	w := newWorld(t, sandbox.Options{}).base()
	s3 := ownMoto(t)
	w.set("AWS_ENDPOINT_URL_S3="+s3, "TF_IN_AUTOMATION=1", "CHECKPOINT_DISABLE=1")
	if resp, err := http.DefaultClient.Do(must(http.NewRequest("PUT", s3+"/brs-exec-state", nil))); err != nil || resp.StatusCode != 200 {
		t.Fatalf("make bucket: %v %v", resp, err)
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("..", "examples", "terraform"))); err != nil {
		t.Fatal(err)
	}
	lines := rehearsed(t, w, "8s", 0, "sh", "-ec",
		`cd "$1"; terraform init -input=false -no-color >init.log; exec terraform apply -input=false -auto-approve -no-color >apply.log`, "sh", dir)
	if len(lines) != 2 {
		t.Fatalf("got %q; want a verdict each for init and apply", lines)
	}
	match(t, lines[:1], `terraform`, `pid \d+`, `.*: (not exercised: must run longer than 8s|refreshes)`) // a busy machine takes longer
	match(t, lines[1:], `terraform`, `pid \d+`, `\d+ times in \S+, at most \S+ apart: refreshes$`)
}

// Fifty processes at once: a third refreshes, a third read once, a third ends early.
func TestRehearseFiftyProcesses(t *testing.T) {
	need.Long(t, "17 seconds, with 50 processes at once")
	w := newWorld(t, sandbox.Options{}).base()
	lines := rehearsed(t, w, "8s", 124, "sh", "-c", `
		for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17; do
			"$1" 16s 1s & "$1" 16s 400ms frozen & "$1" >/dev/null &
		done; wait`, "sh", tools.whois)
	got := make(map[string]int)
	for _, line := range lines {
		got[word.FindString(line)]++
	}
	if got["refreshes"] != 17 || got["would fail"] != 17 || got["not exercised"] != 1 {
		t.Errorf("got %v\n%s", got, strings.Join(lines, "\n"))
	}
	if all := strings.Join(lines, "\n"); !strings.Contains(all, "whois (17 processes): fetched 17 times, each ended before its copy did: not exercised") {
		t.Errorf("those that ended early are no group:\n%s", all)
	}
}

// A program that may be run but not read is one that can't be looked into: its fetches prove nothing.
func TestRehearseUnseen(t *testing.T) {
	need.Tools(t, "setpriv")
	need.That(t, os.Geteuid() == 0, "root", "run the tests as root")
	w := newWorld(t, sandbox.Options{}).base()
	dir, err := os.MkdirTemp("", "brs-exec-e2e-tmp-") // as /tmp is: others may pass
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	closed := filepath.Join(dir, "closed")
	program, err := os.ReadFile(tools.whois)
	if err := errors.Join(err, os.WriteFile(closed, program, 0o711), os.Chmod(dir, 0o777|os.ModeSticky)); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups",
		tools.brsExec, "--role-arn", role, "--rehearse", "2s", "--rehearse-fail", "--", closed, "4s", "300ms", "frozen")
	cmd.Env = append(w.env, "TMPDIR="+dir, "HOME=/nonexistent")
	out, err := cmd.CombinedOutput()
	if err != nil || !regexp.MustCompile(`^brs-exec: rehearsal: unknown process: fetched once: not exercised: .*\n$`).Match(out) {
		t.Errorf("%v: %s", err, out)
	}
}

// Nobody fetched: that is no bad verdict, but it is said.
func TestRehearseNobody(t *testing.T) {
	w := newWorld(t, sandbox.Options{}).base()
	lines := rehearsed(t, w, "6s", 3, "sh", "-c", "exit 3")
	if want := "brs-exec: rehearsal: no process fetched credentials: not exercised: must run until it calls AWS, and then longer than 6s"; len(lines) != 1 || lines[0] != want {
		t.Errorf("got %q; want %q", lines, want)
	}
}

// TestRehearseBlind: where the kernel tells of no connection, nothing could fail.
func TestRehearseBlind(t *testing.T) {
	w := newWorld(t, sandbox.Options{}).base()
	cmd := exec.CommandContext(t.Context(), tools.brsExec, "--role-arn", role, "--rehearse", "2s", "--rehearse-fail", "--", "true")
	cmd.Env = w.env
	var out []byte
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		err := withoutNetlink()
		if err == nil {
			out, err = cmd.CombinedOutput()
		}
		done <- err
	}()
	err := <-done
	if failed, ok := errors.AsType[*exec.ExitError](err); !ok || failed.ExitCode() != 125 ||
		!strings.Contains(string(out), "--rehearse-fail could not fail: no connection can be seen here (open sock_diag: ") {
		t.Errorf("%v: %s; want 125, and why", err, out)
	}
}

// withoutNetlink takes netlink sockets away from the calling thread, and from what it starts.
func withoutNetlink() error {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	const number, first, refuse = 0, 16, 0x00050000 // of struct seccomp_data; SECCOMP_RET_ERRNO
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: number},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_SOCKET, Jf: 3},
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: first},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.AF_NETLINK, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: refuse | uint32(unix.EPROTONOSUPPORT)},
		{Code: unix.BPF_RET | unix.BPF_K, K: 0x7fff0000}, // SECCOMP_RET_ALLOW
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	return unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&program)), 0, 0)
}
