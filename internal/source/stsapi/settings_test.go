package stsapi

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// Our client settings are the SDK's.
func TestSameSettingsAsTheSDK(t *testing.T) {
	const services = "[profile p]\nregion=eu-west-3\nservices=local\n[services local]\nsts =\n  endpoint_url = http://127.0.0.1:4\n"
	for _, c := range []struct {
		name, profile, config string
		env                   map[string]string
	}{
		{name: "nothing"},
		{name: "region variable", env: map[string]string{"AWS_DEFAULT_REGION": "eu-west-1"}},
		{name: "two region variables", env: map[string]string{"AWS_REGION": "eu-west-2", "AWS_DEFAULT_REGION": "eu-west-1"}},
		{name: "profile's", profile: "p", config: "[profile p]\nregion=eu-west-3\nuse_fips_endpoint=true\nuse_dualstack_endpoint=true\nsdk_ua_app_id=app\ndisable_clock_skew_correction=true\n"},
		{name: "variables over profile", profile: "p", config: "[profile p]\nregion=eu-west-3\nuse_fips_endpoint=true\nsdk_ua_app_id=app\n", env: map[string]string{"AWS_REGION": "eu-west-1", "AWS_USE_FIPS_ENDPOINT": "false", "AWS_SDK_UA_APP_ID": "other"}},
		{name: "AWS_ENDPOINT_URL", env: map[string]string{"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}},
		{name: "AWS_ENDPOINT_URL_STS", env: map[string]string{"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_ENDPOINT_URL_STS": "http://127.0.0.1:2"}},
		{name: "ignored", env: map[string]string{"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_ENDPOINT_URL_STS": "http://127.0.0.1:2", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"}},
		{name: "profile's endpoint", profile: "p", config: "[profile p]\nendpoint_url=http://127.0.0.1:3\n"},
		{name: "services section", profile: "p", config: services},
		{name: "variable over services section", profile: "p", config: services, env: map[string]string{"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}},
		{name: "profile ignores", profile: "p", config: "[profile p]\nendpoint_url=http://127.0.0.1:3\nignore_configured_endpoint_urls=true\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "config")
			if err := os.WriteFile(file, []byte(c.config), 0o600); err != nil {
				t.Fatal(err)
			}
			t.Setenv("AWS_CONFIG_FILE", file)
			for k, v := range c.env {
				t.Setenv(k, v)
			}
			cfg, err := config.LoadDefaultConfig(t.Context(), config.WithSharedConfigProfile(c.profile), config.WithCredentialsProvider(aws.AnonymousCredentials{}))
			if err != nil {
				t.Fatal(err)
			}
			want := sts.NewFromConfig(cfg).Options()
			env, err := config.NewEnvConfig()
			if err != nil {
				t.Fatal(err)
			}
			var shared config.SharedConfig
			if c.profile != "" {
				shared, err = config.LoadSharedConfigProfile(t.Context(), c.profile, func(l *config.LoadSharedConfigOptions) { l.ConfigFiles = []string{file} })
				if err != nil {
					t.Fatal(err)
				}
			}
			h := NewHTTP("", 0, 0)
			client, err := New(Settings(&env, &shared, "", "", h), h, Options{})
			if err != nil {
				t.Fatal(err)
			}
			got := client.api.Options()
			for _, f := range []struct {
				name      string
				got, want any
			}{
				{"Region", got.Region, want.Region},
				{"BaseEndpoint", aws.ToString(got.BaseEndpoint), aws.ToString(want.BaseEndpoint)},
				{"AppID", got.AppID, want.AppID},
				{"FIPS", got.EndpointOptions.UseFIPSEndpoint, want.EndpointOptions.UseFIPSEndpoint},
				{"dual stack", got.EndpointOptions.UseDualStackEndpoint, want.EndpointOptions.UseDualStackEndpoint},
				{"clock", got.DisableClockSkewCorrection, want.DisableClockSkewCorrection},
			} {
				if !reflect.DeepEqual(f.got, f.want) {
					t.Errorf("%s = %v; the SDK's is %v", f.name, f.got, f.want)
				}
			}
		})
	}
}
