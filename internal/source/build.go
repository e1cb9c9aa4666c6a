package source

import (
	"cmp"
	"context"
	"log/slog"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"

	"brs-exec/internal/awsconfig"
	"brs-exec/internal/source/awserr"
	"brs-exec/internal/source/command"
	"brs-exec/internal/source/problem"
	"brs-exec/internal/source/prompt"
	"brs-exec/internal/source/stsapi"
	"brs-exec/internal/source/userfile"
)

// commandLimit is how long a command of the user's may take: some of them ask a person, by a
// browser or a telephone.
const commandLimit = time.Minute

// A builder holds what the options, the environment and the files say while New chooses.
type builder struct {
	o        *Options
	names    problem.Names
	vars     map[string]string // Options.Env
	files    awsconfig.Paths
	terminal string // to ask on
	commands command.Runner

	env            config.EnvConfig
	identity       *awsconfig.Identity // what the files say
	shared         config.SharedConfig // the chosen profile; zero if there is none
	profileErr     error               // what is wrong with its credentials
	roleOfVariable bool                // its web identity buys AWS_ROLE_ARN, which isn't its role
	profileAssumes bool                // it has a role that its own or another profile's credentials assume
	asked          stsapi.Role         // what the options say of the last role, or of all
	roles          []string            // of the options, but for one that a token buys
	defaultName    string              // of sessions that nobody names
	http           *stsapi.HTTP
	cfg            aws.Config
	s              *Source
	toShare        []func() // what Options.Shared gets once the source is made
}

func newBuilder(o *Options) *builder {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	vars := make(map[string]string, len(o.Env))
	for _, entry := range slices.Backward(o.Env) { // as getenv(3): of a repeated name the first counts
		name, value, _ := strings.Cut(entry, "=")
		vars[name] = value
	}
	return &builder{
		o: o, names: o.Names, vars: vars, files: awsconfig.Locate(o.Env), roles: o.RoleARNs, terminal: prompt.Terminal,
		commands: command.Runner{Env: o.Env, Stderr: os.Stderr, Limit: commandLimit, Names: o.Names},
	}
}

// build does what New promises, in four steps.
func (b *builder) build(ctx context.Context) (*Source, error) {
	for _, step := range []func(context.Context) error{b.check, b.load, b.connect, b.chain} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	b.shareAll()
	return b.s, nil
}

// check finds what is wrong in the options by themselves, before anything is read.
func (b *builder) check(ctx context.Context) (err error) {
	if b.asked, err = parseRole(ctx, b.o); err != nil {
		return err
	}
	if err := cmp.Or(checkBase(b.o), checkCode(b.o)); err != nil {
		return err
	}
	for _, arn := range b.o.RoleARNs {
		if err := stsapi.CheckRoleARN(b.names.Input(problem.RoleARN), arn); err != nil {
			return err
		}
	}
	return nil
}

// load reads the environment and the files, unless Options.Base stands in for them.
func (b *builder) load(context.Context) (err error) {
	if b.o.Base != nil {
		b.env.Region = cmp.Or(b.vars["AWS_REGION"], b.vars["AWS_DEFAULT_REGION"])
	} else {
		if b.env, err = config.NewEnvConfig(); err != nil {
			return problem.Bad("unset it, or set it to one of those", "environment: %s", awserr.Describe(err))
		}
		b.env.Credentials = aws.Credentials{} // variablekeys.go reads them
		if err = b.loadProfile(); err != nil {
			return err
		}
	}
	b.defaultName, err = b.sessionName()
	return err
}

// sessionName returns what CloudTrail shows: the option's name, else AWS_ROLE_SESSION_NAME, else
// who runs brs-exec on which machine, and in which job.
func (b *builder) sessionName() (string, error) {
	if b.o.RoleSessionName != "" {
		return b.o.RoleSessionName, nil // checked with the other options
	}
	if name := b.env.RoleSessionName; name != "" {
		return name, stsapi.CheckName(problem.Input{Variable: "AWS_ROLE_SESSION_NAME"}, name, 2, 64, "")
	}
	host, _ := os.Hostname()
	name := stsapi.ValidName("brs-exec-" + b.userName() + "-" + host)
	if job := b.jobNumber(); job != "" { // which is what tells two of them apart: it is not cut off
		name = name[:min(len(name), max(len("brs-exec"), 63-len(job)))] + "-" + job
	}
	return stsapi.ValidName(name), nil
}

// jobNumber is that of the engine that runs us, "" if none does.
func (b *builder) jobNumber() string {
	return cmp.Or(b.vars["SLURM_JOB_ID"], b.vars["AWS_BATCH_JOB_ID"], b.vars["GITHUB_RUN_ID"], b.vars["CI_JOB_ID"])
}

// userName asks the variables first: os/user may ask a directory server for what is only a label.
func (b *builder) userName() string {
	if name := cmp.Or(b.vars["USER"], b.vars["LOGNAME"]); name != "" {
		return name
	}
	if u, err := user.Current(); err == nil && u.Username != "" {
		return u.Username
	}
	return strconv.Itoa(os.Getuid()) // containers run as uids that have no name
}

