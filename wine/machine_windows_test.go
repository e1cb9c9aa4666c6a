package wine

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func enter() (leave func(), err error) {
	dir, err = os.MkdirTemp("", "programs")
	return func() { os.RemoveAll(dir) }, err
}

func environment() []string {
	env := []string{"AWS_EC2_METADATA_DISABLED=true"}
	for _, entry := range os.Environ() {
		if name, _, _ := strings.Cut(strings.ToUpper(entry), "="); !strings.HasPrefix(name, "AWS_") {
			env = append(env, entry)
		}
	}
	return env
}

// seen is how a program there names a file in dir.
func seen(name string) string { return filepath.Join(dir, name) }

// programFiles is a folder with spaces in its name, and how programs there name it.
func programFiles(t *testing.T) (here, there string) {
	folder := filepath.Join(t.TempDir(), "Program Files")
	return folder, folder
}

// leftInTemp are the folders of brs-exec in TEMP.
func leftInTemp(t *testing.T) []string {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(os.TempDir(), "brs-exec-*"))
	if err != nil {
		t.Fatal(err)
	}
	return left
}

// command is one in the folder with the programs. Windows' own are found by name.
func (m *machine) command(argv ...string) *exec.Cmd {
	program := argv[0]
	if rest, ok := strings.CutPrefix(program, `.\`); ok {
		program = filepath.Join(dir, rest)
	}
	cmd := exec.Command(program, argv[1:]...)
	cmd.Args[0] = argv[0]
	cmd.Dir, cmd.Env = dir, m.env
	return cmd
}

// wine's powershell.exe does nothing.
func TestExportToPowerShell(t *testing.T) {
	out, errs, status := machineWithSTS(t).run("powershell.exe", "-NoProfile", "-Command",
		`.\brs-exec.exe --export --format powershell --role-arn `+role+` | Invoke-Expression; .\whois.exe`)
	if status != 0 || !strings.HasPrefix(out, asRole) {
		t.Errorf("status %d, %q, %q", status, out, errs)
	}
}
