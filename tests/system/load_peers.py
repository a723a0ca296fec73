"""The peers of load.py: workers that ask, listeners that are joined, and one that cries to all of them."""
import asyncio
import collections
import dataclasses
import secrets

UDP, TCP = "UDP", "TCP"
PORT = 10125
FIRST_RESEND = {UDP: 0.25, TCP: 2.0}
LONGEST_RESEND = 4.0
# Fewer than the 32 that the protocol lets be under way, and well within the 64 numbers that it keeps.
WINDOW = 16
SPAN = 48


@dataclasses.dataclass
class Row:
    """A line of the table."""
    transport: str
    kind: str
    sent: int = 0
    answered: int = 0
    resent: int = 0
    lost: int = 0
    killed: int = 0
    pause: float = 0.0

    def cells(self, load):
        broken, refused = load.broken[self.transport], load.refused[self.transport]
        return (self.transport, self.kind, self.sent, self.answered, self.resent, self.lost, self.killed, broken,
                refused, round(self.pause * 1000))


@dataclasses.dataclass
class Request:
    """What was sent and has no reply yet."""
    line: bytes
    since: float
    phase: str
    due: float
    wait: float
    # Over UDP always; over TCP only where the hub asked for it or was killed meanwhile: else each byte arrives.
    may_be_lost: bool


class Load:
    """What all peers share."""

    def __init__(self, address):
        self.address = address
        self.now = asyncio.get_running_loop().time
        self.phase, self.calm = "calm", False
        self.rows, self.values, self.problems = {}, [], []
        self.broken, self.refused = collections.Counter(), collections.Counter()
        self.told_to_wait = collections.Counter()
        self.other, self.other_answered = None, 0
        # What was cried, with the phases in which it was under way, and since when.
        self.cried, self.cried_at = {}, {}

    def row(self, transport, kind):
        return self.rows.setdefault((transport, kind), Row(transport, kind))

    def check(self, holds, problem):
        if not holds:
            self.problems.append(problem)


class Peer(asyncio.Protocol, asyncio.DatagramProtocol):
    """One socket; a line may be sent, and each line that comes is `heard_line`."""

    def __init__(self, load, transport):
        self.load, self.kind, self.socket, self.rest = load, transport, None, b""
        self.waiting, self.end = None, None
        self.session, self.number, self.under_way, self.replies = secrets.token_hex(6), 0, {}, {}
        self.tagged = load.row(transport, "tagged")

    async def connect(self):
        loop = asyncio.get_running_loop()
        if self.kind == UDP:
            await loop.create_datagram_endpoint(lambda: self, remote_addr=(self.load.address, PORT))
        else:
            await loop.create_connection(lambda: self, self.load.address, PORT)
        return self

    def connection_made(self, transport):
        self.socket = transport

    def send(self, line):
        if self.kind == UDP:
            self.socket.sendto(line)
        else:
            self.socket.write(line)

    def data_received(self, data):
        *lines, self.rest = (self.rest + data).split(b"\n")
        for line in lines:
            self.hear(line.decode())

    def datagram_received(self, data, _):
        for line in data.decode().removesuffix("\n").split("\n"):
            self.hear(line)

    def error_received(self, _):
        self.load.refused[self.kind] += 1

    def connection_lost(self, error):
        if self.end:
            self.end.set_result(None)
            return
        self.load.broken[self.kind] += 1
        self.load.problems.append(f"a connection broke in phase {self.load.phase}: {error or 'closed by the hub'}")

    def hear(self, line):
        if line.startswith(f"#{self.session}."):
            self.hear_reply(line)
        elif not self.hear_untagged(line) and self.waiting and not self.waiting.done():
            self.waiting.set_result(line)

    def hear_untagged(self, _):
        """Whether the line was one that came unasked."""
        return False

    async def ask(self, line):
        """The reply to an untagged line, when nothing else is under way."""
        self.waiting = asyncio.get_running_loop().create_future()
        self.send(line.encode() + b"\n")
        try:
            return await asyncio.wait_for(self.waiting, 5)
        except asyncio.TimeoutError:
            return "(no answer)"

    async def leave(self):
        """A connection that has outlived the daemon is closed when its client says so."""
        if self.kind == UDP or self.socket.is_closing():
            return
        self.end = asyncio.get_running_loop().create_future()
        self.send(b"BYE\n")
        done, _ = await asyncio.wait([self.end], timeout=5)
        self.load.check(done, "a connection was not closed after BYE")

    async def open(self):
        """Number 1 opens the session."""
        self.request("PING", None)
        end = self.load.now() + 5
        while self.under_way and self.load.now() < end:
            await asyncio.sleep(0.01)
            self.resend()

    def request(self, command, row):
        self.number += 1
        line = f"#{self.session}.{self.number} {command}\n".encode()
        wait = FIRST_RESEND[self.kind]
        now = self.load.now()
        self.under_way[self.number] = Request(line, now, self.load.phase, now + wait, wait, self.kind == UDP)
        if row:
            row.sent += 1
        self.send(line)

    def resend(self):
        now = self.load.now()
        for request in self.under_way.values():
            if self.load.phase == "kill":
                request.phase, request.may_be_lost = "kill", True
            if now < request.due or not request.may_be_lost:
                continue
            request.wait = min(request.wait * 2, LONGEST_RESEND)
            request.due = now + request.wait
            self.tagged.resent += 1
            self.send(request.line)

    def hear_reply(self, line):
        tag, _, reply = line.partition(" ")
        number = int(tag.rpartition(".")[2])
        word, _, body = reply.partition(" ")
        first = body.partition(" ")[0]
        if word == "ERR" and first in ("busy", "stopping", "disk"):
            self.load.told_to_wait[first] += 1
            if number in self.under_way:
                self.under_way[number].due = self.load.now() + FIRST_RESEND[UDP]
                self.under_way[number].may_be_lost = True
            return
        request = self.under_way.pop(number, None)
        if request is None:
            self.load.check(self.replies.get(number) == reply, f"a second reply differs from the first: {reply}")
            return
        self.replies[number] = reply
        self.answered(number, request, word, body)

    def answered(self, number, request, word, body):
        self.load.check(word == "OK", f"a tagged request failed: {body}")

    def tick(self, new):
        self.resend()

    def settle(self):
        for request in self.under_way.values():
            self.load.problems.append(f"a tagged request over {self.kind} was never answered, sent in phase {request.phase}")
            self.tagged.lost += 1
            self.tagged.killed += request.phase == "kill"


