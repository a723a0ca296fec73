# Packed numbers, as sensors send them: not a text at all.
import socket
import struct
import sys

s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
packed = struct.pack("!IHfx", 7, 513, 21.5)
s.sendto(packed, (sys.argv[1], int(sys.argv[2])))
data = s.recv(1024)
print(struct.unpack("!IHfx", data))
