"""hold.py ADDRESS CODE: joins over TCP under that code, and prints each line that comes until the connection ends."""
import socket
import sys

address, code = sys.argv[1:]
with socket.create_connection((address, 10125), timeout=5) as peer:
    peer.settimeout(None)
    peer.sendall(f"JOIN {code}\n".encode())
    for line in peer.makefile("r", encoding="utf-8"):
        print(line, end="", flush=True)
print("closed", flush=True)
