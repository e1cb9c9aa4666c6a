//go:build linux

package scale

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"brs-exec/internal/sandbox"
	"brs-exec/need"
)

// slurm is a cluster of two nodes and a controller, each in its own network, UTS, PID and mount namespaces. The nodes have
// /run, /tmp and 127.0.0.1 of their own, where STS answers at port 8080; /srv is the folder that all share. A user ann has
// her home there, and in it what is typed on a cluster: the long-term keys that become the role.
type slurm struct {
	t      *testing.T
	life   time.Duration // of roles
	shared string        // /srv
	sts    *sandbox.STS
	hosts  map[string]*host // ctl, and the nodes by their names
	nodes  []string

	mu    sync.Mutex
	calls []stamped
}

// stamped is a call to STS, and when.
type stamped struct {
	sandbox.Call
	at time.Time
}

// host is a machine of the cluster.
type host struct {
	pid    string // its PID 1, as we see it
	holder *exec.Cmd
}

// hostInit becomes PID 1 of a machine: it collects orphans until it is killed, or we are.
const hostInit = `set -e
mount --make-rprivate /
mount --bind "$2" /srv
mount --bind /srv/bin /usr/local/bin
mount --bind /srv/passwd /etc/passwd
mount --bind /srv/group /etc/group
mount -t tmpfs -o mode=1777 tmpfs /tmp
mount -t tmpfs -o mode=755 tmpfs /run
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
mkdir /run/spool
hostname "$1"
ip link set lo up
touch /run/up
cat
:`

const slurmConf = `ClusterName=scale
SlurmctldHost=ctl(10.77.0.1)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=/srv/munge.sock
StateSaveLocation=/srv/state
SlurmdSpoolDir=/run/spool
SlurmctldPidFile=/run/slurmctld.pid
SlurmdPidFile=/run/slurmd.pid
SlurmctldLogFile=/srv/log/ctld
SlurmdLogFile=/srv/log/%n
ProctrackType=proctrack/cgroup
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
JobCompType=jobcomp/filetxt
JobCompLoc=/srv/log/jobcomp
JobAcctGatherType=jobacct_gather/none
ReturnToService=2
KillWait=5
BatchStartTimeout=120
MessageTimeout=100
Prolog=/srv/prolog
Epilog=/srv/epilog
TaskProlog=/srv/taskprolog
NodeName=NODE1 NodeAddr=10.77.0.11 CPUs=64
NodeName=NODE2 NodeAddr=10.77.0.12 CPUs=64
PartitionName=all Nodes=ALL Default=YES MaxTime=1:00:00
PartitionName=etl Nodes=ALL MaxTime=1:00:00
`

const cgroupConf = `CgroupPlugin=cgroup/v1
CgroupAutomount=no
CgroupMountpoint=/sys/fs/cgroup
`

// etl is the job's program: for so long, as often, it asks STS who it is, and fails at the first call that fails. As
// "grace" it waits for TERM, and then counts in a file which of ten calls go through.
const etl = `#!/bin/bash
[ "$ETL" = grace ] || exec whois ${ETL:-1s 1s}
trap : TERM
: >~/grace-$SLURM_JOB_ID
sleep 1000 &
wait
for i in 1 2 3 4 5 6 7 8 9 10; do sleep 0.2; whois >/dev/null && n=$((n + 1)); done
echo "$((n)) of 10" >~/grace-$SLURM_JOB_ID
`

const annUID = 4711

