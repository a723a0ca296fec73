# A client that lets the server speak first.
import socket
import sys

s = socket.socket()
s.connect((sys.argv[1], int(sys.argv[2])))
print(s.recv(1024).decode())
s.close()
