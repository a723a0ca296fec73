"""steady.py HUB SECONDS [RATE]: fifty tagged requests a second, or so many, each sent again after 250 ms until answered.

Prints how many were asked, how many were never answered, how many had to be sent again, and the median and the 99th
percentile of the round trips, first try to answer, in microseconds. Every number is counted once, or it fails."""

import secrets
import select
import socket
import statistics
import sys
import time

RESEND, PATIENCE = 0.25, 5.0


def main():
    hub, seconds = sys.argv[1], float(sys.argv[2])
    rate = int(sys.argv[3]) if len(sys.argv) > 3 else 50
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.connect((hub, 10125))
    sock.setblocking(False)
    session = secrets.token_hex(8)
    trips, lost, again = [], 0, 0
    start = time.monotonic()
    for number in range(1, int(rate * seconds) + 1):
        tag = f"#{session}.{number} "
        due = start + (number - 1) / rate
        time.sleep(max(0.0, due - time.monotonic()))
        sent, reply, tries = time.monotonic(), None, 0
        while reply is None and time.monotonic() < sent + PATIENCE:
            sock.send(f"{tag}INC steady-{session}".encode())
            tries += 1
            reply = wait(sock, tag.encode(), time.monotonic() + RESEND)
        again += tries - 1
        if reply is None:
            lost += 1
            continue
        trips.append((time.monotonic() - sent) * 1e6)
        expected = f"{tag}OK {number}".encode()
        if lost == 0 and reply != expected:
            sys.exit(f"{reply!r} instead of {expected!r}")
    trips.sort()
    median, late = statistics.median(trips), trips[int(len(trips) * 0.99)]
    print(f"asked={number} lost={lost} again={again} median={median:.0f} late={late:.0f}")


def wait(sock, tag, until):
    """The reply under this tag, if it comes in time; others are late copies."""
    while (left := until - time.monotonic()) > 0:
        if select.select([sock], [], [], left)[0]:
            try:
                reply = sock.recv(4096)
            except OSError:
                continue
            if reply.startswith(tag) and b" ERR busy " not in reply:
                return reply
    return None


main()
