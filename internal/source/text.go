package source

import (
	"strings"
	"unicode/utf8"
)

// checkText refuses what is not UTF-8, as it is or with U+FFFD in its place, as the parser of the command line hands it
// on: a tag or a policy would reach STS as something else than was written.
func checkText(o *Options) error {
	for _, f := range []struct {
		flag   string
		values []string
	}{
		{"--role-arn", o.RoleARNs}, {"--role-session-name", []string{o.RoleSessionName}},
		{"--external-id", []string{o.ExternalID}}, {"--source-identity", []string{o.SourceIdentity}},
		{"--policy", []string{o.Policy}}, {"--policy-arns", o.PolicyARNs},
		{"--tags", o.Tags}, {"--transitive-tag-keys", o.TransitiveTagKeys}, {"--provided-contexts", o.ProvidedContexts},
		{"--serial-number", []string{o.SerialNumber}}, {"--mfa-command", []string{o.MFACommand}},
		{"--profile", []string{o.Profile}}, {"--credential-command", []string{o.CredentialCommand}},
		{"--web-identity-token-file", []string{o.WebIdentityTokenFile}}, {"--web-identity-token-command", []string{o.WebIdentityTokenCommand}},
		{"--audience", []string{o.Audience}},
		{"--iot-certificate", []string{o.IoTCertificate}}, {"--iot-private-key", []string{o.IoTPrivateKey}}, {"--iot-ca", []string{o.IoTCA}},
		{"--iot-thing-name", []string{o.IoTThingName}}, {"--ca-bundle", []string{o.CABundle}},
	} {
		for _, v := range f.values {
			if strings.ContainsRune(v, utf8.RuneError) { // finds both
				return badInput("write it in UTF-8, and without U+FFFD, which stands for what is not", "%s is not UTF-8", f.flag)
			}
		}
	}
	return nil
}
