# Many threads count on one server, half of them over UDP and half over TCP.
import socket
import sys
import threading

HOST, PORT = sys.argv[1], int(sys.argv[2])
TIMES = 50


def count_udp():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for _ in range(TIMES):
            sock.sendto(b"INC", (HOST, PORT))
            sock.recvfrom(1024)


def count_tcp():
    with socket.create_connection((HOST, PORT)) as sock:
        for _ in range(TIMES):
            sock.sendall(b"INC\n")
            sock.recv(1024)


threads = [threading.Thread(target=count_udp) for _ in range(8)]
threads += [threading.Thread(target=count_tcp) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()

with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
    sock.sendto(b"GET counter", (HOST, PORT))
    print("total", sock.recv(1024).decode())
