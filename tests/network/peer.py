"""One host's end of a test.

    peer.py ask [-n N] [-f ADDRESS] [-s PORT] ADDRESS LINE
                                                asks by UDP until N hosts have answered, and prints who said what, sorted
    peer.py tcp ADDRESS LINE…                   asks line by line over TCP, and prints the replies
    peer.py hear N [PORT]                       prints the next N datagrams that come to the port, with who sent them
    peer.py flood SECONDS ADDRESS               sends a text some ten thousand times a second, and prints how often in all
    peer.py echo                                sends every datagram back to where it came from, for ever

An ADDRESS may be that of everybody: 10.99.0.255, 255.255.255.255 or ff02::1%eth0. Exit code 1: it did not come in time, which
is PATIENCE seconds, 10 unless set.
"""
import argparse
import os
import socket
import sys
import time

PORT = 10125
PATIENCE = float(os.environ.get("PATIENCE", "10"))
RESEND = 1
SO_BINDTODEVICE = 25


def main():
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(required=True)
    asking = commands.add_parser("ask")
    asking.add_argument("-n", type=int, default=1)
    asking.add_argument("-f", default="")
    asking.add_argument("-s", type=int, default=0)
    asking.add_argument("address")
    asking.add_argument("line")
    asking.set_defaults(run=lambda given: ask(given.address, given.line, given.n, (given.f, given.s)))
    over_tcp = commands.add_parser("tcp")
    over_tcp.add_argument("address")
    over_tcp.add_argument("lines", nargs="+")
    over_tcp.set_defaults(run=lambda given: tcp(given.address, given.lines))
    hearing = commands.add_parser("hear")
    hearing.add_argument("n", type=int)
    hearing.add_argument("port", type=int, nargs="?", default=PORT)
    hearing.set_defaults(run=lambda given: hear(given.n, given.port))
    flooding = commands.add_parser("flood")
    flooding.add_argument("seconds", type=float)
    flooding.add_argument("address")
    flooding.set_defaults(run=lambda given: flood(given.seconds, given.address))
    commands.add_parser("echo").set_defaults(run=lambda _: echo())
    given = parser.parse_args()
    given.run(given)


def udp(family, source, to=""):
    peer = socket.socket(family, socket.SOCK_DGRAM)
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    if to == "255.255.255.255":
        # No default route says by which interface that is reached.
        peer.setsockopt(socket.SOL_SOCKET, SO_BINDTODEVICE, b"eth0\0")
    peer.bind(source)
    return peer


def ask(address, line, wanted, source):
    family, _, _, _, where = socket.getaddrinfo(address, PORT, type=socket.SOCK_DGRAM)[0]
    peer = udp(family, source, address)
    answers = {}
    end = time.monotonic() + PATIENCE
    again = 0
    while len(answers) < wanted:
        now = time.monotonic()
        if now >= end:
            sys.exit(f"{len(answers)} answers to {line} at {address}: {answers}")
        if now >= again:
            peer.sendto(line.encode(), where)
            again = now + RESEND
        peer.settimeout(max(0.001, min(end, again) - now))
        try:
            data, who = peer.recvfrom(65536)
        except TimeoutError:
            continue
        answers[who[0].split("%")[0], who[1]] = data.decode()
    for who, text in sorted(answers.items()):
        print(who[0], who[1], text)


def tcp(address, lines):
    with socket.create_connection((address, PORT), timeout=PATIENCE) as peer:
        replies = peer.makefile("rb")
        for line in lines:
            peer.sendall(line.encode() + b"\n")
            print(replies.readline().decode().rstrip("\n"))


def hear(count, port):
    peer = udp(socket.AF_INET, ("", port))
    # Whoever starts this may wait for the word that it listens.
    print("hearing", flush=True)
    end = time.monotonic() + PATIENCE
    for _ in range(count):
        peer.settimeout(max(0.001, end - time.monotonic()))
        try:
            data, who = peer.recvfrom(65536)
        except TimeoutError:
            sys.exit("nothing more came")
        print(who[0], who[1], data.decode(), flush=True)


def flood(seconds, address):
    peer = udp(socket.AF_INET, ("", 0), address)
    sent, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        # More at once than the kernel keeps for a socket that asks for no room.
        for _ in range(400):
            sent += peer.sendto(b"hello", (address, PORT)) > 0
        time.sleep(0.02)
    print(sent)


def echo():
    peer = udp(socket.AF_INET, ("", PORT))
    print("hearing", flush=True)
    while True:
        data, who = peer.recvfrom(65536)
        peer.sendto(data, who)
        print("echoed", data.decode(), flush=True)


main()
