//go:build unix

package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"brs-exec/need"
)

// completions is what is typed before the tab, and what stands there behind it.
var completions = []struct{ typed, want string }{
	{"brs-exec --external", "brs-exec --external-id"},
	{"brs-exec --profile dev", "brs-exec --profile dev-etl"},
	{"brs-exec --profile=pro", "brs-exec --profile=prod-etl"},
	{"brs-exec --profile two", `brs-exec --profile two\ words`},
	{`brs-exec --profile "two w`, `brs-exec --profile "two words"`},
	{"~/bin/brs-exec --profile dev", "brs-exec --profile dev-etl"},
	{"brs-exec --sandbox --with-profile dev", "brs-exec --sandbox --with-profile dev-etl"},
	{"brs-exec --region eu-no", "brs-exec --region eu-north-1"},
	{"brs-exec --role-arn arn:aws:iam::1:role/x --log-format js", "role/x --log-format json"},
	{"brs-exec --ca-bundle not", "brs-exec --ca-bundle notes.pem"},
	{"brs-exec --log-file=not", "brs-exec --log-file=notes.pem"},
	{"brs-exec --share fold", "brs-exec --share folder/"},
	{"brs-exec --deliver endpoint,pro", "brs-exec --deliver endpoint,process"},
	{"brs-exec --sandbox -- our-t", "brs-exec --sandbox -- our-tool"},
	{"brs-exec --sandbox our-t", "brs-exec --sandbox our-tool"},
}

// ofTheTool are completions of the command's own words.
var ofTheTool = []struct{ typed, want string }{
	{"brs-exec --region=eu-north-1 -- our-tool --alp", "-- our-tool --alpha"},
	{"brs-exec --region eu-north-1 our-tool --alp", "eu-north-1 our-tool --alpha"},
	{"brs-exec --sandbox -- brs-exec --profile=dev", "-- brs-exec --profile=dev-etl"},
}

// TestCompletion types into real shells.
func TestCompletion(t *testing.T) {
	const bashCompletion = "/usr/share/bash-completion/bash_completion"
	bash := "PS1='> '\nsource ./brs-exec.bash\ncomplete -W --alpha our-tool\n"
	for _, tt := range []struct {
		name, shell, needs, rc string
		files                  map[string]string
		args                   []string
		ofTheTool              bool
	}{
		{name: "bash", rc: "source " + bashCompletion + "\n" + bash, args: []string{"--noprofile", "--rcfile", "rc"}, ofTheTool: true},
		{name: "bash alone", rc: bash, args: []string{"--noprofile", "--rcfile", "rc"}},
		{name: "zsh", rc: "PS1='> '\nfpath=($ZDOTDIR $fpath)\nautoload -U compinit\ncompinit -u -D\ncompdef '_arguments --alpha' our-tool\n", ofTheTool: true},
		{name: "fish", rc: "source brs-exec.fish\ncomplete -c our-tool -l alpha\nfunction fish_prompt\necho '> '\nend\n",
			args: []string{"--no-config", "--init-command", "source rc"}, ofTheTool: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			shell, _, alone := strings.Cut(tt.name, " ")
			need.Tools(t, "tmux", shell)
			if shell == "bash" && !alone {
				_, err := os.Stat(bashCompletion)
				need.That(t, err == nil, "bash-completion", "apt-get install bash-completion")
			}
			s := newTypist(t, tt.rc, append([]string{shell}, tt.args...))
			cases := completions
			if tt.ofTheTool {
				cases = slices.Concat(cases, ofTheTool)
			}
			for _, c := range cases {
				s.completes(t, c.typed, c.want)
			}
		})
	}
}

// typist is somebody who types into a shell, in a terminal of tmux.
type typist struct{ socket string }

