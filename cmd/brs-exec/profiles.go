package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"

	"brs-exec/internal/awsconfig"
	"brs-exec/internal/childenv"
	"brs-exec/internal/ecsserver"
	"brs-exec/internal/explain"
	"brs-exec/internal/gate"
	"brs-exec/internal/hint"
	"brs-exec/internal/identities"
	"brs-exec/internal/refresh"
	"brs-exec/internal/source"
)

// profileRules refuse --with-profile where the command would not find the profiles.
func (c *cli) profileRules() []rule {
	if c.withProfile == nil {
		return nil
	}
	given := c.given("with-profile")
	return []rule{
		{slices.Contains(c.withProfile, ""), given + " is empty", "leave it out, or look where its value comes from"},
		{c.sandbox, given + " is for your own profiles, and --sandbox has none", "drop one"},
		{c.export, "--export prints one identity", "drop " + given + ": --export --profile NAME prints another"},
		{c.child.NoIsolation, c.given("no-isolation") + " leaves the command all profiles as they are",
			"drop " + given + ", or --no-isolation"},
		{!c.delivery.served(), given + " needs the endpoint, from which the profiles are fetched",
			"add endpoint to --deliver, or drop " + given},
		{c.source.NoSession, given + " needs the endpoint, and " + c.given("no-session") + " has none", "drop one"},
	}
}

// furtherProfiles are the identities of --with-profile.
type furtherProfiles struct {
	*identities.Set
	s      *session
	env    []string
	files  *awsconfig.Identity
	shared *source.Shared
	asked  []string // those that ask a person for a code, before the command starts

	profiles map[string]*furtherProfile // by name
}

// A furtherProfile is made once: an MFA session, a login, an open connection and whose it was at
// first outlive the time in which nobody asks.
type furtherProfile struct {
	made atomic.Pointer[madeProfile] // nil: not yet
	mu   sync.Mutex                  // guards the making
	told bool                        // that it can't be made
}

type madeProfile struct {
	src      *source.Source
	provider aws.CredentialsProvider // behind the gate
}

// openProfiles chooses the profiles; none of them is asked for anything. nil without
// --with-profile.
func (s *session) openProfiles(ctx context.Context, env []string, shared *source.Shared) (*furtherProfiles, error) {
	if s.flags.withProfile == nil {
		return nil, nil
	}
	p := &furtherProfiles{s: s, env: env, shared: shared, profiles: map[string]*furtherProfile{}}
	names, err := p.choose(ctx)
	for _, name := range names {
		p.profiles[name] = new(furtherProfile)
	}
	if err == nil {
		p.Set, err = identities.New(names, p.keeper)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.flags.given("with-profile"), err)
	}
	return p, nil
}

// chosenProfile is the name of the profile whose settings the command has.
func chosenProfile(flags *cli, env []string) string {
	fromEnv, _ := awsconfig.ChosenProfile(env)
	return cmp.Or(flags.source.Profile, fromEnv, awsconfig.Default)
}

// known lists the profiles that there are: the user's, or those of the share, once somebody serves
// there.
func (p *furtherProfiles) known(ctx context.Context) (names []string, err error) {
	if p.s.flags.source.FromShare == "" {
		if p.files, err = p.shared.ReadIdentity(awsconfig.Locate(p.env)); err != nil {
			return nil, err
		}
		return slices.Sorted(maps.Keys(p.files.Profiles)), nil
	}
	p.files = &awsconfig.Identity{}
	for {
		names, err = source.ShareProfiles(ctx, p.options(""))
		if err == nil || source.Permanent(err) {
			return names, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(sharePause):
		}
	}
}

// sharePause is between two looks whether somebody serves a share.
const sharePause = 250 * time.Millisecond

