# Sends everything, says that it is done, and reads to the end.
import socket
import sys

client = socket.create_connection((sys.argv[1], int(sys.argv[2])))
client.sendall("\n".join(sys.argv[3:]).encode())
client.shutdown(socket.SHUT_WR)

chunks = []
while True:
    chunk = client.recv(4096)
    if chunk == b"":
        break
    chunks.append(chunk)
client.close()
print(b"".join(chunks).decode())
