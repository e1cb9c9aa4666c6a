//go:build linux

package scale

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"brs-exec/need"
)

// typedFile is a file of docs/SCALE.md: the block of a section that says `# NAME` at its top.
func typedFile(t *testing.T, section, name string) string {
	t.Helper()
	for _, block := range blocksOf(sectionOf(t, section)) {
		for _, m := range fileBlock.FindAllStringSubmatch(block, -1) {
			if m[1] == name {
				return strings.ReplaceAll(block+"\n", "123456789012", "000000000000")
			}
		}
	}
	t.Fatalf("docs/SCALE.md, section %s, has no block %s", section, name)
	return ""
}

// slurmFiles are those that the page has, where the cluster wants them.
func slurmFiles(t *testing.T) map[string]string {
	files := map[string]string{"prolog": typedFile(t, "Slurm", "prolog"), "epilog": typedFile(t, "Slurm", "epilog"),
		"taskprolog": typedFile(t, "Slurm", "taskprolog")}
	for _, name := range []string{"job.sh", "array.sh", "around.sh", "steps.sh", "limit.sh"} {
		files["home/ann/"+name] = typedFile(t, "Slurm", name)
	}
	return files
}

// Two arrays of 64 tasks (12, unless SCALE=full), one on each node, over rotations: one with a wrapper in each task, one by the node's server.
// Then both again, cancelled.
func TestSlurmArrays(t *testing.T) {
	tasks, life, etl := 12, 10*time.Second, "14s 1s"
	if full() {
		tasks, life, etl = 64, 40*time.Second, "45s 2s" // a machine that starts 128 of them at once stalls
	}
	s := newSlurm(t, life, slurmFiles(t))
	defer s.dump()
	submit := func(etl string) (inside, served string) {
		return s.sbatch([]string{"ETL=" + etl}, "--array=1-"+strconv.Itoa(tasks), "-w", s.nodes[0], "job.sh"),
			s.sbatch([]string{"ETL=" + etl}, "--array=1-"+strconv.Itoa(tasks), "-w", s.nodes[1], "array.sh")
	}
	inside, served := submit(etl)
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

	inside, served = submit("10m 2s")
	for _, id := range []string{inside, served} {
		s.await(id, "RUNNING")
	}
	for _, node := range s.nodes {
		s.running(node, tasks)
		t.Logf("%d tasks: the brs-exec of %s have %s MB", tasks, node, s.memory(node))
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
	if len(of) != tasks || least < s.life*45/100-s.life/20 || most-least < s.life/20 {
		s.t.Errorf("%d sessions, refreshed after %v to %v", len(of), least, most)
	}
	s.t.Logf("a wrapper in each of %d tasks: %d AssumeRole calls, refreshed after %v to %v", tasks, calls, least, most)
}

// checkServed looks at what the second node's server has asked for: once at the start, and once a rotation.
func (s *slurm) checkServed(tasks int) {
	s.t.Helper()
	calls := s.assumed(s.nodes[1])
	for i := range len(calls) - 1 {
		if gap := calls[i+1].at.Sub(calls[i].at); gap < s.life*45/100-s.life/20 {
			s.t.Errorf("asked again after %v", gap)
		}
	}
	if len(calls) < 3 {
		s.t.Errorf("%d AssumeRole calls: no rotations", len(calls))
	}
	s.t.Logf("one server for %d tasks: %d AssumeRole calls", tasks, len(calls))
}

// How jobs end: each by itself, by a scancel in which a step uses its grace, and as Slurm sees it.
func TestSlurmEnds(t *testing.T) {
	s := newSlurm(t, 10*time.Second, slurmFiles(t))
	defer s.dump()
	s.put("home/ann/bare.sh", strings.ReplaceAll(typedFile(t, "Slurm", "around.sh"), " --linger 5m", ""), 0o755)
	s.put("home/ann/exit.sh", "#!/bin/bash\nexec brs-exec --role-arn \"$ROLE\" -- sh -c \"$DO\"\n", 0o755)
	do := func(script, env string) string { return s.sbatch([]string{env}, "-w", s.nodes[0], script) }
	linger, bare := do("around.sh", "ETL=grace"), do("bare.sh", "ETL=grace")
	s.put("home/ann/dead.sh", "#!/bin/bash\nbrs-exec -- true\n", 0o755)
	s.put("home/ann/apart.sh", "#!/bin/bash\nexec brs-exec --role-arn \"$ROLE\" -- srun brs-exec -- whois\n", 0o755)
	ends := map[string]struct{ state, exit, says string }{
		s.sbatch(nil, "-N2", "apart.sh"):                   {"FAILED", "125:0", "or runs on another machine"},
		do("exit.sh", "DO=exit 3"):                         {"FAILED", "3:0", ""},
		do("exit.sh", "DO=kill -SEGV $$"):                  {"FAILED", "0:11", ""},
		do("exit.sh", "DO=whois"):                          {"COMPLETED", "0:0", "assumed-role"},
		s.sbatch(nil, "-p", "etl", "--wrap", "srun whois"): {"COMPLETED", "0:0", "assumed-role/etl/"},
		do("job.sh", "ROLE=none"):                          {"FAILED", "125:0", "brs-exec: "},
		s.underBrsExec("dead.sh"):                          {"FAILED", "125:0", "this environment is of a brs-exec that has ended"},
	}
	for id, want := range ends {
		j := s.await(id, "COMPLETED", "FAILED", "NODE_FAIL")[0]
		if j.state != want.state || j.exit != want.exit || !strings.Contains(s.said(id), want.says) {
			t.Errorf("got %+v; want %+v: %s", j, want, s.said(id))
		}
		if said, err := s.on("ctl", nil, "sacct", "-c", "-n", "-P", "-o", "state", "-j", id).Output(); strings.TrimSpace(string(said)) != want.state {
			t.Errorf("%s: sacct says %q, %v; want %s", id, said, err, want.state)
		}
	}
	for _, id := range []string{linger, bare} {
		s.await(id, "RUNNING")
		await(t, "the step of "+id, func() bool { return exists(s.shared + "/home/ann/grace-" + id) })
	}
	s.scancel(linger, bare)
	for id, want := range map[string]string{linger: "10 of 10\n", bare: "0 of 10\n"} {
		s.await(id, "CANCELLED")
		await(t, "the last words of "+id, func() bool { return read(t, s.shared+"/home/ann/grace-"+id) != "" })
		if got := read(t, s.shared+"/home/ann/grace-"+id); got != want {
			t.Errorf("%s: %q calls in its grace went through; want %q: %s", id, got, want, s.said(id))
		}
	}
	s.clean()
}

// What takes Slurm minutes: the signal before a time limit, and the limit; and a /tmp of each job's own.
func TestSlurmLimits(t *testing.T) {
	need.Asked(t, full(), "SCALE=full")
	files := slurmFiles(t)
	files["job_container.conf"] = "AutoBasePath=true\nBasePath=/run/private\n"
	s := newSlurm(t, 10*time.Second, files, "JobContainerType=job_container/tmpfs", "PrologFlags=Contain")
	defer s.dump()
	first := s.nodes[0]
	s.put("home/ann/over.sh", strings.ReplaceAll(typedFile(t, "Slurm", "limit.sh"), " --signal=B:TERM@30", ""), 0o755)
	warned := s.sbatch([]string{"ETL=grace"}, "-w", first, "limit.sh")
	s.wantEnds(map[string]job{
		warned: {state: "COMPLETED", exit: "0:0"},
		s.sbatch([]string{"ETL=10m 1s"}, "-w", first, "over.sh"):  {state: "TIMEOUT", exit: "0:15"},
		s.sbatch([]string{"ETL=26s 1s"}, "-w", first, "array.sh"): {state: "COMPLETED", exit: "0:0"},
	})
	if got := read(t, s.shared+"/home/ann/grace-"+warned); got != "10 of 10\n" {
		t.Errorf("after the signal before the limit: %q", got)
	}
	s.clean()
	if bad := s.refused(); len(bad) > 0 {
		t.Errorf("%d refused calls: %s", len(bad), bad[0])
	}
}

// A requeue, and a node that is lost. (With job_container/tmpfs Slurm 22.05 often makes no container for a job that
// comes again to a node within two minutes.)
func TestSlurmRetries(t *testing.T) {
	need.Asked(t, full(), "SCALE=full")
	s := newSlurm(t, 10*time.Second, slurmFiles(t))
	defer s.dump()
	first, second := s.nodes[0], s.nodes[1]
	requeued := s.sbatch([]string{"ETL=40s 1s"}, "-w", first, "--requeue", "job.sh")
	lost := s.sbatch([]string{"ETL=40s 1s"}, "-w", second, "--requeue", "job.sh")
	s.await(requeued, "RUNNING")
	s.await(lost, "RUNNING")
	s.running(second, 1)
	s.running(first, 1)

	s.control("requeue", requeued)
	s.off(second)
	s.control("update", "nodename="+second, "state=down", "reason=lost")
	for _, id := range []string{requeued, lost} {
		s.await(id, "PENDING")
		s.control("update", "jobid="+id, "starttime=now", "reqnodelist="+first)
	}
	s.nodes = s.nodes[:1]
	s.wantEnds(map[string]job{requeued: {state: "COMPLETED", exit: "0:0"}, lost: {state: "COMPLETED", exit: "0:0"}})
	s.clean()
	if bad := s.refused(); len(bad) > 0 {
		t.Errorf("%d refused calls: %s", len(bad), bad[0])
	}
}

// wantEnds awaits the ends of jobs.
func (s *slurm) wantEnds(ends map[string]job) {
	s.t.Helper()
	for id, want := range ends {
		j := s.await(id, "COMPLETED", "FAILED", "TIMEOUT", "NODE_FAIL", "CANCELLED")[0]
		if j.state != want.state || j.exit != want.exit {
			s.t.Errorf("got %+v; want %+v: %s", j, want, s.said(id))
		}
	}
}
