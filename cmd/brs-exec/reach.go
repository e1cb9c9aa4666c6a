package main

import (
	"context"
	"io"
	"log/slog"
	"os/exec"
	"slices"
	"strings"

	"brs-exec/internal/ecsserver"
	"brs-exec/internal/message"
	"brs-exec/internal/runner"
)

// outOfReach are the commands that carry their program away from the environment or from this
// machine's loopback. docs/REACH.md has the same rows, word for word (TestReachDocument), and what
// was tested of them.
var outOfReach = []struct {
	commands string // names
	words    string // one of them must be among the arguments; "": none need be
	why      string
	order    string // what to type instead
}{
	{"sudo doas", "", "it drops the environment", "sudo brs-exec … -- COMMAND, or brs-exec … -- sudo -E COMMAND"},
	{"su runuser", "- -l --login", "a login shell drops the environment",
		"brs-exec … -- runuser -u USER COMMAND, or brs-exec inside"},
	{"pkexec machinectl", "", "it drops the environment", "brs-exec inside"},
	{"env", "- -i --ignore-environment", "-i drops the environment", "env -i … brs-exec … -- COMMAND"},
	{"tmux screen", "", "a server that runs already has the environment of its own start",
		"brs-exec inside the window, or a server of its own: brs-exec … -- tmux -L NAME"},
	{"ssh autossh mosh pdsh", "", "the endpoint is on this machine only", "ssh HOST brs-exec … -- COMMAND"},
	{"parallel", "-S --sshlogin --sshloginfile --slf", "the endpoint is on this machine only",
		"parallel -S HOST brs-exec … -- COMMAND"},
	{"srun sbatch qsub bsub mpirun mpiexec", "", "the endpoint is on this machine only", "srun brs-exec … -- COMMAND"},
	{"spark-submit ray dask", "", "executors elsewhere don't see this machine's endpoint",
		"brs-exec on each worker, or the cluster's own role"},
	{"docker podman nerdctl docker-compose lxc", "run exec up build start create launch",
		"a container has an environment and a loopback of its own",
		"brs-exec in the image: ENTRYPOINT [\"brs-exec\", …, \"--\"]"},
	{"kubectl oc", "exec run debug", "the pod has an environment and a loopback of its own",
		"kubectl exec POD -- brs-exec … -- COMMAND"},
	{"ip", "netns", "a network namespace has a loopback of its own", "ip netns exec NS brs-exec … -- COMMAND"},
	{"unshare", "-n --net", "a network namespace has a loopback of its own",
		"unshare -n brs-exec … -- COMMAND, with a way to STS"},
	{"nsenter", "", "another namespace has a loopback of its own", "nsenter … brs-exec … -- COMMAND"},
	{"systemd-run systemctl service", "", "the service manager starts it in an environment of its own",
		"systemd-run … brs-exec … -- COMMAND, or ExecStart=brs-exec … -- COMMAND"},
	{"at batch crontab", "", "it runs when this brs-exec has ended", "brs-exec in the job's own line"},
	{"gradle gradlew mvnd", "", "a daemon that runs already does the work", "brs-exec … -- gradle --no-daemon"},
	{"sbtn", "", "a server that runs already does the work", "brs-exec … -- sbt"},
	{"bazel bazelisk", "", "its actions and tests see only the variables that are named",
		"--action_env and --test_env with AWS_CONTAINER_CREDENTIALS_FULL_URI and AWS_CONTAINER_AUTHORIZATION_TOKEN"},
	{"watchman watchman-make", "", "a server that runs already starts the triggers",
		"brs-exec … -- watchman --foreground, or brs-exec in the trigger"},
}

// adviseReach gives a hint if the command failed, nobody ever came to the endpoint, and the command
// is one of outOfReach. It is silent if a signal killed the command, or its status says so as
// shells do: whoever stopped it knows why it ended.
func adviseReach(w io.Writer, log *slog.Logger, command []string, status runner.Status, asked ecsserver.Stats) {
	stopped := status <= 0 || status > 128 && status <= 192
	// 125 to 127 is what docker, sudo, env and the like say when they ran nothing.
	nothing := status >= 125 && status <= 127 || !findsOne(command)
	if stopped || nothing || came(asked) || !log.Enabled(context.Background(), slog.LevelWarn) {
		return
	}
	if hint := reachHint(command); hint != "" {
		message.Hint(w, hint)
	}
}

// came tells whether anybody has asked the endpoint for anything.
func came(asked ecsserver.Stats) bool {
	return asked.Served+asked.Unavailable > 0 || len(asked.Refused) > 0
}

// findsOne says whether sudo or doas found a program to run: one of its arguments is one, or it has
// none. Their status for "not found" is 1; others say it by 127.
func findsOne(command []string) bool {
	if !slices.Contains([]string{"sudo", "doas"}, programName(command[0])) {
		return true
	}
	words := slices.DeleteFunc(slices.Clone(command[1:]), func(arg string) bool {
		return strings.HasPrefix(arg, "-") || strings.Contains(arg, "=")
	})
	return len(words) == 0 || slices.ContainsFunc(words, func(word string) bool {
		_, err := exec.LookPath(word)
		return err == nil
	})
}

// reachHint returns "" for a command that the endpoint reaches, as far as is known.
func reachHint(command []string) string {
	name := strings.TrimSuffix(programName(command[0]), ".exe")
	for _, row := range outOfReach {
		commands, words := strings.Fields(row.commands), strings.Fields(row.words)
		if slices.Contains(commands, name) && mentions(ownArguments(name, command[1:]), words) {
			return "nobody asked for credentials, perhaps because of " + name + ": " + row.why + "; try " + row.order
		}
	}
	return ""
}

// ownArguments leaves out those of the command that env(1) or unshare(1) runs: a "-i" there is not
// env's.
func ownArguments(name string, args []string) []string {
	if name != "env" && name != "unshare" {
		return args
	}
	for i, arg := range args {
		if !strings.HasPrefix(arg, "-") && !strings.Contains(arg, "=") {
			return args[:i]
		}
	}
	return args
}

// mentions tells whether one of the words is an argument, as it is, with =VALUE, or as a letter
// among others (unshare -rn).
func mentions(args, words []string) bool {
	return len(words) == 0 || slices.ContainsFunc(args, func(arg string) bool {
		name, _, _ := strings.Cut(arg, "=")
		return slices.ContainsFunc(words, func(word string) bool { return name == word || hasLetter(name, word) })
	})
}

// hasLetter tells whether the option -x is one of the letters of -rx.
func hasLetter(arg, option string) bool {
	letters, ok := strings.CutPrefix(arg, "-")
	return ok && len(option) == 2 && !strings.HasPrefix(letters, "-") && strings.Contains(letters, option[1:])
}
