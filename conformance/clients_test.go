package conformance

import (
	"path/filepath"
	"sync"
	"time"
)

// client is one row of the matrix.
type client struct {
	name, language string
	fast           bool // in the subset that go test ./... runs

	shares string // the folder under clients/, if it isn't name
	build  func(dir string) error
	argv   func(dir string) []string
	env    func(dir string) []string

	life, loop time.Duration     // of the rotation run; 0: 8 s and 24 s
	except     map[string]string // traps that can't be held, and why
	note       string            // what its user must know

	once sync.Once
	dir  string
	err  error
}

func (c *client) folder() string {
	if c.shares != "" {
		return c.shares
	}
	return c.name
}

var clients = []*client{
	{name: "boto3", language: "Python", fast: true, build: pip, argv: pythonWho, env: pythonPath},
	{name: "aws-cli-v1", language: "Python", fast: true, build: pip, argv: pythonWho, env: pythonPath},
	{name: "go-v2", language: "Go", fast: true, build: goBuild, argv: binaryWho},
	{name: "go-v1", language: "Go", build: goBuild, argv: binaryWho},
	{name: "js-v3", language: "JavaScript", build: npm, argv: nodeWho,
		note: "warns on stderr that the token is given twice; `--token-in env` gives it once"},
	{name: "js-v2", language: "JavaScript", build: npm, argv: nodeWho},
	{name: "awscrt", language: "Python over C", build: pip, argv: pythonWho, env: pythonPath},
	{name: "pyarrow", language: "Python over C++", build: pip, argv: pythonWho, env: pythonPath},
	{name: "obstore", language: "Python over Rust", build: pip, argv: pythonWho, env: pythonPath},
	{name: "minio-go", language: "Go", build: goBuild, argv: binaryWho},
	{name: "aws-cli-v2", shares: "aws-cli-v1", language: "Python", build: debian("awscli"), argv: debianPythonWho, env: debianPythonPath},
}

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
