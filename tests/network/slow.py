"""slow.py HUB drip|deaf COUNT: opens so many TCP connections and holds them until it is ended.

`drip` sends one byte a second on each, half of them of a tagged line that never ends, half of them text. `deaf` asks for a large
value again and again, and reads nothing. slow.py HUB set: makes the large value. slow.py HUB served COUNT: opens so many
connections one after the other, asks one thing on each, and prints the median and the longest time in microseconds."""

import socket
import statistics
import sys
import time


def main():
    hub, kind = sys.argv[1], sys.argv[2]
    if kind == "set":
        with connect(hub) as sock:
            sock.sendall(b"SET big " + b"x" * 8000 + b"\n")
            print(sock.recv(100).decode().strip())
    elif kind == "served":
        served(hub, int(sys.argv[3]))
    else:
        socks = [connect(hub) for _ in range(int(sys.argv[3]))]
        print("open", flush=True)
        (drip if kind == "drip" else deaf)(socks)


def connect(hub):
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.settimeout(10)
    sock.connect((hub, 10125))
    return sock


def drip(socks):
    for sock in socks[::2]:
        sock.send(b"#slowly.1 PING ")
    while True:
        start = time.monotonic()
        for sock in socks:
            try:
                sock.send(b"x")
            except OSError:
                pass
        time.sleep(max(0.0, start + 1 - time.monotonic()))


def deaf(socks):
    for sock in socks:
        sock.setblocking(False)
    while True:
        for sock in socks:
            try:
                sock.send(b"GET big\n" * 8000)
            except OSError:
                pass
        time.sleep(0.5)


def served(hub, count):
    trips = []
    for _ in range(count):
        start = time.monotonic()
        with connect(hub) as sock:
            sock.sendall(b"PING a\n")
            if sock.recv(100) != b"pong a\n":
                sys.exit("no answer")
        trips.append((time.monotonic() - start) * 1e6)
        time.sleep(0.02)
    print(f"served={count} median={statistics.median(trips):.0f} longest={max(trips):.0f}")


main()
