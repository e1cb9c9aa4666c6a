package source

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"

	"brs-exec/internal/source/awserr"
	"brs-exec/internal/source/problem"
	"brs-exec/internal/source/stsapi"
)

// defaultAudience is what AWS's own action asks for.
const defaultAudience = "sts.amazonaws.com"

// gitHub gets a token of GitHub Actions for every refresh: each lives five minutes, the right to
// ask as long as the job. https://docs.github.com/en/actions/reference/security/oidc
type gitHub struct {
	client *stsapi.HTTP
	url    *url.URL
	bearer string
}

func (b *builder) gitHubTokens() (func(context.Context) (jwt, error), error) {
	in := b.names.Input(problem.WebIdentity)
	where, bearer := b.vars["ACTIONS_ID_TOKEN_REQUEST_URL"], b.vars["ACTIONS_ID_TOKEN_REQUEST_TOKEN"]
	if where == "" || bearer == "" {
		if b.vars["GITHUB_ACTIONS"] == "" {
			hint := b.names.Hint("%v, or %v", problem.WebIdentityTokenCommand, problem.WebIdentityTokenFile)
			return nil, problem.Bad(hint, "%s github-actions: this is no GitHub Actions job", in)
		}
		return nil, problem.Bad("give the job this: permissions: {id-token: write, contents: read}",
			"%s github-actions: this job may not ask for a token (ACTIONS_ID_TOKEN_REQUEST_URL is not set)", in)
	}
	u, err := url.Parse(where)
	if err != nil || u.Host == "" || u.Scheme != "https" && !(u.Scheme == "http" && stsapi.Loopback(u.Hostname())) {
		return nil, problem.Bad("it is GitHub's own: leave it as the runner sets it",
			"ACTIONS_ID_TOKEN_REQUEST_URL is no https URL")
	}
	q := u.Query()
	q.Set("audience", cmp.Or(b.o.Audience, defaultAudience))
	u.RawQuery = q.Encode()
	return (&gitHub{b.http, u, bearer}).token, nil
}

func (g *gitHub) token(ctx context.Context) (jwt, error) {
	const service = "GitHub's token service"
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, g.url.String(), nil)
	if err != nil {
		return "", err
	}
	r.Header.Set("Authorization", "bearer "+g.bearer)
	r.Header.Set("Accept", "application/json; api-version=2.0")
	r.Header.Set("User-Agent", "brs-exec")
	status, body, err := stsapi.Get(g.client, r, service)
	if err != nil {
		return "", err
	}
	if status != http.StatusOK {
		const hint = "has the job permissions: {id-token: write}, and is it still running?"
		return "", &awserr.StatusError{What: service, Status: status, Hint: hint}
	}
	var answer struct{ Value string }
	if json.Unmarshal(body, &answer) != nil || answer.Value == "" {
		return "", errors.New(service + ": an answer without a token")
	}
	return checkToken(answer.Value, "what "+service+" answered")
}
