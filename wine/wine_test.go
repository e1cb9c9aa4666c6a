//go:build linux || windows

// Package wine runs brs-exec's Windows build: on Windows itself, or under wine 10 in a file system root, which .ci/wine makes
// and names in $WINE_ROOT.
package wine

import (
	"bytes"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"brs-exec/internal/sandbox"
	"brs-exec/need"
)

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	leave, err := enter()
	if err == nil && dir != "" {
		defer leave()
		err = build()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return need.Run(m)
}

func build() error {
	cmd := exec.Command("go", "build", "-o", dir+string(filepath.Separator), "brs-exec/cmd/brs-exec", "brs-exec/e2e/whois", "brs-exec/wine/helper")
	cmd.Env = append(os.Environ(), "GOOS=windows", "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false")
	cmd.Stderr = os.Stderr
	return cmd.Run()
}

// dir is the folder with the programs, as these tests name it; "": there is no Windows.
var dir string

// A machine is the one Windows that all tests share, one after the other.
type machine struct {
	t   *testing.T
	env []string
}

func newMachine(t *testing.T, env ...string) *machine {
	t.Helper()
	need.Asked(t, dir != "", "WINE_ROOT, which .ci/wine sets")
	return &machine{t, append(environment(), env...)}
}

// run returns what a command printed, with Unix's line ends, and its status, of which Unix has eight bits.
func (m *machine) run(argv ...string) (stdout, stderr string, status int) {
	m.t.Helper()
	cmd := m.command(argv...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	cmd.Run()
	return plain(out), plain(errs), cmd.ProcessState.ExitCode()
}

// plain takes Windows' line ends away, and what wine says itself.
func plain(b bytes.Buffer) string {
	var kept strings.Builder
	for line := range strings.Lines(strings.ReplaceAll(b.String(), "\r", "")) {
		if !strings.HasPrefix(line, "wine: ") && !strings.HasPrefix(line, "wine client error:") {
			kept.WriteString(line)
		}
	}
	return kept.String()
}

// under is brs-exec's command line for a command.
func under(argv ...string) []string {
	return append([]string{`.\brs-exec.exe`, "--sandbox", "--"}, argv...)
}

func (m *machine) wantEmptyTemp() {
	m.t.Helper()
	if left := leftInTemp(m.t); len(left) > 0 {
		m.t.Errorf("left in TEMP: %v", left)
	}
}

const asSandbox = "arn:aws:sts::000000000000:assumed-role/sandbox/"

// W3: each run is silent, and leaves nothing.
func TestLeavesNothing(t *testing.T) {
	m := newMachine(t)
	runs := 8
	if os.Getenv("LONG") != "" {
		runs = 40
	}
	if os.Getenv("WINE_RUNS") != "" { // .ci/long
		runs = 200
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range runs / 4 {
				if out, errs, status := m.run(under(`.\whois.exe`)...); status != 0 || !strings.HasPrefix(out, asSandbox) || errs != "" {
					t.Errorf("status %d, %q, %q", status, out, errs)
				}
			}
		})
	}
	all.Wait()
	m.wantEmptyTemp()
}

// All 32 bits of a status. cmd.exe shows them, signed.
func TestStatuses(t *testing.T) {
	m := newMachine(t)
	statuses := []uint32{0, 1, 3, 124, 125, 126, 127, 255, 256, 1000, 0xC000013A, 0xC0000005, 0xFFFFFFFF, 0x80000000, 0x7FFFFFFF}
	var lines, want []string
	for _, status := range statuses {
		lines = append(lines, fmt.Sprintf(`.\brs-exec.exe --sandbox -- .\helper.exe exit %d`, status), "echo %ERRORLEVEL%")
		want = append(want, fmt.Sprint(int32(status)))
	}
	out, errs, _ := m.batch(lines...)
	if got := strings.Fields(out); !slices.Equal(got, want) {
		t.Errorf("got %q, %q; want %q", got, errs, want)
	}
}