// connect makes the clients. Without a region STS is asked in the first role's partition; the child
// is not given that region.
func (b *builder) connect(ctx context.Context) error {
	bundle, err := b.caBundle()
	if err != nil {
		return err
	}
	o := b.o
	b.http = b.newHTTP(bundle)
	b.cfg = stsapi.Settings(&b.env, &b.shared, o.Region, o.Version, b.http)
	b.s = &Source{names: o.Names, log: o.Log, trace: o.Trace, tasks: command.NewGroup(ctx), region: b.cfg.Region}
	if b.cfg.Region == "" {
		b.cfg.Region = stsapi.RegionOf(b.partition())
		o.Log.Info("no region is set: STS is asked in the role's partition", "region", b.cfg.Region)
	}
	if !stsapi.IsRegion(b.cfg.Region) {
		hint := b.names.Hint("such as %v eu-west-1", problem.Region)
		return problem.Bad(hint, "%s %q is no region", b.regionFrom(), problem.Clip(b.cfg.Region))
	}
	b.s.sts, err = stsapi.New(b.cfg, b.http, stsapi.Options{
		EndpointURL: o.STSEndpointURL, FIPS: o.UseFIPSEndpoint, DualStack: o.UseDualstackEndpoint, Names: o.Names,
	})
	return err
}

func (b *builder) regionFrom() problem.Input {
	switch {
	case b.o.Region != "":
		return b.names.Input(problem.Region)
	case b.env.Region != "":
		return problem.Input{Variable: "AWS_REGION"}
	}
	return problem.Input{Key: "region", Profile: b.shared.Profile}
}

// partition returns that of the first role in sight.
func (b *builder) partition() string {
	for _, arn := range append(b.o.RoleARNs[:len(b.o.RoleARNs):len(b.o.RoleARNs)], b.shared.RoleARN, b.env.RoleARN) {
		if partition := stsapi.PartitionOfARN(arn); partition != "" {
			return partition
		}
	}
	return "aws"
}

// caBundle returns the file whose roots count: the option's, the variable's, the profile's. It
// opens it, so that a wrong path is an error now; it is parsed only if anything uses TLS.
func (b *builder) caBundle() (string, error) {
	for _, c := range []struct {
		from problem.Input
		file string
	}{
		{b.names.Input(problem.CABundle), b.o.CABundle},
		{problem.Input{Variable: "AWS_CA_BUNDLE"}, b.env.CustomCABundle},
		{problem.Input{Key: "ca_bundle", Profile: b.shared.Profile}, b.shared.CustomCABundle},
	} {
		if c.file == "" {
			continue
		}
		if err := userfile.Check(c.file); err != nil {
			return "", problem.Bad("a PEM file of root certificates", "%s: %v", c.from, err)
		}
		return c.file, nil
	}
	return "", nil
}

// chain builds the chain: the base, the roles on top of it, and what the options say of them.
func (b *builder) chain(ctx context.Context) error {
	c := &b.s.chain
	err := b.base(ctx, c)
	if err != nil {
		return err
	}
	b.traceBase(c)
	for _, arn := range b.roles {
		b.assume(c, &hop{role: stsapi.Role{ARN: arn}})
		c.profile = ""
	}
	switch isRole := len(c.hops) > 0 || c.web != nil; {
	case isRole && b.o.NoSession:
		err = problem.Bad(b.names.Hint("drop %v", problem.NoSession),
			"%s is for keys that are served without a role: %s", b.names.Input(problem.NoSession), c)
	case len(c.hops) > 0:
		err = b.giveHops(c)
	case isRole:
		err = b.giveWebIdentity(c)
	default:
		err = b.serveBase(c)
	}
	if options := forCodes(b.o); err == nil && len(options) > 0 && len(b.s.mfas) == 0 {
		err = problem.Bad(b.s.deviceHint(), "%s needs the device that the code is of", b.names.Input(options[0]))
	}
	return err
}

// assume puts an AssumeRole hop on top of the chain.
func (b *builder) assume(c *chain, h *hop) {
	h.s, h.base, h.by, h.viaRole = b.s, c.provider, c.String(), c.isRole
	c.provider, c.isRole = h, true
	c.steps = append(c.steps, h.role.ARN)
	c.hops = append(c.hops, h)
}

// nameSession gives r's session the name that the options ask for, or the default one if it has
// none.
func (b *builder) nameSession(r *stsapi.Role) {
	if b.asked.SessionName != "" || r.SessionName == "" {
		r.SessionName = b.defaultName
	}
}

