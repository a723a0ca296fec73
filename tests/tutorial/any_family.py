# Whatever address the name has, IPv4 or IPv6; first TCP, then UDP.
import socket
import sys

HOST, PORT = sys.argv[1], int(sys.argv[2])


def open_socket(kind):
    for af, socktype, proto, _, address in socket.getaddrinfo(HOST, PORT, socket.AF_UNSPEC, kind):
        try:
            s = socket.socket(af, socktype, proto)
        except OSError:
            continue
        try:
            s.connect(address)
        except OSError:
            s.close()
            continue
        return s
    sys.exit("could not open socket")


for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
    with open_socket(kind) as s:
        s.sendall(b"Hello, world")
        print(s.family.name, s.type.name, s.recv(1024).decode())
