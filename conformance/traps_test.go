package conformance

import (
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"brs-exec/internal/sandbox"
)

// trap is something on the machine that offers another identity, or that keeps a
// client from the endpoint.
type trap struct {
	name string // as the document has it
	set  func(w *world)

	java  bool // only JVM programs can see it
	outer bool // without brs-exec a client would leave loopback
}

var traps = []trap{
	{name: "keys in the environment, by every spelling", set: func(w *world) {
		c := w.leak("env")
		for _, p := range [][3]string{{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"},
			{"AWS_ACCESS_KEY", "AWS_SECRET_KEY", "AWS_SECURITY_TOKEN"},
			{"AMAZON_ACCESS_KEY_ID", "AMAZON_SECRET_ACCESS_KEY", "AMAZON_SESSION_TOKEN"}} {
			w.set(p[0]+"="+c.AccessKeyID, p[1]+"="+c.SecretAccessKey, p[2]+"="+c.SessionToken)
		}
	}},
	{name: "`[default]` with keys in `~/.aws/credentials`", set: func(w *world) {
		w.write("home/.aws/credentials", "[default]\n"+keys(w.leak("credentials")))
	}},
	{name: "`[default]` with keys in `~/.aws/config`", set: func(w *world) {
		w.write("home/.aws/config", "[default]\n"+keys(w.leak("config")))
	}},
	{name: "the same with `AWS_SDK_LOAD_CONFIG=1`", set: func(w *world) {
		w.write("home/.aws/config", "[default]\n"+keys(w.leak("loadconfig")))
		w.set("AWS_SDK_LOAD_CONFIG=1")
	}},
	{name: inAWS, set: func(w *world) {
		w.write("home/.aws/credentials", "[default]\n"+keys(w.leak("whatever")))
		w.write("home/.aws/config", "[default]\n"+keys(w.leak("whatever")))
		w.set("AWS_SHARED_CREDENTIALS_FILE="+w.write("no-credentials", ""), "AWS_CONFIG_FILE="+w.write("no-config", ""))
	}},
	{name: "`AWS_PROFILE` names a profile with keys", set: func(w *world) {
		w.write("home/.aws/credentials", "[other]\n"+keys(w.leak("profile")))
		w.set("AWS_PROFILE=other")
	}},
	{name: "`AWS_DEFAULT_PROFILE` does", set: func(w *world) {
		w.write("home/.aws/credentials", "[other]\n"+keys(w.leak("defaultprofile")))
		w.set("AWS_DEFAULT_PROFILE=other")
	}},
	{name: "`credential_process` in `[default]`", set: func(w *world) {
		w.write("home/.aws/config", "[default]\ncredential_process = "+w.process("process")+"\n")
		w.set("AWS_SDK_LOAD_CONFIG=1")
	}},
	{name: "`AWS_PROFILE` names a profile with `credential_process`", set: func(w *world) {
		w.write("home/.aws/config", "[profile other]\ncredential_process = "+w.process("profileprocess")+"\n")
		w.set("AWS_PROFILE=other", "AWS_SDK_LOAD_CONFIG=1")
	}},
	{name: "`role_arn` with `source_profile` in `[default]`", set: func(w *world) {
		w.write("home/.aws/config", "[default]\nrole_arn = "+leak+"\nsource_profile = user\n")
		c := w.sts.BaseCredentials()
		w.write("home/.aws/credentials", "[user]\n"+keys(c))
		w.set("AWS_SDK_LOAD_CONFIG=1")
	}},
	{name: "SSO in `[default]`, logged in", set: setSSO},
	{name: "`AWS_WEB_IDENTITY_TOKEN_FILE` with `AWS_ROLE_ARN` (EKS)", set: func(w *world) {
		file := w.write("jwt", sandbox.WebIdentityToken("pod", "sts.amazonaws.com", time.Now().Add(time.Hour)))
		w.set("AWS_WEB_IDENTITY_TOKEN_FILE="+file, "AWS_ROLE_ARN="+leak, "AWS_ROLE_SESSION_NAME=webidentity")
	}},
	{name: "`AWS_CONTAINER_CREDENTIALS_RELATIVE_URI` (ECS)", outer: true, set: func(w *world) {
		w.set("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/v2/credentials/leak")
	}},
	{name: "another endpoint's URI and token file (EKS Pod Identity)", set: func(w *world) {
		w.set("AWS_CONTAINER_CREDENTIALS_FULL_URI="+w.otherURL+"/container",
			"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE="+w.write("pod-token", "somebody-else"))
	}},
	{name: javaProperties, java: true, set: func(w *world) {
		c := w.leak("java")
		w.set("JAVA_TOOL_OPTIONS=-Daws.accessKeyId=" + c.AccessKeyID + " -Daws.secretAccessKey=" + c.SecretAccessKey +
			" -Daws.secretKey=" + c.SecretAccessKey + " -Daws.sessionToken=" + c.SessionToken)
	}},
	{name: "`AWS_CREDENTIAL_PROFILES_FILE` (Java v1)", set: func(w *world) {
		w.set("AWS_CREDENTIAL_PROFILES_FILE=" + w.write("profiles", "[default]\n"+keys(w.leak("profilesfile"))))
	}},
	{name: "`BOTO_CONFIG` and `AWS_CREDENTIAL_FILE` (boto)", set: func(w *world) {
		c := w.sts.BaseCredentials() // neither can say a session token
		w.set("BOTO_CONFIG="+w.write("boto.cfg", "[Credentials]\n"+keys(c)),
			"AWS_CREDENTIAL_FILE="+w.write("keyfile", "AWSAccessKeyId="+c.AccessKeyID+"\nAWSSecretKey="+c.SecretAccessKey+"\n"))
	}},
	{name: "`HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` set, the proxy is dead", set: func(w *world) {
		for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"} {
			w.set(name+"=http://127.0.0.1:1", strings.ToLower(name)+"=http://127.0.0.1:1")
		}
	}},
	{name: "no `HOME`", set: func(w *world) { w.unset("HOME") }},
	{name: "`HOME` can't be written", set: func(w *world) { w.set("HOME=/proc") }},
}

