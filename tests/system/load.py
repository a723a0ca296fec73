"""load.py ADDRESS: a steady load on a hub, that knows what it was promised and says what it was not given.

Twenty TCP connections and twenty UDP sockets send tagged requests (exactly once: `INC tagged`) and untagged ones (`INC
other`, told apart by `PING n`), and listen, joined under codes, to what one of them sends to all. Each line on standard
input names the phase that begins; `end` ends it, with a table. In the phase `kill` a request over TCP may need a second
copy and a push may be lost; in all others not. Exit code 1: a promise was broken.
"""
import asyncio
import collections
import sys

from load_peers import Crier, Listener, Load, Peer, UDP, TCP, Worker

TICK = 0.06
DRAIN_SECONDS = 15


async def main():
    load = Load(sys.argv[1])
    workers = [await Worker(load, UDP).connect() for _ in range(16)]
    workers += [await Worker(load, TCP).connect() for _ in range(13)]
    listeners = [await Listener(load, UDP, f"udp-{n}").connect() for n in range(3)]
    listeners += [await Listener(load, TCP, f"tcp-{n}").connect() for n in range(4)]
    listeners.append(await Listener(load, TCP, "watcher", watches=True).connect())
    listeners.append(await Listener(load, UDP, "udp-ack", acks=True).connect())
    listeners.append(await Listener(load, TCP, "tcp-ack", acks=True).connect())
    crier = await Crier(load, TCP, len(listeners)).connect()
    for peer in [*workers, *listeners, crier]:
        await peer.open()
    orders = await standard_input()
    ticking = asyncio.create_task(tick(load, [*workers, crier]))
    print("  steady", flush=True)
    while (order := (await orders.readline()).decode().strip()) != "end":
        load.phase = order
        # Those under way know it before it begins.
        for peer in [*workers, crier]:
            peer.resend()
        print(f"  phase {order}", flush=True)
    load.calm = True
    await drain(load, [*workers, crier])
    ticking.cancel()
    await finish(load, crier, listeners)
    report(load, workers, listeners, crier)


async def standard_input():
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    return reader


async def tick(load, peers):
    """Each peer sends at its own moment of every tick."""
    while True:
        for peer in peers:
            peer.tick(new=not load.calm)
            await asyncio.sleep(TICK / len(peers))


async def drain(load, peers):
    """No more new requests; what is under way is waited for."""
    end = load.now() + DRAIN_SECONDS
    while any(peer.under_way for peer in peers) and load.now() < end:
        await asyncio.sleep(0.05)
    # An untagged reply that has not come by now never will.
    await asyncio.sleep(0.5)


async def finish(load, crier, listeners):
    """Who is joined, what the values are, and that a last word reaches everybody."""
    asker = await Peer(load, TCP).connect()
    who = await asker.ask("WHO")
    wanted = " ".join(sorted(["crier", *(listener.code for listener in listeners)]))
    load.check(who == wanted, f"joined at the end: {who}, not {wanted}")
    tagged = load.row(UDP, "tagged").answered + load.row(TCP, "tagged").answered
    value = await asker.ask("GET tagged")
    load.check(value == str(tagged), f"{tagged} increments were answered, and the value is {value}")
    load.check(sorted(load.values) == list(range(1, tagged + 1)), "the answers are not 1, 2, 3 … each once")
    load.other = await asker.ask("GET other")
    await crier.ask("ALL last")
    end = load.now() + 5
    while not all("last" in listener.heard for listener in listeners) and load.now() < end:
        await asyncio.sleep(0.05)
    for listener in listeners:
        load.check("last" in listener.heard, f"{listener.code} did not hear the last word")
    for listener in listeners:
        await listener.leave()


def report(load, workers, listeners, crier):
    for peer in [*workers, *listeners, crier]:
        peer.settle()
    for transport in (UDP, TCP):
        load.check(not load.broken[transport], f"{load.broken[transport]} {transport} connections broke")
        load.check(not load.refused[transport], f"{load.refused[transport]} {transport} datagrams were refused")
    print("  table:")
    head = ("transport", "kind", "sent", "answered", "resent", "lost", "of them killed", "broken", "refused", "longest pause ms")
    rows = [head, *(row.cells(load) for row in load.rows.values())]
    widths = [max(len(str(row[column])) for row in rows) for column in range(len(head))]
    for row in rows:
        cells = [f"{cell:>{width}}" if column > 1 else f"{cell:<{width}}" for column, (cell, width) in enumerate(zip(row, widths))]
        print("  " + "  ".join(cells))
    told = ", ".join(f"{count} × {word}" for word, count in sorted(load.told_to_wait.items())) or "none"
    print(f"  told to ask again: {told}; INC other: {load.other_answered} answered, the value is {load.other}")
    for problem, count in collections.Counter(load.problems).most_common(20):
        print(f"  PROBLEM: {problem}" + (f" ({count} times)" if count > 1 else ""))
    sys.exit(1 if load.problems else 0)


if __name__ == "__main__":
    asyncio.run(main())
