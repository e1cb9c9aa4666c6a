package source

import (
	"context"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
)

// A chain is what the builder makes step by step: a provider, and what is known of it beforehand.
type chain struct {
	provider aws.CredentialsProvider
	steps    []string               // for people
	sources  []aws.CredentialSource // for the SDK
	hops     []*hop
	web      *webIdentity // the role that a token buys, if the base is one
	profile  string       // whose credentials these are; "" if they are of none
	role     tri          // the credentials are some role's session: AWS caps what assumes with them at an hour
}

func (c *chain) String() string { return strings.Join(c.steps, " → ") }

// tri is what can be known of credentials before they are asked for.
type tri int

const (
	unknown tri = iota
	no
	yes
)

// A builder holds what the SDK parsed while New chooses.
type builder struct {
	o      *Options
	p      params
	env    config.EnvConfig
	shared config.SharedConfig // the chosen profile; zero if there is none
	roles  []string            // of the flags, but for one that a token buys
	name   string              // session name
	http   *httpClient
	cfg    aws.Config
	s      *Source
}

func newBuilder(ctx context.Context, o *Options, p params) (*builder, error) {
	b := &builder{o: o, p: p, roles: o.RoleARNs, s: &Source{log: o.Log, stderr: orStderr(o.Stderr), patience: orDefault(o.commandTime, time.Minute), trace: o.Trace}}
	b.s.life, b.s.end = context.WithCancel(context.WithoutCancel(ctx))
	err := b.load(ctx)
	if err != nil {
		return nil, err
	}
	if b.name, err = sessionName(o.RoleSessionName, b.env.RoleSessionName); err != nil {
		return nil, err
	}
	bundle, err := caBundle(o, &b.env, &b.shared)
	if err != nil {
		return nil, err
	}
	b.http = newHTTPClient(o, bundle)
	b.cfg = awsConfig(o, &b.env, &b.shared, b.http)
	b.s.region = b.cfg.Region
	return b, nil
}

// load has the SDK read the environment and the files, unless they are not to count.
func (b *builder) load(ctx context.Context) (err error) {
	if b.o.Base != nil {
		b.env.Region = firstOf(os.Getenv("AWS_REGION"), os.Getenv("AWS_DEFAULT_REGION"))
		return nil
	}
	if b.env, err = config.NewEnvConfig(); err != nil {
		return badInput("unset it, or set it to one of those", "environment: %s", describe(err))
	}
	b.shared, err = loadProfile(ctx, b.o)
	return err
}

func (b *builder) build() (*Source, error) {
	if err := b.connect(); err != nil {
		return nil, err
	}
	c, err := b.base()
	if err != nil {
		return nil, err
	}
	b.watch(&c)
	for _, arn := range b.roles {
		b.assume(&c, &hop{arn: arn})
		c.profile = ""
	}
	if err := b.giveFlags(&c); err != nil {
		return nil, err
	}
	if len(c.hops) == 0 && c.web == nil {
		if err := b.withoutRole(&c); err != nil {
			return nil, err
		}
	}
	if b.o.TokenCode != "" && len(b.s.mfas) == 0 {
		return nil, badInput("--serial-number arn:aws:iam::ACCOUNT:mfa/NAME; aws iam list-mfa-devices shows it", "--token-code needs the device that made it")
	}
	b.s.chain = c
	return b.s, nil
}

// withoutRole serves the base credentials themselves.
func (b *builder) withoutRole(c *chain) (err error) {
	l := &longTerm{s: b.s, base: c.provider, by: c.String(), duration: b.p.duration, raw: b.o.NoSession}
	if b.o.SerialNumber != "" {
		if c.role == yes {
			return badInput("add --role-arn", "--serial-number: %s yields a role's session, which can't use MFA", c)
		}
		if l.mfa, err = b.newMFA(b.o.SerialNumber, "--serial-number", c.String()); err == nil {
			l.mfa.life = orDefault(b.p.duration, maxSessionDuration)
		}
	}
	c.provider = l
	return err
}

// connect makes the STS client. A region for it is no region for the child.
func (b *builder) connect() (err error) {
	if b.cfg.Region == "" {
		b.cfg.Region = partitionRegion(b.partition())
		b.o.Log.Info("no region is set: STS is asked in the role's partition", "region", b.cfg.Region)
	}
	if !isRegion(b.cfg.Region) {
		return badInput("such as --region eu-west-1", "%s %q is no region", b.regionFrom(), clip(b.cfg.Region))
	}
	b.s.stsRegion = b.cfg.Region
	b.s.sts, err = newSTS(b.o, b.cfg, dated{b.http, &b.s.skew})
	if err != nil {
		return err
	}
	if u := b.s.sts.Options().BaseEndpoint; u != nil && b.o.STSEndpointURL == "" && b.cfg.BaseEndpoint != nil && *u == *b.cfg.BaseEndpoint {
		b.s.caught = *u
	}
	return nil
}

