# Types, sends, receives, and begins again until "bye" is typed.
import socket
import sys


def client_program():
    host = sys.argv[1]
    port = int(sys.argv[2])

    client_socket = socket.socket()
    client_socket.connect((host, port))

    message = input()
    while message.lower().strip() != "bye":
        client_socket.send(message.encode())
        data = client_socket.recv(1024).decode()
        print("Received from server: " + data)
        message = input()

    client_socket.close()


if __name__ == "__main__":
    client_program()
