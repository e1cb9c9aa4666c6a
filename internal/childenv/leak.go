package childenv

import (
	"slices"
	"strings"

	"brs-exec/internal/awsconfig"
)

// credentialKeys make a profile yield credentials, by themselves or with others of the list.
var credentialKeys = set(`aws_access_key_id aws_secret_access_key aws_session_token aws_security_token
	role_arn source_profile credential_source credential_process web_identity_token_file
	sso_session sso_start_url sso_account_id sso_role_name login_session`)

// LeakingDefault says whether a [default] in either file holds credentials, and under which key. With --no-isolation
// the child reads these files, and in most SDKs such a profile outranks the endpoint: brs-exec then refuses to start.
//
// It is stricter than any one SDK: [DEFAULT], which Python applies to every profile, counts, and so does whatever
// one of them might take for the header or for the key.
func LeakingDefault(config, credentials []byte) (key string, leaks bool) {
	for _, file := range [][]byte{config, credentials} {
		if key, leaks := leakingDefault(file); leaks {
			return key, true
		}
	}
	return "", false
}

func leakingDefault(file []byte) (key string, leaks bool) {
	inDefault := false
	for _, line := range awsconfig.Lines(file) {
		line = awsconfig.Trim(line)
		if strings.HasPrefix(line, "[") {
			inDefault = maybeDefault(line)
			continue
		}
		for _, sep := range []string{"=:", "="} { // JS and Java know no ":"
			i := strings.IndexAny(line, sep)
			if i < 0 {
				continue
			}
			if key := strings.ToLower(strings.TrimSpace(line[:i])); inDefault && credentialKeys[key] {
				return key, true
			}
		}
	}
	return "", false
}

// maybeDefault says whether any SDK might take the header for the default profile's: Python stops at the last
// bracket, Go at a comment; quotes go, or not.
func maybeDefault(header string) bool {
	inner, _, _ := strings.Cut(header[1:], "]")
	words := strings.Fields(strings.ToLower(strings.Map(func(r rune) rune {
		if strings.ContainsRune("\"'\\", r) {
			return -1
		}
		return r
	}, inner)))
	return slices.Equal(words, []string{awsconfig.Default}) ||
		len(words) == 2 && strings.HasPrefix(words[0], "profile") && words[1] == awsconfig.Default
}
