//go:build linux && (amd64 || arm64)

package runner

import (
	"fmt"
	"math/rand/v2"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"brs-exec/internal/runner/holder"
	"brs-exec/internal/sandbox"
	"brs-exec/need"
)

// Rows O01 to O07: the wrapper's death, what is left behind, PID 1.

func TestO01WrapperKilled(t *testing.T) {
	for _, pty := range []bool{false, true} {
		j := newJournal(t)
		argv := []string{"w", "count", string(j)}
		if pty {
			argv = []string{"w", "--pty", "count", string(j)}
		}
		w := wrapped.start(t, argv...)
		if !pty {
			wrapped.probed(t, w)
		}
		family := childrenOf(w)
		syscall.Kill(w, syscall.SIGKILL)
		j.has(t, "TERM")
		c := j.ready(t)
		family = slices.DeleteFunc(family, func(pid int) bool { return pid == c })
		gone := func(pid int) bool { return strings.Contains("ZX", procStat(pid, 0)) }
		for _, pid := range family { // but who keeps the port, for the command's sake
			eventually(t, "the wrapper's helpers are gone", func() bool { return gone(pid) || commandName(pid) == holder.Role })
		}
		if got := j.finish(t, c); !onlySome(got, "TERM") && !pty {
			t.Errorf("got %q; want TERM", got)
		}
		for _, pid := range family {
			eventually(t, "the holder is gone, too", func() bool { return gone(pid) })
		}
	}
	for name, want := range map[string]string{"hup": "HUP", "none": ""} {
		j := newJournal(t)
		w := wrapped.start(t, "w", "--on-wrapper-death", name, "count", string(j))
		c := j.ready(t)
		syscall.Kill(w, syscall.SIGKILL)
		eventually(t, "orphaned", func() bool { return procStat(c, 1) != strconv.Itoa(w) })
		if got := j.finish(t, c, strings.Fields(want)...); !onlySome(got, want) {
			t.Errorf("--on-wrapper-death=%s: got %q; want %q", name, got, want)
		}
	}
}

// onlySome: the kernel sends PR_SET_PDEATHSIG's signal for each thread of the wrapper that the
// command falls to before the last one ends, a moment apart.
func onlySome(got, sig string) bool {
	return strings.TrimSpace(strings.ReplaceAll(got, sig, "")) == "" && (got == "") == (sig == "")
}

func TestO02GrandchildLives(t *testing.T) {
	j := newJournal(t)
	r := wrapped.script(t, `w sh -c 'count `+string(j)+` >/dev/null 2>&1 & while ! [ -s `+string(j)+` ]; do sleep .01; done; exit 4'`)
	if got := r.String(); got != "[exit 4]" {
		t.Errorf("got %s; want exit 4", got)
	}
	if got := j.finish(t, j.ready(t)); got != "" {
		t.Errorf("the grandchild got %q; want nothing", got)
	}
}

func TestO03NothingLeft(t *testing.T) {
	row(t)
	for _, script := range []string{`w sleep .3`, `w --pty sleep .3`, `w sh -c 'sleep .2; kill -TERM $$'`, `w --pty sh -c 'sleep .2; kill -TERM $$'`, `w nosuch`} {
		c := wrapped.command(t, "bash", "-c", script+"; :")
		c.Run()
		eventually(t, script+": nothing of the session is left", func() bool { return syscall.Kill(-c.Process.Pid, 0) == syscall.ESRCH })
	}
}

// namespace runs argv as PID 1 of a new PID namespace.
func namespace(argv ...string) []string {
	return append([]string{"unshare", "--pid", "--fork", "--mount-proc", "--"}, argv...)
}

func needsNamespace(t *testing.T) {
	t.Helper()
	need.Tools(t, "unshare")
	err := exec.Command("unshare", "--pid", "--fork", "--mount-proc", "true").Run()
	need.That(t, err == nil, "PID namespaces", "run the tests as root")
}

