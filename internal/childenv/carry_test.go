package childenv

import (
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"brs-exec/internal/sandbox"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// hops records who assumed which role.
type hops struct {
	mu   sync.Mutex
	list []string
}

func (h *hops) onCall(c sandbox.Call) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if c.Action == "AssumeRole" {
		h.list = append(h.list, fmt.Sprintf("%s assumes %s as %s for %ss %s", strings.Split(c.CallerARN, ":")[5],
			strings.Split(c.Params.Get("RoleArn"), ":")[5], c.Params.Get("ExternalId"), c.Params.Get("DurationSeconds"), c.Code))
	}
}

func (h *hops) take() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	list := h.list
	h.list = nil
	return list
}

// The child's SDK assumes the roles of the carried-over profiles itself, from the endpoint, along the chain that the
// user's own file describes.
func TestCarriedOverProfilesAreAssumedFromTheEndpoint(t *testing.T) {
	needBotocore(t)
	var seen hops
	cloud := sandbox.New(sandbox.Options{OnCall: seen.onCall})
	server := httptest.NewServer(cloud)
	defer server.Close()
	dev := assume(t, server.URL, cloud.BaseCredentials(), "arn:aws:iam::123456789012:role/dev")
	seen.take()

	const file = `[profile dev]
region = eu-west-1
aws_access_key_id = AKIALEAK
aws_secret_access_key = s
[profile admin]
role_arn = arn:aws:iam::123456789012:role/admin
source_profile = dev
external_id = ext
duration_seconds = 900
[profile deep]
role_arn = arn:aws:iam::123456789012:role/deep
source_profile = admin
role_session_name = deep
`
	d := NewDir(Options{Places: []string{newPlace(t)}, Token: "token", Config: ChildConfig(identity(file, ""), Chosen{Name: "dev", CarryOver: true})})
	defer d.Remove()
	child := Build(baseEnv(leakyHome(t)), Endpoint{
		URL: serveCredentials(t, "token", dev) + "/c", Token: "token", Region: "eu-west-1", STSURL: server.URL,
	}, d.Files())

	for name, run := range clients {
		for profile, want := range map[string][]string{
			"admin": {"assumed-role/dev/test assumes role/admin as ext for 900s "},
			"deep":  {"assumed-role/dev/test assumes role/admin as ext for 900s ", "assumed-role/admin/ assumes role/deep as  for s "},
			"dev":   nil,
		} {
			out := run(t, child, profile)
			got := seen.take()
			for i := range got { // each SDK invents session names and lives of its own
				got[i] = invented(got[i])
			}
			if !slices.Equal(got, want) || strings.HasPrefix(out, "error") {
				t.Errorf("%s, %s: got %q, %q; want %q", name, profile, out, got, want)
			}
		}
	}
}

// invented takes out of a hop what no profile says.
func invented(hop string) string {
	if strings.HasPrefix(hop, "assumed-role/admin/") {
		_, rest, _ := strings.Cut(hop, " ")
		hop = "assumed-role/admin/ " + rest
		before, after, _ := strings.Cut(hop, " for ")
		_, code, _ := strings.Cut(after, "s ")
		hop = before + " for s " + code
	}
	return hop
}

func assume(t *testing.T, url string, base aws.Credentials, role string) aws.Credentials {
	t.Helper()
	client := sts.New(sts.Options{Region: "us-east-1", BaseEndpoint: &url,
		Credentials: credentials.StaticCredentialsProvider{Value: base}})
	out, err := client.AssumeRole(t.Context(), &sts.AssumeRoleInput{RoleArn: &role, RoleSessionName: aws.String("test")})
	if err != nil {
		t.Fatal(err)
	}
	return aws.Credentials{AccessKeyID: *out.Credentials.AccessKeyId, SecretAccessKey: *out.Credentials.SecretAccessKey,
		SessionToken: *out.Credentials.SessionToken, Expires: *out.Credentials.Expiration}
}
