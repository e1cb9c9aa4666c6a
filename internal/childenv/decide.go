package childenv

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// What becomes of each variable of the table.

// putOr sets the variable, unless there is nothing to set it to.
func putOr(otherwise action, value string) (string, action) {
	if value == "" {
		return "", otherwise
	}
	return value, put
}

func remove(input) (string, action) { return "", unset }

// key is for a variable that the child has only if it is given keys.
func key(part func(aws.Credentials) string) func(input) (string, action) {
	return func(in input) (string, action) { return putOr(unset, part(in.Keys)) }
}

func expiration(c aws.Credentials) string {
	if !c.CanExpire {
		return ""
	}
	return c.Expires.UTC().Format(time.RFC3339)
}

func tokenVariable(in input) (string, action) {
	if in.URL == "" || in.TokenIn == TokenInFile && in.Files.Token != "" {
		return "", unset
	}
	return in.Endpoint.Token, put
}

func tokenFile(in input) (string, action) {
	if in.URL == "" || in.TokenIn == TokenInEnv {
		return "", unset
	}
	return putOr(unset, in.Files.Token)
}

func credentialsFile(in input) (string, action) { return in.isolated(orNull(in.Credentials)) }

func configFile(in input) (string, action) { return in.isolated(orNull(in.Config)) }

func loadConfig(in input) (string, action) { return in.isolated("1") }

func (in input) isolated(value string) (string, action) {
	if in.NoIsolation {
		return "", leave
	}
	return value, put
}

// botoConfig names a file without a [Credentials] section.
func botoConfig(in input) (string, action) { return orNull(in.Credentials), put }

func noIMDS(in input) (string, action) {
	if in.AllowIMDS {
		return "", leave
	}
	return "true", put
}

func heedSTSURL(in input) (string, action) {
	if in.STSURL == "" {
		return "", leave
	}
	return "", unset
}

// region decides for one of the two spellings. botocore reads only AWS_DEFAULT_REGION, most others
// only AWS_REGION. Whoever sets them to two values means it: they stay.
func region(name string) func(input) (string, action) {
	return func(in input) (string, action) {
		switch {
		case in.RegionExplicit && in.Region != "":
			return in.Region, put
		case in.get(name) != "":
			return "", leave
		}
		// never blank: botocore would take that for a region
		return putOr(unset, cmp.Or(in.get("AWS_REGION"), in.get("AWS_DEFAULT_REGION"), in.Region))
	}
}

const loopback = "127.0.0.1"

// noProxy decides for one of the two spellings; a missing one starts from the other's value, since
// a program that reads only the missing one has until now used the proxy for everything.
func noProxy(name, other string) func(input) (string, action) {
	return func(in input) (string, action) {
		if !in.proxied() {
			return "", leave
		}
		return addHost(cmp.Or(in.get(name), in.get(other)), loopback), put
	}
}

// proxied says whether any variable such as HTTPS_PROXY or all_proxy is set.
func (e environ) proxied() bool {
	return slices.ContainsFunc(e.list, func(entry string) bool {
		name, value, _ := e.split(entry)
		name = strings.ToLower(name)
		return value != "" && strings.HasSuffix(name, "_proxy") && name != "no_proxy"
	})
}

// addHost adds host to a no_proxy list. A lone * already means every host, and stays: curl takes it
// for a wildcard only when nothing else is there.
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
