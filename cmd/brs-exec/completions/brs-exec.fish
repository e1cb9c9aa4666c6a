# Completion of brs-exec for fish. Install it as
# ~/.config/fish/completions/brs-exec.fish or /usr/share/fish/vendor_completions.d/brs-exec.fish
#
# brs-exec itself says what may follow: `brs-exec --complete WORD...` answers with a line for each
# candidate, or with :files, :folders or :command and where it begins.

function __brs_exec_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l program (string replace -r '^~/' $HOME/ -- $words[1])
    for line in ($program --complete $words[2..] "$current" 2>/dev/null)
        switch $line
            case ':command *'
                set -l first (math 2 + (string replace ':command ' '' -- $line))
                set -l command
                if test $first -le (count $words)
                    set command (string escape -- $words[$first..])
                end
                complete -C (string join ' ' -- $command "$current")
            case ':files *' ':folders *'
                set -l prefix (string replace -r '^:\w+ ' '' -- $line)
                set -l path (string sub -s (math 1 + (string length -- "$prefix")) -- "$current")
                set -l kind __fish_complete_path
                string match -q ':folders*' -- $line; and set kind __fish_complete_directories
                for found in ($kind "$path")
                    echo -- $prefix$found
                end
            case '*'
                echo -- $line
        end
    end
end

complete -c brs-exec -f -a '(__brs_exec_complete)'