// daemons makes 100 orphans, and waits until no zombie is left.
const daemons = `for i in $(seq 100); do (sleep .05 & sleep 0 &) ; done
while [ $(pgrep -c -r R,S,D sleep) -gt 0 ]; do sleep .02; done
i=0; while grep -q '^State:.*Z' /proc/[0-9]*/status 2>/dev/null && [ $i -lt 500 ]; do sleep .02; i=$((i+1)); done
grep -l '^State:.*Z' /proc/[0-9]*/status 2>/dev/null | wc -l; exit 9`

func TestO04ReapsAsPID1(t *testing.T) {
	needsNamespace(t)
	reapsAll(t, wrapped.w(), "bash", "-c", daemons)
}

// TestO04InheritedSubreaper: a subreaper attribute that came to the wrapper stays the wrapper's. The
// command doesn't collect what isn't its own, as most don't.
func TestO04InheritedSubreaper(t *testing.T) {
	needsNamespace(t)
	need.Tools(t, "perl")
	reapsAll(t, "subreaper", wrapped.w(), "perl", "-e", `system "bash", "-c", $ARGV[0]; exit $? >> 8`, daemons)
}

// reapsAll runs argv as PID 1 with daemons in it, and wants no zombie.
func reapsAll(t *testing.T, argv ...string) {
	t.Helper()
	r := wrapped.run(t, namespace(argv...)...)
	if want := "0\n[exit 9]"; r.String() != want {
		t.Errorf("got %v; want %s\n%s", r, want, r.err)
	}
}

func TestO05SignalsAsPID1(t *testing.T) {
	needsNamespace(t)
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGUSR1, syscall.SIGHUP, syscall.SIGQUIT} {
		j := newJournal(t)
		c := wrapped.command(t, namespace(wrapped.w(), "count", string(j))...)
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		j.ready(t)
		init := childrenOf(c.Process.Pid)[0]
		syscall.Kill(init, sig)
		name := strings.TrimPrefix(unix.SignalName(sig), "SIG")
		if got := j.finish(t, init, name); got != name {
			t.Errorf("got %q; want one %s", got, name)
		}
		c.Wait()
	}
	for _, stop := range []string{"TSTP", "TTIN", "TTOU"} { // which stop no PID 1
		j := newJournal(t)
		c := wrapped.command(t, namespace(wrapped.w(), "count", string(j), "20", "21", "22")...)
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		j.ready(t)
		init := childrenOf(c.Process.Pid)[0]
		kill(t, stop, init)
		kill(t, "TERM", init)
		if got := strings.ReplaceAll(j.finish(t, init, "TERM"), "CONT ", ""); got != "TERM" {
			t.Errorf("%s: got %q; want one TERM", stop, got)
		}
		c.Wait()
	}
	// Death by a signal is 128 and its number: PID 1 can't die of one itself.
	r := wrapped.run(t, namespace(wrapped.w(), "sh", "-c", "kill -TERM $$")...)
	if want := "[exit 143]"; r.String() != want {
		t.Errorf("got %v; want %s", r, want)
	}
}

func TestO07InheritedChildren(t *testing.T) {
	row(t)
	need.Tools(t, "perl")
	// A child from before the exec, one that has ended before it, and an orphan that comes to a
	// subreaper.
	const look = `sleep .5; grep -l "^PPid:.*$PPID\$" /proc/[0-9]*/status | xargs grep -h ^State | grep -c Z`
	for _, script := range []string{
		`sleep .1 & exec w sh -c '` + look + `'`,
		`exec perl -e 'fork or exit; select undef, undef, undef, .2; exec @ARGV' w sh -c '` + look + `'`,
		`exec subreaper w sh -c '(sleep .1 &); ` + look + `'`,
	} {
		if got := wrapped.script(t, script).String(); got != "0\n[exit 1]" {
			t.Errorf("%s: got %q; want no zombie", script, got)
		}
	}
}

