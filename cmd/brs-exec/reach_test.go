package main

import (
	"cmp"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"brs-exec/internal/ecsserver"
	"brs-exec/internal/runner"
	"brs-exec/internal/share"
)

// docs/REACH.md has what outOfReach says to type, and docs/evidence/REACH.md the reasons, each in outOfReach's order.
func TestReachDocument(t *testing.T) {
	var orders, reasons []string
	for _, row := range outOfReach {
		cell := code(row.commands)
		if row.words != "" {
			cell += " with " + code(row.words)
		}
		orders = append(orders, "| "+cell+" | "+row.order+" |")
		reasons = append(reasons, "| "+cell+" | "+row.why+" |")
	}
	reachTable(t, "REACH.md", "| command | type instead |\n|---|---|\n", orders)
	reachTable(t, filepath.Join("evidence", "REACH.md"), "| command | why | test |\n|---|---|---|\n", reasons)
}

// reachTable compares the first table of a page that has this head: a row of it begins as one of rows.
func reachTable(t *testing.T, page, head string, rows []string) {
	t.Helper()
	doc, err := os.ReadFile(filepath.Join("..", "..", "docs", page))
	if err != nil {
		t.Fatal(err)
	}
	_, table, ok := strings.Cut(strings.ReplaceAll(string(doc), "\r\n", "\n"), head)
	if !ok {
		t.Fatalf("%s has no table", page)
	}
	table, _, _ = strings.Cut(table, "\n\n")
	got := strings.Split(table, "\n")
	for i, row := range rows {
		if i >= len(got) || !strings.HasPrefix(got[i], row) {
			t.Errorf("row %d of docs/%s should begin\n%s", i+1, page, row)
		}
	}
	if len(got) != len(rows) {
		t.Errorf("%s: %d rows; want %d", page, len(got), len(rows))
	}
}

// A rootless podman has its networks in a namespace of its own, which brs-exec must be in to listen there.
func TestReachRootlessPodman(t *testing.T) {
	room := &cli{}
	if err := room.readFlags(room.options(), nil); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"podman", "docker"} {
		command := []string{name, "run", "image"}
		got := room.reachHint(command, "/h")
		if want := name == "podman" && share.Supported && os.Geteuid() != 0; strings.Contains(got, "podman unshare --rootless-netns brs-exec") != want {
			t.Errorf("as user %d: %s", os.Geteuid(), got)
		}
	}
}

func code(words string) string { return "`" + strings.Join(strings.Fields(words), "`, `") + "`" }

