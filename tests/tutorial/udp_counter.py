# A UDP client as the counter tutorials have it: 1024-byte buffers, no line ends.
import socket
import sys

server_address_port = (sys.argv[1], int(sys.argv[2]))
buffer_size = 1024

udp_client_socket = socket.socket(family=socket.AF_INET, type=socket.SOCK_DGRAM)

for message in sys.argv[3:]:
    bytes_to_send = str.encode(message)
    udp_client_socket.sendto(bytes_to_send, server_address_port)
    msg_from_server, address = udp_client_socket.recvfrom(buffer_size)
    print("Message from Server: {}".format(msg_from_server.decode()))