// W5: names have no case, ours neither; whatever the case, nothing else answers.
func TestNames(t *testing.T) {
	m := newMachine(t, "brs_exec_role_arn=arn:aws:iam::123456789012:role/other")
	if out, errs, _ := m.run(under(`.\whois.exe`)...); !strings.HasPrefix(out, "arn:aws:sts::123456789012:assumed-role/other/") {
		t.Errorf("%q, %q", out, errs)
	}
	m.env[len(m.env)-1] = "Brs_Exec_Nonsense=1"
	if _, errs, status := m.run(under(`.\whois.exe`)...); status != 125 || !strings.Contains(errs, "no such variable") {
		t.Errorf("status %d, %q", status, errs)
	}
	m.env = m.env[:len(m.env)-1]
	spell := []func(string) string{mixedCase}
	if os.Getenv("WINE_RUNS") != "" {
		spell = append(spell, strings.ToUpper, strings.ToLower)
	}
	for _, trap := range []string{
		"access_key_id=AKIATRAP,secret_access_key=x,session_token=y", "access_key_id=AKIATRAP,secret_access_key=x", "profile=trap",
		"default_profile=trap", `config_file=Z:\trap`, `shared_credentials_file=Z:\trap`, "container_credentials_relative_uri=/trap",
		"web_identity_token_file=Z:\\trap,role_arn=arn:aws:iam::123456789012:role/trap", "endpoint_url=http://127.0.0.1:1",
		"container_credentials_full_uri=http://127.0.0.1:1/x,container_authorization_token=t", "endpoint_url_sts=http://127.0.0.1:1",
		`container_authorization_token_file=Z:\trap`,
	} {
		for _, spell := range spell {
			w := *m
			for setting := range strings.SplitSeq(trap, ",") {
				name, value, _ := strings.Cut("aws_"+setting, "=")
				w.env = append(slices.Clone(w.env), spell(name)+"="+value)
			}
			if out, errs, status := w.run(under(`.\whois.exe`)...); status != 0 || !strings.HasPrefix(out, asSandbox) {
				t.Errorf("%q: status %d, %q, %q", w.env[len(m.env):], status, out, errs)
			}
		}
	}
	m.env = append(m.env, "http_proxy=http://127.0.0.1:1")
	if out, errs, status := m.run(under(`.\whois.exe`)...); status != 0 || !strings.HasPrefix(out, asSandbox) {
		t.Errorf("http_proxy: status %d, %q, %q", status, out, errs)
	}
}

// mixedCase makes Aws_Profile of aws_profile.
func mixedCase(name string) string {
	words := strings.Split(name, "_")
	for i, word := range words {
		words[i] = strings.ToUpper(word[:1]) + word[1:]
	}
	return strings.Join(words, "_")
}

// batch runs a batch file.
func (m *machine) batch(lines ...string) (stdout, stderr string, status int) {
	m.t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "typed.bat"), []byte("@echo off\r\n"+strings.Join(lines, "\r\n")+"\r\n"), 0o644); err != nil {
		m.t.Fatal(err)
	}
	return m.run("cmd.exe", "/c", "typed.bat")
}

// W6, W7: the command gets its line as it was typed; so it is that of the run without us.
func TestLineAsTyped(t *testing.T) {
	m := newMachine(t)
	for _, typed := range []string{
		`.\helper.exe line "ab" "c d"`, `.\helper.exe line ""C:\a b\x.exe" "two words""`, `.\helper.exe line PROP="a b"`,
		`.\helper.exe line a\\ "b\\" c\"d`, `.\helper.exe line`,
	} {
		bare, _, _ := m.batch(typed)
		out, errs, status := m.batch(`.\brs-exec.exe --sandbox -- ` + typed)
		if status != 0 || out != bare || bare == "" {
			t.Errorf("%s: status %d, got %q, %q; want %q", typed, status, out, errs, bare)
		}
	}
}