func TestReachHint(t *testing.T) {
	for _, tt := range []struct {
		command string
		want    string // what is said after "perhaps because of "; "": no hint
	}{
		{"sudo make", "sudo: it drops the environment; try brs-exec FLAGS --token-in env -- sudo -E …"},
		{"sudo", "sudo: it drops the environment; try brs-exec FLAGS --token-in env -- sudo -E"},
		{"doas -u al make all", "doas: it drops the environment; try brs-exec FLAGS --share /h/.aws-share -- " +
			"doas brs-exec --from-share /h/.aws-share --expect-account 123456789012 -- make …"},
		{"/usr/bin/ssh host", "ssh: the endpoint is on this machine only; try brs-exec FLAGS --share /h/.aws-share -- " +
			"/usr/bin/ssh -o ExitOnForwardFailure=yes -R /tmp/aws.PID:/h/.aws-share/aws.sock host " +
			`"trap 'rm -f /tmp/aws.PID' EXIT; brs-exec --from-share /tmp/aws.PID -- COMMAND"`},
		{"ssh -p 22 -4 host make all", "ssh: the endpoint is on this machine only; try brs-exec FLAGS --share /h/.aws-share -- " +
			"ssh … -o ExitOnForwardFailure=yes -R /tmp/aws.PID:/h/.aws-share/aws.sock host " +
			`"trap 'rm -f /tmp/aws.PID' EXIT; brs-exec --from-share /tmp/aws.PID -- make …"`},
		{"env -i make", `env: with -i it drops the environment; try brs-exec FLAGS --share /h/.aws-share -- ` +
			`env -i PATH="$PATH" brs-exec --from-share /h/.aws-share -- make`},
		{"env A=1 make", ""},
		{"env -u A make -i", ""},
		{"env -vi make", "env: with -i it drops the environment; try "},
		{"env --ignore-signal make", ""},
		{"unshare -rn make", "unshare: a network namespace has a loopback of its own; try brs-exec FLAGS --share /h/.aws-share -- " +
			"unshare … brs-exec --from-share /h/.aws-share -- make"},
		{"unshare -r make -n", ""},
		{"nsenter -t 1 -n make", "nsenter: a network namespace has"},
		{"nsenter -t 1 -m make", ""},
		{"nsenter --target 1 --net make", "nsenter: a network namespace has a loopback of its own; try brs-exec FLAGS --share /h/.aws-share -- " +
			"nsenter … brs-exec --from-share /h/.aws-share -- make"},
		{"ip netns exec ns1 make", "ip: a network namespace has a loopback of its own; try brs-exec FLAGS --share /h/.aws-share -- " +
			"ip netns exec ns1 brs-exec --from-share /h/.aws-share -- make"},
		{"su user -c make", ""},
		{"su - user -c make", "su: a login shell drops the environment; try brs-exec FLAGS --token-in env -- su user -c COMMAND"},
		{"runuser -l -c make", "runuser: a login shell drops the environment; try brs-exec FLAGS --token-in env -- runuser root -c COMMAND"},
		{"parallel echo", ""},
		{"parallel --sshlogin=host echo", "parallel: "},
		{"docker run --rm build", "docker: a container has an environment and a loopback of its own; try " +
			"docker network create --subnet 169.254.170.0/24 --gateway 169.254.170.2 aws; brs-exec FLAGS " +
			"--share /h/.aws-share --listen 169.254.170.2 -- docker run --network aws --env-file /h/.aws-share/env …"},
		{"docker compose run job", "docker: a container has an environment and a loopback of its own; try a service that is brs-exec"},
		{"docker ps", ""},
		{"kubectl get pods", ""},
		{"kubectl exec pod -- make", "kubectl: "},
		{"./gradlew build", "gradlew: a daemon that runs already does the work; try brs-exec FLAGS -- ./gradlew --no-daemon …"},
		{"make sudo", ""},
		{"sudoku", ""},
	} {
		const flags = "--profile a'b --role-arn arn:aws:iam::123456789012:role/etl --external-id x"
		c, _, err := parse(append(strings.Fields(flags), strings.Fields("-- "+tt.command)...), nil, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		want := tt.want
		if before, order, _ := strings.Cut(want, "; try "); strings.Contains(order, "--share") && !share.Supported {
			want = before + "; try brs-exec inside"
		}
		want = strings.NewReplacer("PID", strconv.Itoa(os.Getpid()),
			"FLAGS", `--profile 'a'\''b' --role-arn arn:aws:iam::123456789012:role/etl …`).Replace(want)
		got, hint := strings.CutPrefix(c.reachHint(c.runner.Args, "/h"), "nobody asked for credentials, perhaps because of ")
		if hint != (want != "") || !strings.HasPrefix(got, want) {
			t.Errorf("%s: got\n%q; want\n%q…", tt.command, got, want)
		}
	}
}

// The hint is for a command that failed without having come to us, or only handed its work in, and for nothing else.
func TestAdviseReach(t *testing.T) {
	for _, tt := range []struct {
		name    string
		command string // "": ssh host
		status  runner.Status
		asked   ecsserver.Stats
		level   slog.Level
		silent  bool
	}{
		{name: "failed", status: 1},
		{name: "ssh failed", status: 255},
		{name: "ran nothing", status: 127, silent: true},
		{name: "went well", silent: true},
		{name: "handed in", command: "sbatch job.sh"},
		{name: "handed in, and was served", command: "sbatch --wait job.sh", asked: ecsserver.Stats{Served: 1}, silent: true},
		{name: "handed in, and killed", command: "sbatch job.sh", status: -2, silent: true},
		{name: "killed", status: -15, silent: true},
		{name: "killed, says its shell", status: 130, silent: true},
		{name: "was served", status: 1, asked: ecsserver.Stats{Served: 1}, silent: true},
		{name: "came in vain", status: 1, asked: ecsserver.Stats{Unavailable: 1}, silent: true},
		{name: "was refused", status: 1, asked: ecsserver.Stats{Refused: map[string]uint64{"WrongToken": 1}}, silent: true},
		{name: "errors only", status: 1, level: slog.LevelError, silent: true},
	} {
		log := slog.New(slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: max(tt.level, slog.LevelWarn)}))
		var b strings.Builder
		room := &session{flags: newCLI(), log: log}
		room.adviseReach(&b, strings.Fields(cmp.Or(tt.command, "ssh host")), nil, tt.status, tt.asked)
		if silent := b.String() == ""; silent != tt.silent || !silent && strings.Count(b.String(), "\n") != 1 {
			t.Errorf("%s: %q", tt.name, b.String())
		}
	}
}

// No command is in two rows with the same word.
func TestReachOnce(t *testing.T) {
	var seen []string
	for _, row := range outOfReach {
		for name := range strings.FieldsSeq(row.commands) {
			for _, word := range append(strings.Fields(row.words), "") {
				if word = name + " " + word; (row.words == "" || word != name+" ") && slices.Contains(seen, word) {
					t.Errorf("%s twice", word)
				}
				seen = append(seen, word)
			}
		}
	}
}
