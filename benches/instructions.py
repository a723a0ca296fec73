#!/usr/bin/env python3
"""instructions.py [--show]: what one request costs pigeond itself, in instructions and in heap allocations.

Each work is run twice under valgrind's callgrind, with few requests and with many; the difference, divided by the further
requests, is what one costs from the system call that brings it to the one that takes its reply. What the kernel does is not
in it. The counts hardly depend on the machine or on what else it does, so that they can be held to a bound: BOUNDS, about a
tenth above what was measured last. No hot path may allocate.

Needs valgrind, and the programs in target/release, or in PIGEON_BIN. --show prints without judging. Ends with 1 if a bound is
broken."""

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROGRAMS = Path(os.environ.get("PIGEON_BIN", ROOT / "target" / "release"))

# Instructions for one request, at most.
BOUNDS = {
    "udp": 6100,
    "udp, 16 lines": 1340,
    "udp, tagged": 7270,
    "tcp": 6210,
    "tcp, 128 lines": 1145,
    "message": 7165,
}
# Rounds of each run; the first fill tables and buffers that stay.
FEW, MANY = 300, 1300
# How long anything may take: valgrind is some fifty times slower.
PATIENCE = 60

CONFIG = """
[listen]
bind = ["127.0.0.1"]
port = 0
[broadcast]
discovery = false
announce_every = "0"
[state]
directory = "{state}"
"""


class Talk:
    """One socket to the hub; every reply is checked."""

    def __init__(self, port, kind):
        self.sock = socket.socket(socket.AF_INET, kind)
        self.sock.settimeout(PATIENCE)
        self.sock.connect(("127.0.0.1", port))
        self.is_tcp = kind == socket.SOCK_STREAM

    def ask(self, lines):
        """Sends lines at once, and waits for as many lines."""
        self.sock.send(("\n".join(lines) + "\n").encode())
        return self.hear(len(lines))

    def hear(self, lines):
        data = b""
        while data.count(b"\n") < lines:
            more = self.sock.recv(65536)
            if not more:
                sys.exit("the hub has hung up")
            data += more
        return data.decode().splitlines()


def udp(port, rounds, lines=1):
    talk = Talk(port, socket.SOCK_DGRAM)
    for n in range(rounds):
        expect(talk.ask(["INC"] * lines)[-1], str((n + 1) * lines))


def udp_tagged(port, rounds):
    talk = Talk(port, socket.SOCK_DGRAM)
    for n in range(1, rounds + 1):
        expect(talk.ask([f"#s.{n} INC"])[0], f"#s.{n} OK {n}")


def tcp(port, rounds, lines=1):
    talk = Talk(port, socket.SOCK_STREAM)
    for n in range(rounds):
        expect(talk.ask(["INC"] * lines)[-1], str((n + 1) * lines))


def message(port, rounds):
    """From one client to another, over TCP."""
    ann, bob = Talk(port, socket.SOCK_STREAM), Talk(port, socket.SOCK_STREAM)
    expect(ann.ask(["JOIN ann"])[0], "joined ann 1/10")
    expect(bob.ask(["JOIN bob"])[0], "joined bob 2/10")
    for n in range(rounds):
        expect(ann.ask([f"SEND bob {n}"])[0], "sent")
        expect(bob.hear(1)[0], f"MSG ann {n}")


# Name, what is done in each round, requests in a round, whether it needs a state file.
WORKS = [
    ("udp", udp, 1),
    ("udp, 16 lines", lambda port, rounds: udp(port, rounds, 16), 16),
    ("udp, tagged", udp_tagged, 1),
    ("tcp", tcp, 1),
    ("tcp, 128 lines", lambda port, rounds: tcp(port, rounds, 128), 128),
    ("message", message, 1),
]


def expect(heard, right):
    if heard != right:
        sys.exit(f"{heard!r} instead of {right!r}")


def run(work, rounds, directory):
    """Instructions and allocations of a hub's whole life with so many rounds."""
    config, out, log = (directory / name for name in ("pigeond.toml", "callgrind.out", "log"))
    config.write_text(CONFIG.format(state=""))
    with open(log, "w") as file:
        hub = subprocess.Popen(
            ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", "--compress-strings=no", "--compress-pos=no",
             PROGRAMS / "pigeond", "--config", config],
            stdout=file, stderr=file,
        )  # fmt: skip
    try:
        work(wait_for_port(hub, log), rounds)
    finally:
        hub.send_signal(signal.SIGTERM)
        hub.wait(PATIENCE)
    return counts(out.read_text())


def wait_for_port(hub, log):
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and hub.poll() is None:
        found = re.search(r"listening on port (\d+)", log.read_text())
        if found:
            return int(found[1])
        time.sleep(0.05)
    sys.exit(f"the hub did not start: {log.read_text()}")


def counts(profile):
    """All instructions, and all calls of the allocator from outside of it."""
    instructions = int(re.search(r"^(?:summary|totals): (\d+)", profile, re.MULTILINE)[1])
    allocations, caller, callee = 0, "", ""
    allocators = {"malloc", "calloc", "realloc", "posix_memalign", "aligned_alloc"}
    for line in profile.splitlines():
        if line.startswith("fn="):
            caller = line[3:].strip("'0123456789")
        elif line.startswith("cfn="):
            callee = line[4:]
        elif line.startswith("calls=") and callee in allocators and caller not in allocators:
            allocations += int(line[6:].split()[0])
    return instructions, allocations


def main():
    is_judged = "--show" not in sys.argv[1:]
    failed = False
    print(f"{'one request':<16}{'instructions':>14}{'bound':>8}{'allocations':>14}")
    for name, work, requests in WORKS:
        with tempfile.TemporaryDirectory() as few, tempfile.TemporaryDirectory() as many:
            before, after = run(work, FEW, Path(few)), run(work, MANY, Path(many))
        further = (MANY - FEW) * requests
        instructions, allocations = ((b - a) / further for a, b in zip(before, after))
        # A table that grows once in a while does not count; one allocation for each request would.
        is_bad = instructions > BOUNDS[name] or allocations > 0.02
        failed |= is_bad
        print(f"{name:<16}{instructions:>14.0f}{BOUNDS[name]:>8}{allocations:>14.3f}{'  TOO MUCH' if is_bad else ''}")
    sys.exit(int(failed and is_judged))


main()
