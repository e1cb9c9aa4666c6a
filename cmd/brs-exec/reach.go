package main

import (
	"context"
	"io"
	"log/slog"
	"os/exec"
	"slices"
	"strings"

	"brs-exec/internal/awsconfig"
	"brs-exec/internal/ecsserver"
	"brs-exec/internal/message"
	"brs-exec/internal/runner"
)

// adviseReach gives a hint if the command failed, nobody ever came to the endpoint, and the command
// is one of outOfReach; or if it went well, and only handed in what runs later. It is silent if a
// signal killed the command, or its status says so as shells do: whoever stopped it knows why it
// ended.
func (s *session) adviseReach(w io.Writer, command, env []string, status runner.Status, asked ecsserver.Stats) {
	stopped := status < 0 || status > 128 && status <= 192
	// 125 to 127 is what docker, sudo, env and the like say when they ran nothing.
	nothing := status >= 125 && status <= 127 || !findsOne(command)
	d := s.flags.delivery
	unseen := d.file || d.env || d.json // whoever has these asks nobody
	if stopped || nothing || unseen || came(asked) || !s.log.Enabled(context.Background(), slog.LevelWarn) {
		return
	}
	if row := rowOf(command); row != nil && (status != 0 || row.why == later) {
		message.Hint(w, s.flags.reachHint(command, awsconfig.Home(env)))
	}
}

// came tells whether anybody has asked the endpoint for anything.
func came(asked ecsserver.Stats) bool {
	return asked.Served+asked.Unavailable > 0 || len(asked.Refused) > 0
}

// findsOne says whether sudo or doas found a program to run: one of its arguments is one, or it has
// none. Their status for "not found" is 1; others say it by 127.
func findsOne(command []string) bool {
	if !slices.Contains([]string{"sudo", "doas"}, programName(command[0])) {
		return true
	}
	words := slices.DeleteFunc(slices.Clone(command[1:]), func(arg string) bool {
		return strings.HasPrefix(arg, "-") || strings.Contains(arg, "=")
	})
	return len(words) == 0 || slices.ContainsFunc(words, func(word string) bool {
		_, err := exec.LookPath(word)
		return err == nil
	})
}

// rowOf returns nil for a command that the endpoint reaches, as far as is known. Of several rows
// that one counts whose word comes first: docker run IMAGE build.
func rowOf(command []string) *away {
	name := strings.TrimSuffix(programName(command[0]), ".exe")
	var found *away
	first := len(command)
	for i := range outOfReach {
		row := &outOfReach[i]
		if at := row.at(command[1:]); at >= 0 && at < first && slices.Contains(strings.Fields(row.commands), name) {
			found, first = row, at
		}
	}
	return found
}

// reachHint returns "" for a command that is of no row.
func (c *cli) reachHint(command []string, home string) string {
	row := rowOf(command)
	if row == nil {
		return ""
	}
	return "nobody asked for credentials, perhaps because of " + strings.TrimSuffix(programName(command[0]), ".exe") +
		": " + row.why + "; try " + c.instead(row, command, home)
}

// at is where one of the row's words is among the arguments, as it is, with =VALUE, or as a letter
// among others (unshare -rn); -1: nowhere. Options of the program that env or unshare runs are not
// its own.
func (row *away) at(args []string) int {
	words := strings.Fields(row.words)
	if len(words) == 0 {
		return 0
	}
	if row.before == 0 && strings.HasPrefix(row.words, "-") {
		_, operands := split(args, row.takes)
		args = args[:len(args)-len(operands)]
	}
	return slices.IndexFunc(args, func(arg string) bool {
		name, _, _ := strings.Cut(arg, "=")
		return slices.ContainsFunc(words, func(word string) bool { return name == word || hasLetter(name, word) })
	})
}

// hasLetter tells whether the option -x is one of the letters of -rx.
func hasLetter(arg, option string) bool {
	letters, ok := strings.CutPrefix(arg, "-")
	return ok && len(option) == 2 && !strings.HasPrefix(letters, "-") && strings.Contains(letters, option[1:])
}
