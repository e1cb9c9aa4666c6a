package source

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials/ec2rolecreds"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"
	"github.com/aws/smithy-go"

	"brs-exec/internal/source/awserr"
	"brs-exec/internal/source/problem"
	"brs-exec/internal/source/stsapi"
)

// An instance is the role of this EC2 instance, by IMDSv2.
type instance struct {
	b    *builder
	imds *imds.Client
	seen bool // the service has answered before: this is an instance
}

// fromInstance begins with this EC2 instance's role, the SDK's last resort.
func (b *builder) fromInstance(c *chain) error {
	c.add("instance metadata", true)
	if b.env.EC2IMDSClientEnableState == imds.ClientDisabled {
		return b.noCredentials("instance metadata is off (AWS_EC2_METADATA_DISABLED)")
	}
	cfg := b.cfg.Copy()
	cfg.HTTPClient = awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) { t.Proxy = nil })
	cfg.Retryer = func() aws.Retryer { return aws.NopRetryer{} }
	c.provider = &instance{b: b, imds: imds.NewFromConfig(cfg)}
	return nil
}

func (i *instance) Retrieve(ctx context.Context) (aws.Credentials, error) {
	client := &expiryReader{Client: i.imds}
	creds, err := ec2rolecreds.New(func(o *ec2rolecreds.Options) { o.Client = client }).Retrieve(ctx)
	if err != nil {
		return aws.Credentials{}, i.explain(ctx, err)
	}
	i.seen = true
	if !client.expires.IsZero() {
		creds.Expires = client.expires
	}
	if err := stsapi.CheckComplete(creds); err != nil {
		return aws.Credentials{}, i.b.s.explain(call{op: "instance metadata"}, err)
	}
	return creds, nil
}

// explain tells two cases from the others: an instance without a role, and a machine that is no
// instance, where the last resort has failed.
func (i *instance) explain(ctx context.Context, err error) error {
	_, dial := errors.AsType[net.Error](err)
	switch status := awserr.Status(err); {
	case status == http.StatusNotFound && !i.seen:
		return &problem.Error{
			Text: "instance metadata: this instance has no role", Err: err, Verdict: problem.Permanent,
			Hint: i.b.names.Hint("give it an instance profile, or %v NAME", problem.Profile),
		}
	case dial && status == 0 && !i.seen && ctx.Err() == nil:
		return i.b.noCredentials("instance metadata does not answer: this is no EC2 instance")
	}
	e := i.b.s.explain(call{op: "instance metadata", hint: i.hint(err)}, err)
	switch api, ok := errors.AsType[*smithy.GenericAPIError](err); {
	case ok && api.Code == "":
		e.Text = "instance metadata: an answer without keys"
	case wantsToken(err):
		e.Text = "instance metadata: HTTP 401: it wants a token, and the answer with one didn't come"
	}
	return e
}

// wantsToken says that the service was asked without a token, since there was none to be had. The
// SDK's error has the status in its text only.
func wantsToken(err error) bool { return strings.Contains(err.Error(), "StatusCode: 401") }

// hint tells an answer that doesn't arrive from one that is wrong. The first token's answer
// is what a hop limit stops: SDKs then ask without a token, and get 401.
// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/configuring-IMDS-existing-instances.html
func (i *instance) hint(err error) string {
	code, _ := awserr.Code(err)
	switch {
	case i.seen && awserr.FromNetwork(err):
		return "it was there before: does a firewall or route stop what goes to it?"
	case wantsToken(err), awserr.FromNetwork(err):
		return "in a container the instance must allow two hops: " +
			"aws ec2 modify-instance-metadata-options --http-put-response-hop-limit 2"
	case code == "AssumeRoleUnauthorizedAccess":
		return "the role of the instance profile must trust ec2.amazonaws.com: aws iam get-role shows its policy"
	}
	return "perhaps another program answers in its place: kube2iam, a proxy, " +
		"or what AWS_EC2_METADATA_SERVICE_ENDPOINT names"
}

// An expiryReader notes when the credentials really expire: ec2rolecreds says an hour at most.
type expiryReader struct {
	*imds.Client
	expires time.Time
}

func (r *expiryReader) GetMetadata(
	ctx context.Context, in *imds.GetMetadataInput, more ...func(*imds.Options),
) (*imds.GetMetadataOutput, error) {
	out, err := r.Client.GetMetadata(ctx, in, more...)
	if err != nil || strings.HasSuffix(in.Path, "/") {
		return out, err
	}
	data, err := io.ReadAll(io.LimitReader(out.Content, stsapi.MaxAnswer))
	out.Content.Close()
	if err != nil {
		return nil, err
	}
	var answer struct{ Expiration time.Time }
	if json.Unmarshal(data, &answer) == nil {
		r.expires = answer.Expiration
	}
	out.Content = io.NopCloser(bytes.NewReader(data))
	return out, nil
}
