package childenv

import (
	"cmp"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// values returns what the child is given: the value of each variable that is set, "" for one that
// is unset. Of the table's other rows the settings are inherited, the rest is unset.
func (env environ) values(e Endpoint, f Files) map[string]string {
	empty := orNull(f.Credentials)
	values := map[string]string{
		"AWS_ACCESS_KEY_ID":         e.Keys.AccessKeyID,
		"AWS_SECRET_ACCESS_KEY":     e.Keys.SecretAccessKey,
		"AWS_SESSION_TOKEN":         e.Keys.SessionToken,
		"AWS_CREDENTIAL_EXPIRATION": expiration(e.Keys),

		"AWS_CONTAINER_CREDENTIALS_FULL_URI":     e.URL,
		"AWS_CONTAINER_AUTHORIZATION_TOKEN":      e.Token,
		"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": f.Token,

		"BOTO_CONFIG":  empty, // without a [Credentials] section
		"BRS_ROLE_ARN": e.RoleARN,
	}
	if e.URL == "" || e.TokenIn == TokenInFile && f.Token != "" {
		values["AWS_CONTAINER_AUTHORIZATION_TOKEN"] = ""
	}
	if e.URL == "" || e.TokenIn == TokenInEnv {
		values["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"] = ""
	}
	if !e.NoIsolation {
		values["AWS_CONFIG_FILE"] = orNull(f.Config)
		values["AWS_SHARED_CREDENTIALS_FILE"], values["AWS_CREDENTIAL_PROFILES_FILE"] = empty, empty
		values["CPL_AWS_CREDENTIALS_FILE"] = empty
		values["MINIO_SHARED_CREDENTIALS_FILE"] = empty // no JSON: minio-go goes on to the next of its chain
		values["AWS_SDK_LOAD_CONFIG"] = "1"
	}
	if !e.AllowIMDS {
		values["AWS_EC2_METADATA_DISABLED"] = "true"
	}
	if e.STSURL != "" {
		values["AWS_ENDPOINT_URL_STS"], values["AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"] = e.STSURL, ""
	}
	env.regions(values, e)
	env.proxies(values)
	return values
}

func orNull(path string) string { return cmp.Or(path, os.DevNull) }

func expiration(c aws.Credentials) string {
	if !c.CanExpire {
		return ""
	}
	return c.Expires.UTC().Format(time.RFC3339)
}

// regions sets the spelling that is missing: botocore reads only AWS_DEFAULT_REGION, most others
// only AWS_REGION. Whoever sets them to two values means it: they stay. A blank one is unset:
// botocore would take it for a region.
func (env environ) regions(values map[string]string, e Endpoint) {
	for _, name := range []string{"AWS_REGION", "AWS_DEFAULT_REGION"} {
		switch {
		case e.RegionExplicit && e.Region != "":
			values[name] = e.Region
		case env.get(name) == "":
			values[name] = cmp.Or(env.get("AWS_REGION"), env.get("AWS_DEFAULT_REGION"), e.Region)
		}
	}
}

const loopback = "127.0.0.1"

// proxies keeps the endpoint from being asked through a proxy. A missing spelling of no_proxy
// starts from the other's value, since a program that reads only the missing one has until now
// used the proxy for everything.
func (env environ) proxies(values map[string]string) {
	isProxy := func(entry string) bool { // HTTPS_PROXY, all_proxy …
		name, value, _ := env.split(entry)
		name = strings.ToLower(name)
		return value != "" && strings.HasSuffix(name, "_proxy") && name != "no_proxy"
	}
	if !slices.ContainsFunc(env.list, isProxy) {
		return
	}
	upper, lower := env.get("NO_PROXY"), env.get("no_proxy")
	values["NO_PROXY"] = addHost(cmp.Or(upper, lower), loopback)
	values["no_proxy"] = addHost(cmp.Or(lower, upper), loopback)
}

// addHost adds host to a no_proxy list. A lone * already means every host, and stays: curl takes
// it for a wildcard only when nothing else is there.
func addHost(list, host string) string {
	list = strings.TrimSpace(list)
	hosts := strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' })
	switch {
	case len(hosts) == 0:
		return host
	case list == "*" || slices.Contains(hosts, host):
		return list
	}
	return strings.TrimRight(list, ", ") + "," + host
}