// giveHops hands the role options to the hops: session name and source identity to all, transitive
// tags to the first (AWS hands them on, and refuses a hop that gives one again), the rest to the
// last.
func (b *builder) giveHops(c *chain) error {
	for _, h := range c.hops {
		b.nameSession(&h.role)
		h.role.SourceIdentity = b.asked.SourceIdentity
	}
	if c.web != nil {
		b.nameSession(&c.web.role)
	}
	first, last := c.hops[0], c.hops[len(c.hops)-1]
	for _, t := range b.asked.Tags {
		to := last
		if stsapi.IsTransitive(*t.Key, b.asked.TransitiveTagKeys) {
			to = first
		}
		to.role.Tags = append(to.role.Tags, t)
	}
	first.role.TransitiveTagKeys = b.asked.TransitiveTagKeys
	last.role.Policy, last.role.PolicyARNs, last.role.Contexts = b.asked.Policy, b.asked.PolicyARNs, b.asked.Contexts
	last.role.ExternalID = cmp.Or(b.asked.ExternalID, last.role.ExternalID)
	if b.asked.Duration != 0 {
		last.role.Duration, last.durationFrom = b.asked.Duration, b.names.Input(problem.Duration)
	}
	if device, from := b.device(c); device != "" { // a person's device belongs to the keys at the bottom
		first.serial, first.serialFrom = device, from
	}
	return b.finishHops(c)
}

// device returns the MFA device of the keys at the bottom: the option's, or that of the profile in
// which they stand.
func (b *builder) device(c *chain) (serial string, from problem.Input) {
	if b.o.SerialNumber != "" {
		return b.o.SerialNumber, b.names.Input(problem.SerialNumber)
	}
	return c.serial, c.serialFrom
}

// finishHops checks the hops' durations, and gives those that have a device its codes.
func (b *builder) finishHops(c *chain) (err error) {
	for _, h := range c.hops {
		if err := h.checkDuration(); err != nil {
			return err
		}
	}
	for _, h := range c.hops {
		if h.serial == "" {
			continue
		}
		if h.mfa, err = b.newMFA(h.serial, h.serialFrom, h.base, h.by, stsapi.MaxSessionDuration); err != nil {
			return err
		}
	}
	return nil
}

// giveWebIdentity hands the role options to a role that a token buys. It refuses an option that
// this call doesn't have: dropped in silence, the session would not be what was asked for.
func (b *builder) giveWebIdentity(c *chain) error {
	if options := append(forRoles(b.o), forCodes(b.o)...); len(options) > 0 {
		return problem.Bad(b.names.Hint("add another %v: that role is assumed on top, with it", problem.RoleARN),
			"%s: a web identity token can't buy a role with it (%s)", b.names.Input(options[0]), c)
	}
	r := &c.web.role
	b.nameSession(r)
	r.Policy, r.PolicyARNs = b.asked.Policy, b.asked.PolicyARNs
	r.Duration = cmp.Or(b.asked.Duration, r.Duration)
	return stsapi.CheckDuration(b.names.Input(problem.Duration), r.Duration)
}

// serveBase serves the base credentials themselves.
func (b *builder) serveBase(c *chain) (err error) {
	b.s.sessionLife = b.asked.Duration
	w := &withoutRole{s: b.s, base: c.provider, by: c.String(), duration: b.asked.Duration, asTheyAre: b.o.NoSession}
	device, from := b.device(c)
	if err := b.checkServed(c, w, device, from); err != nil {
		return err
	}
	if c.renames {
		const told = "each session of EKS Pod Identity has another name: the Arn changes at every rotation, " +
			"at which Kafka (MSK) drops a connection"
		b.o.Log.Info(told, "hint", b.names.Hint("%v ARN assumes a role whose Arn stays", problem.RoleARN))
	}
	if device != "" {
		b.s.sessionLife = cmp.Or(b.asked.Duration, stsapi.MaxSessionDuration)
		if w.mfa, err = b.newMFA(device, from, w.base, w.by, b.s.sessionLife); err != nil {
			return err
		}
	}
	c.provider = w
	return nil
}

// checkServed refuses the options that have nothing to act on where no role is assumed.
func (b *builder) checkServed(c *chain, w *withoutRole, device string, from problem.Input) error {
	in, noSession, forCode := b.names.Input, b.names.Input(problem.NoSession), forCodes(b.o)
	options := append(forRoles(b.o), forAnyRole(b.o)...)
	switch {
	case len(options) > 0:
		return problem.Bad(b.names.Hint("add %v ARN", problem.RoleARN),
			"%s is for a role, and there is none to assume with %s", in(options[0]), c)
	case c.isRole && len(forCode) > 0:
		return problem.Bad(b.names.Hint("add %v", problem.RoleARN),
			"%s: %s yields a role's session, which can't use MFA", in(forCode[0]), c)
	case c.isRole && w.duration != 0:
		return w.hasOwnLife()
	case w.asTheyAre && w.duration != 0:
		return problem.Bad("drop one", "%s is for a session, and %s asks for none", in(problem.Duration), noSession)
	case w.asTheyAre && device != "":
		return problem.Bad(b.names.Hint("drop %v", problem.NoSession),
			"%s names an MFA device, which takes a session, and %s asks for none", from, noSession)
	}
	return nil
}
