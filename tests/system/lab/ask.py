"""ask.py udp|tcp ADDRESS LINE: sends one line to the hub and prints the reply, waiting a second at most."""
import os
import socket
import sys

transport, address, line = sys.argv[1:]
kind = {"udp": socket.SOCK_DGRAM, "tcp": socket.SOCK_STREAM}[transport]
family = socket.AF_INET6 if ":" in address else socket.AF_INET
with socket.socket(family, kind) as peer:
    peer.settimeout(1)
    try:
        peer.connect((address, int(os.environ.get("PORT", "10125"))))
        peer.sendall(line.encode() + b"\n")
        reply = b""
        while not reply.endswith(b"\n"):
            piece = peer.recv(65536)
            if not piece:
                sys.exit("closed")
            reply += piece
    except OSError as error:
        sys.exit(f"no answer: {error}")
sys.stdout.buffer.write(reply)
