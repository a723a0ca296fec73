#!/bin/sh
# Talks to a hub with nc. Usage: shell.sh [HOST [PORT]]
# BYE makes the hub close the connection after its reply, and so nc end.
host=${1:-127.0.0.1}
port=${2:-10125}

# One request after the other, the replies line by line.
printf 'INC visits\nSET greeting good morning\nGET greeting\nBYE\n' | nc "$host" "$port"

# A reply in a variable: the first line of the two.
visits=$(printf 'GET visits\nBYE\n' | nc "$host" "$port" | head -n 1)
echo "visits: $visits"
