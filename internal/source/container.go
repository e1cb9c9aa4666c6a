package source

import (
	"bytes"
	"context"
	"net"
	"net/netip"
	"net/url"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/endpointcreds"
)

// fromContainer is ECS, EKS Pod Identity, or a brs-exec outside this one.
func (b *builder) fromContainer(c *chain) error {
	c.add("container endpoint", unknown, aws.CredentialSourceHTTP)
	endpoint := b.env.ContainerCredentialsEndpoint
	if path := b.env.ContainerCredentialsRelativePath; path != "" {
		endpoint = "http://169.254.170.2" + path
	} else if err := checkContainer(endpoint); err != nil {
		return err
	}
	file := os.Getenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE")
	c.provider = container{b.s, file, b.env.ContainerAuthorizationToken, func(token string) aws.CredentialsProvider {
		return endpointcreds.New(endpoint, func(o *endpointcreds.Options) {
			o.HTTPClient, o.Retryer, o.APIOptions = b.http, aws.NopRetryer{}, b.cfg.APIOptions
			o.AuthorizationToken = token
		})
	}}
	return nil
}

// readToken reads at every request: EKS rotates the file. The SDK would do it, too, but its error hides ours.
func readToken(file string) (string, error) {
	const variable = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"
	token, err := os.ReadFile(file)
	switch {
	case err != nil:
		return "", badInput("is it mounted in this container?", "%s: %v", variable, err)
	case bytes.ContainsAny(token, "\r\n"):
		return "", badInput("it must hold the token alone: printf, not echo, writes it", "%s: %s holds a line break", variable, file)
	}
	return string(token), nil
}

// checkContainer allows http to the hosts that the SDK allows: this one's, ECS's and EKS's.
func checkContainer(endpoint string) error {
	const variable = "AWS_CONTAINER_CREDENTIALS_FULL_URI"
	u, err := url.Parse(endpoint)
	if err != nil || u.Hostname() == "" {
		return badInput("http://127.0.0.1:PORT/PATH, or https", "%s is no URL", variable)
	}
	if u.Scheme != "http" || containerHost(u.Hostname()) {
		return nil
	}
	return badInput("https, or a loopback address", "%s: http to %s, which is neither this machine nor ECS nor EKS", variable, u.Hostname())
}

func containerHost(host string) bool {
	addrs := []string{host}
	if _, err := netip.ParseAddr(host); err != nil {
		if addrs, err = net.LookupHost(host); err != nil {
			return false
		}
	}
	for _, a := range addrs {
		ip, err := netip.ParseAddr(a)
		if err != nil || !ip.IsLoopback() && a != "169.254.170.2" && a != "169.254.170.23" && ip != netip.MustParseAddr("fd00:ec2::23") {
			return false
		}
	}
	return len(addrs) > 0
}

// A container's errors say what was asked, and that nothing but the network passes by itself.
type container struct {
	s         *Source
	tokenFile string // "": token is
	token     string
	with      func(token string) aws.CredentialsProvider
}

func (c container) Retrieve(ctx context.Context) (aws.Credentials, error) {
	token, err := c.token, error(nil)
	if c.tokenFile != "" {
		if token, err = readToken(c.tokenFile); err != nil {
			return aws.Credentials{}, c.s.explain(call{op: "container credentials"}, err)
		}
	}
	creds, err := c.with(token).Retrieve(ctx)
	if err == nil {
		return creds, nil
	}
	err = c.s.explain(call{op: "container credentials", hint: "is AWS_CONTAINER_CREDENTIALS_FULL_URI of this container, and its token current?"}, err)
	if p, ok := err.(*problem); ok && httpStatus(err) == 0 && !fromNetwork(err) {
		p.permanent = true
	}
	return aws.Credentials{}, err
}
