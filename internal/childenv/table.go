package childenv

// variable is one row of the table: a variable that the child doesn't simply inherit.
type variable struct {
	name    string // or a prefix, which ends in *
	kind    kind
	readers string // the SDKs that read it, in words
	rules   string // the numbers in docs/CLIENTS.md, section 1
	why     string
}

// kind tells what an inherited variable is to the SDKs that read it. All but settings are unset,
// unless values has something better. They are never blanked: an empty AWS_PROFILE fails boto3, an
// empty file variable leaks in Go and JS.
type kind int

const (
	setting       kind = iota // no identity: left as it is, unless values names it
	describes                 // belongs to an identity, but yields none by itself
	outranks                  // yields an identity before the endpoint is asked
	outranksEmpty             // does so even if it is empty: for botocore its presence counts
)

// Texts that recur in the table.
const (
	everySDK   = "every SDK"
	fileSDKs   = "every SDK that reads the shared files (not object_store, not S3A)"
	staticKeys = "static keys outrank the endpoint in every client"
	inDefault  = "a [default] in it outranks the endpoint"

	minioKeys   = "credentials/env_minio.go comes before the endpoint in its programs' chains"
	s3fsKeys    = "what it takes where AWS_ACCESS_KEY_ID is not there"
	ansibleKeys = "its argument_spec hands them to boto3 as explicit keys"
)

