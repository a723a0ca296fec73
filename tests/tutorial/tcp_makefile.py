# Treats the connection as a text file.
import socket
import sys

with socket.create_connection((sys.argv[1], int(sys.argv[2]))) as conn:
    with conn.makefile("rw", encoding="utf-8", newline="\n") as f:
        for line in sys.argv[3:]:
            print(line, file=f, flush=True)
            print(f.readline().rstrip("\n"))