// newSlurm starts a cluster whose roles live for so long, with files in /srv and further lines of slurm.conf.
func newSlurm(t *testing.T, life time.Duration, files map[string]string, conf ...string) *slurm {
	t.Helper()
	need.Long(t, "half a minute")
	need.Tools(t, "slurmctld", "slurmd", "munged", "taskset", "unshare", "nsenter", "ip", "setpriv")
	need.That(t, exec.Command("unshare", "-m", "-n", "-u", "-p", "-f", "--mount-proc", "true").Run() == nil, "namespaces", "run the tests as root")
	s := &slurm{t: t, life: life, hosts: make(map[string]*host)}
	s.sts = sandbox.New(sandbox.Options{TTL: life, OnCall: func(c sandbox.Call) {
		s.mu.Lock()
		s.calls = append(s.calls, stamped{c, time.Now()})
		s.mu.Unlock()
	}})
	s.shared = t.TempDir()
	for dir := s.shared; dir != os.TempDir(); dir = filepath.Dir(dir) {
		s.must(os.Chmod(dir, 0o755))
	}
	id := make([]byte, 3)
	rand.Read(id)
	for i := range 2 {
		s.nodes = append(s.nodes, fmt.Sprintf("n%d-%s", i+1, hex.EncodeToString(id)))
	}
	s.furnish(files, conf)
	for _, name := range append([]string{"ctl"}, s.nodes...) {
		s.boot(name)
	}
	s.wire()
	s.daemon("ctl", "munged", "--foreground", "--force", "--key-file=/srv/munge/key", "--socket=/srv/munge.sock",
		"--pid-file=/srv/munge/pid", "--seed-file=/srv/munge/seed", "--log-file=/srv/munge/log")
	await(t, "munged", func() bool { return exists(filepath.Join(s.shared, "munge.sock")) })
	s.daemon("ctl", "slurmctld", "-D", "-f", "/srv/slurm.conf")
	for _, node := range s.nodes {
		s.serveSTS(node)
		s.daemon(node, "taskset", "-c", s.processor(node), "slurmd", "-D", "-N", node, "-f", "/srv/slurm.conf")
	}
	await(t, "two idle nodes", func() bool {
		out, _ := s.on("ctl", nil, "sinfo", "-h", "-p", "all", "-t", "idle", "-o", "%D").Output()
		return strings.TrimSpace(string(out)) == "2"
	})
	return s
}

func (s *slurm) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// put writes a file into the shared folder.
func (s *slurm) put(name, text string, mode os.FileMode) {
	s.t.Helper()
	path := filepath.Join(s.shared, name)
	s.must(os.MkdirAll(filepath.Dir(path), 0o755))
	s.must(os.WriteFile(path, []byte(text), mode))
	s.must(os.Chmod(path, mode))
}