// variables is the one list. Order: the identity that goes, the endpoint that comes, what keeps it
// reachable. AWS_ENDPOINT_URL*, AWS_CA_BUNDLE, AWS_RETRY_MODE and the like are settings that
// nothing has to be done about: not here, so they pass.
var variables = []variable{
	{"AWS_ACCESS_KEY_ID", outranks, everySDK, "1", staticKeys},
	{"AWS_SECRET_ACCESS_KEY", outranks, everySDK, "1", staticKeys},
	{"AWS_SESSION_TOKEN", describes, everySDK, "1", staticKeys},
	{"AWS_SECURITY_TOKEN", describes, "boto, botocore", "1", "the older name of AWS_SESSION_TOKEN"},
	{"AWS_CREDENTIAL_EXPIRATION", describes, "botocore, JS", "1", "the end of the keys that are gone"},
	{"AWS_ACCESS_KEY", outranks, "Java v1, Ruby, .NET, minio-go, Go", "1", staticKeys},
	{"AWS_SECRET_KEY", outranks, "Java v1, Ruby, minio-go, Go", "1", staticKeys},
	{"AMAZON_ACCESS_KEY_ID", outranks, "Ruby", "1", staticKeys},
	{"AMAZON_SECRET_ACCESS_KEY", outranks, "Ruby", "1", staticKeys},
	{"AMAZON_SESSION_TOKEN", describes, "Ruby", "1", staticKeys},
	{"MINIO_ROOT_USER", outranks, "minio-go (restic)", "31", minioKeys},
	{"MINIO_ROOT_PASSWORD", outranks, "minio-go (restic)", "31", minioKeys},
	{"MINIO_ACCESS_KEY", outranks, "minio-go (restic)", "31", minioKeys},
	{"MINIO_SECRET_KEY", outranks, "minio-go (restic)", "31", minioKeys},
	{"EC2_ACCESS_KEY", outranks, "Ansible (amazon.aws)", "31", ansibleKeys},
	{"EC2_SECRET_KEY", outranks, "Ansible (amazon.aws)", "31", ansibleKeys},
	{"EC2_SECURITY_TOKEN", describes, "Ansible (amazon.aws)", "31", ansibleKeys},
	{"AWSACCESSKEYID", outranks, "s3fs", "31", s3fsKeys},
	{"AWSSECRETACCESSKEY", outranks, "s3fs", "31", s3fsKeys},
	{"AWSSESSIONTOKEN", describes, "s3fs", "31", s3fsKeys},
	{"AWS_ACCOUNT_ID", describes, "botocore, Go, JS, Java v2", "", "another identity's, used to build endpoints"},
	{"AWS_PROFILE", outranksEmpty, everySDK, "2",
		"a profile outranks the endpoint; an undefined or empty one fails boto3"},
	{"AWS_DEFAULT_PROFILE", outranks, "botocore, Go, Ruby", "2", "the older name of AWS_PROFILE"},
	{"AWS_WEB_IDENTITY_TOKEN_FILE", outranks, everySDK, "3",
		"web identity outranks the endpoint, even when it fails; EKS sets it"},
	{"AWS_ROLE_ARN", describes, everySDK, "3", "belongs to the web identity"},
	{"AWS_ROLE_SESSION_NAME", describes, everySDK, "3", "belongs to the web identity"},
	{"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", outranksEmpty, everySDK, "4",
		"outranks FULL_URI everywhere but in sdk-go v1; botocore and Rust test for presence, so blank is no cure"},
	{"AWS_BEARER_TOKEN_*", outranks, "botocore and others (Bedrock)", "6",
		"another identity, without ever asking the endpoint"},
	{"AWS_CREDENTIAL_FILE", outranks, "botocore OriginalEC2Provider, EC2 CLI tools", "6",
		"a key file that outranks the endpoint"},
	{"BRS_COMMANDS", describes, "a brs-exec inside the child", "",
		"guards a brs-exec that a credential_process runs against itself; the child is none"},
	{"BRS_EXEC_*", describes, "a brs-exec inside the child", "",
		"our own flags: a nested brs-exec would assume the role on top of itself"},

	{"AWS_CONTAINER_CREDENTIALS_FULL_URI", setting, everySDK, "10, 11", "the endpoint"},
	{"AWS_CONTAINER_AUTHORIZATION_TOKEN", setting, "all but object_store", "5, 12",
		"the only spelling that Java v1 and older SDKs know; an inherited one is another endpoint's"},
	{"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", setting, "newer SDKs; the only one for object_store", "5, 12",
		"beats the variable in most SDKs, so both say the same"},

	{"AWS_SHARED_CREDENTIALS_FILE", setting, fileSDKs, "7, 8", inDefault + "; blank means ~/.aws/credentials again"},
	{"AWS_CREDENTIAL_PROFILES_FILE", setting, "Java v1, EMR", "8", "its only name for the credentials file"},
	{"CPL_AWS_CREDENTIALS_FILE", setting, "GDAL (rasterio, QGIS), grok", "31",
		"its only name for the credentials file (port/cpl_aws.cpp, GetConfigurationFromAWSConfigFiles)"},
	{"MINIO_SHARED_CREDENTIALS_FILE", setting, "minio-go (restic)", "31",
		"unset it means ~/.mc/config.json, whose alias s3 comes before the endpoint " +
			"(credentials/file_minio_client.go)"},
	{"AWS_CONFIG_FILE", setting, fileSDKs, "7, 8", inDefault + " as well"},
	{"AWS_SDK_LOAD_CONFIG", setting, "JS v2, sdk-go v1", "", "without it JS v2 ignores AWS_SHARED_CREDENTIALS_FILE " +
		"and reads ~/.aws/credentials (lib/util.js, getProfilesFromSharedConfig)"},
	{"BOTO_CONFIG", outranks, "botocore BotoProvider, boto", "6",
		"keys in it outrank the endpoint, and unset it means /etc/boto.cfg and ~/.boto"},

	{"AWS_REGION", setting, "all but botocore", "16", "the region in the shared files is gone with them"},
	{"AWS_DEFAULT_REGION", setting, "botocore, aws cli, C++", "16", "as AWS_REGION; two that differ stay"},
	{"AWS_EC2_METADATA_DISABLED", setting, "all but object_store", "14",
		"after an endpoint error Java v2 and S3A go on to the instance's role, S3A for ever"},
	{"NO_PROXY", setting, "object_store, aws-c-auth hosts, libcurl users", "15", "no proxy reaches our loopback"},
	{"no_proxy", setting, "curl, Python, reqwest, and most that know both spellings", "15", "as NO_PROXY"},
	{"AWS_ENDPOINT_URL_STS", setting, everySDK, "", "the sandbox's credentials mean nothing to AWS"},
	{"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", setting, everySDK, "", "would hide AWS_ENDPOINT_URL_STS"},
	{"BRS_ROLE_ARN", setting, "shell prompts", "", "information, never input; an inherited one is another role's"},
}
