#!/usr/bin/env python3
"""A client that asks exactly once over a network that loses datagrams.

Usage: client.py [HOST [PORT [CODE]]]
"""

import secrets
import socket
import sys
import time


class Hub:
    """One session with a hub: each request is sent again until it is answered, and done once."""

    def __init__(self, host, port):
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
        self.sock = socket.socket(family, kind)
        self.sock.connect(address)
        self.session = secrets.token_hex(8)
        self.number = 0
        self.pushes = []

    def ask(self, line, patience=10.0):
        """The reply to a request; ValueError if the hub refuses it, TimeoutError if it is silent."""
        self.number += 1
        tag = f"#{self.session}.{self.number}"
        pause, end = 0.1, time.monotonic() + patience
        while time.monotonic() < end:
            self.send(f"{tag} {line}")
            again = min(time.monotonic() + pause, end)
            pause = min(2 * pause, 2.0)
            while (text := self.receive(again)) is not None:
                if not text.startswith(tag + " "):
                    continue  # A late copy of an earlier reply.
                outcome, _, body = text[len(tag) + 1 :].partition(" ")
                # These are no answers: the same line is sent again.
                if outcome == "ERR" and body.split(" ")[0] in ("busy", "stopping", "disk"):
                    continue
                if outcome == "ERR":
                    raise ValueError(body)
                return body
        raise TimeoutError(f"no answer to {line!r}: it may have been done or not")

    def push(self, patience):
        """The next thing that the hub sent unasked, or None."""
        end = time.monotonic() + patience
        while not self.pushes and self.receive(end) is not None:
            pass
        return self.pushes.pop(0) if self.pushes else None

    def send(self, line):
        try:
            self.sock.send(line.encode())
        except ConnectionError:
            pass  # Nobody listens yet; the next copy may find the hub started.

    def receive(self, end):
        """One datagram that is a reply; what is pushed is put aside. None when the time is over."""
        while (left := end - time.monotonic()) > 0:
            self.sock.settimeout(left)
            try:
                text = self.sock.recv(65536).decode(errors="replace")
            except (TimeoutError, ConnectionError):
                continue
            if text.startswith("#"):
                return text
            self.pushes.append(text)
        return None


def main():
    host, port, code = (sys.argv[1:] + ["127.0.0.1", "10125", "python"][len(sys.argv) - 1 :])[:3]
    hub = Hub(host, int(port))
    print(hub.ask(f"JOIN {code}"))
    print("counter is", hub.ask("INC"))
    hub.ask("SET room/temp 21.5")
    print("room/temp is", hub.ask("GET room/temp"))
    print(hub.ask("WATCH room/*"))
    hub.ask("SET room/temp 22")
    while (push := hub.push(2.0)) is not None:
        print("pushed:", push)
        if push == "VAL room/temp 22":
            break
    try:
        hub.ask("GET room/colour")
    except ValueError as error:
        print("refused:", error)
    print(hub.ask("BYE"))


if __name__ == "__main__":
    main()
