package childenv

import (
	"slices"
	"strings"
)

func tokenVariable(in input) (string, action) {
	onlyFile := in.TokenIn == TokenInFile && in.Files.Token != ""
	return in.Endpoint.Token, putIf(!onlyFile && in.URL != "", unset)
}

func tokenFile(in input) (string, action) {
	return in.Files.Token, putIf(in.Files.Token != "" && in.TokenIn != TokenInEnv && in.URL != "", unset)
}

func credentialsFile(in input) (string, action) {
	return orNull(in.Credentials), putIf(!in.NoIsolation, leave)
}

func configFile(in input) (string, action) {
	return orNull(in.Config), putIf(!in.NoIsolation, leave)
}

func noIMDS(in input) (string, action) {
	return "true", putIf(!in.AllowIMDS, leave)
}

// region decides for one of the two spellings. botocore reads only AWS_DEFAULT_REGION, most others only AWS_REGION.
// Whoever sets them to two values means it: they stay.
func region(name string) func(input) (string, action) {
	return func(in input) (string, action) {
		if in.RegionExplicit && in.Region != "" {
			return in.Region, put
		}
		if in.get(name) != "" {
			return "", leave
		}
		for _, r := range []string{in.get("AWS_REGION"), in.get("AWS_DEFAULT_REGION"), in.Region} {
			if r != "" {
				return r, put
			}
		}
		return "", unset // blank: botocore would take it for a region
	}
}

const loopback = "127.0.0.1"

// noProxy decides for one of the two spellings; a missing one starts from the other's value, since a program that
// reads only the missing one has until now used the proxy for everything.
func noProxy(name, other string) func(input) (string, action) {
	return func(in input) (string, action) {
		if !in.proxied() {
			return "", leave
		}
		list := in.get(name)
		if list == "" {
			list = in.get(other)
		}
		return addHost(list, loopback), put
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

// addHost adds host to a no_proxy list. A lone * already means every host, and stays: curl takes it for a wildcard
// only when nothing else is there.
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
