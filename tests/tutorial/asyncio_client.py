# The echo clients of the asyncio pages: a stream, then a datagram endpoint.
import asyncio
import sys

HOST, PORT = sys.argv[1], int(sys.argv[2])


async def tcp_echo_client(message):
    reader, writer = await asyncio.open_connection(HOST, PORT)

    print(f"Send: {message!r}")
    writer.write(message.encode())
    await writer.drain()

    data = await reader.read(100)
    print(f"Received: {data.decode()!r}")

    writer.close()
    await writer.wait_closed()


class EchoClientProtocol(asyncio.DatagramProtocol):
    def __init__(self, message, on_con_lost):
        self.message = message
        self.on_con_lost = on_con_lost
        self.transport = None

    def connection_made(self, transport):
        self.transport = transport
        print(f"Send: {self.message!r}")
        self.transport.sendto(self.message.encode())

    def datagram_received(self, data, addr):
        print(f"Received: {data.decode()!r}")
        self.transport.close()

    def error_received(self, exc):
        print("Error received:", exc)

    def connection_lost(self, exc):
        self.on_con_lost.set_result(True)


async def main():
    await tcp_echo_client("Hello World!")
    loop = asyncio.get_running_loop()
    on_con_lost = loop.create_future()
    transport, protocol = await loop.create_datagram_endpoint(
        lambda: EchoClientProtocol("Hello World!", on_con_lost), remote_addr=(HOST, PORT)
    )
    try:
        await on_con_lost
    finally:
        transport.close()


asyncio.run(main())
