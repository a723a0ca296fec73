#!/usr/bin/env python3
"""Finds the hub without knowing its address, and counts: discover.py [ADDRESS [PORT]]"""

import socket
import sys

address, port = (sys.argv[1:] + ["255.255.255.255", "10125"][len(sys.argv) - 1 :])[:2]
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
sock.settimeout(1)
sock.sendto(b"DISCOVER", (address, int(port)))
line, (hub, _) = sock.recvfrom(1024)
here, name, version, port, clients = line.decode().split()
print(f"{here}: {name} is at {hub}, port {port}")
sock.sendto(b"INC", (hub, int(port)))
print("INC ->", sock.recv(1024).decode())
