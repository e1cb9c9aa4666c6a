package source

import (
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/logincreds"
	"github.com/aws/aws-sdk-go-v2/service/signin"
	"github.com/aws/aws-sdk-go-v2/service/signin/types"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// consoleLife is the longest that `aws login` is good for.
// https://docs.aws.amazon.com/sdkref/latest/guide/feature-login-credentials.html
const consoleLife = 12 * time.Hour

// A consoleSession is what `aws login` left: keys for 15 minutes, and what buys the next ones.
type consoleSession struct {
	client *signin.Client
	cache  *loginCache
	begun  time.Time // no login that is found now is newer
}

// consoleKeys are the field accessToken.
type consoleKeys struct {
	AccessKeyID     string `json:"accessKeyId"`
	SecretAccessKey string `json:"secretAccessKey"`
	SessionToken    string `json:"sessionToken"`
	AccountID       string `json:"accountId"`
	ExpiresAt       string `json:"expiresAt"`
}

func consoleKeysOf(f fields) (k consoleKeys) {
	json.Unmarshal(f["accessToken"], &k)
	return k
}

func consoleEnd(f fields) time.Time {
	k := consoleKeysOf(f)
	end, _ := parseTime(k.ExpiresAt)
	if k.AccessKeyID == "" || k.SecretAccessKey == "" || k.SessionToken == "" {
		return time.Time{}
	}
	return end
}

func (s *consoleSession) retrieve(ctx context.Context) (aws.Credentials, error) {
	token, late := s.cache.token(ctx)
	if token == nil {
		return aws.Credentials{}, late
	}
	k := consoleKeysOf(token.fields)
	return aws.Credentials{
		AccessKeyID: k.AccessKeyID, SecretAccessKey: k.SecretAccessKey, SessionToken: k.SessionToken,
		AccountID: k.AccountID, Source: logincreds.ProviderName, CanExpire: true, Expires: token.ends.UTC(),
	}, late
}

// renew buys new keys.
func (s *consoleSession) renew(ctx context.Context, f fields) (time.Duration, error) {
	refresh, client := f.text("refreshToken"), f.text("clientId")
	block, _ := pem.Decode([]byte(f.text("dpopKey")))
	if refresh == "" || client == "" || block == nil {
		return 0, errLoginOver
	}
	key, err := x509.ParseECPrivateKey(block.Bytes)
	if err != nil {
		return 0, errNoLogin
	}
	out, err := s.client.CreateOAuth2Token(ctx, &signin.CreateOAuth2TokenInput{
		TokenInput: &types.CreateOAuth2TokenRequestBody{
			ClientId: &client, GrantType: aws.String("refresh_token"), RefreshToken: &refresh,
		},
	}, signin.WithAPIOptions(addProof(key)))
	if err != nil {
		return 0, err
	}
	return putKeys(f, cmp.Or(out.TokenOutput, &types.CreateOAuth2TokenResponseBody{}))
}

// putKeys writes what was bought over the old, and returns its life.
func putKeys(f fields, token *types.CreateOAuth2TokenResponseBody) (time.Duration, error) {
	bought := cmp.Or(token.AccessToken, &types.AccessToken{})
	life := time.Duration(aws.ToInt32(token.ExpiresIn)) * time.Second
	keys := fields{}
	json.Unmarshal(f["accessToken"], &keys)
	for name, value := range map[string]*string{
		"accessKeyId": bought.AccessKeyId, "secretAccessKey": bought.SecretAccessKey,
		"sessionToken": bought.SessionToken,
	} {
		if aws.ToString(value) == "" || life <= 0 {
			return 0, errNoKeys
		}
		keys.set(name, *value)
	}
	keys.set("expiresAt", time.Now().Add(life).UTC().Format(time.RFC3339))
	f.set("accessToken", keys)
	for name, value := range map[string]*string{"refreshToken": token.RefreshToken, "idToken": token.IdToken} {
		if value != nil {
			f.set(name, *value)
		}
	}
	return life, nil
}

// until returns when a person has to log in again, at the latest: the identity token says when they
// did. The service may end it sooner, and doesn't say when.
func (s *consoleSession) until(f fields) time.Time {
	if f.text("refreshToken") == "" {
		return consoleEnd(f)
	}
	if since := jwt(f.text("idToken")).issued(); !since.IsZero() {
		return since.Add(consoleLife)
	}
	return s.begun.Add(consoleLife)
}

// addProof makes a request carry a proof that we have the key which the login was made with (DPoP).
// It is one of the SDK's options: only the finished request has the URL that is signed.
func addProof(key *ecdsa.PrivateKey) func(*middleware.Stack) error {
	sign := func(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (
		middleware.FinalizeOutput, middleware.Metadata, error) {
		request := in.Request.(*smithyhttp.Request)
		proof, err := dpop(key, request.URL.String())
		if err != nil {
			return middleware.FinalizeOutput{}, middleware.Metadata{}, err
		}
		request.Header.Set("DPoP", proof)
		return next.HandleFinalize(ctx, in)
	}
	return func(stack *middleware.Stack) error {
		return stack.Finalize.Add(middleware.FinalizeMiddlewareFunc("DPoP", sign), middleware.After)
	}
}

// dpop is a proof by RFC 9449, signed by ES256 (RFC 7518, section 3.4): the two halves of the
// signature, 32 bytes each, one after the other.
func dpop(key *ecdsa.PrivateKey, url string) (string, error) {
	public, err := key.PublicKey.Bytes() // 4, then two coordinates of 32 bytes
	if err != nil || len(public) != 65 {
		return "", fmt.Errorf("the key of the login is no P-256 key")
	}
	encode := base64.RawURLEncoding.EncodeToString
	head, _ := json.Marshal(map[string]any{"typ": "dpop+jwt", "alg": "ES256", "jwk": map[string]string{
		"kty": "EC", "crv": "P-256", "x": encode(public[1:33]), "y": encode(public[33:]),
	}})
	claims, _ := json.Marshal(map[string]any{
		"jti": rand.Text(), "htm": http.MethodPost, "htu": url, "iat": time.Now().Unix(),
	})
	signed := encode(head) + "." + encode(claims)
	digest := sha256.Sum256([]byte(signed))
	r, s, err := ecdsa.Sign(rand.Reader, key, digest[:])
	if err != nil {
		return "", err
	}
	signature := make([]byte, 64)
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	return signed + "." + encode(signature), nil
}
