package childenv

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/windows"
)

func newWindowsDir(t *testing.T) (d *Dir, place, token string) {
	t.Helper()
	place = t.TempDir()
	d = NewDir(Options{Places: []string{place}, Token: "token", Config: []byte("[default]\n")})
	if d.Err() != nil {
		t.Fatal(d.Err())
	}
	t.Cleanup(func() { d.Remove() })
	found, err := filepath.Glob(filepath.Join(place, "brs-exec-*", "token-*"))
	if err != nil || len(found) != 1 {
		t.Fatal(found, err)
	}
	return d, place, found[0]
}

// hold opens a file as most programs do: nobody may remove it meanwhile.
func hold(t *testing.T, path string, share uint32) windows.Handle {
	t.Helper()
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		t.Fatal(err)
	}
	h, err := windows.CreateFile(name, windows.GENERIC_READ, share, nil, windows.OPEN_EXISTING, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// W13: a client reads its token when the command ends: it is waited for.
func TestRemoveWaits(t *testing.T) {
	t.Parallel()
	d, place, token := newWindowsDir(t)
	h := hold(t, token, windows.FILE_SHARE_READ|windows.FILE_SHARE_WRITE)
	time.AfterFunc(removePatience/2, func() { windows.CloseHandle(h) })
	if err := d.RemoveToken(); err != nil {
		t.Error(err)
	}
	if err := d.Remove(); err != nil {
		t.Error(err)
	}
	if left := entries(t, place); len(left) > 0 {
		t.Error(left)
	}
}

// W13: what somebody has open beyond that is emptied at once, and left to a later run. All that
// takes less than the second that brs-exec has for its end.
func TestRemoveEmpties(t *testing.T) {
	t.Parallel()
	d, _, token := newWindowsDir(t)
	h := hold(t, token, windows.FILE_SHARE_READ|windows.FILE_SHARE_WRITE)
	defer windows.CloseHandle(h)
	start := time.Now()
	if err := d.RemoveToken(); err != nil {
		t.Error(err)
	}
	if text, err := os.ReadFile(token); err != nil || len(text) > 0 {
		t.Errorf("%q, %v", text, err)
	}
	if err := d.Remove(); err != nil {
		t.Error(err)
	}
	if took := time.Since(start); took > 900*time.Millisecond {
		t.Errorf("took %v", took)
	}
	if left := entries(t, filepath.Dir(token)); len(left) != 1 || left[0] != filepath.Base(token) {
		t.Error(left)
	}
}

// What can't even be emptied is told.
func TestRemoveTells(t *testing.T) {
	t.Parallel()
	d, _, token := newWindowsDir(t)
	h := hold(t, token, 0)
	defer windows.CloseHandle(h)
	d.RemoveToken()
	if err := d.Remove(); err == nil || !strings.Contains(err.Error(), "token file") {
		t.Error(err)
	}
}

// What a killed run has left is removed by a later one; what is locked is another run's.
func TestSweepHere(t *testing.T) {
	t.Parallel()
	live, place, _ := newWindowsDir(t)
	killed, _, token := newWindowsDir(t)
	killed.close()
	if err := os.Rename(filepath.Dir(token), filepath.Join(place, filepath.Base(filepath.Dir(token)))); err != nil {
		t.Fatal(err)
	}
	before := time.Now().Add(-2 * tooYoung)
	for _, name := range entries(t, place) {
		if err := os.Chtimes(filepath.Join(place, name), before, before); err != nil {
			t.Fatal(err)
		}
	}
	sweep(t.Context(), place)
	if left := entries(t, place); len(left) != 1 || left[0] != filepath.Base(live.path) {
		t.Errorf("%v; want %s alone", left, live.path)
	}
}

// W8: this user and the system alone.
func TestRights(t *testing.T) {
	t.Parallel()
	_, _, token := newWindowsDir(t)
	sd, err := windows.GetNamedSecurityInfo(filepath.Dir(token), windows.SE_FILE_OBJECT, windows.DACL_SECURITY_INFORMATION)
	if err != nil {
		t.Fatal(err)
	}
	if text := sd.String(); strings.Count(text, "(") != 2 || !strings.Contains(text, "FA;;;SY)") {
		t.Error(text)
	}
}
