package source

import (
	"testing"
)

// With Base, nothing of the user's matters but the region: the sandbox runs on any machine.
func TestBaseStandsAlone(t *testing.T) {
	sts := newStub(t) // by AWS_ENDPOINT_URL_STS, which must not matter
	other := newStub(t)
	o := Options{Base: testKeys, BaseName: "sandbox", RoleARNs: []string{testRole}, STSEndpointURL: sts.URL}
	for name, value := range map[string]string{
		"AWS_PROFILE": "nope", "AWS_DEFAULT_PROFILE": "nope", "AWS_CA_BUNDLE": "/nope", "AWS_MAX_ATTEMPTS": "x", "AWS_RETRY_MODE": "x", "AWS_USE_FIPS_ENDPOINT": "true",
		"AWS_USE_DUALSTACK_ENDPOINT": "true", "AWS_ENDPOINT_URL": other.URL, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true", "AWS_ROLE_ARN": "nope",
		"AWS_WEB_IDENTITY_TOKEN_FILE": "/nope", "AWS_ROLE_SESSION_NAME": "a b", "AWS_ACCESS_KEY_ID": "AKIAUSER", "AWS_SECRET_ACCESS_KEY": "s",
		"AWS_CONTAINER_CREDENTIALS_FULL_URI": "/nope", "AWS_DEFAULTS_MODE": "x", "AWS_S3_US_EAST_1_REGIONAL_ENDPOINT": "x", "AWS_STS_REGIONAL_ENDPOINTS": "x",
		"AWS_RESTRICT_FILE_PERMISSIONS": "x", "AWS_DISABLE_CLOCK_SKEW_CORRECTION": "x", "AWS_SDK_UA_APP_ID": "x", "AWS_ACCOUNT_ID_ENDPOINT_MODE": "x",
		"AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE": "x", "AWS_REQUEST_MIN_COMPRESSION_SIZE_BYTES": "x",
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(name, value)
			checkSandbox(t, o, sts, "us-east-1")
		})
	}
	for name, config := range map[string]string{
		"number": "[default]\nmax_attempts = x\n", "broken": "[default\n=\n", "role": "[default]\nrole_arn = " + testRole + "\nsource_profile = nope\n",
		"settings": "[default]\nca_bundle=/nope\nuse_fips_endpoint=true\nendpoint_url=" + other.URL + "\nregion=eu-west-1\nmfa_serial=x\nrole_session_name=a b\n",
	} {
		t.Run(name, func(t *testing.T) {
			writeConfig(t, config, "")
			checkSandbox(t, o, sts, "us-east-1")
		})
	}
	for _, name := range []string{"AWS_REGION", "AWS_DEFAULT_REGION"} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(name, "ap-south-1")
			checkSandbox(t, o, sts, "ap-south-1")
		})
	}
	if len(other.calls()) > 0 {
		t.Error("another STS was asked")
	}
}

func checkSandbox(t *testing.T, o Options, sts *stub, region string) {
	t.Helper()
	n := len(sts.calls())
	s := mustNew(t, o)
	mustRetrieve(t, s)
	if r := sts.last(t); len(sts.calls()) != n+1 || r.key != "AKIATEST" || s.sts.Region != region {
		t.Errorf("%d calls, by %s, region %s", len(sts.calls())-n, r.key, s.sts.Region)
	}
}
