package e2e

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"brs-exec/internal/sandbox"
	"brs-exec/need"
)

// far is where a stand-in takes its program: an environment of its own, but for this world's STS.
const far = `far() { env -i PATH="$PATH" HOME="$HOME" $STS "$@"; }
`

// standIns do what programs do that this machine doesn't have, as far as credentials are concerned.
var standIns = map[string]string{
	"doas":     `[ "$1" != -u ] || shift 2; far "$@"`,
	"mosh":     `shift; [ "$1" != -- ] || shift; far "$@"`,
	"pdsh":     `shift 2; far "$@"`,
	"parallel": `shift 2; far "$@"`,
	"srun":     `[ "$1" != -n ] || shift 2; far "$@"`,
	"sbatch":   `case $1 in --wrap) far sh -c "$2" ;; *) far "$@" ;; esac`,
	"gradle":   `case $1 in --no-daemon) shift; "$@" ;; *) far "$@" ;; esac`,
	"docker": `file=/dev/null sub=$1; shift
case $sub in network) exit ;; build) [ "$1" != --secret ] || { far AWS_SHARED_CREDENTIALS_FILE="${2#id=aws,src=}" whois; exit; }; far whois; exit ;; esac
while :; do case $1 in --network) shift 2 ;; --env-file) file=$2; shift 2 ;; --rm) shift ;; *) break ;; esac; done
shift; far $(cat "$file") "$@"`,
	"kubectl": `shift 3; far "$@"`,
	"whois":   `[ $# = 0 ] && env $STS AWS_EC2_METADATA_DISABLED=true AWS_MAX_ATTEMPTS=1 WHOIS`,
	// What a tmux or a screen starts in its window.
	"shell": `whois >"$HOME/said.part"; mv "$HOME/said.part" "$HOME/said"`,
}

// install puts the stand-ins, and brs-exec, first in PATH. What is known everywhere is in $STS.
func (w *world) install(t *testing.T) {
	t.Helper()
	bin := openDir(t, 0o755)
	sts := "AWS_ENDPOINT_URL_STS=" + w.url + " AWS_REGION=us-east-1"
	for name, text := range standIns {
		text = "#!/bin/sh\nSTS='" + sts + "'\n" + far + strings.ReplaceAll(text, "WHOIS", tools.whois) + "\n"
		if err := os.WriteFile(filepath.Join(bin, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(tools.brsExec, filepath.Join(bin, "brs-exec")); err != nil {
		t.Fatal(err)
	}
	w.set("PATH="+bin+":"+os.Getenv("PATH"), "BIN="+bin)
}

// hinted runs a command out of reach, and returns the line that the hint says to type.
func (w *world) hinted(t *testing.T, run func(args ...string) *exec.Cmd, flags, typed string) string {
	t.Helper()
	cmd := run("sh", "-c", "brs-exec "+flags+" -- "+typed)
	out, err := cmd.CombinedOutput()
	_, hint, ok := strings.Cut(string(out), "brs-exec: hint: nobody asked for credentials, perhaps because of ")
	_, line, _ := strings.Cut(hint, "; try ")
	if err == nil || !ok || strings.Count(hint, "\n") != 1 || strings.Contains(string(out), "assumed-role") {
		t.Fatalf("%s: %v: %s", typed, err, out)
	}
	return strings.TrimSpace(line)
}

// The line that each hint says is typed as it stands, with what "…" stands for: the command is the role.
func TestHints(t *testing.T) {
	need.Tools(t, "ip", "nsenter", "unshare", "sudo", "runuser", "tmux", "screen", "script")
	for name, c := range map[string]struct{ typed, rest string }{
		"sudo":         {"sudo -n $BIN/whois", "-n $BIN/whois"},
		"doas":         {"doas -u root whois", ""},
		"su":           {"su - root -c $BIN/whois", ""},
		"runuser":      {"runuser -l root -c $BIN/whois", ""},
		"env":          {"env -i $BIN/whois", ""},
		"tmux":         {"tmux attach", ""},
		"screen":       {"screen -r nobody", ""},
		"mosh":         {"mosh host -- whois", ""},
		"pdsh":         {"pdsh -w host whois", ""},
		"parallel":     {"parallel -S host whois", ""},
		"srun":         {"srun whois", ""},
		"sbatch":       {"sbatch whois", ""},
		"docker run":   {"docker run --rm image whois", "--rm image whois"},
		"docker exec":  {"docker exec container whois", "container whois"},
		"docker build": {"docker build .", "."},
		"kubectl":      {"kubectl exec pod -- whois", ""},
		"ip":           {"ip netns exec $NETNS whois", ""},
		"nsenter":      {"nsenter --net=/run/netns/$NETNS whois", "--net=/run/netns/$NETNS"},
		"gradle":       {"gradle whois", "whois"},
	} {
		t.Run(name, func(t *testing.T) {
			if !slices.Contains([]string{"sudo", "env", "docker run", "ip"}, name) {
				need.Long(t, "two seconds for each of fifteen programs")
			}
			w := newWorld(t, sandbox.Options{})
			host, inner := newNetns(t), newNetns(t)
			_, sts, _ := strings.Cut(w.url, "//")
			host.serveSTS(t, w, sts)
			inner.serveSTS(t, w, sts)
			host.sh(t, "ip addr add 169.254.170.2/24 dev lo")
			k := w.sts.BaseCredentials()
			w.write(t, ".aws/credentials", "[base]\naws_access_key_id = "+k.AccessKeyID+"\naws_secret_access_key = "+k.SecretAccessKey+"\n")
			w.install(t)
			w.set("NETNS=brs-exec-"+filepath.Base(w.tmp), "TMUX_TMPDIR="+w.home, "SCREENDIR="+openDir(t, 0o700), "TERM=vt100", "SHELL=/bin/sh")
			if strings.Contains(c.typed, "$NETNS") {
				named(t, inner, variableOf(w.env, "NETNS"))
			}
			run := func(args ...string) *exec.Cmd { return host.command(t, w.env, args...) }
			line := w.hinted(t, run, "--profile base --role-arn "+role, c.typed)
			t.Log(line)
			w.types(t, run, line, c.rest)
		})
	}
}

// types types a hint's line, in a terminal.
func (w *world) types(t *testing.T, run func(args ...string) *exec.Cmd, line, rest string) {
	t.Helper()
	line = strings.ReplaceAll(strings.ReplaceAll(line, ", and ", "; "), " …", " "+rest)
	line, _, _ = strings.Cut(line, ", if ")
	line = strings.ReplaceAll(line, "COMMAND", filepath.Join(variableOf(w.env, "BIN"), "whois"))
	if strings.Contains(line, "--network aws") != strings.Contains(line, "; brs-exec") {
		t.Errorf("the network: %s", line)
	}
	cmd := run("script", "-qec", "export SHELL=$BIN/shell; "+line, "/dev/null")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	said, _ := os.ReadFile(filepath.Join(w.home, "said"))
	if text := out.String() + string(said); err != nil || !strings.Contains(text, ":assumed-role/etl/") || strings.Contains(text, "hint:") {
		t.Errorf("%s: %v: %s", line, err, text)
	}
}

// named gives a namespace a name for ip-netns(8).
func named(t *testing.T, n netns, name string) {
	t.Helper()
	if out, err := exec.Command("ip", "netns", "attach", name, n.pid).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	t.Cleanup(func() { exec.Command("ip", "netns", "delete", name).Run() })
}
