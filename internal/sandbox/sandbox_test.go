package sandbox

import (
	"context"
	"errors"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// world is an STS behind a socket, its clock and its calls.
type world struct {
	*STS
	url string

	mu    sync.Mutex
	now   time.Time
	calls []Call
}

func newWorld(t *testing.T, o Options) *world {
	t.Helper()
	w := &world{now: time.Now()}
	o.Now = func() time.Time { w.mu.Lock(); defer w.mu.Unlock(); return w.now }
	o.OnCall = func(c Call) { w.mu.Lock(); defer w.mu.Unlock(); w.calls = append(w.calls, c) }
	w.STS = New(o)
	srv := httptest.NewServer(w)
	t.Cleanup(srv.Close)
	w.url = srv.URL
	return w
}

func (w *world) set(now time.Time) { w.mu.Lock(); defer w.mu.Unlock(); w.now = now }

func (w *world) last(t *testing.T) Call {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.calls) == 0 {
		t.Fatal("no call arrived")
	}
	return w.calls[len(w.calls)-1]
}

// client signs with c; it never retries and never corrects its clock.
func (w *world) client(c aws.Credentials) *sts.Client {
	return sts.New(sts.Options{
		Region:       "eu-central-1",
		BaseEndpoint: &w.url,
		Retryer:      aws.NopRetryer{},
		Credentials:  aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return c, nil }),
	})
}

func (w *world) baseClient() *sts.Client { return w.client(w.BaseCredentials()) }

func issued(c *types.Credentials) aws.Credentials {
	return aws.Credentials{AccessKeyID: *c.AccessKeyId, SecretAccessKey: *c.SecretAccessKey, SessionToken: *c.SessionToken}
}

// wantError holds err to an API error of that code, status and (part of a) message.
func wantError(t *testing.T, err error, status int, code, message string) {
	t.Helper()
	api, ok := errors.AsType[smithy.APIError](err)
	if !ok {
		t.Fatalf("got %v; want an API error %s", err, code)
	}
	if api.ErrorCode() != code || !strings.Contains(api.ErrorMessage(), message) {
		t.Errorf("got %s: %s; want %s: …%s…", api.ErrorCode(), api.ErrorMessage(), code, message)
	}
	if r, ok := errors.AsType[*smithyhttp.ResponseError](err); !ok || r.HTTPStatusCode() != status {
		t.Errorf("got status %v; want %d", err, status)
	}
}

func assume(roleARN string) *sts.AssumeRoleInput {
	return &sts.AssumeRoleInput{RoleArn: &roleARN, RoleSessionName: aws.String("job@host")}
}

// epoch is long past.
var epoch = time.Unix(1, 0)

const etl = "arn:aws:iam::111122223333:role/team/etl"

