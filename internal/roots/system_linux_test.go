package roots

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestListIsCryptoX509s: the files that are tried are those of the toolchain that builds us, in its
// order.
func TestListIsCryptoX509s(t *testing.T) {
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(strings.TrimSpace(string(root)), "src/crypto/x509/root_linux.go"), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || spec.Names[0].Name != "certFiles" {
			return true
		}
		for _, elt := range spec.Values[0].(*ast.CompositeLit).Elts {
			s, err := strconv.Unquote(elt.(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			want = append(want, s)
		}
		return false
	})
	if len(want) == 0 || !slices.Equal(bundles, want) {
		t.Errorf("got %q; want %q", bundles, want)
	}
}

func TestSystemBundle(t *testing.T) {
	t.Setenv("SSL_CERT_FILE", "/nowhere/ca.pem")
	if got := systemBundle(); got != "/nowhere/ca.pem" {
		t.Errorf("got %q; want what SSL_CERT_FILE says", got)
	}
	t.Setenv("SSL_CERT_FILE", "")
	if got := systemBundle(); got != "" && !slices.Contains(bundles, got) {
		t.Errorf("got %q; want one of the list, or none", got)
	}
}
