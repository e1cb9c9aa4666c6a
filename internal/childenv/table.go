package childenv

import (
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// Variable is one row of the table: what the child's environment says instead of the parent's.
type Variable struct {
	Name  string // a name, or a prefix that ends in *
	Does  string // what happens to it, in words
	Reads string // who reads it
	Why   string // the reason, with its source

	decide func(input) (string, action)
}

type action int

const (
	unset action = iota // never blanked: an empty AWS_PROFILE fails boto3, an empty file variable leaks in Go and JS
	put
	leave
)

// Variables returns the table, for manuals.
func Variables() []Variable { return slices.Clone(variables) }

// Readers that recur in the table.
const (
	everySDK  = "every SDK"
	fileSDKs  = "every SDK that reads the shared files (not object_store, not S3A)"
	wordUnset = "unset"
	staticKey = "static keys outrank the endpoint in every client (CLIENTS 1)"
)

// variables is the one place that decides. Order: the identity that goes, the endpoint that comes, what keeps it
// reachable. AWS_ENDPOINT_URL*, AWS_CA_BUNDLE, AWS_RETRY_MODE and the like are settings, not identities: not here, so
// they pass.
var variables = []Variable{
	key("AWS_ACCESS_KEY_ID", everySDK, staticKey, func(c aws.Credentials) string { return c.AccessKeyID }),
	key("AWS_SECRET_ACCESS_KEY", everySDK, staticKey, func(c aws.Credentials) string { return c.SecretAccessKey }),
	key("AWS_SESSION_TOKEN", everySDK, staticKey, func(c aws.Credentials) string { return c.SessionToken }),
	remove("AWS_SECURITY_TOKEN", "boto, botocore", "the older name of AWS_SESSION_TOKEN (CLIENTS 1)"),
	key("AWS_CREDENTIAL_EXPIRATION", "botocore, JS", "describes the keys that are gone (CLIENTS 1)", ends),
	remove("AWS_ACCESS_KEY", "Java v1, Ruby, .NET, minio-go, Go", staticKey),
	remove("AWS_SECRET_KEY", "Java v1, Ruby, minio-go, Go", staticKey),
	remove("AMAZON_ACCESS_KEY_ID", "Ruby", staticKey),
	remove("AMAZON_SECRET_ACCESS_KEY", "Ruby", staticKey),
	remove("AMAZON_SESSION_TOKEN", "Ruby", staticKey),
	remove("AWS_ACCOUNT_ID", "botocore, Go, JS, Java v2", "the account of another identity, used to build endpoints"),
	remove("AWS_PROFILE", everySDK, "a profile outranks the endpoint; an undefined or empty one fails boto3 (CLIENTS 2)"),
	remove("AWS_DEFAULT_PROFILE", "botocore, Go, Ruby", "the older name of AWS_PROFILE (CLIENTS 2)"),
	remove("AWS_WEB_IDENTITY_TOKEN_FILE", everySDK, "web identity outranks the endpoint, even when it fails; EKS sets it (CLIENTS 3)"),
	remove("AWS_ROLE_ARN", everySDK, "belongs to the web identity (CLIENTS 3)"),
	remove("AWS_ROLE_SESSION_NAME", everySDK, "belongs to the web identity (CLIENTS 3)"),
	remove("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", everySDK,
		"outranks FULL_URI everywhere but in sdk-go v1; botocore and Rust test for presence, so blank is no cure (CLIENTS 4)"),
	remove("AWS_BEARER_TOKEN_*", "botocore and others (Bedrock)", "another identity, without ever asking the endpoint (CLIENTS 6)"),
	remove("AWS_CREDENTIAL_FILE", "botocore OriginalEC2Provider, EC2 CLI tools", "a key file that outranks the endpoint (CLIENTS 6)"),
	remove("BRS_COMMANDS", "a brs-exec inside the child", "guards a brs-exec that a credential_process runs against itself; the child is none"),
	remove("BRS_EXEC_*", "a brs-exec inside the child", "our own flags: a nested brs-exec would assume the role on top of itself"),

	{"AWS_CONTAINER_CREDENTIALS_FULL_URI", "set, or unset with a --deliver that leaves the endpoint out", everySDK, "the endpoint (CLIENTS 10, 11)",
		func(in input) (string, action) { return in.URL, putIf(in.URL != "", unset) }},
	{"AWS_CONTAINER_AUTHORIZATION_TOKEN", "set, or unset with --token-in file or without the endpoint", "all but object_store",
		"the only spelling that Java v1, minor and older SDKs know; an inherited one is another endpoint's (CLIENTS 5, 12)", tokenVariable},
	{"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "set, or unset with --token-in env, without a private directory or without the endpoint",
		"newer SDKs; the only one for object_store", "beats the variable in most SDKs, so both say the same (CLIENTS 5, 12)", tokenFile},

	{"AWS_SHARED_CREDENTIALS_FILE", "set to an empty file, or to one of the keys with --deliver file; left with --no-isolation", fileSDKs,
		"a [default] in it outranks the endpoint; empty text would mean ~/.aws/credentials again (CLIENTS 7, 8)", credentialsFile},
	{"AWS_CREDENTIAL_PROFILES_FILE", "set as AWS_SHARED_CREDENTIALS_FILE; left with --no-isolation", "Java v1, EMR",
		"its only name for the credentials file (CLIENTS 8)", credentialsFile},
	{"AWS_CONFIG_FILE", "set to the kept settings; left with --no-isolation", fileSDKs,
		"a [default] in it outranks the endpoint as well (CLIENTS 7, 8)", configFile},
	{"AWS_SDK_LOAD_CONFIG", "set to 1; left with --no-isolation", "JS v2, sdk-go v1",
		"without it JS v2 ignores AWS_SHARED_CREDENTIALS_FILE and reads ~/.aws/credentials (lib/util.js, getProfilesFromSharedConfig)",
		func(in input) (string, action) { return "1", putIf(!in.NoIsolation, leave) }},
	{"BOTO_CONFIG", "set to a file without a [Credentials] section", "botocore BotoProvider, boto",
		"keys in it outrank the endpoint, and unset it means /etc/boto.cfg and ~/.boto (CLIENTS 6, botocore/credentials.py)",
		func(in input) (string, action) { return orNull(in.Credentials), put }},

	{"AWS_REGION", "set if missing, or by --region", "all but botocore", "the region in the shared files is gone with them (CLIENTS 16)", region("AWS_REGION")},
	{"AWS_DEFAULT_REGION", "set if missing, or by --region", "botocore, aws cli, C++", "as AWS_REGION; two that differ stay (CLIENTS 16)", region("AWS_DEFAULT_REGION")},
	{"AWS_EC2_METADATA_DISABLED", "set to true; left with --allow-imds", "all but object_store",
		"after an endpoint error Java v2 and S3A go on to the instance's role, S3A for ever (CLIENTS 14)", noIMDS},
	{"NO_PROXY", "127.0.0.1 added when a proxy is set", "object_store, aws-c-auth hosts, libcurl users",
		"the endpoint must not be asked through a proxy (CLIENTS 15)", noProxy("NO_PROXY", "no_proxy")},
	{"no_proxy", "127.0.0.1 added when a proxy is set", "curl, Python, reqwest, and most that know both spellings",
		"as NO_PROXY (CLIENTS 15)", noProxy("no_proxy", "NO_PROXY")},
	{"AWS_ENDPOINT_URL_STS", "set with --sandbox, else left", everySDK, "the sandbox's credentials mean nothing to AWS",
		func(in input) (string, action) { return in.STSURL, putIf(in.STSURL != "", leave) }},
	{"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "unset with --sandbox, else left", everySDK, "would hide AWS_ENDPOINT_URL_STS",
		func(in input) (string, action) { return "", unsetIf(in.STSURL != "") }},
	{"BRS_ROLE_ARN", "set, or unset without a role", "shell prompts", "information, never input; an inherited one is another role's",
		func(in input) (string, action) { return in.RoleARN, putIf(in.RoleARN != "", unset) }},
}

func remove(name, reads, why string) Variable {
	return Variable{name, wordUnset, reads, why, func(input) (string, action) { return "", unset }}
}

func putIf(ok bool, otherwise action) action {
	if ok {
		return put
	}
	return otherwise
}

func unsetIf(ok bool) action {
	if ok {
		return unset
	}
	return leave
}