func (s *slurm) furnish(files map[string]string, conf []string) {
	s.t.Helper()
	for _, dir := range []string{"state", "log", "bin", "home/ann/.aws"} {
		s.must(os.MkdirAll(filepath.Join(s.shared, dir), 0o755))
	}
	s.must(os.Mkdir(filepath.Join(s.shared, "munge"), 0o700))
	key := make([]byte, 1024)
	rand.Read(key)
	s.put("munge/key", string(key), 0o400)
	s.put("slurm.conf", strings.NewReplacer("NODE1", s.nodes[0], "NODE2", s.nodes[1]).Replace(slurmConf+strings.Join(append(conf, ""), "\n")), 0o644)
	s.put("cgroup.conf", cgroupConf, 0o644)
	passwd, err := os.ReadFile("/etc/passwd")
	s.must(err)
	group, err := os.ReadFile("/etc/group")
	s.must(err)
	s.put("passwd", fmt.Sprintf("%sann:x:%d:%[2]d::/srv/home/ann:/bin/sh\n", passwd, annUID), 0o644)
	s.put("group", fmt.Sprintf("%sann:x:%d:\n", group, annUID), 0o644)
	s.put("bin/etl", etl, 0o755)
	for _, program := range []string{brsExec, whois} {
		text, err := os.ReadFile(program)
		s.must(err)
		s.put("bin/"+filepath.Base(program), string(text), 0o755)
	}
	base := s.sts.BaseCredentials()
	s.put("home/ann/.aws/credentials", "[default]\naws_access_key_id="+base.AccessKeyID+"\naws_secret_access_key="+base.SecretAccessKey+"\n", 0o600)
	s.put("home/ann/.aws/config", "[default]\nregion=us-east-1\nservices=here\n[services here]\nsts =\n  endpoint_url = http://127.0.0.1:8080\n", 0o600)
	for name, text := range files {
		s.put(name, text, 0o755)
	}
	s.must(filepath.WalkDir(filepath.Join(s.shared, "home/ann"), func(path string, _ os.DirEntry, err error) error {
		return errors.Join(err, os.Chown(path, annUID, annUID))
	}))
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// boot starts a machine.
func (s *slurm) boot(name string) {
	s.t.Helper()
	h := &host{holder: exec.Command("taskset", "-c", s.processor(name), "unshare", "-m", "-n", "-u", "-i", "-p", "-f", "--mount-proc", "--kill-child",
		"sh", "-c", hostInit, "init", name, s.shared)}
	log := new(bytes.Buffer)
	h.holder.Stdout, h.holder.Stderr = log, log
	_, err := h.holder.StdinPipe() // which closes if we are killed
	s.must(err)
	s.must(h.holder.Start())
	s.hosts[name] = h
	s.t.Cleanup(func() { s.off(name) })
	pid := strconv.Itoa(h.holder.Process.Pid)
	await(s.t, "the machine "+name, func() bool {
		children, _ := os.ReadFile("/proc/" + pid + "/task/" + pid + "/children")
		h.pid = strings.TrimSpace(string(children))
		return h.pid != "" && exists("/proc/"+h.pid+"/root/run/up")
	})
}

// processor is the one of a machine. Linux 6.18 numbers mount namespaces on each processor by itself, and lets nobody bind
// one in another of a higher number (EINVAL), as Slurm does for a job's own /tmp: on one processor they only grow.
func (s *slurm) processor(name string) string {
	return strconv.Itoa(max(slices.Index(s.nodes, name), 0) % runtime.NumCPU())
}

// off cuts a machine's power: all that runs on it is killed.
func (s *slurm) off(name string) {
	h := s.hosts[name]
	h.holder.Process.Kill()
	h.holder.Wait()
	cgroup := "/sys/fs/cgroup/freezer/slurm_" + name
	if name == "ctl" || !exists(cgroup) {
		return
	}
	await(s.t, "the end of all in "+cgroup, func() bool { return removeCgroup(cgroup) == nil })
}

// removeCgroup removes a control group and those in it.
func removeCgroup(dir string) error {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		if e.IsDir() {
			err = errors.Join(err, removeCgroup(filepath.Join(dir, e.Name())))
		}
	}
	return errors.Join(err, unix.Rmdir(dir))
}

// wire connects the machines by a bridge of the controller's.
func (s *slurm) wire() {
	s.t.Helper()
	script := "ip link add br0 type bridge && ip addr add 10.77.0.1/24 dev br0 && ip link set br0 up\n"
	for i, node := range s.nodes {
		script += fmt.Sprintf("ip link add n%d type veth peer name eth0 netns %s && ip link set n%[1]d master br0 up\n"+
			"nsenter -t %[2]s -n sh -c 'ip addr add 10.77.0.1%[1]d/24 dev eth0 && ip link set eth0 up'\n", i+1, s.hosts[node].pid)
	}
	out, err := exec.Command("nsenter", "-t", s.hosts["ctl"].pid, "-n", "sh", "-ec", script).CombinedOutput()
	if err != nil {
		s.t.Fatalf("%v: %s", err, out)
	}
}

