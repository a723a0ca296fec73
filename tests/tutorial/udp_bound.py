# A client that binds a port of its own first, as peers of a LAN do.
import socket
import sys

server = (sys.argv[1], int(sys.argv[2]))
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind(("127.0.0.1", int(sys.argv[3])))
print(sock.getsockname()[1])

for message in sys.argv[4:]:
    sock.sendto(message.encode(), server)
    data, addr = sock.recvfrom(1024)
    print(data.decode(), "from the server" if addr == server else addr)