// TestO06ReapsBesideRefresh: as PID 1 the wrapper takes orphans while os/exec waits for the
// credential_process of each refresh.
func TestO06ReapsBesideRefresh(t *testing.T) {
	row(t)
	need.Asked(t, *wrapperName == "brs-exec", "-wrapper brs-exec") // there is nothing to refresh without it
	needsNamespace(t)
	need.Tools(t, "curl")
	sts := sandbox.New(sandbox.Options{TTL: 12 * time.Second})
	srv := httptest.NewServer(sts)
	t.Cleanup(srv.Close)
	base := sts.BaseCredentials()
	dir := t.TempDir()
	config := filepath.Join(dir, "config")
	os.WriteFile(config, []byte("[profile p]\ncredential_process = "+dir+"/keys\n"), 0o600)
	os.WriteFile(dir+"/keys", fmt.Appendf(nil, "#!/bin/sh\necho x >>%s/calls\nsleep .1\necho '{\"Version\":1,\"AccessKeyId\":%q,\"SecretAccessKey\":%q,\"Expiration\":\"'$(date -ud '+12 sec' +%%FT%%TZ)'\"}'\n",
		dir, base.AccessKeyID, base.SecretAccessKey), 0o700)
	c := wrapped.command(t, namespace(wrapped.w(), "bash", "-c", `end=$((SECONDS+15)); while [ $SECONDS -lt $end ]; do (sleep .05 & sleep .01 &); sleep .02; done
curl -s -o /dev/null -w '%{http_code}' -H "Authorization: $AWS_CONTAINER_AUTHORIZATION_TOKEN" $AWS_CONTAINER_CREDENTIALS_FULL_URI; exit 6`)...)
	c.Env = append(environment(wrapped.dir, dir), "AWS_CONFIG_FILE="+config, "AWS_PROFILE=p", "AWS_REGION=us-east-1",
		"AWS_ENDPOINT_URL_STS="+srv.URL, "BRS_EXEC_ROLE_ARN=arn:aws:iam::123456789012:role/etl")
	var out, errs strings.Builder
	c.Stdout, c.Stderr = &out, &errs
	c.Run()
	calls, _ := os.ReadFile(dir + "/calls")
	if out.String() != "200" || errs.String() != "" || c.ProcessState.ExitCode() != 6 || len(calls) < 6 {
		t.Errorf("got %q, status %d, stderr %q, %d runs of credential_process; want 200, 6, nothing, 3 or more",
			out.String(), c.ProcessState.ExitCode(), errs.String(), len(calls)/2)
	}
}

// TestO01KilledAtStart: killed at any moment of the start, the wrapper leaves nothing behind: no
// process that waits for it, and no command that has not had its TERM.
func TestO01KilledAtStart(t *testing.T) {
	runs := 60
	switch {
	case os.Getenv("REPEAT") != "":
		runs = 2000
	case *all && !*busy:
		runs = 500
	}
	mark := fmt.Sprintf("600.%06d", os.Getpid()%1e6)
	for i := range runs {
		argv := []string{"w", "sleep", mark}
		if i%2 == 0 {
			argv = []string{"w", "--pty", "sleep", mark}
		}
		c := wrapped.command(t, argv...)
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(rand.N(20 * time.Millisecond))
		c.Process.Kill()
		c.Wait()
	}
	end := time.Now().Add(15 * time.Second)
	if *busy {
		end = end.Add(patience)
	}
	for left := []int{0}; len(left) > 0; time.Sleep(10 * time.Millisecond) {
		if left = marked(mark); len(left) > 0 && time.Now().After(end) {
			for _, pid := range left {
				line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
				t.Errorf("after %d runs, %d is left, child of %s, state %s: %q", runs, pid, procStat(pid, 1), procStat(pid, 0), line)
				syscall.Kill(pid, syscall.SIGKILL)
			}
			return
		}
	}
}

// marked is the processes that have a text in their command line, or run the wrapper.
func marked(text string) (pids []int) {
	lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range lines {
		line, _ := os.ReadFile(file)
		program, _ := os.Readlink(filepath.Dir(file) + "/exe") // for root; the wrapper is not dumpable
		if strings.Contains(string(line), text) || program == wrapped.w() {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
			pids = append(pids, pid)
		}
	}
	return pids
}
