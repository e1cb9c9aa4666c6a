//go:build linux

package scale

import (
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// typedFile is a file of docs/SCALE.md: the block of a section that says `# NAME` at its top.
func typedFile(t *testing.T, section, name string) string {
	t.Helper()
	_, text, _ := strings.Cut(read(t, filepath.Join("..", "docs", "SCALE.md")), "\n## "+section+"\n")
	text, _, _ = strings.Cut(text, "\n## ")
	for block := range strings.SplitSeq(text, "\n\n") {
		block = strings.TrimPrefix(strings.ReplaceAll("\n"+block, "\n    ", "\n"), "\n") + "\n"
		if strings.Contains(block, "\n# "+name+"\n") || strings.Contains(block, "\n# "+name+": ") {
			return strings.ReplaceAll(block, "123456789012", "000000000000")
		}
	}
	t.Fatalf("docs/SCALE.md, section %s, has no block %s", section, name)
	return ""
}

const slurmLife = 10 * time.Second

// slurmFiles are those that the page has, where the cluster wants them.
func slurmFiles(t *testing.T) map[string]string {
	files := map[string]string{"prolog": typedFile(t, "Slurm", "prolog"), "epilog": typedFile(t, "Slurm", "epilog")}
	for _, name := range []string{"job.sh", "array.sh"} {
		files["home/ann/"+name] = typedFile(t, "Slurm", name)
	}
	return files
}

// Two arrays of 64 tasks (12, unless SCALE=full), one on each node, over rotations: one with a wrapper in each task, one by the node's server.
// Then both again, cancelled.
func TestSlurmArrays(t *testing.T) {
	s := newSlurm(t, slurmLife, slurmFiles(t))
	defer s.dump()
	tasks := 12
	if full() {
		tasks = 64
	}
	submit := func(etl string) (inside, served string) {
		return s.sbatch([]string{"ETL=" + etl}, "--array=1-"+strconv.Itoa(tasks), "-w", s.nodes[0], "job.sh"),
			s.sbatch([]string{"ETL=" + etl}, "--array=1-"+strconv.Itoa(tasks), "-w", s.nodes[1], "array.sh")
	}
	inside, served := submit("14s 1s")
	for _, id := range []string{inside, served} {
		for _, j := range s.await(id, "COMPLETED", "FAILED", "NODE_FAIL") {
			if j.state != "COMPLETED" || j.exit != "0:0" || s.said(j.id) != "" {
				t.Errorf("%+v: %s", j, s.said(j.id))
			}
		}
	}
	s.clean()
	s.checkInside(tasks)
	s.checkServed(tasks)

	inside, served = submit("10m 1s")
	for _, id := range []string{inside, served} {
		s.await(id, "RUNNING")
	}
	for _, node := range s.nodes {
		s.running(node, tasks)
	}
	s.scancel(inside, served)
	for _, id := range []string{inside, served} {
		for _, j := range s.await(id, "CANCELLED", "COMPLETED", "FAILED", "NODE_FAIL") {
			if j.state != "CANCELLED" {
				t.Errorf("%+v: %s", j, s.said(j.id))
			}
		}
	}
	s.clean()
	if bad := s.refused(); len(bad) > 0 {
		t.Errorf("%d refused calls: %s", len(bad), bad[0])
	}
}

// checkInside looks at what wrappers in all tasks of the first node have asked for: each has asked at its start, and
// at moments of its own.
func (s *slurm) checkInside(tasks int) {
	s.t.Helper()
	of := make(map[string][]time.Time)
	for _, c := range s.assumed(s.nodes[0]) {
		session := c.Params.Get("RoleSessionName")
		of[session] = append(of[session], c.at)
	}
	least, most, calls := time.Hour, time.Duration(0), 0
	for session, at := range of {
		calls += len(at)
		if len(at) < 2 {
			s.t.Errorf("%s has asked only once", session)
			continue
		}
		least, most = min(least, at[1].Sub(at[0])), max(most, at[1].Sub(at[0]))
	}
	if len(of) != tasks || least < slurmLife*45/100-slurmLife/20 || most-least < slurmLife/20 {
		s.t.Errorf("%d sessions, refreshed after %v to %v", len(of), least, most)
	}
	s.t.Logf("a wrapper in each of %d tasks: %d AssumeRole calls, refreshed after %v to %v", tasks, calls, least, most)
}

// checkServed looks at what the second node's server has asked for: once at the start, and once a rotation.
func (s *slurm) checkServed(tasks int) {
	s.t.Helper()
	calls := s.assumed(s.nodes[1])
	for i := range len(calls) - 1 {
		if gap := calls[i+1].at.Sub(calls[i].at); gap < slurmLife*45/100-slurmLife/20 {
			s.t.Errorf("asked again after %v", gap)
		}
	}
	if len(calls) < 3 {
		s.t.Errorf("%d AssumeRole calls: no rotations", len(calls))
	}
	s.t.Logf("one server for %d tasks: %d AssumeRole calls", tasks, len(calls))
}
