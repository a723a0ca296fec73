# A chat: what is typed is sent, and a thread prints what comes.
import socket
import sys
import threading

server = (sys.argv[1], int(sys.argv[2]))
client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)


def receive():
    while True:
        try:
            message, _ = client.recvfrom(1024)
        except OSError:
            return
        print(message.decode())


client.sendto(f"JOIN {sys.argv[3]}".encode(), server)
threading.Thread(target=receive, daemon=True).start()

for line in sys.stdin:
    client.sendto(line.rstrip("\n").encode(), server)
