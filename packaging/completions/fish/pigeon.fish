complete -c pigeon -f
# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_pigeon_global_optspecs
    string join \n port= tcp as= key-file= timeout= json color= hub= h/help V/version
end

function __fish_pigeon_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_pigeon_global_optspecs) -- $cmd 2>/dev/null
    or return 0
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_pigeon_using_subcommand
    set -l cmd (__fish_pigeon_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c pigeon -n "__fish_pigeon_needs_command" -l port -d 'The hub\'s port, where its address names none or nobody has said where it is [default: 10125]' -r -f
complete -c pigeon -n "__fish_pigeon_needs_command" -l as -d 'The client code to join under' -r -f
complete -c pigeon -n "__fish_pigeon_needs_command" -l key-file -d 'A file with the secret of the client code: the secret alone, or what `pigeon key new` printed' -r -F
complete -c pigeon -n "__fish_pigeon_needs_command" -l timeout -d 'How long to wait for an answer, such as 5s, 300ms or 2m' -r -f
complete -c pigeon -n "__fish_pigeon_needs_command" -l color -d 'When to colour what is printed' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c pigeon -n "__fish_pigeon_needs_command" -l hub -d 'Where the hub is: a name or an address, with or without a port' -r -f -a "(__fish_print_hostnames)"
complete -c pigeon -n "__fish_pigeon_needs_command" -l tcp -d 'Talk over TCP instead of UDP'
complete -c pigeon -n "__fish_pigeon_needs_command" -l json -d 'Print one JSON object a line'
complete -c pigeon -n "__fish_pigeon_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pigeon -n "__fish_pigeon_needs_command" -s V -l version -d 'Print version'
complete -c pigeon -n "__fish_pigeon_needs_command" -f -a "chat" -d 'Join, send what is typed to everyone, and show what comes: @CODE TEXT sends to one, BYE ends'
complete -c pigeon -n "__fish_pigeon_needs_command" -f -a "say" -d 'Send plain text, as a program without tags does, and print the reply'
complete -c pigeon -n "__fish_pigeon_needs_command" -f -a "send" -d 'Join and send a text to one client'
complete -c pigeon -n "__fish_pigeon_needs_command" -f -a "all" -d 'Join and send a text to every other client'
complete -c pigeon -n "__fish_pigeon_needs_command" -f -a "ask" -d 'Ask one client and print its answer'
complete -c pigeon -n "__fish_pigeon_needs_command" -f -a "answer" -d 'Join and answer each question with what a command prints, until Ctrl+C'
complete -c pigeon -n "__fish_pigeon_needs_command" -f -a "listen" -d 'Join and print what others send, until Ctrl+C'
complete -c pigeon -n "__fish_pigeon_needs_command" -f -a "get" -d 'Print a value'
complete -c pigeon -n "__fish_pigeon_needs_command" -f -a "set" -d 'Set a value'
complete -c pigeon -n "__fish_pigeon_needs_command" -f -a "inc" -d 'Count up and print the new value: the key `counter` by 1, unless said otherwise'
complete -c pigeon -n "__fish_pigeon_needs_command" -f -a "dec" -d 'Count down and print the new value: the key `counter` by 1, unless said otherwise'
complete -c pigeon -n "__fish_pigeon_needs_command" -f -a "del" -d 'Delete a value'
complete -c pigeon -n "__fish_pigeon_needs_command" -f -a "keys" -d 'List keys, one a line'
complete -c pigeon -n "__fish_pigeon_needs_command" -f -a "watch" -d 'Print matching values and each change of them, until Ctrl+C'
complete -c pigeon -n "__fish_pigeon_needs_command" -f -a "who" -d 'List the codes that are joined, one a line'
complete -c pigeon -n "__fish_pigeon_needs_command" -f -a "ping" -d 'Measure how long the hub takes to answer, until Ctrl+C or for a count'
complete -c pigeon -n "__fish_pigeon_needs_command" -f -a "info" -d 'Say what hub this is'
complete -c pigeon -n "__fish_pigeon_needs_command" -f -a "stats" -d 'Show the hub\'s figures'
complete -c pigeon -n "__fish_pigeon_needs_command" -f -a "raw" -d 'Send one line without a tag, as it is, and print the reply'
complete -c pigeon -n "__fish_pigeon_needs_command" -f -a "discover" -d 'List the hubs on the networks that this machine is on, as they answer'
complete -c pigeon -n "__fish_pigeon_needs_command" -f -a "doctor" -d 'Look for what keeps hub and client apart, and print what is wrong with the command that mends it'
complete -c pigeon -n "__fish_pigeon_needs_command" -f -a "bench" -d 'Load the hub and print requests per second and latencies'
complete -c pigeon -n "__fish_pigeon_needs_command" -f -a "key" -d 'Make a key for a client code'
complete -c pigeon -n "__fish_pigeon_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c pigeon -n "__fish_pigeon_using_subcommand chat" -l port -d 'The hub\'s port, where its address names none or nobody has said where it is [default: 10125]' -r -f
complete -c pigeon -n "__fish_pigeon_using_subcommand chat" -l as -d 'The client code to join under' -r -f
complete -c pigeon -n "__fish_pigeon_using_subcommand chat" -l key-file -d 'A file with the secret of the client code: the secret alone, or what `pigeon key new` printed' -r -F
complete -c pigeon -n "__fish_pigeon_using_subcommand chat" -l timeout -d 'How long to wait for an answer, such as 5s, 300ms or 2m' -r -f
complete -c pigeon -n "__fish_pigeon_using_subcommand chat" -l color -d 'When to colour what is printed' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c pigeon -n "__fish_pigeon_using_subcommand chat" -l hub -d 'Where the hub is: a name or an address, with or without a port' -r -f -a "(__fish_print_hostnames)"
complete -c pigeon -n "__fish_pigeon_using_subcommand chat" -l tcp -d 'Talk over TCP instead of UDP'
complete -c pigeon -n "__fish_pigeon_using_subcommand chat" -l json -d 'Print one JSON object a line'
complete -c pigeon -n "__fish_pigeon_using_subcommand chat" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pigeon -n "__fish_pigeon_using_subcommand say" -l port -d 'The hub\'s port, where its address names none or nobody has said where it is [default: 10125]' -r -f
complete -c pigeon -n "__fish_pigeon_using_subcommand say" -l as -d 'The client code to join under' -r -f
complete -c pigeon -n "__fish_pigeon_using_subcommand say" -l key-file -d 'A file with the secret of the client code: the secret alone, or what `pigeon key new` printed' -r -F
complete -c pigeon -n "__fish_pigeon_using_subcommand say" -l timeout -d 'How long to wait for an answer, such as 5s, 300ms or 2m' -r -f
complete -c pigeon -n "__fish_pigeon_using_subcommand say" -l color -d 'When to colour what is printed' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c pigeon -n "__fish_pigeon_using_subcommand say" -l hub -d 'Where the hub is: a name or an address, with or without a port' -r -f -a "(__fish_print_hostnames)"
complete -c pigeon -n "__fish_pigeon_using_subcommand say" -l tcp -d 'Talk over TCP instead of UDP'
complete -c pigeon -n "__fish_pigeon_using_subcommand say" -l json -d 'Print one JSON object a line'
complete -c pigeon -n "__fish_pigeon_using_subcommand say" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pigeon -n "__fish_pigeon_using_subcommand send" -l port -d 'The hub\'s port, where its address names none or nobody has said where it is [default: 10125]' -r -f
complete -c pigeon -n "__fish_pigeon_using_subcommand send" -l as -d 'The client code to join under' -r -f
complete -c pigeon -n "__fish_pigeon_using_subcommand send" -l key-file -d 'A file with the secret of the client code: the secret alone, or what `pigeon key new` printed' -r -F
complete -c pigeon -n "__fish_pigeon_using_subcommand send" -l timeout -d 'How long to wait for an answer, such as 5s, 300ms or 2m' -r -f
complete -c pigeon -n "__fish_pigeon_using_subcommand send" -l color -d 'When to colour what is printed' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c pigeon -n "__fish_pigeon_using_subcommand send" -l hub -d 'Where the hub is: a name or an address, with or without a port' -r -f -a "(__fish_print_hostnames)"
complete -c pigeon -n "__fish_pigeon_using_subcommand send" -l tcp -d 'Talk over TCP instead of UDP'
complete -c pigeon -n "__fish_pigeon_using_subcommand send" -l json -d 'Print one JSON object a line'
complete -c pigeon -n "__fish_pigeon_using_subcommand send" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pigeon -n "__fish_pigeon_using_subcommand all" -l port -d 'The hub\'s port, where its address names none or nobody has said where it is [default: 10125]' -r -f
complete -c pigeon -n "__fish_pigeon_using_subcommand all" -l as -d 'The client code to join under' -r -f
complete -c pigeon -n "__fish_pigeon_using_subcommand all" -l key-file -d 'A file with the secret of the client code: the secret alone, or what `pigeon key new` printed' -r -F
complete -c pigeon -n "__fish_pigeon_using_subcommand all" -l timeout -d 'How long to wait for an answer, such as 5s, 300ms or 2m' -r -f
complete -c pigeon -n "__fish_pigeon_using_subcommand all" -l color -d 'When to colour what is printed' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c pigeon -n "__fish_pigeon_using_subcommand all" -l hub -d 'Where the hub is: a name or an address, with or without a port' -r -f -a "(__fish_print_hostnames)"
complete -c pigeon -n "__fish_pigeon_using_subcommand all" -l tcp -d 'Talk over TCP instead of UDP'
complete -c pigeon -n "__fish_pigeon_using_subcommand all" -l json -d 'Print one JSON object a line'
complete -c pigeon -n "__fish_pigeon_using_subcommand all" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pigeon -n "__fish_pigeon_using_subcommand ask" -l port -d 'The hub\'s port, where its address names none or nobody has said where it is [default: 10125]' -r -f
complete -c pigeon -n "__fish_pigeon_using_subcommand ask" -l as -d 'The client code to join under' -r -f
complete -c pigeon -n "__fish_pigeon_using_subcommand ask" -l key-file -d 'A file with the secret of the client code: the secret alone, or what `pigeon key new` printed' -r -F
complete -c pigeon -n "__fish_pigeon_using_subcommand ask" -l timeout -d 'How long to wait for an answer, such as 5s, 300ms or 2m' -r -f
complete -c pigeon -n "__fish_pigeon_using_subcommand ask" -l color -d 'When to colour what is printed' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c pigeon -n "__fish_pigeon_using_subcommand ask" -l hub -d 'Where the hub is: a name or an address, with or without a port' -r -f -a "(__fish_print_hostnames)"
complete -c pigeon -n "__fish_pigeon_using_subcommand ask" -l tcp -d 'Talk over TCP instead of UDP'
complete -c pigeon -n "__fish_pigeon_using_subcommand ask" -l json -d 'Print one JSON object a line'
complete -c pigeon -n "__fish_pigeon_using_subcommand ask" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pigeon -n "__fish_pigeon_using_subcommand answer" -l limit -d 'Commands that may run at once' -r
complete -c pigeon -n "__fish_pigeon_using_subcommand answer" -l command-timeout -d 'How long one may take' -r
complete -c pigeon -n "__fish_pigeon_using_subcommand answer" -l port -d 'The hub\'s port, where its address names none or nobody has said where it is [default: 10125]' -r -f
complete -c pigeon -n "__fish_pigeon_using_subcommand answer" -l as -d 'The client code to join under' -r -f
complete -c pigeon -n "__fish_pigeon_using_subcommand answer" -l key-file -d 'A file with the secret of the client code: the secret alone, or what `pigeon key new` printed' -r -F
complete -c pigeon -n "__fish_pigeon_using_subcommand answer" -l timeout -d 'How long to wait for an answer, such as 5s, 300ms or 2m' -r -f
complete -c pigeon -n "__fish_pigeon_using_subcommand answer" -l color -d 'When to colour what is printed' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c pigeon -n "__fish_pigeon_using_subcommand answer" -l hub -d 'Where the hub is: a name or an address, with or without a port' -r -f -a "(__fish_print_hostnames)"
complete -c pigeon -n "__fish_pigeon_using_subcommand answer" -l tcp -d 'Talk over TCP instead of UDP'
complete -c pigeon -n "__fish_pigeon_using_subcommand answer" -l json -d 'Print one JSON object a line'
complete -c pigeon -n "__fish_pigeon_using_subcommand answer" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pigeon -n "__fish_pigeon_using_subcommand listen" -l port -d 'The hub\'s port, where its address names none or nobody has said where it is [default: 10125]' -r -f
complete -c pigeon -n "__fish_pigeon_using_subcommand listen" -l as -d 'The client code to join under' -r -f
complete -c pigeon -n "__fish_pigeon_using_subcommand listen" -l key-file -d 'A file with the secret of the client code: the secret alone, or what `pigeon key new` printed' -r -F
complete -c pigeon -n "__fish_pigeon_using_subcommand listen" -l timeout -d 'How long to wait for an answer, such as 5s, 300ms or 2m' -r -f
complete -c pigeon -n "__fish_pigeon_using_subcommand listen" -l color -d 'When to colour what is printed' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c pigeon -n "__fish_pigeon_using_subcommand listen" -l hub -d 'Where the hub is: a name or an address, with or without a port' -r -f -a "(__fish_print_hostnames)"
complete -c pigeon -n "__fish_pigeon_using_subcommand listen" -l keep -d 'At the end leave the mailbox at the hub (for a week), so that mail waits for the next listener'
complete -c pigeon -n "__fish_pigeon_using_subcommand listen" -l tcp -d 'Talk over TCP instead of UDP'
complete -c pigeon -n "__fish_pigeon_using_subcommand listen" -l json -d 'Print one JSON object a line'
complete -c pigeon -n "__fish_pigeon_using_subcommand listen" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pigeon -n "__fish_pigeon_using_subcommand get" -l port -d 'The hub\'s port, where its address names none or nobody has said where it is [default: 10125]' -r -f
complete -c pigeon -n "__fish_pigeon_using_subcommand get" -l as -d 'The client code to join under' -r -f
complete -c pigeon -n "__fish_pigeon_using_subcommand get" -l key-file -d 'A file with the secret of the client code: the secret alone, or what `pigeon key new` printed' -r -F
complete -c pigeon -n "__fish_pigeon_using_subcommand get" -l timeout -d 'How long to wait for an answer, such as 5s, 300ms or 2m' -r -f
complete -c pigeon -n "__fish_pigeon_using_subcommand get" -l color -d 'When to colour what is printed' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c pigeon -n "__fish_pigeon_using_subcommand get" -l hub -d 'Where the hub is: a name or an address, with or without a port' -r -f -a "(__fish_print_hostnames)"
complete -c pigeon -n "__fish_pigeon_using_subcommand get" -l tcp -d 'Talk over TCP instead of UDP'
complete -c pigeon -n "__fish_pigeon_using_subcommand get" -l json -d 'Print one JSON object a line'
complete -c pigeon -n "__fish_pigeon_using_subcommand get" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pigeon -n "__fish_pigeon_using_subcommand set" -l port -d 'The hub\'s port, where its address names none or nobody has said where it is [default: 10125]' -r -f
complete -c pigeon -n "__fish_pigeon_using_subcommand set" -l as -d 'The client code to join under' -r -f
complete -c pigeon -n "__fish_pigeon_using_subcommand set" -l key-file -d 'A file with the secret of the client code: the secret alone, or what `pigeon key new` printed' -r -F
complete -c pigeon -n "__fish_pigeon_using_subcommand set" -l timeout -d 'How long to wait for an answer, such as 5s, 300ms or 2m' -r -f
complete -c pigeon -n "__fish_pigeon_using_subcommand set" -l color -d 'When to colour what is printed' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c pigeon -n "__fish_pigeon_using_subcommand set" -l hub -d 'Where the hub is: a name or an address, with or without a port' -r -f -a "(__fish_print_hostnames)"
complete -c pigeon -n "__fish_pigeon_using_subcommand set" -l tcp -d 'Talk over TCP instead of UDP'
complete -c pigeon -n "__fish_pigeon_using_subcommand set" -l json -d 'Print one JSON object a line'
complete -c pigeon -n "__fish_pigeon_using_subcommand set" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pigeon -n "__fish_pigeon_using_subcommand inc" -l port -d 'The hub\'s port, where its address names none or nobody has said where it is [default: 10125]' -r -f
complete -c pigeon -n "__fish_pigeon_using_subcommand inc" -l as -d 'The client code to join under' -r -f
complete -c pigeon -n "__fish_pigeon_using_subcommand inc" -l key-file -d 'A file with the secret of the client code: the secret alone, or what `pigeon key new` printed' -r -F
complete -c pigeon -n "__fish_pigeon_using_subcommand inc" -l timeout -d 'How long to wait for an answer, such as 5s, 300ms or 2m' -r -f
complete -c pigeon -n "__fish_pigeon_using_subcommand inc" -l color -d 'When to colour what is printed' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c pigeon -n "__fish_pigeon_using_subcommand inc" -l hub -d 'Where the hub is: a name or an address, with or without a port' -r -f -a "(__fish_print_hostnames)"
complete -c pigeon -n "__fish_pigeon_using_subcommand inc" -l tcp -d 'Talk over TCP instead of UDP'
complete -c pigeon -n "__fish_pigeon_using_subcommand inc" -l json -d 'Print one JSON object a line'
complete -c pigeon -n "__fish_pigeon_using_subcommand inc" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pigeon -n "__fish_pigeon_using_subcommand dec" -l port -d 'The hub\'s port, where its address names none or nobody has said where it is [default: 10125]' -r -f
complete -c pigeon -n "__fish_pigeon_using_subcommand dec" -l as -d 'The client code to join under' -r -f
complete -c pigeon -n "__fish_pigeon_using_subcommand dec" -l key-file -d 'A file with the secret of the client code: the secret alone, or what `pigeon key new` printed' -r -F
complete -c pigeon -n "__fish_pigeon_using_subcommand dec" -l timeout -d 'How long to wait for an answer, such as 5s, 300ms or 2m' -r -f
complete -c pigeon -n "__fish_pigeon_using_subcommand dec" -l color -d 'When to colour what is printed' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c pigeon -n "__fish_pigeon_using_subcommand dec" -l hub -d 'Where the hub is: a name or an address, with or without a port' -r -f -a "(__fish_print_hostnames)"
complete -c pigeon -n "__fish_pigeon_using_subcommand dec" -l tcp -d 'Talk over TCP instead of UDP'
complete -c pigeon -n "__fish_pigeon_using_subcommand dec" -l json -d 'Print one JSON object a line'
complete -c pigeon -n "__fish_pigeon_using_subcommand dec" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pigeon -n "__fish_pigeon_using_subcommand del" -l port -d 'The hub\'s port, where its address names none or nobody has said where it is [default: 10125]' -r -f
complete -c pigeon -n "__fish_pigeon_using_subcommand del" -l as -d 'The client code to join under' -r -f
complete -c pigeon -n "__fish_pigeon_using_subcommand del" -l key-file -d 'A file with the secret of the client code: the secret alone, or what `pigeon key new` printed' -r -F
complete -c pigeon -n "__fish_pigeon_using_subcommand del" -l timeout -d 'How long to wait for an answer, such as 5s, 300ms or 2m' -r -f
complete -c pigeon -n "__fish_pigeon_using_subcommand del" -l color -d 'When to colour what is printed' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c pigeon -n "__fish_pigeon_using_subcommand del" -l hub -d 'Where the hub is: a name or an address, with or without a port' -r -f -a "(__fish_print_hostnames)"
complete -c pigeon -n "__fish_pigeon_using_subcommand del" -l tcp -d 'Talk over TCP instead of UDP'
complete -c pigeon -n "__fish_pigeon_using_subcommand del" -l json -d 'Print one JSON object a line'
complete -c pigeon -n "__fish_pigeon_using_subcommand del" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pigeon -n "__fish_pigeon_using_subcommand keys" -l port -d 'The hub\'s port, where its address names none or nobody has said where it is [default: 10125]' -r -f
complete -c pigeon -n "__fish_pigeon_using_subcommand keys" -l as -d 'The client code to join under' -r -f
complete -c pigeon -n "__fish_pigeon_using_subcommand keys" -l key-file -d 'A file with the secret of the client code: the secret alone, or what `pigeon key new` printed' -r -F
complete -c pigeon -n "__fish_pigeon_using_subcommand keys" -l timeout -d 'How long to wait for an answer, such as 5s, 300ms or 2m' -r -f
complete -c pigeon -n "__fish_pigeon_using_subcommand keys" -l color -d 'When to colour what is printed' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c pigeon -n "__fish_pigeon_using_subcommand keys" -l hub -d 'Where the hub is: a name or an address, with or without a port' -r -f -a "(__fish_print_hostnames)"
complete -c pigeon -n "__fish_pigeon_using_subcommand keys" -l tcp -d 'Talk over TCP instead of UDP'
complete -c pigeon -n "__fish_pigeon_using_subcommand keys" -l json -d 'Print one JSON object a line'
complete -c pigeon -n "__fish_pigeon_using_subcommand keys" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pigeon -n "__fish_pigeon_using_subcommand watch" -l port -d 'The hub\'s port, where its address names none or nobody has said where it is [default: 10125]' -r -f
complete -c pigeon -n "__fish_pigeon_using_subcommand watch" -l as -d 'The client code to join under' -r -f
complete -c pigeon -n "__fish_pigeon_using_subcommand watch" -l key-file -d 'A file with the secret of the client code: the secret alone, or what `pigeon key new` printed' -r -F
complete -c pigeon -n "__fish_pigeon_using_subcommand watch" -l timeout -d 'How long to wait for an answer, such as 5s, 300ms or 2m' -r -f
complete -c pigeon -n "__fish_pigeon_using_subcommand watch" -l color -d 'When to colour what is printed' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c pigeon -n "__fish_pigeon_using_subcommand watch" -l hub -d 'Where the hub is: a name or an address, with or without a port' -r -f -a "(__fish_print_hostnames)"
complete -c pigeon -n "__fish_pigeon_using_subcommand watch" -l tcp -d 'Talk over TCP instead of UDP'
complete -c pigeon -n "__fish_pigeon_using_subcommand watch" -l json -d 'Print one JSON object a line'
complete -c pigeon -n "__fish_pigeon_using_subcommand watch" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pigeon -n "__fish_pigeon_using_subcommand who" -l port -d 'The hub\'s port, where its address names none or nobody has said where it is [default: 10125]' -r -f
complete -c pigeon -n "__fish_pigeon_using_subcommand who" -l as -d 'The client code to join under' -r -f
complete -c pigeon -n "__fish_pigeon_using_subcommand who" -l key-file -d 'A file with the secret of the client code: the secret alone, or what `pigeon key new` printed' -r -F
complete -c pigeon -n "__fish_pigeon_using_subcommand who" -l timeout -d 'How long to wait for an answer, such as 5s, 300ms or 2m' -r -f
complete -c pigeon -n "__fish_pigeon_using_subcommand who" -l color -d 'When to colour what is printed' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c pigeon -n "__fish_pigeon_using_subcommand who" -l hub -d 'Where the hub is: a name or an address, with or without a port' -r -f -a "(__fish_print_hostnames)"
complete -c pigeon -n "__fish_pigeon_using_subcommand who" -l tcp -d 'Talk over TCP instead of UDP'
complete -c pigeon -n "__fish_pigeon_using_subcommand who" -l json -d 'Print one JSON object a line'
complete -c pigeon -n "__fish_pigeon_using_subcommand who" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pigeon -n "__fish_pigeon_using_subcommand ping" -s c -l count -d 'Stop after so many' -r
complete -c pigeon -n "__fish_pigeon_using_subcommand ping" -s i -l interval -d 'Time from one to the next' -r
complete -c pigeon -n "__fish_pigeon_using_subcommand ping" -l port -d 'The hub\'s port, where its address names none or nobody has said where it is [default: 10125]' -r -f
complete -c pigeon -n "__fish_pigeon_using_subcommand ping" -l as -d 'The client code to join under' -r -f
complete -c pigeon -n "__fish_pigeon_using_subcommand ping" -l key-file -d 'A file with the secret of the client code: the secret alone, or what `pigeon key new` printed' -r -F
complete -c pigeon -n "__fish_pigeon_using_subcommand ping" -l timeout -d 'How long to wait for an answer, such as 5s, 300ms or 2m' -r -f
complete -c pigeon -n "__fish_pigeon_using_subcommand ping" -l color -d 'When to colour what is printed' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c pigeon -n "__fish_pigeon_using_subcommand ping" -l hub -d 'Where the hub is: a name or an address, with or without a port' -r -f -a "(__fish_print_hostnames)"
complete -c pigeon -n "__fish_pigeon_using_subcommand ping" -l tcp -d 'Talk over TCP instead of UDP'
complete -c pigeon -n "__fish_pigeon_using_subcommand ping" -l json -d 'Print one JSON object a line'
complete -c pigeon -n "__fish_pigeon_using_subcommand ping" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pigeon -n "__fish_pigeon_using_subcommand info" -l port -d 'The hub\'s port, where its address names none or nobody has said where it is [default: 10125]' -r -f
complete -c pigeon -n "__fish_pigeon_using_subcommand info" -l as -d 'The client code to join under' -r -f
complete -c pigeon -n "__fish_pigeon_using_subcommand info" -l key-file -d 'A file with the secret of the client code: the secret alone, or what `pigeon key new` printed' -r -F
complete -c pigeon -n "__fish_pigeon_using_subcommand info" -l timeout -d 'How long to wait for an answer, such as 5s, 300ms or 2m' -r -f
complete -c pigeon -n "__fish_pigeon_using_subcommand info" -l color -d 'When to colour what is printed' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c pigeon -n "__fish_pigeon_using_subcommand info" -l hub -d 'Where the hub is: a name or an address, with or without a port' -r -f -a "(__fish_print_hostnames)"
complete -c pigeon -n "__fish_pigeon_using_subcommand info" -l tcp -d 'Talk over TCP instead of UDP'
complete -c pigeon -n "__fish_pigeon_using_subcommand info" -l json -d 'Print one JSON object a line'
complete -c pigeon -n "__fish_pigeon_using_subcommand info" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pigeon -n "__fish_pigeon_using_subcommand stats" -l port -d 'The hub\'s port, where its address names none or nobody has said where it is [default: 10125]' -r -f
complete -c pigeon -n "__fish_pigeon_using_subcommand stats" -l as -d 'The client code to join under' -r -f
complete -c pigeon -n "__fish_pigeon_using_subcommand stats" -l key-file -d 'A file with the secret of the client code: the secret alone, or what `pigeon key new` printed' -r -F
complete -c pigeon -n "__fish_pigeon_using_subcommand stats" -l timeout -d 'How long to wait for an answer, such as 5s, 300ms or 2m' -r -f
complete -c pigeon -n "__fish_pigeon_using_subcommand stats" -l color -d 'When to colour what is printed' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c pigeon -n "__fish_pigeon_using_subcommand stats" -l hub -d 'Where the hub is: a name or an address, with or without a port' -r -f -a "(__fish_print_hostnames)"
complete -c pigeon -n "__fish_pigeon_using_subcommand stats" -l tcp -d 'Talk over TCP instead of UDP'
complete -c pigeon -n "__fish_pigeon_using_subcommand stats" -l json -d 'Print one JSON object a line'
complete -c pigeon -n "__fish_pigeon_using_subcommand stats" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pigeon -n "__fish_pigeon_using_subcommand raw" -l port -d 'The hub\'s port, where its address names none or nobody has said where it is [default: 10125]' -r -f
complete -c pigeon -n "__fish_pigeon_using_subcommand raw" -l as -d 'The client code to join under' -r -f
complete -c pigeon -n "__fish_pigeon_using_subcommand raw" -l key-file -d 'A file with the secret of the client code: the secret alone, or what `pigeon key new` printed' -r -F
complete -c pigeon -n "__fish_pigeon_using_subcommand raw" -l timeout -d 'How long to wait for an answer, such as 5s, 300ms or 2m' -r -f
complete -c pigeon -n "__fish_pigeon_using_subcommand raw" -l color -d 'When to colour what is printed' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c pigeon -n "__fish_pigeon_using_subcommand raw" -l hub -d 'Where the hub is: a name or an address, with or without a port' -r -f -a "(__fish_print_hostnames)"
complete -c pigeon -n "__fish_pigeon_using_subcommand raw" -l tcp -d 'Talk over TCP instead of UDP'
complete -c pigeon -n "__fish_pigeon_using_subcommand raw" -l json -d 'Print one JSON object a line'
complete -c pigeon -n "__fish_pigeon_using_subcommand raw" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pigeon -n "__fish_pigeon_using_subcommand discover" -l wait -d 'How long to wait for answers' -r -f
complete -c pigeon -n "__fish_pigeon_using_subcommand discover" -l port -d 'The hub\'s port, where its address names none or nobody has said where it is [default: 10125]' -r -f
complete -c pigeon -n "__fish_pigeon_using_subcommand discover" -l as -d 'The client code to join under' -r -f
complete -c pigeon -n "__fish_pigeon_using_subcommand discover" -l key-file -d 'A file with the secret of the client code: the secret alone, or what `pigeon key new` printed' -r -F
complete -c pigeon -n "__fish_pigeon_using_subcommand discover" -l timeout -d 'How long to wait for an answer, such as 5s, 300ms or 2m' -r -f
complete -c pigeon -n "__fish_pigeon_using_subcommand discover" -l color -d 'When to colour what is printed' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c pigeon -n "__fish_pigeon_using_subcommand discover" -l hub -d 'Where the hub is: a name or an address, with or without a port' -r -f -a "(__fish_print_hostnames)"
complete -c pigeon -n "__fish_pigeon_using_subcommand discover" -l tcp -d 'Talk over TCP instead of UDP'
complete -c pigeon -n "__fish_pigeon_using_subcommand discover" -l json -d 'Print one JSON object a line'
complete -c pigeon -n "__fish_pigeon_using_subcommand discover" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pigeon -n "__fish_pigeon_using_subcommand doctor" -l port -d 'The hub\'s port, where its address names none or nobody has said where it is [default: 10125]' -r -f
complete -c pigeon -n "__fish_pigeon_using_subcommand doctor" -l as -d 'The client code to join under' -r -f
complete -c pigeon -n "__fish_pigeon_using_subcommand doctor" -l key-file -d 'A file with the secret of the client code: the secret alone, or what `pigeon key new` printed' -r -F
complete -c pigeon -n "__fish_pigeon_using_subcommand doctor" -l timeout -d 'How long to wait for an answer, such as 5s, 300ms or 2m' -r -f
complete -c pigeon -n "__fish_pigeon_using_subcommand doctor" -l color -d 'When to colour what is printed' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c pigeon -n "__fish_pigeon_using_subcommand doctor" -l hub -d 'Where the hub is: a name or an address, with or without a port' -r -f -a "(__fish_print_hostnames)"
complete -c pigeon -n "__fish_pigeon_using_subcommand doctor" -l tcp -d 'Talk over TCP instead of UDP'
complete -c pigeon -n "__fish_pigeon_using_subcommand doctor" -l json -d 'Print one JSON object a line'
complete -c pigeon -n "__fish_pigeon_using_subcommand doctor" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pigeon -n "__fish_pigeon_using_subcommand bench" -l clients -d 'How many sockets' -r
complete -c pigeon -n "__fish_pigeon_using_subcommand bench" -l window -d 'Requests under way on each socket' -r
complete -c pigeon -n "__fish_pigeon_using_subcommand bench" -l lines -d 'Requests in each datagram' -r
complete -c pigeon -n "__fish_pigeon_using_subcommand bench" -l seconds -d 'How long to load' -r
complete -c pigeon -n "__fish_pigeon_using_subcommand bench" -l request -d 'The request, sent without a tag' -r
complete -c pigeon -n "__fish_pigeon_using_subcommand bench" -l joined -d 'Join so many UDP clients first, each from a socket of its own' -r
complete -c pigeon -n "__fish_pigeon_using_subcommand bench" -l pid -d 'With --joined: the hub\'s process, to print its memory for each client' -r
complete -c pigeon -n "__fish_pigeon_using_subcommand bench" -l port -d 'The hub\'s port, where its address names none or nobody has said where it is [default: 10125]' -r -f
complete -c pigeon -n "__fish_pigeon_using_subcommand bench" -l as -d 'The client code to join under' -r -f
complete -c pigeon -n "__fish_pigeon_using_subcommand bench" -l key-file -d 'A file with the secret of the client code: the secret alone, or what `pigeon key new` printed' -r -F
complete -c pigeon -n "__fish_pigeon_using_subcommand bench" -l timeout -d 'How long to wait for an answer, such as 5s, 300ms or 2m' -r -f
complete -c pigeon -n "__fish_pigeon_using_subcommand bench" -l color -d 'When to colour what is printed' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c pigeon -n "__fish_pigeon_using_subcommand bench" -l hub -d 'Where the hub is: a name or an address, with or without a port' -r -f -a "(__fish_print_hostnames)"
complete -c pigeon -n "__fish_pigeon_using_subcommand bench" -l tcp -d 'Talk over TCP instead of UDP'
complete -c pigeon -n "__fish_pigeon_using_subcommand bench" -l json -d 'Print one JSON object a line'
complete -c pigeon -n "__fish_pigeon_using_subcommand bench" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pigeon -n "__fish_pigeon_using_subcommand key; and not __fish_seen_subcommand_from new help" -l port -d 'The hub\'s port, where its address names none or nobody has said where it is [default: 10125]' -r -f
complete -c pigeon -n "__fish_pigeon_using_subcommand key; and not __fish_seen_subcommand_from new help" -l as -d 'The client code to join under' -r -f
complete -c pigeon -n "__fish_pigeon_using_subcommand key; and not __fish_seen_subcommand_from new help" -l key-file -d 'A file with the secret of the client code: the secret alone, or what `pigeon key new` printed' -r -F
complete -c pigeon -n "__fish_pigeon_using_subcommand key; and not __fish_seen_subcommand_from new help" -l timeout -d 'How long to wait for an answer, such as 5s, 300ms or 2m' -r -f
complete -c pigeon -n "__fish_pigeon_using_subcommand key; and not __fish_seen_subcommand_from new help" -l color -d 'When to colour what is printed' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c pigeon -n "__fish_pigeon_using_subcommand key; and not __fish_seen_subcommand_from new help" -l hub -d 'Where the hub is: a name or an address, with or without a port' -r -f -a "(__fish_print_hostnames)"
complete -c pigeon -n "__fish_pigeon_using_subcommand key; and not __fish_seen_subcommand_from new help" -l tcp -d 'Talk over TCP instead of UDP'
complete -c pigeon -n "__fish_pigeon_using_subcommand key; and not __fish_seen_subcommand_from new help" -l json -d 'Print one JSON object a line'
complete -c pigeon -n "__fish_pigeon_using_subcommand key; and not __fish_seen_subcommand_from new help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pigeon -n "__fish_pigeon_using_subcommand key; and not __fish_seen_subcommand_from new help" -f -a "new" -d 'Print a new secret for a code, as a table for the hub\'s keys file, and what to do with it'
complete -c pigeon -n "__fish_pigeon_using_subcommand key; and not __fish_seen_subcommand_from new help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c pigeon -n "__fish_pigeon_using_subcommand key; and __fish_seen_subcommand_from new" -l allow-set -d 'Keys that the client may set, count and delete: any, unless said otherwise; none, if no pattern follows' -r -f
complete -c pigeon -n "__fish_pigeon_using_subcommand key; and __fish_seen_subcommand_from new" -l allow-watch -d 'Keys that the client may get, list and watch: any, unless said otherwise; none, if no pattern follows' -r -f
complete -c pigeon -n "__fish_pigeon_using_subcommand key; and __fish_seen_subcommand_from new" -l port -d 'The hub\'s port, where its address names none or nobody has said where it is [default: 10125]' -r -f
complete -c pigeon -n "__fish_pigeon_using_subcommand key; and __fish_seen_subcommand_from new" -l as -d 'The client code to join under' -r -f
complete -c pigeon -n "__fish_pigeon_using_subcommand key; and __fish_seen_subcommand_from new" -l key-file -d 'A file with the secret of the client code: the secret alone, or what `pigeon key new` printed' -r -F
complete -c pigeon -n "__fish_pigeon_using_subcommand key; and __fish_seen_subcommand_from new" -l timeout -d 'How long to wait for an answer, such as 5s, 300ms or 2m' -r -f
complete -c pigeon -n "__fish_pigeon_using_subcommand key; and __fish_seen_subcommand_from new" -l color -d 'When to colour what is printed' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c pigeon -n "__fish_pigeon_using_subcommand key; and __fish_seen_subcommand_from new" -l hub -d 'Where the hub is: a name or an address, with or without a port' -r -f -a "(__fish_print_hostnames)"
complete -c pigeon -n "__fish_pigeon_using_subcommand key; and __fish_seen_subcommand_from new" -l tcp -d 'Talk over TCP instead of UDP'
complete -c pigeon -n "__fish_pigeon_using_subcommand key; and __fish_seen_subcommand_from new" -l json -d 'Print one JSON object a line'
complete -c pigeon -n "__fish_pigeon_using_subcommand key; and __fish_seen_subcommand_from new" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pigeon -n "__fish_pigeon_using_subcommand key; and __fish_seen_subcommand_from help" -f -a "new" -d 'Print a new secret for a code, as a table for the hub\'s keys file, and what to do with it'
complete -c pigeon -n "__fish_pigeon_using_subcommand key; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c pigeon -n "__fish_pigeon_using_subcommand help; and not __fish_seen_subcommand_from chat say send all ask answer listen get set inc dec del keys watch who ping info stats raw discover doctor bench key help" -f -a "chat" -d 'Join, send what is typed to everyone, and show what comes: @CODE TEXT sends to one, BYE ends'
complete -c pigeon -n "__fish_pigeon_using_subcommand help; and not __fish_seen_subcommand_from chat say send all ask answer listen get set inc dec del keys watch who ping info stats raw discover doctor bench key help" -f -a "say" -d 'Send plain text, as a program without tags does, and print the reply'
complete -c pigeon -n "__fish_pigeon_using_subcommand help; and not __fish_seen_subcommand_from chat say send all ask answer listen get set inc dec del keys watch who ping info stats raw discover doctor bench key help" -f -a "send" -d 'Join and send a text to one client'
complete -c pigeon -n "__fish_pigeon_using_subcommand help; and not __fish_seen_subcommand_from chat say send all ask answer listen get set inc dec del keys watch who ping info stats raw discover doctor bench key help" -f -a "all" -d 'Join and send a text to every other client'
complete -c pigeon -n "__fish_pigeon_using_subcommand help; and not __fish_seen_subcommand_from chat say send all ask answer listen get set inc dec del keys watch who ping info stats raw discover doctor bench key help" -f -a "ask" -d 'Ask one client and print its answer'
complete -c pigeon -n "__fish_pigeon_using_subcommand help; and not __fish_seen_subcommand_from chat say send all ask answer listen get set inc dec del keys watch who ping info stats raw discover doctor bench key help" -f -a "answer" -d 'Join and answer each question with what a command prints, until Ctrl+C'
complete -c pigeon -n "__fish_pigeon_using_subcommand help; and not __fish_seen_subcommand_from chat say send all ask answer listen get set inc dec del keys watch who ping info stats raw discover doctor bench key help" -f -a "listen" -d 'Join and print what others send, until Ctrl+C'
complete -c pigeon -n "__fish_pigeon_using_subcommand help; and not __fish_seen_subcommand_from chat say send all ask answer listen get set inc dec del keys watch who ping info stats raw discover doctor bench key help" -f -a "get" -d 'Print a value'
complete -c pigeon -n "__fish_pigeon_using_subcommand help; and not __fish_seen_subcommand_from chat say send all ask answer listen get set inc dec del keys watch who ping info stats raw discover doctor bench key help" -f -a "set" -d 'Set a value'
complete -c pigeon -n "__fish_pigeon_using_subcommand help; and not __fish_seen_subcommand_from chat say send all ask answer listen get set inc dec del keys watch who ping info stats raw discover doctor bench key help" -f -a "inc" -d 'Count up and print the new value: the key `counter` by 1, unless said otherwise'
complete -c pigeon -n "__fish_pigeon_using_subcommand help; and not __fish_seen_subcommand_from chat say send all ask answer listen get set inc dec del keys watch who ping info stats raw discover doctor bench key help" -f -a "dec" -d 'Count down and print the new value: the key `counter` by 1, unless said otherwise'
complete -c pigeon -n "__fish_pigeon_using_subcommand help; and not __fish_seen_subcommand_from chat say send all ask answer listen get set inc dec del keys watch who ping info stats raw discover doctor bench key help" -f -a "del" -d 'Delete a value'
complete -c pigeon -n "__fish_pigeon_using_subcommand help; and not __fish_seen_subcommand_from chat say send all ask answer listen get set inc dec del keys watch who ping info stats raw discover doctor bench key help" -f -a "keys" -d 'List keys, one a line'
complete -c pigeon -n "__fish_pigeon_using_subcommand help; and not __fish_seen_subcommand_from chat say send all ask answer listen get set inc dec del keys watch who ping info stats raw discover doctor bench key help" -f -a "watch" -d 'Print matching values and each change of them, until Ctrl+C'
complete -c pigeon -n "__fish_pigeon_using_subcommand help; and not __fish_seen_subcommand_from chat say send all ask answer listen get set inc dec del keys watch who ping info stats raw discover doctor bench key help" -f -a "who" -d 'List the codes that are joined, one a line'
complete -c pigeon -n "__fish_pigeon_using_subcommand help; and not __fish_seen_subcommand_from chat say send all ask answer listen get set inc dec del keys watch who ping info stats raw discover doctor bench key help" -f -a "ping" -d 'Measure how long the hub takes to answer, until Ctrl+C or for a count'
complete -c pigeon -n "__fish_pigeon_using_subcommand help; and not __fish_seen_subcommand_from chat say send all ask answer listen get set inc dec del keys watch who ping info stats raw discover doctor bench key help" -f -a "info" -d 'Say what hub this is'
complete -c pigeon -n "__fish_pigeon_using_subcommand help; and not __fish_seen_subcommand_from chat say send all ask answer listen get set inc dec del keys watch who ping info stats raw discover doctor bench key help" -f -a "stats" -d 'Show the hub\'s figures'
complete -c pigeon -n "__fish_pigeon_using_subcommand help; and not __fish_seen_subcommand_from chat say send all ask answer listen get set inc dec del keys watch who ping info stats raw discover doctor bench key help" -f -a "raw" -d 'Send one line without a tag, as it is, and print the reply'
complete -c pigeon -n "__fish_pigeon_using_subcommand help; and not __fish_seen_subcommand_from chat say send all ask answer listen get set inc dec del keys watch who ping info stats raw discover doctor bench key help" -f -a "discover" -d 'List the hubs on the networks that this machine is on, as they answer'
complete -c pigeon -n "__fish_pigeon_using_subcommand help; and not __fish_seen_subcommand_from chat say send all ask answer listen get set inc dec del keys watch who ping info stats raw discover doctor bench key help" -f -a "doctor" -d 'Look for what keeps hub and client apart, and print what is wrong with the command that mends it'
complete -c pigeon -n "__fish_pigeon_using_subcommand help; and not __fish_seen_subcommand_from chat say send all ask answer listen get set inc dec del keys watch who ping info stats raw discover doctor bench key help" -f -a "bench" -d 'Load the hub and print requests per second and latencies'
complete -c pigeon -n "__fish_pigeon_using_subcommand help; and not __fish_seen_subcommand_from chat say send all ask answer listen get set inc dec del keys watch who ping info stats raw discover doctor bench key help" -f -a "key" -d 'Make a key for a client code'
complete -c pigeon -n "__fish_pigeon_using_subcommand help; and not __fish_seen_subcommand_from chat say send all ask answer listen get set inc dec del keys watch who ping info stats raw discover doctor bench key help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c pigeon -n "__fish_pigeon_using_subcommand help; and __fish_seen_subcommand_from key" -f -a "new" -d 'Print a new secret for a code, as a table for the hub\'s keys file, and what to do with it'
complete -c pigeon -n "__fish_pigeon_using_subcommand answer" -F
