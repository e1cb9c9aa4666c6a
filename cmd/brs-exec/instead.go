package main

import (
	"cmp"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/arn"

	"brs-exec/internal/share"
)

// away is a row of outOfReach.
type away struct {
	commands string // names
	words    string // one of them must be among the arguments; "": none need be
	why      string
	order    string // what to type instead, with words in capitals (instead)

	takes  string // options whose value is a word of its own: letters, and after a space long ones
	before int    // words that are no options, before the program that it runs; unknown: can't be told
}

const unknown = -1

// Texts that recur.
const (
	drops     = "it drops the environment"
	thisOnly  = "the endpoint is on this machine only"
	container = "a container has an environment and a loopback of its own"
	namespace = "a network namespace has a loopback of its own"
	ofItsOwn  = "the service manager starts it in an environment of its own"
	daemon    = "a daemon that runs already does the work"
	later     = "it runs when this brs-exec has ended" // and a command that hands it in ends well
	asService = "a service that is brs-exec, as examples/compose has it"
)

// outOfReach are the commands that carry their program away from the environment or from this
// machine's loopback. docs/REACH.md and its page of evidence have the same rows, word for word
// (TestReachDocument); e2e.TestHints types what is told.
var outOfReach = []away{
	{commands: "sudo", why: drops, order: "brs-exec … --token-in env -- sudo -E ARGS"},
	{commands: "doas pkexec", why: drops, takes: "Cu --user",
		order: "brs-exec … --share DIR -- NAME brs-exec --from-share DIR --expect-account ID -- COMMAND"},
	{commands: "su runuser", words: "- -l --login", why: "a login shell drops the environment",
		takes: "cCgGsTw --command --group --supp-group --shell", before: 1,
		order: "brs-exec … --token-in env -- NAME USER -c COMMAND"},
	{commands: "env", words: "- -i --ignore-environment", why: "with -i it drops the environment",
		takes: "uCS --unset --chdir",
		order: `brs-exec … --share DIR -- env -i PATH="$PATH" brs-exec --from-share DIR -- COMMAND`},
	{commands: "tmux", why: "a server that runs already has the environment of its own start",
		order: "brs-exec … -- tmux -L aws new-session"},
	{commands: "screen", why: "a session that runs already has the environment of its own start",
		order: "brs-exec … -- screen -S aws"},
	{commands: "ssh autossh", why: thisOnly, takes: "BbcDEeFIiJLlMmOopPQRSWw", before: 1,
		order: "brs-exec … --share DIR -- NAME OPTIONS -o ExitOnForwardFailure=yes -R /tmp/aws.PID:DIR/aws.sock " +
			`HOST "trap 'rm -f /tmp/aws.PID' EXIT; brs-exec --from-share /tmp/aws.PID -- COMMAND"`},
	{commands: "mosh", why: thisOnly, before: 1, order: "mosh HOST -- brs-exec … -- COMMAND"},
	{commands: "pdsh", why: thisOnly, before: unknown, order: "pdsh -w HOST brs-exec … -- COMMAND"},
	{commands: "parallel", words: "-S --sshlogin --sshloginfile --slf", why: thisOnly, before: unknown,
		order: "parallel -S HOST brs-exec … -- COMMAND"},
	{commands: "srun mpirun mpiexec", why: thisOnly, before: unknown, order: "NAME brs-exec … -- COMMAND"},
	{commands: "sbatch", why: later, before: unknown, order: "sbatch --wrap 'brs-exec … -- COMMAND'"},
	{commands: "qsub bsub", why: later, before: unknown, order: "in the job's script: brs-exec … -- COMMAND"},
	{commands: "spark-submit ray dask", why: "executors elsewhere don't see this machine's endpoint",
		before: unknown, order: "start each worker by brs-exec, or use the cluster's own role"},
	{commands: "docker podman nerdctl", words: "compose", why: container, order: asService},
	{commands: "docker-compose podman-compose", words: "up run exec start create", why: container, order: asService},
	{commands: "docker podman nerdctl", words: "build", why: container,
		order: `brs-exec … --deliver file -- sh -c 'NAME build --secret id=aws,src="$AWS_SHARED_CREDENTIALS_FILE" ARGS'`},
	{commands: "docker podman nerdctl", words: "run create", why: container,
		order: "NAME network create --subnet 169.254.170.0/24 --gateway 169.254.170.2 aws; " +
			"brs-exec … --share DIR --listen 169.254.170.2 -- NAME WORD --network aws --env-file DIR/env ARGS"},
	{commands: "docker podman nerdctl", words: "exec", why: container,
		order: "brs-exec … --share DIR --listen 169.254.170.2 -- NAME exec --env-file DIR/env ARGS, " +
			"if the container's network has that gateway"},
	{commands: "kubectl oc", words: "exec run debug", why: "the pod has an environment and a loopback of its own",
		before: unknown, order: "NAME exec POD -- brs-exec … -- COMMAND"},
	{commands: "ip", words: "netns", why: namespace, before: 3,
		order: "brs-exec … --share DIR -- ip netns exec NS brs-exec --from-share DIR -- COMMAND"},
	{commands: "nsenter", words: "-a --all", why: container, takes: "tSG --target --setuid --setgid",
		order: "NAME OPTIONS brs-exec … -- COMMAND"},
	{commands: "unshare nsenter", words: "-n --net", why: namespace, takes: "tSG --target --setuid --setgid",
		order: "brs-exec … --share DIR -- NAME OPTIONS brs-exec --from-share DIR -- COMMAND"},
	{commands: "systemd-run", why: ofItsOwn,
		order: "brs-exec … --share DIR -- systemd-run -p Type=oneshot -p EnvironmentFile=DIR/env ARGS"},
	{commands: "systemctl service", why: ofItsOwn,
		order: "brs-exec … --serve --share DIR, and EnvironmentFile=DIR/env in the unit"},
	{commands: "at batch crontab", why: later, before: unknown,
		order: "in the job's own line: brs-exec … -- COMMAND"},
	{commands: "gradle gradlew", why: daemon, order: "brs-exec … -- NAME --no-daemon ARGS"},
	{commands: "mvnd", why: daemon, order: "brs-exec … -- mvn ARGS"},
	{commands: "sbtn", why: "a server that runs already does the work", order: "brs-exec … -- sbt ARGS"},
	{commands: "bazel bazelisk", why: "its actions and tests see only the variables that are named",
		order: "brs-exec … --token-in env -- NAME ARGS, with --action_env and --test_env for " +
			"AWS_CONTAINER_CREDENTIALS_FULL_URI and AWS_CONTAINER_AUTHORIZATION_TOKEN"},
	{commands: "watchman watchman-make", why: "a server that runs already starts the triggers",
		order: "brs-exec … -- watchman --foreground, or brs-exec in the trigger"},
}

