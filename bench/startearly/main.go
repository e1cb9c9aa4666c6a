// Command startearly measures what --start-early saves a boto3 child whose role takes 100 ms to assume.
//
//	go run ./bench/startearly          # a table in Markdown
//	go run ./bench/startearly -check   # and exit status 1 if --start-early takes over 1.1 × static keys
//
// The same child, one get_caller_identity, runs with static keys and no wrapper, behind brs-exec (which assumes the role
// first), and behind brs-exec --start-early. STS is the sandbox, in this process, on loopback. Rounds are interleaved and
// shuffled: a busy machine slows all alike. The environment of each run is built from nothing.
package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"brs-exec/internal/sandbox"
)

// latency is AssumeRole's; GetCallerIdentity answers at once.
const latency = 100 * time.Millisecond

// most is what --start-early may take, of static keys' time: medians of one run.
const most = 1.1

const child = `import boto3; print(boto3.client("sts").get_caller_identity()["Arn"])`

func main() {
	rounds := flag.Int("rounds", 15, "interleaved runs of each")
	check := flag.Bool("check", false, "exit 1 if the limit is broken")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	subjects, err := run(ctx, *rounds)
	if err != nil {
		fmt.Fprintln(os.Stderr, "startearly:", err)
		os.Exit(2)
	}
	fmt.Printf("%s, %s/%s, %d CPUs, %d interleaved rounds, AssumeRole %v\n\n", runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), *rounds, latency)
	fmt.Print(table(subjects))
	if got := ratio(subjects[2], subjects[0]); *check && got > most {
		fmt.Printf("\nBROKEN --start-early to static keys: %.2f, at most %.2f\n", got, most)
		os.Exit(1)
	}
}

// subject is one way to run the child, and how long it took.
type subject struct {
	name string
	argv []string
	who  string // in the Arn that the child must print
	wall []time.Duration
}

// run measures static keys, fetch first and start early, in that order.
func run(ctx context.Context, rounds int) ([]*subject, error) {
	dir, err := os.MkdirTemp("", "startearly-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	wrapper := filepath.Join(dir, "brs-exec")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", wrapper, "brs-exec/cmd/brs-exec")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("go build: %w\n%s", err, out)
	}
	python, err := findPython(ctx)
	if err != nil {
		return nil, err
	}
	sts := sandbox.New(sandbox.Options{Fault: func(c sandbox.Call) error {
		if c.Action == "AssumeRole" {
			time.Sleep(latency)
		}
		return nil
	}})
	srv := httptest.NewServer(sts)
	defer srv.Close()
	base := sts.BaseCredentials()
	env := []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "TMPDIR=" + dir, "LANG=C.UTF-8",
		"AWS_EC2_METADATA_DISABLED=true", "AWS_ENDPOINT_URL_STS=" + srv.URL,
		"AWS_REGION=us-east-1", "AWS_DEFAULT_REGION=us-east-1",
		"AWS_ACCESS_KEY_ID=" + base.AccessKeyID, "AWS_SECRET_ACCESS_KEY=" + base.SecretAccessKey,
	}
	all := subjects(wrapper, python)
	return all, measure(ctx, all, env, rounds)
}

func subjects(wrapper, python string) []*subject {
	program := []string{python, "-c", child}
	behind := func(flags ...string) []string {
		argv := append([]string{wrapper, "--role-arn", "arn:aws:iam::000000000000:role/early"}, flags...)
		return append(append(argv, "--"), program...)
	}
	return []*subject{
		{name: "static keys, no wrapper", argv: program, who: ":user/sandbox"},
		{name: "brs-exec", argv: behind(), who: ":assumed-role/early/"},
		{name: "brs-exec --start-early", argv: behind("--start-early"), who: ":assumed-role/early/"},
	}
}

// findPython is the interpreter itself: a version manager's shim takes longer than what is measured.
func findPython(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "python3", "-c", "import sys, boto3; print(sys.executable)").Output()
	if err != nil {
		return "", fmt.Errorf("python3 with boto3 (pip install boto3): %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}

// measure runs all rounds times, after one round that fills caches and isn't counted.
func measure(ctx context.Context, all []*subject, env []string, rounds int) error {
	order := slices.Clone(all)
	for round := range rounds + 1 {
		rand.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		for _, s := range order {
			wall, err := s.once(ctx, env)
			if err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			if round > 0 {
				s.wall = append(s.wall, wall)
			}
		}
	}
	return nil
}

// once runs the child, which must be who it should.
func (s *subject) once(ctx context.Context, env []string) (time.Duration, error) {
	cmd := exec.CommandContext(ctx, s.argv[0], s.argv[1:]...)
	cmd.Env = env
	var stderr strings.Builder
	cmd.Stderr = &stderr
	begun := time.Now()
	out, err := cmd.Output()
	wall := time.Since(begun)
	switch {
	case err != nil:
		return 0, fmt.Errorf("%w\n%s", err, stderr.String())
	case stderr.Len() > 0 || !strings.Contains(string(out), s.who):
		return 0, fmt.Errorf("printed %q and, on stderr, %q; want %q", out, stderr.String(), s.who)
	}
	return wall, nil
}

func table(all []*subject) string {
	var b strings.Builder
	b.WriteString("| | median, ms | least | × static keys |\n|---|---|---|---|\n")
	for _, s := range all {
		ms := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
		fmt.Fprintf(&b, "| %s | %.0f | %.0f | %.2f |\n", s.name, ms(median(s.wall)), ms(slices.Min(s.wall)), ratio(s, all[0]))
	}
	return b.String()
}

func ratio(a, b *subject) float64 { return float64(median(a.wall)) / float64(median(b.wall)) }

func median(d []time.Duration) time.Duration {
	d = slices.Sorted(slices.Values(d))
	return (d[(len(d)-1)/2] + d[len(d)/2]) / 2
}
