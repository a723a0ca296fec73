# The same chat over TCP, with no line end anywhere.
import socket
import sys
import threading

client = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
client.connect((sys.argv[1], int(sys.argv[2])))


def receive():
    while True:
        message = client.recv(1024).decode("ascii")
        if not message:
            break
        print(message.strip())


client.send(f"JOIN {sys.argv[3]}".encode("ascii"))
threading.Thread(target=receive, daemon=True).start()

for line in sys.stdin:
    client.send(line.strip().encode("ascii"))