// choose lists the profiles that the user named, or that match, of those that there are.
func (p *furtherProfiles) choose(ctx context.Context) (names []string, err error) {
	have, err := p.known(ctx)
	if err != nil {
		return nil, err
	}
	chosen := chosenProfile(p.s.flags, p.env)
	for _, want := range p.s.flags.withProfile {
		matched, err := p.match(want, chosen, have)
		if err != nil {
			return nil, err
		}
		names = append(names, matched...)
	}
	slices.Sort(names)
	names = slices.Compact(names)
	for _, name := range names {
		if !awsconfig.SafeName(name) {
			return nil, hint.Errorf("give the profile a plain name",
				"SDKs differ in how they read the name of profile %q", name)
		}
		if p.files.AsksCode(name) {
			p.asked = append(p.asked, name)
		}
	}
	return names, nil
}

// match returns the profiles that one value stands for. A pattern leaves out those that a person is
// asked for: whoever names them expects that.
func (p *furtherProfiles) match(want, chosen string, have []string) (names []string, err error) {
	if !identities.IsPattern(want) {
		switch {
		case want == awsconfig.Default || want == chosen:
			return nil, hint.Errorf("drop it", "profile %s is what the command has anyway", want)
		case !slices.Contains(have, want):
			return nil, hint.Errorf("there are: "+listed(have), "there is no profile %q", want)
		}
		return []string{want}, nil
	}
	withCode, matches := 0, identities.Matcher(want)
	for _, name := range have {
		switch {
		case name == awsconfig.Default || name == chosen || !matches(name):
		case p.files.AsksCode(name):
			withCode++
		default:
			names = append(names, name)
		}
	}
	switch {
	case names == nil && withCode > 0:
		return nil, hint.Errorf("name them in full", "no profile matches %q but those with an MFA device", want)
	case names == nil:
		return nil, hint.Errorf("there are: "+listed(have), "no profile matches %q", want)
	case withCode > 0:
		p.s.log.Warn("profiles with an MFA device are left out: name them in full",
			"pattern", want, "left_out", withCode)
	}
	return names, nil
}

func listed(names []string) string {
	if len(names) > 8 {
		names = append(names[:8:8], "…; aws configure list-profiles shows all")
	}
	return cmp.Or(strings.Join(names, ", "), "none")
}

// prepare asks a person for the codes of the profiles that need one: never once the command runs.
func (p *furtherProfiles) prepare(ctx context.Context) error {
	if p == nil {
		return nil
	}
	for _, name := range p.asked {
		p.profiles[name].told = true // the error is returned
		m, err := p.get(ctx, name)
		if err == nil {
			err = m.src.Prepare(ctx)
		}
		if err != nil {
			return fmt.Errorf("profile %s: %w", name, err)
		}
	}
	return nil
}

// get makes a profile, if it isn't made.
func (p *furtherProfiles) get(ctx context.Context, name string) (*madeProfile, error) {
	f := p.profiles[name]
	f.mu.Lock()
	defer f.mu.Unlock()
	if m := f.made.Load(); m != nil {
		return m, nil
	}
	ctx, cancel := context.WithTimeout(ctx, p.s.flags.startTimeout())
	defer cancel()
	src, err := source.New(ctx, p.options(name))
	switch {
	case err == nil:
		f.made.Store(&madeProfile{src, p.onlyIts(name, src)})
		return f.made.Load(), nil
	case !f.told:
		f.told = true
		p.s.log.Warn("the profile can't be used", "profile", name, "error", err)
	}
	return nil, err
}

// options are a profile's own; how STS is reached is the run's. A share must be ours: whose account
// a profile of a stranger's is, nobody could check.
func (p *furtherProfiles) options(name string) source.Options {
	run := sourceOptions(p.s.flags, nil, p.env, p.s.log.With("profile", name))
	o := source.Options{
		Region: run.Region, STSEndpointURL: run.STSEndpointURL, CABundle: run.CABundle,
		UseFIPSEndpoint: run.UseFIPSEndpoint, UseDualstackEndpoint: run.UseDualstackEndpoint,
		ConnectTimeout: run.ConnectTimeout, ReadTimeout: run.ReadTimeout,
		Env: run.Env, Names: run.Names, Version: run.Version, Log: run.Log, Shared: p.shared,
		Unattended: !slices.Contains(p.asked, name),
	}
	switch {
	case run.FromShare != "":
		o.FromShare, o.ShareID = run.FromShare, identities.ID(name)
	case p.files.AsksCode(name):
		o.Profile, o.MFACommand = name, run.MFACommand
	default:
		o.Profile = name
	}
	return o
}

