// Command startup measures what the user of brs-exec waits for: `brs-exec --role-arn R -- true` against wrappers that do less.
//
//	go run ./bench/startup            # a table in Markdown
//	go run ./bench/startup -check     # and exit status 1 if a limit is broken
//
// It builds four programs into a temporary directory, stripped, as a release is:
//
//   - bare: fork, exec, wait
//   - bare + server: the same with net/http on loopback; every ratio is to this one
//   - naive: kong, LoadDefaultConfig, stscreds, net/http (its source is beside this file)
//   - brs-exec
//
// The last two assume a role at an STS stub that answers at once, by http and by https. The stub's CA stands at the end of a
// copy of the system's bundle, and SSL_CERT_DIR is the system's directory, so that the roots cost what they cost in use.
// brs-exec has a third row, with keys in ~/.aws, which it then watches.
// The environment of each run is built from nothing. Rounds are interleaved and shuffled: a busy machine slows all alike.
// Wall is from fork to the end of wait, CPU is user and system time of the wrapper and of the command.
//
// RSS is that of a wrapper that runs `sleep`, after https, two seconds after the command began.
package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

func main() {
	rounds := flag.Int("rounds", 40, "interleaved runs of each wrapper")
	check := flag.Bool("check", false, "exit 1 if a limit is broken")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	broken, err := run(ctx, *rounds, *check)
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, "startup:", err)
		os.Exit(2)
	case *check && broken > 0:
		os.Exit(1)
	}
}

// run prints the table and returns how many limits are broken.
func run(ctx context.Context, rounds int, check bool) (broken int, err error) {
	dir, err := os.MkdirTemp("", "startup-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	builds, err := build(ctx, dir)
	if err != nil {
		return 0, err
	}
	stub, err := newStub(dir)
	if err != nil {
		return 0, err
	}
	defer stub.close()
	home, err := homeWithKeys(dir)
	if err != nil {
		return 0, err
	}
	subjects := subjects(builds, stub, dir, home)
	if err := measure(ctx, subjects, rounds); err != nil {
		return 0, err
	}
	for _, s := range subjects {
		if s.rss, err = s.idle(ctx); err != nil {
			return 0, err
		}
	}
	fmt.Printf("%s, %s/%s, %d CPUs, %d interleaved rounds, medians (minima)\n\n", runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), rounds)
	fmt.Print(table(subjects))
	for _, l := range limits(subjects) {
		if l.broken() {
			broken++
		}
		if check {
			fmt.Println(l)
		}
	}
	return broken, nil
}

// build returns the path of each program by its name.
func build(ctx context.Context, dir string) (map[string]string, error) {
	builds := make(map[string]string)
	for name, pkg := range map[string]string{
		"bare": "brs-exec/bench/startup/bare", "server": "brs-exec/bench/startup/server",
		"naive": "brs-exec/bench/startup/naive", "brs-exec": "brs-exec/cmd/brs-exec",
	} {
		path := filepath.Join(dir, name)
		cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", path, pkg)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("build %s: %w\n%s", pkg, err, out)
		}
		builds[name] = path
	}
	return builds, nil
}

// subject is one wrapper in one environment, and what was measured of it.
type subject struct {
	name string
	argv []string // without the command
	env  []string

	wall, cpu []time.Duration
	rss       int // KiB
	size      int64
}

// keysInHome is brs-exec where it watches files of the user's (DESIGN §5), as for most people.
const keysInHome = "brs-exec, http, keys in ~/.aws"

func homeWithKeys(dir string) (home string, err error) {
	home = filepath.Join(dir, "home")
	if err := os.MkdirAll(filepath.Join(home, ".aws"), 0o700); err != nil {
		return "", err
	}
	keys := "[default]\naws_access_key_id = AKIABENCHBENCHBENCH\naws_secret_access_key = bench\n"
	return home, os.WriteFile(filepath.Join(home, ".aws", "credentials"), []byte(keys), 0o600)
}