// instead is what the user could type: the row's order, with his own values for the words in
// capitals, where they can be told. The command's arguments may hold secrets: "…" stands for them.
func (c *cli) instead(row *away, command []string, home string) string {
	if !share.Supported && strings.Contains(row.order, "--share") {
		return "brs-exec inside, where the work is done"
	}
	options, operands := split(command[1:], row.takes)
	at, inner, rest := "", "COMMAND", " …"
	if row.before > 0 && len(operands) >= row.before {
		at = shellWord(operands[row.before-1])
	}
	if row.before != unknown && len(operands) > row.before && !strings.HasPrefix(operands[row.before], "-") {
		inner = typed(operands[row.before:])
	}
	last := 0 // the word after which ARGS are
	if row.words != "" {
		last += row.at(command[1:]) + 1
	}
	if len(command) == last+1 {
		rest = ""
	}
	order := row.order
	if filepath.Base(command[0]) == "podman" && os.Geteuid() != 0 { // its networks are in a namespace of its own
		order = strings.Replace(order, "brs-exec … --share DIR --listen",
			"podman unshare --rootless-netns brs-exec … --share DIR --listen", 1)
	}
	return strings.NewReplacer(
		"brs-exec … --", c.typedSelf()+" --", "NAME", shellWord(command[0]), "WORD", command[last], "COMMAND", inner,
		"OPTIONS ", options, " ARGS", rest,
		"HOST", cmp.Or(at, "HOST"), "USER", cmp.Or(at, "root"), "NS", cmp.Or(at, "NS"),
		"DIR", shellWord(cmp.Or(c.share, filepath.Join(home, ".aws-share"))),
		"PID", strconv.Itoa(os.Getpid()), "ID", cmp.Or(c.account(), "ID"),
	).Replace(order)
}

// split returns "… " if a command line begins with options, and what comes after them and after
// assignments. takes is as in away.
func split(args []string, takes string) (options string, operands []string) {
	letters, long, _ := strings.Cut(takes, " ")
	for i := 0; i < len(args); i++ {
		arg := args[i]
		switch isOption := strings.HasPrefix(arg, "-"); {
		case arg == "--":
			return options, args[i+1:]
		case !isOption && !strings.Contains(arg, "="):
			return options, args[i:]
		case isOption && len(arg) == 2 && strings.Contains(letters, arg[1:]), slices.Contains(strings.Fields(long), arg):
			i++
		}
		options = "… "
	}
	return options, nil
}

// toldFlags say who the command is, and are no secrets. ownFlags stand in the orders themselves.
var (
	toldFlags = []string{"profile", "with-profile", "from-share", "role-arn", "region", "expect-account", "sandbox"}
	ownFlags  = []string{"share", "listen", "token-in", "deliver", "serve"}
)

// typedSelf is brs-exec with the flags that were given to it; "…" stands for those that may hold
// secrets. Variables need not be typed again.
func (c *cli) typedSelf() string {
	line, more := "brs-exec", ""
	options := c.options()
	for _, name := range slices.Sorted(maps.Keys(c.setBy)) {
		switch {
		case !strings.HasPrefix(c.setBy[name], "--") || slices.Contains(ownFlags, name):
		case slices.Contains(toldFlags, name):
			line += options[name].typed()
		default:
			more = " …"
		}
	}
	return line + more
}

// typed is the flag with its values, each after a space.
func (o *option) typed() (line string) {
	var values []string
	switch field := o.field.(type) {
	case *string:
		values = []string{*field}
	case *[]string:
		values = *field
	case *bool:
		return " --" + o.name
	}
	for _, v := range values {
		line += " --" + o.name + " " + shellWord(v)
	}
	return line
}

// account is that of the last role; "" if there is none.
func (c *cli) account() string {
	if len(c.source.RoleARNs) == 0 {
		return ""
	}
	role, _ := arn.Parse(c.source.RoleARNs[len(c.source.RoleARNs)-1])
	return role.AccountID
}

// shellWord is s as a shell takes it for one word.
func shellWord(s string) string {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._/+:@,%"
	if s != "" && strings.Trim(s, plain) == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
