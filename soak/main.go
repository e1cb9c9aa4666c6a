// Command soak runs brs-exec for minutes under a failing STS and hundreds of clients, and says what came of it.
//
//	go run ./soak -duration 10m          # a table in Markdown; exit status 1 if anything in it should not be
//
// The STS is the sandbox, in this process, with credentials of 8 seconds, so that a rotation comes every 5 seconds. Most
// rotations meet a fault: throttling, 500, a reset, no answer, a slow one. It mostly ends while the credential still lives,
// and then nobody may notice; one in twelve outlasts it, and then 503 is the right answer until brs-exec could have healed
// (max(2 s, a third of the time since expiry), DESIGN §3). Clients keep connections, open new ones, leave mid-request,
// dribble their request, forget the token; one signs GetCallerIdentity with what it got, and the STS checks that.
//
//	go run ./soak -serve -clients 200    # of --serve --share: every second ten of the clients come by its socket
//
// Goroutines come from brs-exec's own debug record "state"; descriptors, threads and memory from /proc, for which one must
// be root (brs-exec is not dumpable). Growth is the mean of the last third above that of the first by more than a tenth
// and 8 goroutines, 8 descriptors, 2 threads or 2 MiB; runs under two minutes are all warm-up and aren't judged for it.
//
// No answer may take longer than 0.6 s and the slowest of a fixed-body server, which a tenth of the clients ask instead:
// on a busy machine a late answer is not the server's.
//
// brs-exec's environment is built from nothing, and everything is on 127.0.0.1.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

func main() {
	duration := flag.Duration("duration", 10*time.Minute, "how long clients ask")
	clients := flag.Int("clients", 300, "how many clients ask")
	serve := flag.Bool("serve", false, "soak a server without a command, half of it by the socket of its share")
	log := flag.String("log", "", "keep brs-exec's event log in this new `FILE` (./soak/night draws it)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	r, err := run(ctx, *duration, *clients, *log, *serve)
	if err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(2)
	}
	fmt.Print(r.table())
	if bad := r.broken(); len(bad) > 0 {
		fmt.Fprintln(os.Stderr, "soak: "+strings.Join(bad, "\nsoak: "))
		os.Exit(1)
	}
}

// run is one soak, from building brs-exec to what its end left behind. The log is kept if it has a name.
func run(ctx context.Context, duration time.Duration, clients int, log string, serve bool) (*result, error) {
	dir, err := os.MkdirTemp("", "soak-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o711); err != nil { // else root's brs-exec goes to /tmp, not to the TMPDIR in it
		return nil, err
	}
	sts := newSTS()
	defer sts.Close()
	if log == "" {
		log = filepath.Join(dir, "log")
	} else if _, err := os.Lstat(log); err == nil {
		return nil, fmt.Errorf("%s exists", log) // brs-exec would append to it
	}
	w, err := start(ctx, dir, log, sts, serve)
	if err != nil {
		return nil, err
	}
	defer w.stop()
	fixed := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "{}") }))
	defer fixed.Close()
	r := &result{fixed: fixed, duration: duration, clients: clients, sts: sts, kept: make(map[string]bool), classes: make(map[string]int)}
	if r.wantEnd = "signal: terminated"; serve {
		r.wantEnd = "exit status 0"
	}
	if err := r.soak(ctx, w); err != nil {
		return nil, err
	}
	w.stop()
	r.end = w.ended
	if left, err := os.ReadDir(w.tmp); err != nil || len(left) > 0 {
		r.end += fmt.Sprintf(", and left %d entries in TMPDIR (%v)", len(left), err)
	}
	r.goroutines, err = goroutines(w.log)
	return r, err
}

// soak has the clients ask and watches brs-exec, until the duration is over and a little longer: connections close.
func (r *result) soak(ctx context.Context, w *wrapper) error {
	r.begun = time.Now()
	watched := make(chan struct{})
	var watch, asking sync.WaitGroup
	watch.Go(func() { r.watch(w.pid(), watched) })
	ctx, cancel := context.WithTimeout(ctx, r.duration)
	defer cancel()
	for i := range r.clients {
		asking.Go(func() { r.client(ctx, i, w) })
	}
	asking.Wait()
	over := ctx.Err()
	r.asked = time.Since(r.begun)
	time.Sleep(3 * time.Second)
	close(watched)
	watch.Wait()
	if over != context.DeadlineExceeded {
		return fmt.Errorf("interrupted after %v", r.asked.Round(time.Second))
	}
	return nil
}

// wrapper is the brs-exec that is soaked.
type wrapper struct {
	cmd        *exec.Cmd
	url, token string
	socket     string // of the share; "": there is none
	tmp, log   string
	once       sync.Once
	ended      string
}

func (w *wrapper) pid() int { return w.cmd.Process.Pid }

// start builds brs-exec and returns when its command runs.
func start(ctx context.Context, dir, log string, sts *faultySTS, serve bool) (*wrapper, error) {
	program, told := filepath.Join(dir, "brs-exec"), filepath.Join(dir, "told")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", program, "brs-exec/cmd/brs-exec").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("go build: %w\n%s", err, out)
	}
	w := &wrapper{tmp: filepath.Join(dir, "tmp"), log: log}
	if err := os.Mkdir(w.tmp, 0o711); err != nil {
		return nil, err
	}
	args := []string{"--role-arn", "arn:aws:iam::000000000000:role/soak",
		"--log-level", "debug", "--log-format", "json", "--log-file", w.log}
	if serve {
		share := filepath.Join(dir, "share")
		w.socket, told = filepath.Join(share, "aws.sock"), filepath.Join(share, "env")
		args = append(args, "--serve", "--share", share)
	} else {
		args = append(args, "--", "sh", "-c", tell, "sh", told)
	}
	w.cmd = exec.Command(program, args...)
	base := sts.BaseCredentials()
	w.cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "TMPDIR=" + w.tmp, "LANG=C.UTF-8",
		"AWS_EC2_METADATA_DISABLED=true", "AWS_REGION=us-east-1", "AWS_ENDPOINT_URL_STS=" + sts.URL,
		"AWS_ACCESS_KEY_ID=" + base.AccessKeyID, "AWS_SECRET_ACCESS_KEY=" + base.SecretAccessKey,
	}
	if err := w.cmd.Start(); err != nil {
		return nil, err
	}
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if text, err := os.ReadFile(told); err == nil {
			for line := range strings.Lines(string(text)) {
				switch name, value, _ := strings.Cut(strings.TrimSpace(line), "="); name {
				case "AWS_CONTAINER_CREDENTIALS_FULL_URI":
					w.url = value
				case "AWS_CONTAINER_AUTHORIZATION_TOKEN":
					w.token = value
				}
			}
			return w, nil
		}
	}
	w.stop()
	return nil, fmt.Errorf("no credentials in a minute (%s)", w.ended)
}

// tell writes what a share's env holds as well.
const tell = `env | grep ^AWS_CONTAINER_ >"$1.part"; mv "$1.part" "$1"; exec sleep 86400`

// stop ends brs-exec as a scheduler would, once.
func (w *wrapper) stop() {
	w.once.Do(func() {
		w.cmd.Process.Signal(syscall.SIGTERM)
		w.cmd.Wait()
		w.ended = w.cmd.ProcessState.String()
	})
}