// W4, W14: a command of the user's runs as if it were typed.
func TestCommands(t *testing.T) {
	m := newMachine(t)
	space := filepath.Join(dir, "dir with space")
	program, err := os.ReadFile(filepath.Join(dir, "helper.exe"))
	if err == nil {
		err = os.MkdirAll(space, 0o755)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(space, "keys.exe"), program, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	typed := `"` + seen(`dir with space\keys.exe`) + `" keys AKIAIOSFODNN7EXAMPLE "b c"`
	_, errs, _ := m.run(`.\brs-exec.exe`, "--credential-command", typed, "--sts-endpoint-url", "http://127.0.0.1:1", "--start-timeout", "6",
		"--", `.\whois.exe`)
	if !strings.Contains(errs, typed) || strings.Contains(errs, "9009") {
		t.Error(errs)
	}
	_, errs, status := m.run(`.\brs-exec.exe`, "--credential-command", "nosuch", "--", `.\whois.exe`)
	if status != 125 || !strings.Contains(errs, "no such command") {
		t.Errorf("status %d, %s", status, errs)
	}
	note := seen("hangs")
	_, errs, status = m.run(`.\brs-exec.exe`, "--credential-command", `.\helper.exe child `+note, "--start-timeout", "4", "--", `.\whois.exe`)
	if status != 125 {
		t.Errorf("status %d, %s", status, errs)
	}
	wantSilence(t, filepath.Join(dir, "hangs"))
	m.wantEmptyTemp()
}

// wantSilence checks that the helper which notes there has ended.
func wantSilence(t *testing.T, file string) {
	t.Helper()
	before, err := os.ReadFile(file)
	time.Sleep(2500 * time.Millisecond)
	after, _ := os.ReadFile(file)
	if err != nil || len(before) == 0 || !bytes.Equal(before, after) {
		t.Errorf("%q, and then %q (%v)", before, after, err)
	}
}

// W15: brs-exec is killed, and so is all that the command has started.
func TestWrapperKilled(t *testing.T) {
	m := newMachine(t)
	_, errs, status := m.run(append([]string{`.\helper.exe`, "kill", "5s"}, under("cmd.exe", "/c", `.\helper.exe child `+seen("killed"))...)...)
	if status != 0 {
		t.Errorf("status %d, %s", status, errs)
	}
	wantSilence(t, filepath.Join(dir, "killed"))
	for _, folder := range leftInTemp(t) { // a later run finds it old enough to be swept
		os.RemoveAll(folder)
	}
}

// W8: this user and the system alone may open the private folder.
func TestPrivateFolder(t *testing.T) {
	m := newMachine(t)
	out, errs, status := m.run(under(`.\helper.exe`, "rights")...)
	entries := strings.Count(out, "(") // wine doesn't show that the list is protected from what TEMP has
	if status != 0 || entries != 2 || strings.Count(out, "(A;OICI;FA;;;") != 2 || !strings.Contains(out, "(A;OICI;FA;;;SY)") {
		t.Errorf("status %d, %q, %q", status, out, errs)
	}
}

// W10, W16, W18, W19, W20: what can't be says so, and what to type here.
func TestAdvice(t *testing.T) {
	m := newMachine(t)
	script := filepath.Join(dir, "hello.ps1")
	if err := os.WriteFile(script, []byte("echo hello\r\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(filepath.Join(dir, "helper.exe"))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "Docker.EXE"), program, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		argv   []string
		status int
		says   string
	}{
		{[]string{`.\brs-exec.exe`, "--sandbox", "--pty", "--", `.\whois.exe`}, 125, "--pty: Windows has no such thing"},
		{[]string{`.\brs-exec.exe`, "--sandbox", "--kill-after", "1s", "--", `.\whois.exe`}, 125, "--kill-after: Windows has no such thing"},
		{under("whois"), 126, `hint: .\whois runs it`},
		{under("hello.ps1"), 126, "hint: powershell -File hello.ps1"},
		{under("nosuch"), 127, "nosuch: no such command"},
		{[]string{`.\brs-exec.exe`}, 125, "hint: -- %ComSpec% runs a shell"},
		{under(`.\Docker.EXE`, "exit", "1", "run"), 1, "because of docker"},
		{[]string{`.\brs-exec.exe`, "--sandbox", "--port", "29555", "--", `.\brs-exec.exe`, "--sandbox", "--port", "29555", "--", `.\whois.exe`}, 125,
			"hint: leave it out, and a free one is taken"},
	} {
		if _, errs, status := m.run(tt.argv...); status != tt.status || !strings.Contains(errs, tt.says) {
			t.Errorf("%q: status %d, %q; want %d, %q", tt.argv, status, errs, tt.status, tt.says)
		}
	}
	m.wantEmptyTemp()
}

// A program with the Go SDK over rotations, and W12: --deliver process from a folder with a space.
func TestRotations(t *testing.T) {
	m := newMachine(t)
	length := "20s"
	if os.Getenv("WINE_RUNS") != "" {
		length = "60s"
	}
	out, errs, status := m.run(`.\brs-exec.exe`, "--sandbox", "--sandbox-ttl", "6s", "--", `.\whois.exe`, length, "200ms")
	if status != 0 {
		t.Errorf("status %d, %q, %q", status, out, errs)
	}
	files, there := programFiles(t)
	program, err := os.ReadFile(filepath.Join(dir, "brs-exec.exe"))
	if err == nil {
		err = os.MkdirAll(files, 0o755)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(files, "brs-exec.exe"), program, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	out, errs, status = m.run(there+`\brs-exec.exe`, "--sandbox", "--deliver", "process", "--", `.\whois.exe`)
	if status != 0 || !strings.HasPrefix(out, asSandbox) {
		t.Errorf("--deliver process: status %d, %q, %q", status, out, errs)
	}
	m.wantEmptyTemp()
}

// W2: at the end of the console, of the session or of the system the command saves its work, and brs-exec waits for it.
func TestConsoleEnds(t *testing.T) {
	m := newMachine(t)
	for _, event := range []string{"2", "5", "6"} { // close, logoff, shutdown
		name := "saves" + event
		argv := append([]string{`.\helper.exe`, "tell", event, seen(name)}, under(`.\helper.exe`, "saves", seen(name))...)
		if _, errs, status := m.run(argv...); status != 0 || errs != "" {
			t.Errorf("%s: status %d, %q", event, status, errs)
		}
		if text, err := os.ReadFile(filepath.Join(dir, name)); err != nil || !strings.HasSuffix(plain(*bytes.NewBuffer(text)), "\ntold\nsaved\n") {
			t.Errorf("%s: %q, %v", event, text, err)
		}
	}
	if out, errs, _ := m.run(under(`.\helper.exe`, "level")...); out != "0x280\n" { // ours is below
		t.Errorf("the command's level is %q, %q", out, errs)
	}
	m.wantEmptyTemp()
}

// W9: nobody else listens where the endpoint does. (wine refuses it in any case.)
func TestPort(t *testing.T) {
	m := newMachine(t)
	if _, errs, status := m.run(under(`.\helper.exe`, "bind")...); status != 0 || errs != "" {
		t.Errorf("status %d, %q", status, errs)
	}
}

// W13: another program has the token file open when the command ends. It is waited for; what takes too long is left emptied.
func TestTokenHeld(t *testing.T) {
	m := newMachine(t)
	if _, errs, status := m.run(under(`.\helper.exe`, "leave", "50ms")...); status != 0 || errs != "" {
		t.Errorf("status %d, %q", status, errs)
	}
	m.wantEmptyTemp()
	if _, errs, status := m.run(under(`.\helper.exe`, "leave", "5s")...); status != 0 || errs != "" {
		t.Errorf("status %d, %q", status, errs)
	}
	left := leftInTemp(t)
	for _, folder := range left {
		files, err := os.ReadDir(folder)
		if err != nil || len(files) != 1 || !strings.HasPrefix(files[0].Name(), "token-") {
			t.Errorf("%v, %v", files, err)
		}
		for _, file := range files {
			if info, err := file.Info(); err != nil || info.Size() > 0 {
				t.Errorf("%v, %v", info, err)
			}
		}
		time.Sleep(5 * time.Second) // the holder's; a later run then finds it old enough
		if err := os.RemoveAll(folder); err != nil {
			t.Error(err)
		}
	}
	if len(left) != 1 {
		t.Errorf("left in TEMP: %v", left)
	}
}

// W13: a program that has the file of --deliver file open over a rotation keeps nothing from being renewed.
func TestDeliveredHeld(t *testing.T) {
	m := newMachine(t)
	_, errs, status := m.run(`.\brs-exec.exe`, "--sandbox", "--sandbox-ttl", "4s", "--deliver", "file", "--",
		`.\helper.exe`, "reread", "AWS_SHARED_CREDENTIALS_FILE", "300ms", "10s", `.\whois.exe`)
	if status != 0 || errs != "" {
		t.Errorf("status %d, %q", status, errs)
	}
	m.wantEmptyTemp()
}

const role, asRole = "arn:aws:iam::123456789012:role/etl", "arn:aws:sts::123456789012:assumed-role/etl/"

// machineWithSTS has base credentials, and an STS of this test for all that runs there.
func machineWithSTS(t *testing.T) *machine {
	t.Helper()
	stand := sandbox.New(sandbox.Options{})
	sts := httptest.NewServer(stand)
	t.Cleanup(sts.Close)
	base := stand.BaseCredentials()
	return newMachine(t, "AWS_ENDPOINT_URL_STS="+sts.URL, "AWS_REGION=us-east-1",
		"AWS_ACCESS_KEY_ID="+base.AccessKeyID, "AWS_SECRET_ACCESS_KEY="+base.SecretAccessKey)
}

// The lines of --export are a shell's own: keys that it has taken are good.
func TestExport(t *testing.T) {
	m := machineWithSTS(t)
	out, errs, status := m.batch(`.\brs-exec.exe --export --format windows-cmd --role-arn `+role+` >keys.bat`, "call keys.bat", `.\whois.exe`)
	if status != 0 || !strings.HasPrefix(out, asRole) {
		t.Errorf("status %d, %q, %q", status, out, errs)
	}
}

// A batch file over ten rotations: each of its programs has good credentials.
func TestBatchFile(t *testing.T) {
	m := newMachine(t)
	lines := []string{"@echo off", "for /l %%i in (1,1,%1) do (", `  .\whois.exe 1s 200ms || exit /b 1`, ")"}
	if err := os.WriteFile(filepath.Join(dir, "job.bat"), []byte(strings.Join(lines, "\r\n")+"\r\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	times := "6"
	if os.Getenv("WINE_RUNS") != "" {
		times = "30"
	}
	_, errs, status := m.run(`.\brs-exec.exe`, "--sandbox", "--sandbox-ttl", "6s", "--", `.\job.bat`, times)
	if status != 0 || errs != "" {
		t.Errorf("status %d, %q", status, errs)
	}
	m.wantEmptyTemp()
}
