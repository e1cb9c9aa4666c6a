package source

import (
	"os"
	"strings"
)

// Tame takes out of this process's environment what the SDK refuses or misreads there, and botocore
// doesn't: settings of services that are not asked here, other words for false, and endpoints
// without a value, which to botocore are unset. env is a copy of it, which the command gets.
func Tame(env []string) {
	for _, name := range notOurs {
		os.Unsetenv(name)
	}
	for _, name := range booleans {
		switch strings.ToLower(os.Getenv(name)) {
		case "0", "no", "off", "":
			os.Unsetenv(name)
		}
	}
	for _, entry := range env {
		if name, value, _ := strings.Cut(entry, "="); value == "" && strings.HasPrefix(name, "AWS_ENDPOINT_URL") {
			os.Unsetenv(name)
		}
	}
}

var (
	notOurs = strings.Fields(`AWS_RETRY_MODE AWS_MAX_ATTEMPTS AWS_S3_USE_ARN_REGION
		AWS_S3_DISABLE_MULTIREGION_ACCESS_POINTS AWS_S3_DISABLE_EXPRESS_SESSION_AUTH
		AWS_ENABLE_ENDPOINT_DISCOVERY AWS_DISABLE_REQUEST_COMPRESSION AWS_REQUEST_MIN_COMPRESSION_SIZE_BYTES
		AWS_ACCOUNT_ID_ENDPOINT_MODE AWS_AUTH_SCHEME_PREFERENCE AWS_DEFAULTS_MODE
		AWS_REQUEST_CHECKSUM_CALCULATION AWS_RESPONSE_CHECKSUM_VALIDATION`)
	booleans = strings.Fields(`AWS_USE_FIPS_ENDPOINT AWS_USE_DUALSTACK_ENDPOINT
		AWS_IGNORE_CONFIGURED_ENDPOINT_URLS AWS_EC2_METADATA_V1_DISABLED AWS_DISABLE_CLOCK_SKEW_CORRECTION`)
)
