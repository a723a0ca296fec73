#!/usr/bin/env python3
"""A client whose code has a secret: it proves what it asks, and believes only what is proved.

Usage: PIGEON_KEY=SECRET keyed.py [HOST [PORT [CODE]]]
"""

import hashlib
import hmac
import os
import secrets
import socket
import sys
import time

host, port, code = (sys.argv[1:] + ["127.0.0.1", "10125", "kitchen"][len(sys.argv) - 1 :])[:3]
session, number = secrets.token_hex(8), 0


def sign(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256)


def ask(line):
    """The reply to a request, "OK ..." or "ERR ...": the line is sent again until it is answered, and done once."""
    global number
    number += 1
    name = f"{session}.{number}"
    for _ in range(10):
        sock.send(f"#{name}.{sign(key, f'>{name} {line}').hexdigest()[:16]} {line}".encode())
        again = time.monotonic() + 0.5
        while (left := again - time.monotonic()) > 0:
            sock.settimeout(left)
            try:
                tag, _, reply = sock.recv(65536).decode(errors="replace").partition(" ")
            except (TimeoutError, ConnectionError):
                break
            right = f"#{name}.{sign(key, f'<{name} {reply}').hexdigest()[:16]}"
            if not hmac.compare_digest(tag.encode(), right.encode()):
                continue  # A late copy, a push, or somebody else.
            if not reply.startswith(("ERR busy", "ERR stopping", "ERR disk")):
                return reply
    raise TimeoutError(f"no proved answer to {line!r}: it may have been done or not")


sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.connect((host, int(port)))
sock.settimeout(5)
sock.send(f"#{session}.1 JOIN {code}".encode())
nonce = sock.recv(65536).decode().split()[-1]  # "... ERR prove NONCE"
key = sign(os.environ["PIGEON_KEY"].encode(), f"{session} {nonce}").digest()
for line in (f"JOIN {code} {nonce}", f"SET {code}/temp 21.5", f"INC {code}/visits", f"GET {code}/temp", "BYE"):
    print(line.split(" ")[0], "->", ask(line))
