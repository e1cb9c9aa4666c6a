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
)

// An instance is the role of this EC2 instance, by IMDSv2.
type instance struct {
	s    *Source
	b    *builder
	imds *imds.Client
	seen bool // the service has answered before: this is an instance
}

func newInstance(b *builder) *instance {
	cfg := b.cfg.Copy()
	cfg.HTTPClient = awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) { t.Proxy = nil })
	cfg.Retryer = func() aws.Retryer { return aws.NopRetryer{} }
	return &instance{s: b.s, b: b, imds: imds.NewFromConfig(cfg)}
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
	if err := whole(creds); err != nil {
		return aws.Credentials{}, i.s.explain(call{op: "instance metadata"}, err)
	}
	return creds, nil
}

// explain: where nothing answers at all, this is no instance, and the SDK's last resort has failed.
func (i *instance) explain(ctx context.Context, err error) error {
	_, dial := errors.AsType[net.Error](err)
	switch status := httpStatus(err); {
	case status == http.StatusNotFound && !i.seen:
		return &problem{text: "instance metadata: this instance has no role", err: err, permanent: true, hints: []string{"give it an instance profile, or --profile NAME"}}
	case dial && status == 0 && !i.seen && ctx.Err() == nil:
		return i.b.nothing("instance metadata does not answer: this is no EC2 instance")
	}
	return i.s.explain(call{op: "instance metadata", hint: hopHint}, err)
}

// hopHint: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/configuring-IMDS-existing-instances.html
const hopHint = "in a container the instance must allow two hops: aws ec2 modify-instance-metadata-options --http-put-response-hop-limit 2"

// An expiryReader notes when the credentials really expire: ec2rolecreds says an hour at most.
type expiryReader struct {
	*imds.Client
	expires time.Time
}

func (r *expiryReader) GetMetadata(ctx context.Context, in *imds.GetMetadataInput, more ...func(*imds.Options)) (*imds.GetMetadataOutput, error) {
	out, err := r.Client.GetMetadata(ctx, in, more...)
	if err != nil || strings.HasSuffix(in.Path, "/") {
		return out, err
	}
	data, err := io.ReadAll(io.LimitReader(out.Content, maxAnswer))
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
