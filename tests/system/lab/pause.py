"""pause.py ADDRESS: asks the hub over UDP and over a new TCP connection, again and again, until a line comes in.

Then prints the longest time without an answer, in milliseconds.
"""
import select
import socket
import sys
import time

EVERY = 0.01


def asked(kind):
    with socket.socket(socket.AF_INET, kind) as peer:
        # A datagram that is not answered soon is sent anew.
        peer.settimeout(0.05 if kind == socket.SOCK_DGRAM else 1)
        peer.connect((sys.argv[1], 10125))
        peer.sendall(b"PING\n")
        return peer.recv(100) == b"pong\n"


def answered():
    try:
        return asked(socket.SOCK_DGRAM) and asked(socket.SOCK_STREAM)
    except OSError:
        return False


longest, last, end = 0.0, None, False
while not end:
    # Ends with an answer, not in the midst of a pause.
    ordered = bool(select.select([sys.stdin], [], [], EVERY)[0])
    if answered():
        now = time.monotonic()
        longest = max(longest, now - (last or now))
        if last is None:
            print("answered", flush=True)
        last, end = now, ordered
print(round(longest * 1000))
