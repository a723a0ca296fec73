complete -c pigeond -f
complete -c pigeond -s c -l config -d 'read FILE, then conf.d/*.toml beside it (default: /etc/pigeond/pigeond.toml)' -r -F
complete -c pigeond -l check-config -d 'say whether the configuration is good, and end'
complete -c pigeond -l print-config -d 'print the settings that would be in force, and the files read, and end'
complete -c pigeond -s V -l version -d 'print the version, and end'
complete -c pigeond -s h -l help -d 'print this help, and end'
