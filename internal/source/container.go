package source

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/endpointcreds"

	"brs-exec/internal/procfs"
	"brs-exec/internal/source/awserr"
	"brs-exec/internal/source/problem"
	"brs-exec/internal/source/userfile"
)

const (
	containerURI       = "AWS_CONTAINER_CREDENTIALS_FULL_URI"
	containerTokenFile = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"
)

const containerPath = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"

// hasContainer says whether the environment names a container endpoint. An empty variable does: aws
// fails there, and goes on to no instance.
func (b *builder) hasContainer() bool {
	_, path := b.vars[containerPath]
	_, uri := b.vars[containerURI]
	return path || uri
}

// fromContainer begins with the container endpoint: ECS, EKS Pod Identity, or a brs-exec outside
// this one.
func (b *builder) fromContainer(c *chain) error {
	c.add("container endpoint", false)
	endpoint := b.env.ContainerCredentialsEndpoint
	path, is := b.vars[containerPath]
	switch {
	case is && path == "":
		return problem.Bad("unset it", "%s is empty", containerPath)
	case !is && endpoint == "":
		return problem.Bad("unset it", "%s is empty", containerURI)
	}
	if is {
		endpoint = "http://169.254.170.2" + path
	} else if err := checkContainer(endpoint); err != nil {
		return err
	}
	// EKS names each session eks-CLUSTER-POD-UUID, with a new UUID.
	// https://github.com/aws/eks-pod-identity-agent/issues/29
	c.renames = strings.Contains(filepath.ToSlash(b.vars[containerTokenFile]), "/pods.eks.amazonaws.com/")
	token := b.env.ContainerAuthorizationToken
	client := b.http
	if !b.o.AnyServer {
		client = client.Checking(b.checkServer)
	}
	c.provider = container{b.s, b.vars[containerTokenFile], token, func(token string) aws.CredentialsProvider {
		return endpointcreds.New(endpoint, func(o *endpointcreds.Options) {
			o.HTTPClient, o.Retryer, o.APIOptions = client, aws.NopRetryer{}, b.cfg.APIOptions
			o.AuthorizationToken = token
		})
	}}
	return nil
}

// checkServer refuses another user's endpoint on this machine before it is sent the token, and
// could hand out keys of his own. An environment may outlive its brs-exec (sbatch copies its
// submitter's), and then the port is anybody's.
func (b *builder) checkServer(c net.Conn) error {
	const hint = "if a brs-exec set it that has ended, unset it; else say with %v whose account it is to be"
	uid, stranger, err := procfs.Stranger(c)
	switch {
	case stranger:
		return problem.Bad(b.names.Hint(hint, problem.ExpectAccount),
			"%s: the user with uid %d listens there, who is neither we nor root", containerURI, uid)
	case errors.Is(err, procfs.ErrNoSocket):
		return &problem.Error{Text: containerURI + ": nobody listens there any more", Verdict: problem.Passing}
	case err != nil:
		b.s.log.Debug("whose the container endpoint is can't be told", "error", err)
	}
	return nil
}

// readToken reads at every request: EKS rotates the file. The SDK would do it, too, but its error
// hides ours.
func readToken(ctx context.Context, file string) (string, error) {
	token, err := userfile.Read(ctx, file)
	switch {
	case err != nil:
		hint := "it must hold the token alone"
		switch {
		case ofEndedRun(file):
			return "", problem.Bad("begin in a new shell, or "+withoutOurs+"brs-exec …",
				"this environment is of a brs-exec that has ended, or runs on another machine")
		case errors.Is(err, fs.ErrNotExist):
			hint = "is it mounted in this container?"
		}
		return "", problem.Bad(hint, "%s: %v", containerTokenFile, err)
	case bytes.ContainsAny(token, "\r\n"):
		return "", problem.Bad("it must hold the token alone: printf, not echo, writes it",
			"%s: %s holds a line break", containerTokenFile, file)
	}
	return string(token), nil
}

// withoutOurs takes away what a brs-exec has set for a command.
const withoutOurs = withoutOurFiles + "-u AWS_CONTAINER_CREDENTIALS_FULL_URI " +
	"-u AWS_CONTAINER_AUTHORIZATION_TOKEN -u AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE "

// ofEndedRun says that a token file was in the private directory of a brs-exec, which is gone: an
// environment may outlive it (sbatch copies its submitter's, tmux keeps its starter's).
func ofEndedRun(file string) bool {
	dir := filepath.Dir(file)
	_, err := os.Lstat(dir)
	return errors.Is(err, fs.ErrNotExist) && strings.HasPrefix(filepath.Base(dir), "brs-exec-") &&
		strings.HasPrefix(filepath.Base(file), "token-")
}

// checkContainer allows http to the hosts that the SDK allows: this one's, ECS's and EKS's.
func checkContainer(endpoint string) error {
	u, err := url.Parse(endpoint)
	if err != nil || u.Hostname() == "" {
		return problem.Bad("http://127.0.0.1:PORT/PATH, or https", "%s is no URL", containerURI)
	}
	if u.Scheme != "http" || isContainerHost(u.Hostname()) {
		return nil
	}
	return problem.Bad("https, or a loopback address",
		"%s: http to %s, which is neither this machine nor ECS nor EKS", containerURI, u.Hostname())
}

func isContainerHost(host string) bool {
	addrs := []string{host}
	if _, err := netip.ParseAddr(host); err != nil {
		if addrs, err = net.LookupHost(host); err != nil {
			return false
		}
	}
	for _, a := range addrs {
		ip, err := netip.ParseAddr(a)
		if err != nil || !ip.IsLoopback() && a != "169.254.170.2" && a != "169.254.170.23" &&
			ip != netip.MustParseAddr("fd00:ec2::23") {
			return false
		}
	}
	return len(addrs) > 0
}

var errNoKeys = &problem.Error{Text: "an answer without keys", Hint: "it is asked again: is whoever answers there up?"}

// A container asks the endpoint. Its errors say what was asked; only the network's may pass by
// themselves.
type container struct {
	s         *Source
	tokenFile string // "": token is
	token     string
	with      func(token string) aws.CredentialsProvider
}

func (c container) Retrieve(ctx context.Context) (aws.Credentials, error) {
	about := call{op: "container credentials"}
	token, err := c.token, error(nil)
	if c.tokenFile != "" {
		if token, err = readToken(ctx, c.tokenFile); err != nil {
			return aws.Credentials{}, c.s.explain(about, err)
		}
	}
	creds, err := c.with(token).Retrieve(ctx)
	switch {
	case err == nil && !creds.HasKeys(): // the SDK takes any JSON
		return aws.Credentials{}, c.s.explain(about, errNoKeys)
	case err == nil:
		return creds, nil
	}
	about.hint = "is AWS_CONTAINER_CREDENTIALS_FULL_URI of this container, and its token current?"
	if awserr.FromNetwork(err) {
		about.hint = "is AWS_CONTAINER_CREDENTIALS_FULL_URI of this container? " +
			"if a brs-exec set it that has ended, unset it"
	}
	told := c.s.explain(about, err)
	if awserr.Status(err) == 0 && !awserr.FromNetwork(err) {
		told.Verdict = problem.Permanent
	}
	return aws.Credentials{}, told
}
