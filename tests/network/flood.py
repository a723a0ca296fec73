"""flood.py HUB SECONDS valid|garbage|near|far: sends as fast as it can, 64 datagrams with each system call.

`near` forges addresses of the same network (but none of the hosts there), `far` those of 10.0.0.0/8; both write whole
Ethernet frames. Prints how many datagrams it sent."""

import ctypes
import os
import random
import socket
import struct
import sys
import time

BATCH = 64
LIBC = ctypes.CDLL(None, use_errno=True)


class Vector(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


class Message(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_void_p), ("name_length", ctypes.c_uint32),
        ("vectors", ctypes.POINTER(Vector)), ("vector_count", ctypes.c_size_t),
        ("control", ctypes.c_void_p), ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int), ("length", ctypes.c_uint32),
    ]  # fmt: skip


def batches(payloads):
    """The payloads, laid out as sendmmsg wants them; what must stay in memory comes along."""
    kept, out = [], []
    for start in range(0, len(payloads) - BATCH + 1, BATCH):
        messages = (Message * BATCH)()
        for at, payload in enumerate(payloads[start : start + BATCH]):
            buffer = ctypes.create_string_buffer(payload, len(payload))
            vector = (Vector * 1)(Vector(ctypes.addressof(buffer), len(payload)))
            messages[at].vectors, messages[at].vector_count = vector, 1
            kept += [buffer, vector]
        out.append(messages)
    return out, kept


def main():
    hub, seconds, kind = sys.argv[1], float(sys.argv[2]), sys.argv[3]
    dice = random.Random(1)
    meet(hub)
    if kind in ("near", "far"):
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        sock.bind(("eth0", 0))
        payloads = [frame(hub, forged(dice, kind), dice) for _ in range(256 * BATCH)]
    else:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.connect((hub, 10125))
        payloads = [valid(dice, n) if kind == "valid" else dice.randbytes(dice.randrange(200)) for n in range(64 * BATCH)]
    prepared, _kept = batches(payloads)
    sent, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        for messages in prepared:
            taken = LIBC.sendmmsg(sock.fileno(), messages, BATCH, 0)
            sent += max(taken, 0)
        if kind in ("valid", "garbage"):
            drain(sock)
    print(f"sent={sent} a_second={sent / seconds:.0f}")


def drain(sock):
    """Reads away some of the replies."""
    try:
        for _ in range(1000):
            sock.recv(2048, socket.MSG_DONTWAIT)
    except OSError:
        pass


def valid(dice, n):
    tag = f"#flood{dice.randrange(1 << 40):x}.1 " if n % 4 == 0 else ""
    return dice.choice([f"{tag}INC flood", f"{tag}SET k{n % 50} some text", f"{tag}PING", "hello", "KEYS *", "STATS"]).encode()


def forged(dice, kind):
    if kind == "near":
        return f"10.99.0.{dice.randrange(10, 255)}"
    return socket.inet_ntoa(struct.pack("!I", 0x0A000000 | dice.randrange(1 << 24)))


def frame(hub, source, dice):
    """An Ethernet frame with one UDP datagram from a forged address."""
    payload = valid(dice, dice.randrange(1000))
    udp = struct.pack("!HHHH", dice.randrange(1024, 65536), 10125, 8 + len(payload), 0) + payload
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0, socket.inet_aton(source), socket.inet_aton(hub))
    total = sum(struct.unpack("!10H", head))
    total = (total & 0xFFFF) + (total >> 16)
    head = head[:10] + struct.pack("!H", ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF) + head[12:]
    return FACES[hub] + FACES[None] + b"\x08\x00" + head + udp


# The hardware addresses of the hub and of this host.
FACES = {}


def meet(hub):
    """Learns them, by one datagram to the hub."""
    with open("/sys/class/net/eth0/address") as file:
        FACES[None] = bytes.fromhex(file.read().strip().replace(":", ""))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(b"PING", (hub, 10125))
    for _ in range(100):
        words = os.popen(f"ip neighbour show {hub} dev eth0").read().split()
        if "lladdr" in words:
            FACES[hub] = bytes.fromhex(words[words.index("lladdr") + 1].replace(":", ""))
            return
        time.sleep(0.05)
    sys.exit("the hub's hardware address is not known")


main()
