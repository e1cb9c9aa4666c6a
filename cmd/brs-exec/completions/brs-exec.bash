# Completion of brs-exec for bash. Source it, or install it as
# /usr/share/bash-completion/completions/brs-exec
#
# brs-exec itself says what may follow: `brs-exec --complete WORD...` answers with a line for each
# candidate, or with :files, :folders or :command and where it begins.

_brs_exec() {
	local i piece rest=$COMP_LINE last=-1 words=() starts=()
	# bash splits at = and :, too: what has no blank between is one word
	for ((i = 0; i <= COMP_CWORD; i++)); do
		piece=${COMP_WORDS[i]}
		if ((last < 0)) || [[ $rest == [[:space:]]* ]]; then
			rest=${rest#"${rest%%[![:space:]]*}"}
			words[++last]=$piece
			starts[last]=$i
		else
			words[last]+=$piece
		fi
		rest=${rest#"$piece"}
	done
	local current=${words[last]} replaced=$piece quoted= line value prefix option
	[[ $replaced == [=:]* ]] && replaced= # readline replaces what is behind them
	if [[ $replaced == [\"\']* ]]; then # and what is in open quotes
		quoted=yes replaced=${replaced:1}
		words[last]=${current%"$piece"}$replaced
		current=${words[last]}
	fi
	local kept=${current%"$replaced"}
	while IFS= read -r line; do
		value=${line%%$'\t'*}
		case $line in
		:command\ *)
			_brs_exec_command "${starts[${line#:command } + 1]}"
			return
			;;
		:files\ * | :folders\ *)
			prefix=${line#* } option=-f
			[[ $line == :folders* ]] && option=-d
			compopt -o filenames
			while IFS= read -r value; do
				value=$prefix$value
				COMPREPLY+=("${value#"$kept"}")
			done < <(compgen "$option" -- "${current#"$prefix"}")
			;;
		"$current"*)
			value=${value#"$kept"}
			[[ -z $quoted && $value == *[!a-zA-Z0-9_.,:/@%+=-]* ]] && printf -v value %q "$value"
			COMPREPLY+=("$value")
			;;
		esac
	done < <("${1/#~/$HOME}" --complete "${words[@]:1}" 2>/dev/null)
}

# The words from $1 on are the command: its own completion takes over.
_brs_exec_command() {
	if declare -F _comp_command_offset >/dev/null; then
		_comp_command_offset "$1"
	elif declare -F _command_offset >/dev/null; then
		_command_offset "$1"
	elif (($1 == COMP_CWORD)); then
		mapfile -t COMPREPLY < <(compgen -c -- "${COMP_WORDS[COMP_CWORD]}")
	else
		compopt -o default
	fi
}

complete -F _brs_exec brs-exec
