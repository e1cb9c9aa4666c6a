package childenv

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/config"

	"brs-exec/internal/awsconfig"
	"brs-exec/need"
)

// parentConfig is a shared config file that botocore and Go read alike.
const parentConfig = `[default]
region = us-east-1
aws_access_key_id = AKIADEFAULT
aws_secret_access_key = SECRET
[profile dev]
region = eu-west-1
output = json
endpoint_url = http://127.0.0.1:1
services = local
retry_mode = standard
max_attempts = 7
ca_bundle = /ca.pem
use_fips_endpoint = true
s3 =
  addressing_style = path
  max_concurrent_requests = 5
s3_use_arn_region = true
cli_pager =
credential_process = /bin/false
sso_session = corp
sso_account_id = 123456789012
[profile "two words"]
region = eu-west-2
[sso-session corp]
sso_region = us-east-1
sso_start_url = http://127.0.0.1:1
[services local]
s3 =
  endpoint_url = http://127.0.0.1:2
dynamodb =
  endpoint_url = http://127.0.0.1:3
[profile admin]
role_arn = arn:aws:iam::123456789012:role/admin
source_profile = dev
external_id = x
role_session_name = n
duration_seconds = 900
region = eu-north-1
[profile deep]
role_arn = arn:aws:iam::123456789012:role/deep
source_profile = admin
[profile stranger]
role_arn = arn:aws:iam::123456789012:role/stranger
source_profile = default
`

// onDisk writes the child's config, and the empty credentials file beside it.
func onDisk(t *testing.T, content []byte) (configFile, credentialsFile string) {
	t.Helper()
	dir := t.TempDir()
	configFile, credentialsFile = filepath.Join(dir, "config"), filepath.Join(dir, "credentials")
	for path, content := range map[string][]byte{configFile: content, credentialsFile: nil} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return configFile, credentialsFile
}

// identity reads the contents of the two files. It is nil where aws refuses one, as brs-exec then does.
func identity(config, credentials string) *awsconfig.Identity {
	id, _ := awsconfig.Paths{}.ParseIdentity([]byte(config), []byte(credentials))
	return id
}

func loadGo(t *testing.T, configFile, credentialsFile, profile string) (config.SharedConfig, error) {
	t.Helper()
	return config.LoadSharedConfigProfile(t.Context(), profile, func(o *config.LoadSharedConfigOptions) {
		o.ConfigFiles, o.CredentialsFiles = []string{configFile}, []string{credentialsFile}
	})
}

func TestGoReadsTheSettingsAndNoCredentials(t *testing.T) {
	parent, empty := onDisk(t, []byte(parentConfig))
	child, _ := onDisk(t, ChildConfig(identity(parentConfig, ""), Chosen{Name: "dev", CarryOver: true}))
	want, err := loadGo(t, parent, empty, "dev")
	if err != nil {
		t.Fatal(err)
	}
	want.CredentialProcess, want.SSOSessionName, want.SSOSession, want.SSOAccountID = "", "", nil, ""
	for _, name := range []string{"default", "dev"} {
		got, err := loadGo(t, child, empty, name)
		want.Profile = name
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, %v; want %+v", name, got, err, want)
		}
	}
	admin, err := loadGo(t, child, empty, "deep")
	if err != nil || admin.Source == nil || admin.Source.CredentialSource != "EcsContainer" || admin.Source.ExternalID != "x" ||
		admin.Source.RoleARN != "arn:aws:iam::123456789012:role/admin" || admin.Source.Region != "eu-north-1" {
		t.Errorf("deep: got %+v, %v; want it assumed from admin, from the endpoint", admin, err)
	}
	for _, name := range []string{"stranger", "two words", "corp"} {
		_, err := loadGo(t, child, empty, name)
		if _, missing := errors.AsType[config.SharedConfigProfileNotExistError](err); !missing {
			t.Errorf("%s: got %v; want no such profile", name, err)
		}
	}
	if got, err := loadGo(t, parent, empty, "two words"); err == nil {
		t.Errorf("Go now reads quoted names: got %+v; headers can write one spelling", got)
	}
	spaced, _ := onDisk(t, ChildConfig(identity(parentConfig, ""), Chosen{Name: "two words"}))
	if got, err := loadGo(t, spaced, empty, "two words"); err != nil || got.Region != "eu-west-2" {
		t.Errorf("two words: got %+v, %v; want its region", got, err)
	}
}

// readBotocore prints what botocore makes of the two files: each profile's settings, the services sections, and which
// credential provider each profile ends at.
const readBotocore = `
import json, sys, botocore.session, botocore.configloader as c
config = c.load_config(sys.argv[1])
out = {"profiles": config["profiles"], "services": config["services"], "providers": {}}
for name in config["profiles"]:
    session = botocore.session.Session(profile=name)
    session.set_config_variable("config_file", sys.argv[1])
    session.set_config_variable("credentials_file", sys.argv[2])
    session.set_config_variable("metadata_service_num_attempts", 1)
    try:
        credentials = session.get_credentials()
        out["providers"][name] = credentials.method if credentials else None
    except Exception as e:
        out["providers"][name] = type(e).__name__
json.dump(out, sys.stdout)
`

