# A UDP socket that is connected: send and recv, and nothing else is let in.
import socket
import sys

s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.connect((sys.argv[1], int(sys.argv[2])))
for message in sys.argv[3:]:
    s.send(message.encode())
    print(s.recv(1024).decode())
