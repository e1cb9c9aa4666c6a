package source

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
)

// defaultAudience is what AWS's own action asks for.
const defaultAudience = "sts.amazonaws.com"

// gitHub gets a token of GitHub Actions for every refresh: each lives five minutes, the right to ask as long as the job.
// https://docs.github.com/en/actions/reference/security/oidc
type gitHub struct {
	client *httpClient
	url    *url.URL
	bearer string
}

func newGitHub(b *builder) (*gitHub, error) {
	where, bearer := os.Getenv("ACTIONS_ID_TOKEN_REQUEST_URL"), os.Getenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN")
	if where == "" || bearer == "" {
		if os.Getenv("GITHUB_ACTIONS") == "" {
			return nil, badInput("--web-identity-token-command, or --web-identity-token-file", "--web-identity github-actions: this is no GitHub Actions job")
		}
		return nil, badInput("give the job this: permissions: {id-token: write, contents: read}", "--web-identity github-actions: this job may not ask for a token (ACTIONS_ID_TOKEN_REQUEST_URL is not set)")
	}
	u, err := url.Parse(where)
	if err != nil || u.Host == "" || u.Scheme != "https" && !(u.Scheme == "http" && loopback(u.Hostname())) {
		return nil, badInput("it is GitHub's own: leave it as the runner sets it", "ACTIONS_ID_TOKEN_REQUEST_URL is no https URL")
	}
	q := u.Query()
	q.Set("audience", firstOf(b.o.Audience, defaultAudience))
	u.RawQuery = q.Encode()
	return &gitHub{b.http, u, bearer}, nil
}

func (g *gitHub) token(ctx context.Context) (jwt, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, g.url.String(), nil)
	if err != nil {
		return "", err
	}
	r.Header.Set("Authorization", "bearer "+g.bearer)
	r.Header.Set("Accept", "application/json; api-version=2.0")
	r.Header.Set("User-Agent", "brs-exec")
	resp, err := g.client.Do(r)
	if err != nil {
		return "", plainly("GitHub's token service", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return "", &statusError{"GitHub's token service", resp.StatusCode, "", "has the job permissions: {id-token: write}, and is it still running?"}
	}
	var answer struct{ Value string }
	if json.NewDecoder(resp.Body).Decode(&answer) != nil || answer.Value == "" {
		return "", errors.New("GitHub's token service: an answer without a token")
	}
	return checkToken(answer.Value, "what GitHub's token service answered")
}

// plainly leaves the URL out of a network error.
func plainly(what string, err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return &problem{text: what + ": " + network(e), err: e}
	}
	return fmt.Errorf("%s: %w", what, err)
}

// A statusError is a refusal by HTTP alone. Permanent and Throttled judge it by its status.
type statusError struct {
	what    string
	status  int
	message string
	hint    string
}

func (e *statusError) Error() string {
	if e.message != "" {
		return fmt.Sprintf("%s: HTTP %d: %s", e.what, e.status, e.message)
	}
	return fmt.Sprintf("%s: HTTP %d %s", e.what, e.status, http.StatusText(e.status))
}

func (e *statusError) HTTPStatusCode() int { return e.status }