// on is a command on a machine, as root, or as ann if she has an environment.
func (s *slurm) on(name string, ann []string, args ...string) *exec.Cmd {
	argv := []string{"-t", s.hosts[name].pid, "-m", "-n", "-u", "-i", "-p"}
	env := []string{"PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "SLURM_CONF=/srv/slurm.conf", "LANG=C.UTF-8", "TZ=UTC"}
	if ann != nil {
		argv = append(argv, "--wdns=/srv/home/ann", "setpriv", fmt.Sprintf("--reuid=%d", annUID), fmt.Sprintf("--regid=%d", annUID), "--clear-groups")
		env = append(append(env, "HOME=/srv/home/ann", "USER=ann", "AWS_EC2_METADATA_DISABLED=true",
			"AWS_ENDPOINT_URL_STS=http://127.0.0.1:8080", "AWS_REGION=us-east-1"), ann...)
	}
	cmd := exec.CommandContext(s.t.Context(), "nsenter", append(argv, args...)...)
	cmd.Env = env
	return cmd
}

// daemon starts one that ends with its machine.
func (s *slurm) daemon(name string, args ...string) {
	s.t.Helper()
	cmd := s.on(name, nil, args...)
	cmd.Cancel = nil
	log, err := os.Create(filepath.Join(s.shared, "log", args[0]+"-"+name))
	s.must(err)
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	s.must(cmd.Start())
	s.t.Cleanup(func() { s.off(name); cmd.Wait() })
}

// serveSTS has STS answer at a node's 127.0.0.1:8080.
func (s *slurm) serveSTS(node string) {
	s.t.Helper()
	failed := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with it
		failed <- func() error {
			fd, err := unix.Open("/proc/"+s.hosts[node].pid+"/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
			if err != nil {
				return err
			}
			defer unix.Close(fd)
			if err := unix.Setns(fd, unix.CLONE_NEWNET); err != nil {
				return err
			}
			ln, err := net.Listen("tcp", "127.0.0.1:8080")
			if err != nil {
				return err
			}
			srv := &http.Server{Handler: s.sts}
			s.t.Cleanup(func() { srv.Close() })
			go srv.Serve(ln)
			return nil
		}()
	}()
	s.must(<-failed)
}

// sbatch submits as ann, from the first node, and returns the job's number.
func (s *slurm) sbatch(env []string, args ...string) string {
	s.t.Helper()
	cmd := s.on(s.nodes[0], append([]string{"ROLE=" + role}, env...), append([]string{"sbatch", "--parsable", "-o", "slurm-%j.out"}, args...)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		s.t.Fatalf("sbatch %q: %v: %s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// underBrsExec submits as one may be tempted to.
func (s *slurm) underBrsExec(script string) string {
	s.t.Helper()
	cmd := s.on(s.nodes[0], []string{}, "brs-exec", "--role-arn", role, "--", "sbatch", "--parsable", "-o", "slurm-%j.out", script)
	var hint strings.Builder
	cmd.Stderr = &hint
	out, err := cmd.Output()
	s.must(err)
	if !strings.Contains(hint.String(), "; try sbatch --wrap 'brs-exec --role-arn "+role+" -- ") {
		s.t.Errorf("brs-exec -- sbatch: %q", hint.String())
	}
	return strings.TrimSpace(string(out))
}

// job is what scontrol says of a job, or of a task of an array.
type job struct{ id, state, exit, reason string }

// jobs are those of an array, or one.
func (s *slurm) jobs(id string) (jobs []job) {
	out, _ := s.on("ctl", nil, "scontrol", "show", "job", "-o", id).Output()
	for line := range strings.Lines(string(out)) {
		v := make(map[string]string)
		for _, field := range strings.Fields(line) {
			name, value, _ := strings.Cut(field, "=")
			v[name] = value
		}
		jobs = append(jobs, job{v["JobId"], v["JobState"], v["ExitCode"], v["Reason"]})
	}
	return jobs
}

// await waits until all of a job are in one of the states.
func (s *slurm) await(id string, states ...string) (jobs []job) {
	s.t.Helper()
	for deadline := time.Now().Add(3 * time.Minute); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		jobs = s.jobs(id)
		other := slices.IndexFunc(jobs, func(j job) bool { return !slices.Contains(states, j.state) })
		if len(jobs) > 0 && other < 0 {
			return jobs
		}
	}
	s.t.Fatalf("job %s is not %q: %+v", id, states, jobs)
	return nil
}

// said is what a job printed.
func (s *slurm) said(id string) string {
	text, err := os.ReadFile(filepath.Join(s.shared, "home/ann", "slurm-"+id+".out"))
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// control is scontrol.
func (s *slurm) control(args ...string) {
	s.t.Helper()
	if out, err := s.on("ctl", nil, append([]string{"scontrol"}, args...)...).CombinedOutput(); err != nil {
		s.t.Errorf("scontrol %q: %v: %s", args, err, out)
	}
}

func (s *slurm) scancel(args ...string) {
	s.t.Helper()
	if out, err := s.on("ctl", nil, append([]string{"scancel"}, args...)...).CombinedOutput(); err != nil {
		s.t.Fatalf("scancel %q: %v: %s", args, err, out)
	}
}

// clean waits until no process, file, socket or port is left on the nodes but what was there before any job.
func (s *slurm) clean() {
	s.t.Helper()
	for _, node := range s.nodes {
		var left string
		for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
			if left = s.left(node); left == "" {
				break
			}
		}
		if left != "" {
			s.t.Errorf("left on %s:\n%s", node, left)
		}
	}
}

const leftScript = `ps -e -o pid=,stat=,args= | grep -vE '^ *1 |^ *[0-9]+ Z|slurmd -D|ps -e -o|grep -vE| cat$|sh -c ps'
find /tmp /dev/shm /run/brs-exec -mindepth 1 ! -name .lock ! -name .jobs 2>/dev/null
grep -E '(aws|wit|brs)[^ ]*$' /proc/net/unix
awk 'FNR > 1 && $4 == "0A" && $2 !~ /:(1F90|1AA2)$/ {print "listens: " $2}' /proc/net/tcp /proc/net/tcp6
true`

func (s *slurm) left(node string) string {
	s.t.Helper()
	out, err := s.on(node, nil, "sh", "-c", leftScript).CombinedOutput()
	s.must(err)
	return string(out)
}

// assumed are the AssumeRole calls of the sessions that a node's name is in, in their order.
func (s *slurm) assumed(node string) (calls []stamped) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.calls {
		if c.Action == "AssumeRole" && strings.Contains(c.Params.Get("RoleSessionName"), node) {
			calls = append(calls, c)
		}
	}
	return calls
}

// refused are the calls that STS has not answered well.
func (s *slurm) refused() (calls []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.calls {
		if c.Code != "" {
			calls = append(calls, fmt.Sprintf("%s by %s: %s", c.Action, c.CallerARN, c.Code))
		}
	}
	return calls
}

// running awaits so many of the job's programs on a node.
func (s *slurm) running(node string, want int) {
	s.t.Helper()
	await(s.t, fmt.Sprintf("%d programs on %s", want, node), func() bool {
		out, _ := s.on(node, nil, "pgrep", "-x", "-c", "whois").Output()
		return strings.TrimSpace(string(out)) == strconv.Itoa(want)
	})
}

// memory is that of all brs-exec on a node, in MB; what they share is counted once.
func (s *slurm) memory(node string) string {
	s.t.Helper()
	const sum = `for p in $(pgrep -x brs-exec); do cat /proc/$p/smaps_rollup; done | awk '/^Pss:/ {kib += $2} END {print int(kib / 1024)}'`
	out, err := s.on(node, nil, "sh", "-c", sum).Output()
	s.must(err)
	return strings.TrimSpace(string(out))
}

// dump shows the daemons' logs of a test that failed.
func (s *slurm) dump() {
	if !s.t.Failed() {
		return
	}
	logs, _ := filepath.Glob(filepath.Join(s.shared, "log", "*"))
	for _, path := range logs {
		f, err := os.Open(path)
		if err != nil {
			continue
		}
		text, _ := io.ReadAll(f)
		f.Close()
		s.t.Logf("%s:\n%s", path, tail(string(text)))
	}
}
