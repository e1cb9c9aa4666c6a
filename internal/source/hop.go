package source

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"
)

// A hop assumes one role with the credentials below it.
type hop struct {
	s    *Source
	base aws.CredentialsProvider
	by   string // the chain below, for people

	arn          string
	name         string
	duration     time.Duration // 0: an hour
	durationFrom string        // who asked for it
	durationHow  string        // how it is written there
	externalID   string
	policy       string
	policyARNs   []types.PolicyDescriptorType
	tags         []types.Tag
	transitive   []string
	identity     string
	contexts     []types.ProvidedContext
	chained      tri // a role's session assumes it
	serial       string
	serialFrom   string
	mfa          *mfa // made of serial; nil: no code is asked
}

func (h *hop) checkDuration() error {
	if err := checkRoleDuration(h.durationFrom, h.durationHow, h.duration); err != nil {
		return err
	}
	if h.chained == yes && h.duration > maxChainedDuration {
		return badInput(h.durationHow+"3600: the command may run longer, its credentials are renewed in time",
			"%s %d: AWS gives a role that is assumed by another role's session one hour at most", h.durationFrom, h.duration/time.Second)
	}
	return nil
}

func (h *hop) Retrieve(ctx context.Context) (aws.Credentials, error) {
	caller, code, err := h.caller(ctx)
	if err != nil {
		return aws.Credentials{}, err
	}
	ends := h.s.begins(h.step())
	creds, err := stscreds.NewAssumeRoleProvider(assumer{h, caller, code}, h.arn, h.options).Retrieve(ctx)
	if err == nil {
		err = whole(creds)
	}
	if err != nil {
		creds = aws.Credentials{}
		err = h.s.explain(call{op: "assume role " + h.arn, by: h.by, role: h.arn, keys: caller, mfa: h.mfa != nil}, err)
	}
	ends(err)
	if code != "" {
		h.mfa.seen(err)
		h.mfa.until.set(creds.Expires)
	}
	return creds, err
}

func (h *hop) caller(ctx context.Context) (creds aws.Credentials, code string, err error) {
	if h.mfa != nil {
		return h.mfa.caller(ctx, h.base)
	}
	creds, err = h.base.Retrieve(ctx)
	return creds, "", err
}

func (h *hop) options(o *stscreds.AssumeRoleOptions) {
	o.RoleSessionName = h.name
	o.Duration = orDefault(h.duration, defaultDuration)
	o.ExternalID, o.Policy, o.SourceIdentity = optional(h.externalID), optional(h.policy), optional(h.identity)
	o.PolicyARNs, o.Tags, o.TransitiveTagKeys = h.policyARNs, h.tags, h.transitive
}

// An assumer is the STS client of one call: it signs with the caller's credentials and adds what stscreds doesn't know.
type assumer struct {
	*hop
	caller aws.Credentials
	code   string
}

func (a assumer) AssumeRole(ctx context.Context, in *sts.AssumeRoleInput, more ...func(*sts.Options)) (*sts.AssumeRoleOutput, error) {
	in.ProvidedContexts = a.contexts
	if a.code != "" {
		in.SerialNumber, in.TokenCode = &a.mfa.serial, &a.code
	}
	return a.s.sts.AssumeRole(ctx, in, append(more, signedBy(a.caller))...)
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