func TestAssumedRole(t *testing.T) {
	w := newWorld(t, Options{})
	out, err := w.baseClient().AssumeRole(t.Context(), assume(etl))
	if err != nil {
		t.Fatal(err)
	}
	const arn = "arn:aws:sts::111122223333:assumed-role/etl/job@host"
	if got := *out.AssumedRoleUser.Arn; got != arn {
		t.Errorf("got %s; want %s", got, arn)
	}
	if got, want := *out.Credentials.Expiration, w.now.Add(time.Hour).Truncate(time.Second); !got.Equal(want) {
		t.Errorf("got expiration %v; want %v", got, want)
	}
	who, err := w.client(issued(out.Credentials)).GetCallerIdentity(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if *who.Arn != arn || *who.Account != "111122223333" || *who.UserId != *out.AssumedRoleUser.AssumedRoleId {
		t.Errorf("got %s %s %s; want %s 111122223333 %s", *who.Arn, *who.Account, *who.UserId, arn, *out.AssumedRoleUser.AssumedRoleId)
	}
	c := w.last(t)
	if c.Action != "GetCallerIdentity" || c.CallerARN != arn || c.AccessKeyID != *out.Credentials.AccessKeyId ||
		c.Region != "eu-central-1" || c.Code != "" || !strings.Contains(c.UserAgent, "aws-sdk-go-v2") {
		t.Errorf("got call %+v", c)
	}
	base, err := w.baseClient().GetCallerIdentity(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := *base.Arn, "arn:aws:iam::000000000000:user/sandbox"; got != want {
		t.Errorf("got %s; want %s", got, want)
	}
}

// TestEveryParameterArrives also proves that a comma in a role's name and a semicolon in a tag
// arrive whole.
func TestEveryParameterArrives(t *testing.T) {
	w := newWorld(t, Options{})
	in := assume("arn:aws-cn:iam::111122223333:role/a,b=c@d")
	in.DurationSeconds = aws.Int32(43200)
	in.ExternalId = aws.String("x:y/z")
	in.Policy = aws.String(`{"Version":"2012-10-17","Statement":[]}`)
	in.PolicyArns = []types.PolicyDescriptorType{{Arn: aws.String("arn:aws-cn:iam::aws:policy/ReadOnlyAccess")}}
	in.Tags = []types.Tag{{Key: aws.String("Team"), Value: aws.String("a;b, c&d=é")}}
	in.TransitiveTagKeys = []string{"Team"}
	in.SourceIdentity = aws.String("alice")
	in.ProvidedContexts = []types.ProvidedContext{{ProviderArn: aws.String("arn:aws:iam::aws:contextProvider/IdentityCenter"), ContextAssertion: aws.String("eyJ.a.b")}}
	out, err := w.baseClient().AssumeRole(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := *out.AssumedRoleUser.Arn, "arn:aws-cn:sts::111122223333:assumed-role/a,b=c@d/job@host"; got != want {
		t.Errorf("got %s; want %s", got, want)
	}
	if got := *out.SourceIdentity; got != "alice" {
		t.Errorf("got source identity %s; want alice", got)
	}
	p := w.last(t).Params
	for name, want := range map[string]string{
		"DurationSeconds": "43200", "ExternalId": "x:y/z", "Tags.member.1.Value": "a;b, c&d=é", "TransitiveTagKeys.member.1": "Team",
		"PolicyArns.member.1.arn": "arn:aws-cn:iam::aws:policy/ReadOnlyAccess", "ProvidedContexts.member.1.ContextAssertion": "eyJ.a.b",
	} {
		if got := p.Get(name); got != want {
			t.Errorf("%s: got %q; want %q", name, got, want)
		}
	}
}

// TestExpiryBoundary: what is told is what is enforced, to the nanosecond.
func TestExpiryBoundary(t *testing.T) {
	for _, ttl := range []time.Duration{0, 2 * time.Second, 8 * time.Second} {
		w := newWorld(t, Options{TTL: ttl})
		start := w.now
		out, err := w.baseClient().AssumeRole(t.Context(), assume(etl))
		if err != nil {
			t.Fatal(err)
		}
		end := *out.Credentials.Expiration
		life := time.Hour
		if ttl != 0 {
			life = ttl
		}
		if got := end.Sub(start); got > life || got <= life-time.Second {
			t.Errorf("TTL %v: got a life of %v", ttl, got)
		}
		call := func(now time.Time) error {
			// Sealing and judging are under test, not the skew of a date that the SDK takes from
			// the real clock.
			if d := time.Since(now).Abs(); d > 10*time.Minute {
				return w.verifyAt(t, issued(out.Credentials), now)
			}
			w.set(now)
			_, err := w.client(issued(out.Credentials)).GetCallerIdentity(t.Context(), nil)
			return err
		}
		if err := call(end.Add(-1)); err != nil {
			t.Errorf("TTL %v: 1 ns before the end: %v", ttl, err)
		}
		err = call(end)
		if err == nil || !strings.Contains(err.Error(), "ExpiredToken: The security token included in the request is expired") {
			t.Errorf("TTL %v: at the end: got %v; want ExpiredToken", ttl, err)
		}
	}
}

// verifyAt signs a call at now and asks the handler.
func (w *world) verifyAt(t *testing.T, c aws.Credentials, now time.Time) error {
	w.set(now)
	r := httptest.NewRequest("POST", "/", strings.NewReader("Action=GetCallerIdentity&Version=2011-06-15"))
	signRequest(t, r, c, "us-east-1", "sts", now, "Action=GetCallerIdentity&Version=2011-06-15")
	rec := httptest.NewRecorder()
	w.ServeHTTP(rec, r)
	if rec.Code == 200 {
		return nil
	}
	code, rest, _ := strings.Cut(after(rec.Body.String(), "<Code>"), "</Code>")
	message, _, _ := strings.Cut(after(rest, "<Message>"), "</Message>")
	return errors.New(code + ": " + message)
}

func after(s, sep string) string { _, rest, _ := strings.Cut(s, sep); return rest }

func TestRefusedParameters(t *testing.T) {
	w := newWorld(t, Options{})
	with := func(edit func(*sts.AssumeRoleInput)) *sts.AssumeRoleInput {
		in := assume(etl)
		edit(in)
		return in
	}
	for _, tt := range []struct {
		name          string
		in            *sts.AssumeRoleInput
		code, message string
	}{
		{"short ARN", assume("etl"), "ValidationError", "etl is invalid"},
		{"no ARN", assume("role/of/nobody/in/particular"), "ValidationError", "role/of/nobody/in/particular is invalid"},
		{"user ARN", assume("arn:aws:iam::111122223333:user/etl"), "ValidationError", "Request ARN is invalid"},
		{"account of 11 digits", assume("arn:aws:iam::11112222333:role/etl"), "ValidationError", "Request ARN is invalid"},
		{"sts ARN", assume("arn:aws:sts::111122223333:assumed-role/etl/x"), "ValidationError", "Request ARN is invalid"},
		{"empty role name", assume("arn:aws:iam::111122223333:role/team/"), "ValidationError", "Request ARN is invalid"},
		{"empty session name", with(func(in *sts.AssumeRoleInput) { *in.RoleSessionName = "" }), "ValidationError", "1 validation error detected: Value null at 'roleSessionName' failed to satisfy constraint: Member must not be null"},
		{"899 s", with(func(in *sts.AssumeRoleInput) { in.DurationSeconds = aws.Int32(899) }), "ValidationError", "Value '899' at 'durationSeconds' failed to satisfy constraint: Member must have value greater than or equal to 900"},
		{"43201 s", with(func(in *sts.AssumeRoleInput) { in.DurationSeconds = aws.Int32(43201) }), "ValidationError", "Member must have value less than or equal to 43200"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := w.baseClient().AssumeRole(t.Context(), tt.in)
			wantError(t, err, 400, tt.code, tt.message)
			if c := w.last(t); c.Code != tt.code || c.CallerARN == "" {
				t.Errorf("got call %+v; want code %s and a caller", c, tt.code)
			}
		})
	}
}

func TestRefusedCallers(t *testing.T) {
	w := newWorld(t, Options{})
	base := w.BaseCredentials()
	out, err := w.baseClient().AssumeRole(t.Context(), assume(etl))
	if err != nil {
		t.Fatal(err)
	}
	session := issued(out.Credentials)
	edit := func(c aws.Credentials, f func(*aws.Credentials)) aws.Credentials { f(&c); return c }
	other := New(Options{}).BaseCredentials()
	for _, tt := range []struct {
		name    string
		c       aws.Credentials
		code    string
		message string
	}{
		{"wrong secret", edit(base, func(c *aws.Credentials) { c.SecretAccessKey += "x" }), "SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided."},
		{"wrong session secret", edit(session, func(c *aws.Credentials) { c.SecretAccessKey = base.SecretAccessKey }), "SignatureDoesNotMatch", "Check your AWS Secret Access Key and signing method."},
		{"unknown key", other, "InvalidClientTokenId", "The security token included in the request is invalid."},
		{"session without its token", edit(session, func(c *aws.Credentials) { c.SessionToken = "" }), "InvalidClientTokenId", "is invalid"},
		{"long-term key with a token", edit(base, func(c *aws.Credentials) { c.SessionToken = session.SessionToken }), "InvalidClientTokenId", "is invalid"},
		{"garbled token", edit(session, func(c *aws.Credentials) { c.SessionToken = "x" + c.SessionToken[1:] }), "InvalidClientTokenId", "is invalid"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := w.client(tt.c).GetCallerIdentity(t.Context(), nil)
			wantError(t, err, 403, tt.code, tt.message)
		})
	}
}

// TestClockSkew: a date is good within 15 minutes of STS's clock, whose Date header says what that
// is.
func TestClockSkew(t *testing.T) {
	w := newWorld(t, Options{})
	now := time.Date(2026, 3, 1, 0, 5, 0, 0, time.UTC) // 15 minutes around it lie on two days
	for _, tt := range []struct {
		skew time.Duration
		want string
	}{
		{-15 * time.Minute, ""},
		{15 * time.Minute, ""},
		{-15*time.Minute - time.Second, "SignatureDoesNotMatch: Signature expired: 20260228T234959Z is now earlier than 20260228T235000Z (20260301T000500Z - 15 min.)"},
		{15*time.Minute + time.Second, "SignatureDoesNotMatch: Signature not yet current: 20260301T002001Z is still later than 20260301T002000Z (20260301T000500Z + 15 min.)"},
	} {
		body := "Action=GetCallerIdentity&Version=2011-06-15"
		r := httptest.NewRequest("POST", "/", strings.NewReader(body))
		signRequest(t, r, w.BaseCredentials(), "us-east-1", "sts", now.Add(tt.skew), body)
		w.set(now)
		rec := httptest.NewRecorder()
		w.ServeHTTP(rec, r)
		got := ""
		if rec.Code != 200 {
			code, rest, _ := strings.Cut(after(rec.Body.String(), "<Code>"), "</Code>")
			message, _, _ := strings.Cut(after(rest, "<Message>"), "</Message>")
			got = code + ": " + message
		}
		if got != tt.want {
			t.Errorf("%v: got %q; want %q", tt.skew, got, tt.want)
		}
		if got, want := rec.Header().Get("Date"), "Sun, 01 Mar 2026 00:05:00 GMT"; got != want {
			t.Errorf("got Date %q; want %q", got, want)
		}
	}
}

func TestChains(t *testing.T) {
	w := newWorld(t, Options{})
	in := assume(etl)
	in.SourceIdentity = aws.String("alice")
	in.DurationSeconds = aws.Int32(7200)
	out, err := w.baseClient().AssumeRole(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	hop := w.client(issued(out.Credentials))

	in = assume("arn:aws:iam::444455556666:role/deploy")
	in.DurationSeconds = aws.Int32(3600)
	out, err = hop.AssumeRole(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	if got := aws.ToString(out.SourceIdentity); got != "alice" {
		t.Errorf("got source identity %q; want alice", got)
	}

	in.DurationSeconds = aws.Int32(3601)
	_, err = hop.AssumeRole(t.Context(), in)
	wantError(t, err, 400, "ValidationError", "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining")

	in = assume(etl)
	in.SourceIdentity = aws.String("mallory")
	_, err = hop.AssumeRole(t.Context(), in)
	wantError(t, err, 403, "AccessDenied", "is not authorized to perform: sts:AssumeRole")

	_, err = hop.GetSessionToken(t.Context(), nil)
	wantError(t, err, 403, "AccessDenied", "Cannot call GetSessionToken with session credentials")
}

func TestDeniedRole(t *testing.T) {
	w := newWorld(t, Options{})
	_, err := w.baseClient().AssumeRole(t.Context(), assume("arn:aws:iam::111122223333:role/denied-job"))
	wantError(t, err, 403, "AccessDenied", "User: arn:aws:iam::000000000000:user/sandbox is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::111122223333:role/denied-job")
}

func TestMFA(t *testing.T) {
	const device = "arn:aws:iam::000000000000:mfa/me"
	w := newWorld(t, Options{})
	session := func(serial, code string) (*sts.GetSessionTokenOutput, error) {
		in := &sts.GetSessionTokenInput{DurationSeconds: aws.Int32(129600)}
		if serial != "" {
			in.SerialNumber = &serial
		}
		if code != "" {
			in.TokenCode = &code
		}
		return w.baseClient().GetSessionToken(t.Context(), in)
	}
	admin := assume("arn:aws:iam::111122223333:role/admin-mfa")
	_, err := w.baseClient().AssumeRole(t.Context(), admin)
	wantError(t, err, 403, "AccessDenied", "is not authorized")

	for _, tt := range []struct{ serial, code, message string }{
		{device, "", "must provide both MFA serial number and one time pass code."},
		{"", "123456", "must provide both MFA serial number and one time pass code."},
		{"arn:aws:iam::111122223333:mfa/me", "123456", "unable to validate MFA code.  Please verify your MFA serial number is valid"},
		{device, "12345", "failed with invalid MFA one time pass code."},
		{device, "12345x", "failed with invalid MFA one time pass code."},
		{device, "000000", "failed with invalid MFA one time pass code."},
	} {
		_, err := session(tt.serial, tt.code)
		wantError(t, err, 403, "AccessDenied", tt.message)
	}
	out, err := session(device, "123456")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := *out.Credentials.Expiration, w.now.Add(36*time.Hour).Truncate(time.Second); !got.Equal(want) {
		t.Errorf("got expiration %v; want %v", got, want)
	}
	_, err = session(device, "123456")
	wantError(t, err, 403, "AccessDenied", "failed with invalid MFA one time pass code.")
	w.set(w.now.Add(91 * time.Second))
	if _, err := session(device, "123456"); err != nil {
		t.Errorf("the same code 91 s later: %v", err)
	}
	// The session's own role is no chain: 12 hours may be asked.
	admin.DurationSeconds = aws.Int32(43200)
	if _, err := w.client(issued(out.Credentials)).AssumeRole(t.Context(), admin); err != nil {
		t.Errorf("from an MFA session: %v", err)
	}
	who, err := w.client(issued(out.Credentials)).GetCallerIdentity(t.Context(), nil)
	if err != nil || *who.Arn != "arn:aws:iam::000000000000:user/sandbox" {
		t.Errorf("got %v, %v; want the user", who, err)
	}
}

func TestWebIdentity(t *testing.T) {
	w := newWorld(t, Options{})
	c := sts.New(sts.Options{Region: "us-east-1", BaseEndpoint: &w.url, Retryer: aws.NopRetryer{}})
	call := func(token string) (*sts.AssumeRoleWithWebIdentityOutput, error) {
		return c.AssumeRoleWithWebIdentity(t.Context(), &sts.AssumeRoleWithWebIdentityInput{
			RoleArn: aws.String(etl), RoleSessionName: aws.String("job"), WebIdentityToken: &token,
		})
	}
	now := time.Unix(1800000000, 0)
	w.set(now)
	out, err := call(WebIdentityToken("system:serviceaccount:etl:job", "sts.amazonaws.com", now.Add(time.Second)))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := *out.AssumedRoleUser.Arn, "arn:aws:sts::111122223333:assumed-role/etl/job"; got != want {
		t.Errorf("got %s; want %s", got, want)
	}
	if err := w.verifyAt(t, issued(out.Credentials), now); err != nil {
		t.Errorf("its credentials: %v", err)
	}
	head := "eyJhbGciOiJub25lIn0." // {"alg":"none"}
	for _, tt := range []struct{ name, token, code, message string }{
		{"expired", WebIdentityToken("s", "a", now), "ExpiredTokenException", "Token expired: current date/time 1800000000 must be before the expiration date/time 1800000000"},
		{"no JWT", "secretsecret", "InvalidIdentityToken", "The ID Token provided is not a valid JWT."},
		{"no JSON", "a.b.c", "InvalidIdentityToken", "The ID Token provided is not a valid JWT."},
		{"no claims", head + "e30.x", "InvalidIdentityToken", "Missing a required claim"},
		{"no audience", WebIdentityToken("s", "", now.Add(1e9)), "InvalidIdentityToken", "Incorrect token audience"},
	} {
		_, err := call(tt.token)
		wantError(t, err, 400, tt.code, tt.message)
		if strings.Contains(err.Error(), tt.token) {
			t.Errorf("%s: the error shows the token", tt.name)
		}
	}
	if c := w.last(t); c.CallerARN != "" || c.AccessKeyID != "" {
		t.Errorf("got a caller %+v; want none", c)
	}
}

func TestFaults(t *testing.T) {
	var fault error
	w := newWorld(t, Options{Fault: func(c Call) error {
		if c.CallerARN == "" {
			t.Error("a fault was asked before the caller was known")
		}
		if fault == AccessDenied(Call{}) {
			return AccessDenied(c)
		}
		return fault
	}})
	for _, tt := range []struct {
		fault   error
		status  int
		code    string
		message string
	}{
		{Throttling, 400, "Throttling", "Rate exceeded"},
		{ServiceUnavailable, 503, "ServiceUnavailable", "temporary failure"},
		{InternalFailure, 500, "InternalFailure", "unknown error"},
		{Error{Status: 403, Code: "RegionDisabledException", Message: "a <b> & c"}, 403, "RegionDisabledException", "a <b> & c"},
		{AccessDenied(Call{}), 403, "AccessDenied", "User: arn:aws:iam::000000000000:user/sandbox is not authorized to perform: sts:GetCallerIdentity"},
		{errors.New("boom"), 500, "InternalFailure", "boom"},
	} {
		fault = tt.fault
		_, err := w.baseClient().GetCallerIdentity(t.Context(), nil)
		wantError(t, err, tt.status, tt.code, tt.message)
	}
	fault = ErrReset
	reset := "connection reset by peer"
	if runtime.GOOS == "windows" {
		reset = "wsarecv: "
	}
	if _, err := w.baseClient().GetCallerIdentity(t.Context(), nil); err == nil || !strings.Contains(err.Error(), reset) {
		t.Errorf("reset: got %v; want …%s…", err, reset)
	}
	if c := w.last(t); c.Code != ErrReset.Error() {
		t.Errorf("got code %s; want %s", c.Code, ErrReset)
	}
	fault = ErrHang
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := w.baseClient().GetCallerIdentity(ctx, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("hang: got %v; want a deadline", err)
	}
}

func TestMalformedRequests(t *testing.T) {
	w := newWorld(t, Options{})
	const whoami = "Action=GetCallerIdentity&Version=2011-06-15"
	for _, tt := range []struct {
		name, auth, body string
		status           int
		want             string
	}{
		{"no signature", "", whoami, 403, "<Code>MissingAuthenticationToken</Code>\n    <Message>Request is missing Authentication Token</Message>"},
		{"other scheme", "Bearer x", whoami, 400, "<Code>IncompleteSignature</Code>"},
		{"nothing in it", algorithm, whoami, 400, "not a valid key=value pair"},
		{"parts missing", algorithm + " Credential=a/b/c/d/e", whoami, 400, "Authorization header requires &#39;Signature&#39; parameter."},
		{"short scope", algorithm + " Credential=a/b, SignedHeaders=host, Signature=00", whoami, 400, "Credential must have exactly 5 slash-delimited elements"},
		{"host unsigned", algorithm + " Credential=a/b/c/d/e, SignedHeaders=x-amz-date, Signature=00", whoami, 403, "must be a &#39;SignedHeader&#39;"},
		{"no action", "", "", 400, "<Code>MissingAction</Code>"},
		{"unknown action", "", "Action=DeleteUser&Version=2011-06-15", 400, "Could not find operation DeleteUser for version 2011-06-15"},
		{"no version", "", "Action=GetCallerIdentity", 400, "<Code>InvalidAction</Code>"},
		{"bad escape", "", "Action=%zz", 400, "<Code>MalformedQueryString</Code>"},
		{"long body", "", strings.Repeat("a", maxBody+1), 413, "<Code>RequestEntityTooLarge</Code>"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest("POST", "/", strings.NewReader(tt.body))
			if tt.auth != "" {
				r.Header.Set("Authorization", tt.auth)
				r.Header.Set("X-Amz-Date", "20260301T000500Z")
			}
			rec := httptest.NewRecorder()
			w.ServeHTTP(rec, r)
			if rec.Code != tt.status || !strings.Contains(rec.Body.String(), tt.want) {
				t.Errorf("got %d %s; want %d …%s…", rec.Code, rec.Body, tt.status, tt.want)
			}
		})
	}
}

// TestConcurrentCalls is for the race detector.
func TestConcurrentCalls(t *testing.T) {
	w := newWorld(t, Options{})
	c := w.baseClient()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 5 {
				out, err := c.AssumeRole(t.Context(), assume(etl))
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := w.client(issued(out.Credentials)).GetCallerIdentity(t.Context(), nil); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}