class Worker(Peer):
    """Counts, tagged and untagged."""

    def __init__(self, load, transport):
        super().__init__(load, transport)
        self.untagged = load.row(transport, "untagged")
        self.pings, self.ping = {}, 0

    def tick(self, new):
        self.resend()
        if not new or self.socket.is_closing():
            return
        if len(self.under_way) < WINDOW and self.number - min(self.under_way, default=self.number) < SPAN:
            self.request("INC tagged", self.tagged)
        self.ping += 1
        self.untagged.sent += 1
        self.pings[self.ping] = (self.load.now(), self.load.phase)
        self.send(f"INC other\nPING {self.ping}\n".encode())

    def answered(self, number, request, word, body):
        super().answered(number, request, word, body)
        if number > 1 and word == "OK":
            self.tagged.answered += 1
            self.tagged.pause = max(self.tagged.pause, self.load.now() - request.since)
            self.load.values.append(int(body))

    def hear_untagged(self, line):
        if line.startswith("pong "):
            sent = self.pings.pop(int(line[5:]), None)
            self.load.check(sent, "an untagged request was answered twice")
            if sent:
                self.untagged.answered += 1
                self.untagged.pause = max(self.untagged.pause, self.load.now() - sent[0])
        elif line.isdigit():
            self.load.other_answered += 1
        else:
            self.load.problems.append(f"an untagged request was answered: {line}")
        return True

    def settle(self):
        super().settle()
        self.untagged.lost += len(self.pings)
        self.untagged.killed += sum(phase == "kill" for _, phase in self.pings.values())


class Crier(Peer):
    """Joined; sends to all others, and changes a value that is watched, one after the other."""

    def __init__(self, load, transport, listeners):
        super().__init__(load, transport)
        self.listeners, self.cry, self.what = listeners, 0, ""

    async def open(self):
        await super().open()
        reply = await self.ask("JOIN crier")
        self.load.check(reply.startswith("joined crier "), f"the crier could not join: {reply}")

    def tick(self, new):
        self.resend()
        if self.under_way:
            self.load.cried[self.what].add(self.load.phase)
        elif new and not self.socket.is_closing():
            self.cry += 1
            # A word to all, then a change of a value, in turn.
            number, change = divmod(self.cry, 2)
            self.what = f"beat {number}" if change else str(number)
            self.load.cried[self.what] = {self.load.phase}
            self.load.cried_at[self.what] = self.load.now()
            self.request(f"SET {self.what}" if change else f"ALL {self.what}", self.tagged_row())

    def tagged_row(self):
        return self.load.row(TCP, "to all")

    def answered(self, number, request, word, body):
        super().answered(number, request, word, body)
        if number > 1 and word == "OK":
            row = self.tagged_row()
            row.answered += 1
            row.pause = max(row.pause, self.load.now() - request.since)
            if body != "set":
                self.load.check(body == str(self.listeners), f"a word to all reached {body}, not {self.listeners}")


class Listener(Peer):
    """Joined under a code, and else silent: must hear everything that is cried."""

    def __init__(self, load, transport, code, watches=False, acks=False):
        super().__init__(load, transport)
        self.code, self.watches, self.acks = code, watches, acks
        self.heard, self.last = set(), 0
        self.pushes = load.row(transport, "pushes with ack" if acks else "pushes")

    async def open(self):
        reply = await self.ask(f"JOIN {self.code}" + " ack" * self.acks)
        self.load.check(reply.startswith(f"joined {self.code} "), f"{self.code} could not join: {reply}")
        if self.watches:
            await self.ask("WATCH beat")

    def hear_untagged(self, line):
        if line.startswith("@"):
            tag, _, line = line.partition(" ")
            if not self.is_next(int(tag[1:])):
                return True
        words = line.split(" ")
        if words[:2] not in (["MSG", "crier"], ["VAL", "beat"]):
            return False
        what = words[2] if words[0] == "MSG" else f"beat {words[2]}"
        self.load.check(what not in self.heard, f"{self.code} heard the same push twice")
        self.heard.add(what)
        self.pushes.pause = max(self.pushes.pause, self.load.now() - self.load.cried_at.get(what, self.load.now()))
        return True

    def is_next(self, number):
        """Numbers that it had are dropped; all are acknowledged."""
        new = number == self.last + 1
        self.load.check(number <= self.last + 1, f"{self.code} was sent push {number} after {self.last}")
        self.last = max(self.last, number)
        self.send(f"ACK {self.last}\n".encode())
        return new

    def settle(self):
        for what, phases in self.load.cried.items():
            if what.startswith("beat") and not self.watches:
                continue
            self.pushes.sent += 1
            if what in self.heard:
                self.pushes.answered += 1
                continue
            self.pushes.lost += 1
            killed = "kill" in phases
            self.pushes.killed += killed
            if self.acks or not killed:
                self.load.problems.append(f"{self.code} did not hear all that was said in {sorted(phases)}")
