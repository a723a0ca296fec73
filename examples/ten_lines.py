#!/usr/bin/env python3
"""A client with a key in ten lines, over TCP: PIGEON_KEY=SECRET ten_lines.py HOST PORT CODE (keyed.py does more, by UDP)."""
import hashlib, hmac, os, secrets, socket, sys
session, code = secrets.token_hex(8), sys.argv[3]
hub = socket.create_connection((sys.argv[1], sys.argv[2])).makefile("rw", newline="\n")
sign = lambda key, text: hmac.new(key, text.encode(), hashlib.sha256)
hub.write(f"JOIN {code}\n"), hub.flush()
nonce = hub.readline().split()[-1]  # ERR prove NONCE
key = sign(os.environ["PIGEON_KEY"].encode(), f"{session} {nonce}").digest()
for number, line in enumerate([f"JOIN {code} {nonce}", f"INC {code}/visits", "BYE"], 1):
    hub.write(f"#{session}.{number}.{sign(key, f'>{session}.{number} {line}').hexdigest()[:16]} {line}\n"), hub.flush()
    tag, reply = hub.readline().rstrip("\n").split(" ", 1)
    print(reply if tag.endswith("." + sign(key, f"<{session}.{number} {reply}").hexdigest()[:16]) else "not proved")
