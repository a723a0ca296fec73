# The pinger of the networking lab: ten messages, a second's patience for each.
import sys
import time
from socket import AF_INET, SOCK_DGRAM, socket, timeout

client = socket(AF_INET, SOCK_DGRAM)
client.settimeout(1)
received = 0
for sequence in range(1, 11):
    start = time.time()
    message = "Ping %d %s" % (sequence, start)
    try:
        client.sendto(message.encode(), (sys.argv[1], int(sys.argv[2])))
        reply, server = client.recvfrom(1024)
        if reply.decode() == message:
            received += 1
    except timeout:
        print("Request timed out")
print("%d of 10 came back" % received)