// keeper makes what keeps a profile's credentials valid. It fetches only what is asked for.
func (p *furtherProfiles) keeper(ctx context.Context, name string) (k identities.Keeper, err error) {
	defer recovered(func(bug error) { k, err = nil, bug })
	m, err := p.get(ctx, name)
	if err != nil {
		return nil, err
	}
	o := refreshOptions(p.s.flags, m.src, p.s.log.With("profile", name))
	o.Lazy, o.LeastLeft = true, identities.LeastLeft
	return survivor{refresh.New(p.Limit(m.provider), o), p.s}, nil
}

// survivor keeps a bug in one profile's refreshing from ending the run.
type survivor struct {
	*refresh.Refresher
	s *session
}

func (v survivor) Run(ctx context.Context) (err error) {
	defer recovered(func(bug error) { v.s.logError(bug) })
	return v.Refresher.Run(ctx)
}

// onlyIts lets pass of a profile's credentials those of the account that the profile names, by
// STS's own word.
func (p *furtherProfiles) onlyIts(name string, src *source.Source) aws.CredentialsProvider {
	account := p.account(name, src)
	return guarded(src, account, p.s.flags.allowIdentityChange, func(err error) error {
		if e, ok := errors.AsType[*gate.AccountError](err); ok {
			return hint.Errorf("check profile "+name, "profile %s: %w; it names %s", name, err, e.Want)
		}
		return refusal(p.s.flags, src, err)
	})
}

// account is the one that a profile names; "": it names none.
func (p *furtherProfiles) account(name string, src *source.Source) string {
	role, err := arn.Parse(src.RoleARN())
	if err == nil {
		return role.AccountID
	}
	return p.files.Profiles[name]["sso_account_id"]
}

// named is the profile that is served at an ID.
func (p *furtherProfiles) named(id string) (ecsserver.Named, bool) {
	i := p.Identity(id)
	if i == nil {
		return ecsserver.Named{}, false
	}
	return ecsserver.Named{Name: i.Name, Provider: i, About: func() ecsserver.About { return p.about(i.Name) }}, true
}

// about tells a share's clients of a profile that has been asked for.
func (p *furtherProfiles) about(name string) ecsserver.About {
	m := p.profiles[name].made.Load()
	if m == nil {
		return ecsserver.About{}
	}
	return ecsserver.About{Region: m.src.Region(), RenewableUntil: m.src.RenewableUntil()}
}

// facts are what is known of the profiles without asking anybody.
func (p *furtherProfiles) facts(ctx context.Context) (list []explain.Profile) {
	if p == nil {
		return nil
	}
	for _, name := range p.Names() {
		p.profiles[name].told = true // the list tells
		m, err := p.get(ctx, name)
		if err != nil {
			list = append(list, explain.Profile{Name: name, Error: err.Error()})
			continue
		}
		list = append(list, explain.Profile{
			Name: name, Source: m.src.Describe(), Account: p.account(name, m.src),
			RenewableUntil: toSeconds(m.src.RenewableUntil()),
		})
	}
	return list
}

// forCommand is how the command's config file names the profiles.
func (p *furtherProfiles) forCommand() (list []childenv.Further, err error) {
	if p == nil {
		return nil, nil
	}
	seconds := strconv.Itoa(int(p.s.flags.startTimeout().Round(time.Second) / time.Second))
	fetch, err := fetchCommand("--with-profile")
	for _, name := range p.Names() {
		process := strings.Join([]string{fetch, identities.ID(name), seconds}, " ")
		list = append(list, childenv.Further{Name: name, Process: process})
	}
	return list, err
}

// close ends the profiles' fetching, and what their sources have begun.
func (p *furtherProfiles) close() {
	if p == nil {
		return
	}
	p.Close()
	for _, f := range p.profiles {
		if m := f.made.Load(); m != nil {
			m.src.Close()
		}
	}
}
