# Lines end as a microcontroller's println ends them, replies are read up to the line feed.
import socket
import sys

s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
s.connect((sys.argv[1], int(sys.argv[2])))


def println(text):
    s.send((text + "\r\n").encode("ascii"))


def read_line():
    line = b""
    while not line.endswith(b"\n"):
        byte = s.recv(1)
        if not byte:
            raise SystemExit("connection closed")
        line += byte
    return line


for text in sys.argv[3:]:
    println(text)
    print(repr(read_line()))
s.close()
