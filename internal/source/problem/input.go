package problem

import "fmt"

// An Option is an identity option, by the name that it has on the command line.
type Option string

// The options that errors and hints speak of.
const (
	RoleARN                 Option = "role-arn"
	RoleSessionName         Option = "role-session-name"
	Duration                Option = "duration-seconds"
	ExternalID              Option = "external-id"
	Policy                  Option = "policy"
	PolicyARNs              Option = "policy-arns"
	Tags                    Option = "tags"
	TransitiveTagKeys       Option = "transitive-tag-keys"
	SourceIdentity          Option = "source-identity"
	ProvidedContexts        Option = "provided-contexts"
	SerialNumber            Option = "serial-number"
	TokenCode               Option = "token-code"
	MFACommand              Option = "mfa-command"
	Profile                 Option = "profile"
	WebIdentityTokenFile    Option = "web-identity-token-file"
	WebIdentityTokenCommand Option = "web-identity-token-command"
	WebIdentity             Option = "web-identity"
	Audience                Option = "audience"
	NoSession               Option = "no-session"
	CredentialCommand       Option = "credential-command"
	FromShare               Option = "from-share"
	WithProfile             Option = "with-profile"
	IoTEndpoint             Option = "iot-endpoint"
	IoTRoleAlias            Option = "iot-role-alias"
	IoTCertificate          Option = "iot-certificate"
	IoTPrivateKey           Option = "iot-private-key"
	IoTThingName            Option = "iot-thing-name"
	IoTCA                   Option = "iot-ca"
	Region                  Option = "region"
	STSEndpointURL          Option = "sts-endpoint-url"
	CABundle                Option = "ca-bundle"
	Sandbox                 Option = "sandbox"
	Export                  Option = "export"
	ExpectAccount           Option = "expect-account"

	AnyWebIdentity Option = "web-identity*" // whichever of the three
	AnyIoT         Option = "iot-*"
)

// Names says how a user writes an option: flag stands in hints, given is what set it, the flag or a
// variable. nil: by its name alone.
type Names func(o Option) (flag, given string)

func (n Names) of(o Option) (flag, given string) {
	if n == nil {
		return string(o), string(o)
	}
	return n(o)
}

// Hint formats a hint, in which options among args are flags.
func (n Names) Hint(format string, args ...any) string {
	said := make([]any, len(args))
	for i, a := range args {
		if o, ok := a.(Option); ok {
			a, _ = n.of(o)
		}
		said[i] = a
	}
	return fmt.Sprintf(format, said...)
}

// Input returns the Input that is the option o.
func (n Names) Input(o Option) Input { return Input{Option: o, names: n} }

// An Input is one thing that the user wrote: an option, a variable of the environment, or a key of
// a profile.
type Input struct {
	Option       Option
	Variable     string
	Key, Profile string

	names Names
}

// String names it in errors.
func (in Input) String() string {
	switch {
	case in.Option != "":
		_, given := in.names.of(in.Option)
		return given
	case in.Variable != "":
		return in.Variable
	}
	return in.Key + " of profile " + in.Profile
}

// Hint is Names.Hint by in's names.
func (in Input) Hint(format string, args ...any) string { return in.names.Hint(format, args...) }

// With returns how the user writes value there.
func (in Input) With(value string) string {
	switch {
	case in.Option != "":
		return in.names.Hint("%v %s", in.Option, value)
	case in.Variable != "":
		return "export " + in.Variable + "=" + value
	}
	return in.Key + " = " + value
}