type botocoreView struct {
	Profiles  map[string]map[string]any
	Services  map[string]map[string]any
	Providers map[string]string
}

func loadBotocore(t *testing.T, configFile, credentialsFile string) botocoreView {
	t.Helper()
	// as Build leaves it, but for the endpoint, at which nobody listens: no AWS variable, no home, no instance
	cmd := exec.Command("python3", "-c", readBotocore, configFile, credentialsFile)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "PYENV_ROOT=" + os.Getenv("PYENV_ROOT"),
		"AWS_EC2_METADATA_DISABLED=true", "BOTO_CONFIG=" + credentialsFile}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("botocore: %v\n%s", err, stderr.String())
	}
	var v botocoreView
	if err := json.Unmarshal(out, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func needBotocore(t *testing.T) {
	t.Helper()
	err := exec.Command("python3", "-c", "import botocore").Run()
	need.That(t, err == nil, "python3 with botocore", "python3 -m pip install boto3")
}

func TestBotocoreReadsTheSettingsAndNoCredentials(t *testing.T) {
	needBotocore(t)
	parentFile, empty := onDisk(t, []byte(parentConfig))
	parent := loadBotocore(t, parentFile, empty)
	childFile, empty := onDisk(t, ChildConfig(identity(parentConfig, ""), Chosen{Name: "dev", CarryOver: true}))
	child := loadBotocore(t, childFile, empty)

	want := parent.Profiles["dev"]
	for _, key := range []string{"credential_process", "sso_session", "sso_account_id"} {
		delete(want, key)
	}
	for _, name := range []string{"default", "dev"} {
		if got := child.Profiles[name]; !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %v; want %v", name, got, want)
		}
	}
	admin := parent.Profiles["admin"]
	delete(admin, "source_profile")
	admin["credential_source"] = "EcsContainer"
	if got := child.Profiles["admin"]; !reflect.DeepEqual(got, admin) {
		t.Errorf("admin: got %v; want %v", got, admin)
	}
	if !reflect.DeepEqual(child.Services, parent.Services) {
		t.Errorf("services: got %v; want %v", child.Services, parent.Services)
	}
	if len(child.Profiles) != 4 { // default, dev, admin, deep
		t.Errorf("got %v; want four profiles", child.Profiles)
	}
	for _, name := range []string{"default", "dev"} {
		if got := child.Providers[name]; got != "" {
			t.Errorf("%s: credentials from %q; want none but the endpoint's", name, got)
		}
	}
	if parent.Providers["default"] == "" {
		t.Error("the parent's [default] yields nothing: this test proves nothing")
	}
}

// Files that some reader reads in a way of its own: what comes out is read by both, and yields nothing.
func TestOddFilesYieldNoCredentials(t *testing.T) {
	needBotocore(t)
	for name, file := range map[string]string{
		"continuation":         "[default]\nregion = r\n  aws_access_key_id = AKIA\n  aws_secret_access_key = S\n",
		"its header":           "[default]\nregion = r\n  [x]\naws_access_key_id = AKIA\naws_secret_access_key = S\n",
		"lone CR":              "[default]\nregion = r\raws_access_key_id = AKIA\raws_secret_access_key = S\n",
		"DEFAULT":              "[DEFAULT]\naws_access_key_id = AKIA\naws_secret_access_key = S\n[default]\nregion = r\n",
		"line ends":            "[default]\r\nregion = r\r\naws_access_key_id = AKIA\r\naws_secret_access_key = S\r\n",
		"form feed":            "[default]\nregion = r\n\x0c[x]\naws_access_key_id = AKIA\naws_secret_access_key = S\n",
		"nested":               "[default]\nregion = r\ns3 =\n  aws_access_key_id = AKIA\n  addressing_style = path\n",
		"nested below a value": "[default]\nregion = r\ns3 = x\n  aws_access_key_id = AKIA\n  addressing_style = path\n",
		"a key with a colon":   "[default]\nregion : r\noutput: aws_access_key_id = AKIA\naws_secret_access_key = S\n",
		"both in one key":      "[default]\nregion = r\ncli_x aws_access_key_id = AKIA\naws_secret_access_key = S\n",
	} {
		t.Run(name, func(t *testing.T) {
			childFile, empty := onDisk(t, ChildConfig(identity(file, ""), Chosen{CarryOver: true}))
			view := loadBotocore(t, childFile, empty)
			if view.Providers["default"] != "" || view.Profiles["default"]["region"] != "r" {
				t.Errorf("botocore: got %+v; want the region alone", view)
			}
			shared, err := loadGo(t, childFile, empty, "default")
			if err != nil || shared.Credentials.HasKeys() || shared.Region != "r" {
				t.Errorf("go: got %+v, %v; want the region alone", shared, err)
			}
		})
	}
}
