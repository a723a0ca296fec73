"""The counter of the UDP tutorials: one datagram in, the number out. Prints its port first."""

import socket

HOST = "127.0.0.1"

counter = 0
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
    server.bind((HOST, 0))
    print(server.getsockname()[1], flush=True)
    while True:
        data, address = server.recvfrom(1024)
        message = data.decode()
        if message == "INC":
            counter += 1
        elif message == "DEC":
            counter -= 1
        server.sendto(str(counter).encode(), address)
