// Package bypass notices programs that take AWS keys from a file of the user's instead of asking
// the endpoint.
//
// Some programs read $HOME/.aws themselves, whatever AWS_SHARED_CREDENTIALS_FILE says (polars, the
// official PHP SDK), and a .env file in the working directory gives keys to whoever loads it. They
// then run as another identity, without a word. Nothing in an environment can keep them from it.
//
// What can be had is evidence: a [Watch] sees that such a file was opened while the command ran. It
// does not see by whom. So it is evidence only together with another fact, which the caller knows:
// nobody has asked the endpoint, from the command's start to its end. A program that reads the
// files beside another one that asks is not noticed.
//
// Linux only (inotify(7)); elsewhere nothing is ever seen.
package bypass

import (
	"path/filepath"
	"slices"
	"strings"

	"brs-exec/internal/awsconfig"
)

// settings are those with which a file of AWS's yields credentials, and variables those with which
// a .env file does.
var (
	settings = []string{"aws_access_key_id", "credential_process", "role_arn", "sso_start_url", "sso_session",
		"login_session"}
	variables = []string{"AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE"}
)

// Files returns those files that hold credentials and that a program may read without asking: the
// two in home/.aws, and .env in the directory dir.
func Files(home, dir string) (files []string) {
	for _, f := range []struct {
		path  string
		names []string
	}{
		{filepath.Join(home, ".aws", "credentials"), settings},
		{filepath.Join(home, ".aws", "config"), settings},
		{filepath.Join(dir, ".env"), variables},
	} {
		if holds(f.path, f.names) {
			files = append(files, f.path)
		}
	}
	return files
}

// holds reports whether a line of the file gives a value to one of the names. A template of a .env,
// where the names stand in comments or without a value, holds nothing.
func holds(path string, names []string) bool {
	if !filepath.IsAbs(path) {
		return false // there is no home
	}
	content, err := awsconfig.Read(path)
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(content)) {
		name, value, _ := strings.Cut(strings.Replace(line, ":", "=", 1), "=")
		name = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(name), "export "))
		isName := func(n string) bool { return strings.EqualFold(n, name) }
		if strings.Trim(value, " \t\r\n\"'") != "" && slices.ContainsFunc(names, isName) {
			return true
		}
	}
	return false
}
