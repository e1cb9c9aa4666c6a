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
	fast           bool // in the subset that go test ./... runs
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
	{name: "boto3", language: "Python", fast: true, main: true, build: pip, argv: pythonWho, env: pythonPath},
	{name: "aws-cli-v1", language: "Python", fast: true, main: true, build: pip, argv: pythonWho, env: pythonPath},
	{name: "go-v2", language: "Go", fast: true, main: true, build: goBuild, argv: binaryWho},
	{name: "go-v1", language: "Go", build: goBuild, argv: binaryWho},
	{name: "js-v3", language: "JavaScript", main: true, build: npm, argv: nodeWho,
		note: "warns on stderr that the token is given twice; `--token-in env` gives it once"},
	{name: "js-v2", language: "JavaScript", build: npm, argv: nodeWho},
	{name: "terraform", language: "Go", build: terraform, argv: terraformWho, loop: 68 * time.Second,
		note: "the S3 backend; it stores its state every 20 s, so a rotation run has few calls"},
	{name: "awscrt", language: "Python over C", build: pip, argv: pythonWho, env: pythonPath},
	{name: "pyarrow", language: "Python over C++", build: pip, argv: pythonWho, env: pythonPath},
	{name: "obstore", language: "Python over Rust", build: pip, argv: pythonWho, env: pythonPath},
	{name: "minio-go", language: "Go", build: goBuild, argv: binaryWho},
	{name: "rust-object-store", language: "Rust", build: cargo, slow: true, argv: binaryWho},
	{name: "aws-sdk-rust", language: "Rust", build: cargo, slow: true, argv: binaryWho},
	{name: "java-v2", language: "Java", main: true, build: maven, argv: javaWho, except: javaExcept, note: javaNote},
	{name: "java-v1", language: "Java", build: maven, argv: javaWho, except: javaExcept, note: javaNote},
	{name: "hadoop-s3a", language: "Java", build: maven, argv: javaWho},
	{name: "aws-cli-v2", shares: "aws-cli-v1", language: "Python", build: debian("awscli"), argv: debianPythonWho, env: debianPythonPath},
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

// javaProperties is the trap that outranks everything and that no environment can take away.
const javaProperties = "Java system properties in `JAVA_TOOL_OPTIONS`"

var javaExcept = map[string]string{javaProperties: "the options hold what else the program needs, so brs-exec leaves them " +
	"and warns on stderr; the property comes first in [the chain](https://docs.aws.amazon.com/sdk-for-java/latest/developer-guide/credentials-chain.html)"}

const javaNote = "`-Daws.accessKeyId` and its like outrank the endpoint; brs-exec warns of them in `JAVA_TOOL_OPTIONS`"

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