func subjects(builds map[string]string, stub *stub, dir, home string) []*subject {
	env := func(more ...string) []string {
		return append([]string{
			"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "TMPDIR=" + dir, "AWS_EC2_METADATA_DISABLED=true", "AWS_REGION=us-east-1",
			"AWS_ACCESS_KEY_ID=AKIABENCHBENCHBENCH", "AWS_SECRET_ACCESS_KEY=bench",
		}, more...)
	}
	plain := env("AWS_ENDPOINT_URL_STS=" + stub.plain)
	secure := env("AWS_ENDPOINT_URL_STS="+stub.secure, "SSL_CERT_FILE="+stub.bundle, "SSL_CERT_DIR="+stub.certs)
	role := []string{"--role-arn", "arn:aws:iam::111122223333:role/bench", "--role-session-name", "bench", "--"}
	all := []*subject{
		{name: "bare", argv: []string{builds["bare"]}, env: env()},
		{name: "bare + server", argv: []string{builds["server"]}, env: env()},
		{name: "naive, http", argv: append([]string{builds["naive"]}, role...), env: plain},
		{name: "brs-exec, http", argv: append([]string{builds["brs-exec"]}, role...), env: plain},
		{name: "naive, https", argv: append([]string{builds["naive"]}, role...), env: secure},
		{name: "brs-exec, https", argv: append([]string{builds["brs-exec"]}, role...), env: secure},
		{name: keysInHome, argv: append([]string{builds["brs-exec"]}, role...), env: append(plain, "HOME="+home)},
	}
	for _, s := range all {
		if info, err := os.Stat(s.argv[0]); err == nil {
			s.size = info.Size()
		}
	}
	return all
}

// measure runs all subjects rounds times, after one round that warms the page cache and isn't counted.
func measure(ctx context.Context, all []*subject, rounds int) error {
	order := append([]*subject(nil), all...)
	for round := range rounds + 1 {
		rand.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		for _, s := range order {
			wall, cpu, err := s.once(ctx)
			if err != nil {
				return err
			}
			if round > 0 {
				s.wall, s.cpu = append(s.wall, wall), append(s.cpu, cpu)
			}
		}
	}
	return nil
}

func (s *subject) once(ctx context.Context) (wall, cpu time.Duration, err error) {
	cmd := s.command(ctx, "true")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	start := time.Now()
	err = cmd.Run()
	wall = time.Since(start)
	if err != nil || stderr.Len() > 0 {
		return 0, 0, fmt.Errorf("%s: %w\n%s", s.name, orSpoke(err), stderr.String())
	}
	return wall, cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), nil
}

// orSpoke: a wrapper that has something to say on stderr isn't doing what is measured.
func orSpoke(err error) error {
	if err == nil {
		return fmt.Errorf("it wrote to stderr")
	}
	return err
}

func (s *subject) command(ctx context.Context, command ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, s.argv[0], append(append([]string(nil), s.argv[1:]...), command...)...)
	cmd.Env = s.env
	return cmd
}

// settled is when a wrapper has done all that it does after a start; brs-exec gives memory back after a second.
const settled = 2 * time.Second

// idle returns the wrapper's resident memory in KiB while its command does nothing; 0 where there is no /proc.
func (s *subject) idle(ctx context.Context) (int, error) {
	if runtime.GOOS != "linux" {
		return 0, nil
	}
	// The command ends by itself: killing a wrapper would measure something else and may leave its child.
	cmd := s.command(ctx, "sleep", fmt.Sprint(settled.Seconds()+1))
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	select {
	case <-ctx.Done():
	case <-time.After(settled):
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", cmd.Process.Pid))
	if waited := cmd.Wait(); err == nil {
		err = waited
	}
	if err != nil {
		return 0, fmt.Errorf("%s: %w", s.name, err)
	}
	return vmRSS(string(status))
}

func vmRSS(status string) (kib int, err error) {
	_, rest, ok := strings.Cut(status, "\nVmRSS:")
	if !ok {
		return 0, fmt.Errorf("no VmRSS in /proc/PID/status")
	}
	_, err = fmt.Sscanf(rest, "%d kB", &kib)
	return kib, err
}
