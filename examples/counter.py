#!/usr/bin/env python3
"""Counts on a hub. Usage: counter.py [HOST [PORT]]"""

import socket
import sys

host = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1"
port = int(sys.argv[2]) if len(sys.argv) > 2 else 10125

sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.settimeout(5)
for message in ("INC", "INC", "DEC", "hello"):
    sock.sendto(message.encode(), (host, port))
    reply, _ = sock.recvfrom(1024)
    print(message, "->", reply.decode())