// leak is a session of the role that nobody here should be.
func (w *world) leak(name string) aws.Credentials { return w.assume(leak, name) }

// process is a credential_process that yields such a session.
func (w *world) process(name string) string {
	return "cat " + w.write(name+".json", processJSON(w.leak(name)))
}

// keys are c as lines of a profile.
func keys(c aws.Credentials) string {
	s := "aws_access_key_id = " + c.AccessKeyID + "\naws_secret_access_key = " + c.SecretAccessKey + "\n"
	if c.SessionToken != "" {
		s += "aws_session_token = " + c.SessionToken + "\n"
	}
	return s
}

// setSSO is a user of the SDKs' IAM Identity Center login: a profile of the old form and
// the token that `aws sso login` caches under the SHA-1 of the start URL.
func setSSO(w *world) {
	start := w.otherURL + "/start"
	w.write("home/.aws/config", fmt.Sprintf("[default]\nsso_start_url = %s\nsso_region = us-east-1\nsso_account_id = 000000000000\nsso_role_name = leak\n", start))
	w.loginSSO(start, map[string]string{"startUrl": start, "region": "us-east-1"})
	w.set("AWS_SDK_LOAD_CONFIG=1")
}

// loginSSO leaves what `aws sso login` leaves, for a session or a start URL.
func (w *world) loginSSO(key string, more map[string]string) {
	sum := sha1.Sum([]byte(key))
	token := map[string]string{"accessToken": "sso-token", "expiresAt": time.Now().Add(time.Hour).UTC().Format("2006-01-02T15:04:05Z")}
	maps.Copy(token, more)
	w.mkdir("home", ".aws", "sso", "cache")
	w.write("home/.aws/sso/cache/"+hex.EncodeToString(sum[:])+".json", text(token))
}

// naive makes the environment what a wrapper without childenv would give to the child:
// the parent's, and an endpoint that speaks for the role.
func (w *world) naive() {
	const token = "naive-token"
	url := w.serve(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != token {
			http.Error(rw, `{"code":"Unauthorized","message":"wrong token"}`, http.StatusUnauthorized)
			return
		}
		rw.Header().Set("Content-Type", "application/json")
		rw.Write([]byte(containerJSON(w.assume(role, "conformance"))))
	})) + "/credentials"
	w.set("AWS_CONTAINER_CREDENTIALS_FULL_URI="+url, "AWS_CONTAINER_AUTHORIZATION_TOKEN="+token)
	if !slices.ContainsFunc(w.env, func(e string) bool { return strings.HasPrefix(e, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=") }) {
		w.set("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=" + w.write("naive-token", token))
	}
}
