package conformance

import (
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// client is one row of the matrix.
type client struct {
	name, language string
	fast           bool // also without CONFORMANCE: built at once, and light
	main           bool // in the half hour
	slow           bool // to build: minutes

	shares string // the folder under clients/, if it isn't name
	build  func(dir string) error
	argv   func(dir string) []string
	env    func(dir string) []string

	wanders bool   // asks 169.254.169.254, whatever the environment says
	deliver string // --deliver, for a client that doesn't ask the endpoint

	loop   time.Duration     // of the rotation run, if three lives are too short
	except map[string]string // traps that can't be held, and why
	note   string            // what its user must know

	once sync.Once
	dir  string
	err  error
	took time.Duration // to build it
}

func (c *client) folder() string {
	if c.shares != "" {
		return c.shares
	}
	return c.name
}

var clients = []*client{
	{name: "boto3", language: "Python", main: true, build: pip, argv: pythonWho, env: pythonPath,
		note: "with less than 15 minutes left it asks at each call (" + botocoreLink + "); a `profile_name` must be one that was carried over"},
	{name: "aws-cli-v1", language: "Python", main: true, build: pip, argv: pythonWho, env: pythonPath,
		note: "one GET a command; a `--profile` must be one that was carried over"},
	{name: "go-v2", language: "Go", fast: true, main: true, build: goBuild, argv: binaryWho,
		note: "nothing"},
	{name: "go-v1", language: "Go", build: goBuild, argv: binaryWho,
		note: "nothing"},
	{name: "js-v3", language: "JavaScript", main: true, build: npm, argv: nodeWho,
		note: "warns on stderr that the token is given twice; `--token-in env` gives it once. Before September 2026 a refresh " +
			"that failed in the background [ended the process](https://github.com/aws/aws-sdk-js-v3/issues/8280)"},
	{name: "js-v2", language: "JavaScript", build: npm, argv: nodeWho,
		note: "near the end it asks twice a call"},
	{name: "terraform", language: "Go", build: terraform, argv: terraformWho, loop: 68 * time.Second,
		note: "the S3 backend; it stores its state every 20 s, so a rotation run has few calls. It hides why the endpoint refused: " +
			"brs-exec says it. A `profile` must be one that was carried over; the provider, too, by three aliases: profiles_test.go"},
	{name: "awscrt", language: "Python over C", build: pip, argv: pythonWho, env: pythonPath,
		note: "nothing"},
	{name: "pyarrow", language: "Python over C++", build: pip, argv: pythonWho, env: pythonPath,
		note: "nothing"},
	{name: "obstore", language: "Python over Rust", build: pip, argv: pythonWho, env: pythonPath,
		note: objectStoreNote},
	{name: "polars", language: "Python over Rust", build: pip, argv: pythonWho, env: pythonPath, except: polarsExcept,
		note: "its own reader takes keys of `~/.aws`, whatever the variables say; brs-exec warns at the end. " +
			"With boto3 beside it, it asks that. Token by file only"},
	{name: "rasterio", language: "Python over C++", build: pip, argv: pythonWho, env: pythonPath,
		note: "GDAL's `/vsis3`; knows `CPL_AWS_CREDENTIALS_FILE` only, which brs-exec sets"},
	{name: "minio-go", language: "Go", build: goBuild, argv: binaryWho,
		note: "asks again after 80 % of what was left at its last GET"},
	{name: "rust-object-store", language: "Rust", build: cargo, slow: true, argv: binaryWho,
		note: objectStoreNote},
	{name: "aws-sdk-rust", language: "Rust", build: cargo, slow: true, argv: binaryWho,
		note: "asks again 5 to 10 s before the end"},
	{name: "java-v2", language: "Java", main: true, build: maven, argv: javaWho, except: javaV2Except,
		note: javaNote + "; after an error of the endpoint its chain goes on to instance metadata, which brs-exec turns off"},
	{name: "java-v1", language: "Java", build: maven, argv: javaWho, except: javaV1Except,
		note: javaNote + "; with less than 15 minutes left it asks twice a call"},
	{name: "hadoop-s3a", language: "Java", build: maven, argv: javaWho,
		note: "after one error of the endpoint it stays with instance metadata " +
			"([source](https://github.com/apache/hadoop/blob/trunk/hadoop-tools/hadoop-aws/src/main/java/org/apache/hadoop/fs/s3a/auth/IAMInstanceCredentialsProvider.java)), " +
			"which brs-exec turns off: then it fails until it is started again"},
	{name: "aws-cli-v2", shares: "aws-cli-v1", language: "Python", build: debian("awscli"), argv: debianPythonWho, env: debianPythonPath,
		note: "one GET a command; Debian's 2.9 does not know `AWS_ENDPOINT_URL_STS` yet"},
	{name: "ruby", language: "Ruby", deliver: "process", build: debian("ruby-aws-sdk-core"), argv: rubyWho,
		note: "Debian's 3.168 knows no FULL_URI: `--deliver process`"},
	{name: "php-async-aws", language: "PHP", deliver: "file", wanders: true, build: debian("php-cli", "php-async-aws-core"), argv: phpWho,
		note: "AsyncAws knows neither FULL_URI nor credential_process: `--deliver file`, and a new client for each call, since it keeps the file's keys"},
}

// wanted are the clients of this run.
func wanted() []*client {
	return slices.DeleteFunc(slices.Clone(clients), func(c *client) bool {
		return !full && !(long && c.main) && (long || !c.fast)
	})
}

// inAWS is the trap that bites what looks past the environment.
const inAWS = "keys in `~/.aws`, whatever the variables say"

// readsHome is why polars falls into each trap that has keys in ~/.aws/credentials; see TestLookPastTheEnvironment.
const readsHome = "[its reader](https://github.com/pola-rs/polars/issues/26704) opens `~/.aws/credentials` itself: brs-exec warns at the " +
	"command's end, with the line that hides the file (REACH.md)"

var polarsExcept = map[string]string{
	inAWS: readsHome,
	"`[default]` with keys in `~/.aws/credentials`":   readsHome,
	"`AWS_PROFILE` names a profile with keys":         readsHome,
	"`AWS_DEFAULT_PROFILE` does":                      readsHome,
	"`role_arn` with `source_profile` in `[default]`": readsHome,
}

// javaProperties is the trap that outranks everything and that no environment can take away.
const javaProperties = "Java system properties in `JAVA_TOOL_OPTIONS`"

const left = "the options hold what else the program needs, so brs-exec leaves them and warns on stderr; the property comes " +
	"before the endpoint in [the SDK's chain]"

var (
	javaV2Except = map[string]string{javaProperties: left + "(https://github.com/aws/aws-sdk-java-v2/blob/master/core/auth/src/main/java/" +
		"software/amazon/awssdk/auth/credentials/DefaultCredentialsProvider.java)"}
	javaV1Except = map[string]string{javaProperties: left + "(https://github.com/aws/aws-sdk-java/blob/master/aws-java-sdk-core/src/main/java/" +
		"com/amazonaws/auth/DefaultAWSCredentialsProviderChain.java)"}
)

const (
	javaNote = "`-Daws.accessKeyId` and its like outrank the endpoint; brs-exec warns of them in `JAVA_TOOL_OPTIONS`"

	botocoreLink = "[`_advisory_refresh_timeout`](https://github.com/boto/botocore/blob/develop/botocore/credentials.py)"

	objectStoreNote = "knows the token by file only, and goes to instance metadata without it: not with `--token-in env` " +
		"([issue](https://github.com/apache/arrow-rs-object-store/issues/282)); reads no AWS files"
)

func pythonWho(dir string) []string { return []string{python, filepath.Join(dir, "who.py")} }

func pythonPath(dir string) []string {
	loop, err := filepath.Abs("clients")
	if err != nil {
		panic(err)
	}
	return []string{"PYTHONPATH=" + filepath.Join(dir, "lib") + string(filepath.ListSeparator) + loop, "PYTHONDONTWRITEBYTECODE=1"}
}

// debianPythonWho is the interpreter that Debian's packages are for.
func debianPythonWho(dir string) []string {
	return []string{"/usr/bin/python3", filepath.Join(dir, "who.py")}
}

func debianPythonPath(dir string) []string { return []string{pythonPath("none")[0]} }

func binaryWho(dir string) []string { return []string{filepath.Join(dir, "who")} }

func nodeWho(dir string) []string { return []string{"node", filepath.Join(dir, "who.js")} }

func javaWho(dir string) []string {
	return []string{"java", "-XX:TieredStopAtLevel=1", "-cp", filepath.Join(dir, "lib", "*") + string(filepath.ListSeparator) + dir, "Who"}
}

func terraformWho(dir string) []string { return []string{"sh", filepath.Join(dir, "who.sh")} }

func rubyWho(dir string) []string { return []string{"ruby", filepath.Join(dir, "who.rb")} }

func phpWho(dir string) []string { return []string{"php", filepath.Join(dir, "who.php")} }