// newTypist starts the shell in a folder with its start-up file rc, the scripts and the programs.
func newTypist(t *testing.T, rc string, shell []string) *typist {
	t.Helper()
	dir := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"rc": rc, ".zshrc": rc, "brs-exec.bash": completionScript("bash"), "_brs-exec": completionScript("zsh"),
		"brs-exec.fish": completionScript("fish"), "notes.pem": "", "bin/our-tool": "#!/bin/sh\n", "folder/x": "",
		".aws/config": "[profile dev-etl]\n[profile prod-etl]\n[profile \"two words\"]\n",
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(self, filepath.Join(dir, "bin", "brs-exec")); err != nil {
		t.Fatal(err)
	}
	s := &typist{filepath.Join(dir, "tmux")}
	start := exec.Command("tmux", append([]string{"-f", "/dev/null", "-S", s.socket, "new-session", "-d", "-x", "120", "-y", "30", "-c", dir}, shell...)...)
	start.Env = []string{"PATH=" + filepath.Join(dir, "bin") + ":" + os.Getenv("PATH"), "HOME=" + dir, "ZDOTDIR=" + dir, "TERM=xterm", "LANG=C.UTF-8"}
	t.Cleanup(func() { s.tmux("kill-server") })
	if out, err := start.CombinedOutput(); err != nil {
		t.Fatalf("tmux: %v: %s", err, out)
	}
	s.shows(t, ">")
	return s
}

func (s *typist) tmux(args ...string) string {
	out, _ := exec.Command("tmux", append([]string{"-S", s.socket}, args...)...).CombinedOutput()
	return string(out)
}

// completes types a line and a tab on an empty screen.
func (s *typist) completes(t *testing.T, line, want string) {
	t.Helper()
	s.tmux("send-keys", "C-u")
	s.tmux("send-keys", "C-l")
	s.tmux("send-keys", "-l", line)
	s.shows(t, line)
	s.tmux("send-keys", "Tab")
	s.shows(t, want)
}

func (s *typist) shows(t *testing.T, want string) {
	t.Helper()
	screen := ""
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if screen = s.tmux("capture-pane", "-p"); strings.Contains(screen, want) {
			return
		}
	}
	t.Fatalf("want %q on the screen:\n%s", want, strings.TrimSpace(screen))
}

// A flag added later is completed by itself, and its values if they are known.
func TestCompletesEveryFlag(t *testing.T) {
	t.Parallel()
	all := newCLI().candidates([]string{"--"}, nil)
	for _, g := range newCLI().groups() {
		for _, o := range g.flags {
			if !strings.Contains("\n"+all, "\n--"+o.name+"\t") {
				t.Errorf("--%s is no candidate", o.name)
			}
			values := newCLI().candidates([]string{"--" + o.name, ""}, nil)
			for _, word := range choices[o.name] {
				if !strings.Contains("\n"+values, "\n"+word+"\t") {
					t.Errorf("--%s: %q is no candidate", o.name, word)
				}
			}
			wantFiles := o.placeholder == "FILE" || o.placeholder == "DIR"
			if wantFiles != strings.HasPrefix(values, ":f") {
				t.Errorf("--%s %s: got %q", o.name, o.placeholder, values)
			}
		}
	}
	if again := newCLI().candidates([]string{"--lazy", "--tags=a=b", "-"}, nil); strings.Contains(again, "--lazy\t") ||
		!strings.Contains(again, "--tags\t") {
		t.Errorf("--lazy --tags=a=b: got %s; want no second --lazy, and --tags again", again)
	}
}

// The regions are those that the AWS SDK knows, but for the secret ones.
func TestRegions(t *testing.T) {
	t.Parallel()
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/aws/aws-sdk-go-v2").Output()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "internal", "endpoints", "awsrulesfn", "partitions.json"))
	if err != nil {
		t.Fatal(err)
	}
	var sdk struct {
		Partitions []struct {
			ID      string
			Regions map[string]any
		}
	}
	if err := json.Unmarshal(text, &sdk); err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, p := range sdk.Partitions {
		for region := range p.Regions {
			if !strings.HasPrefix(p.ID, "aws-iso") && !strings.HasSuffix(region, "-global") {
				want = append(want, region)
			}
		}
	}
	slices.Sort(want)
	if got := strings.Fields(regions); !slices.Equal(got, want) {
		t.Errorf("got %q; want %q", got, want)
	}
}

// FuzzComplete: whatever stands there, each line of the answer is a candidate or tells where to look.
func FuzzComplete(f *testing.F) {
	f.Add("--profile\x00")
	f.Add("--deliver=a,\x00-")
	f.Add("--\x00x")
	f.Add("-=\x00--=\x00=")
	f.Fuzz(func(t *testing.T, joined string) {
		words := strings.Split(joined, "\x00")
		for line := range strings.Lines(newCLI().candidates(words, nil)) {
			if !strings.HasPrefix(line, ":") && !strings.Contains(line, "\t") && !strings.Contains(joined, "\n") {
				t.Errorf("%q: %q", words, line)
			}
		}
	})
}