// isRegion: it becomes part of a host name.
func isRegion(s string) bool {
	return len(s) <= 63 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == "" && !strings.HasPrefix(s, "-") && !strings.HasSuffix(s, "-")
}

func (b *builder) regionFrom() string {
	switch {
	case b.o.Region != "":
		return "--region"
	case b.env.Region != "":
		return "AWS_REGION"
	}
	return "region of profile " + b.shared.Profile
}

// partition is that of the first role in sight.
func (b *builder) partition() string {
	arns := append(b.o.RoleARNs[:len(b.o.RoleARNs):len(b.o.RoleARNs)], b.shared.RoleARN, b.env.RoleARN)
	for _, arn := range arns {
		if f := strings.Split(arn, ":"); len(f) > 1 {
			return f[1]
		}
	}
	return "aws"
}

// assume puts an AssumeRole hop on top of the chain.
func (b *builder) assume(c *chain, h *hop) {
	h.s, h.base, h.by, h.chained = b.s, c.provider, c.String(), c.role
	if len(c.hops) == 0 {
		c.sources = append(c.sources, aws.CredentialSourceSTSAssumeRole)
	}
	c.provider, c.role = h, yes
	c.steps = append(c.steps, h.arn)
	c.hops = append(c.hops, h)
}

// giveFlags hands the role flags to the hops: session name and source identity to all, transitive tags to the first
// (AWS hands them on, and refuses a hop that gives one again), the rest to the last.
func (b *builder) giveFlags(c *chain) error {
	if c.web != nil && (b.p.askedSession != "" || c.web.name == "") {
		c.web.name = b.name
	}
	if len(c.hops) == 0 {
		return b.giveWithoutHop(c)
	}
	for _, h := range c.hops {
		if b.p.askedSession != "" || h.name == "" {
			h.name = b.name
		}
		h.identity = b.p.identity
	}
	first, last := c.hops[0], c.hops[len(c.hops)-1]
	for _, t := range b.p.tags {
		if isTransitive(*t.Key, b.p.transitive) {
			first.tags = append(first.tags, t)
		} else {
			last.tags = append(last.tags, t)
		}
	}
	first.transitive = b.p.transitive
	last.policy, last.policyARNs, last.contexts = b.p.policy, b.p.policyARNs, b.p.contexts
	last.externalID = firstOf(b.p.externalID, last.externalID)
	if b.p.duration != 0 {
		last.duration, last.durationFrom, last.durationHow = b.p.duration, "--duration-seconds", "--duration-seconds "
	}
	for _, h := range c.hops {
		if err := h.checkDuration(); err != nil {
			return err
		}
	}
	return b.giveMFA(c)
}

// giveMFA: a person's device belongs to the keys at the bottom, so --serial-number goes with what those assume.
func (b *builder) giveMFA(c *chain) (err error) {
	if first := c.hops[0]; b.o.SerialNumber != "" {
		first.serial, first.serialFrom = b.o.SerialNumber, "--serial-number"
	}
	for _, h := range c.hops {
		if h.serial == "" {
			continue
		}
		if h.mfa, err = b.newMFA(h.serial, h.serialFrom, h.by); err != nil {
			return err
		}
	}
	return nil
}

// giveWithoutHop: a flag that narrows or marks the session must not be dropped in silence for want of a role.
func (b *builder) giveWithoutHop(c *chain) error {
	if w := c.web; w != nil {
		if flag := b.p.assumeRoleOnly(); flag != "" {
			return badInput("assume another role on top: --role-arn", "%s: a web identity token can't buy a role with it (%s)", flag, c)
		}
		w.policy, w.policyARNs = b.p.policy, b.p.policyARNs
		if b.p.duration != 0 {
			w.duration = b.p.duration
		}
		return checkRoleDuration("--duration-seconds", "--duration-seconds ", w.duration)
	}
	if flag := firstOf(b.p.assumeRoleOnly(), b.p.narrowing()); flag != "" {
		return badInput("add --role-arn ARN", "%s is for a role, and there is none to assume with %s", flag, c)
	}
	return nil
}
