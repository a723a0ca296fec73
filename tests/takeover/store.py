"""A descriptor store like systemd's, around one pigeond: keeps what that hands over, and starts it again with it.

usage: store.py PIGEOND CONFIG

Each line on standard input is a word: `restart` (SIGTERM, then again), `kill` (SIGKILL, then again), `reload` (SIGHUP),
`names` (of what is kept), `end`. The answer is a line: the names, separated by spaces, or `ready`.
"""

import os
import signal
import socket
import sys
import tempfile
import threading


class Store:
    def __init__(self, program, config, directory):
        self.argv = [program, "--config", config]
        self.kept = []
        self.ready = threading.Event()
        self.address = os.path.join(directory, "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.address)
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        while True:
            message, descriptors, _, _ = socket.recv_fds(self.socket, 4096, 16)
            self.hear(dict(line.split("=", 1) for line in message.decode().splitlines()), descriptors)

    def hear(self, message, descriptors):
        if message.get("FDSTOREREMOVE") == "1":
            gone = [fd for name, fd in self.kept if name == message["FDNAME"]]
            self.kept = [one for one in self.kept if one[1] not in gone]
            descriptors += gone
        elif message.get("FDSTORE") == "1":
            for fd in descriptors:
                # What is kept already is not kept twice.
                if not any(os.path.sameopenfile(fd, other) for _, other in self.kept):
                    self.kept.append((message["FDNAME"], fd))
                else:
                    os.close(fd)
            descriptors = []
        for fd in descriptors:
            os.close(fd)
        if "READY" in message:
            self.ready.set()

    def start(self):
        self.ready.clear()
        kept = list(self.kept)
        self.pid = os.fork()
        if self.pid == 0:
            # Out of the way first: what is to be 3 may be what another is kept as.
            high = [os.dup(fd) for _, fd in kept]
            spare = [fd for fd in high if fd < 3 + len(kept)]
            high = [os.dup(fd) if fd in spare else fd for fd in high]
            for at, fd in enumerate(high):
                os.dup2(fd, 3 + at, inheritable=True)
            environment = dict(os.environ, NOTIFY_SOCKET=self.address)
            if kept:
                names = ":".join(name for name, _ in kept)
                environment |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(len(kept)), "LISTEN_FDNAMES": names}
            os.execve(self.argv[0], self.argv, environment)
        self.wait()

    def wait(self):
        if not self.ready.wait(20):
            sys.exit("it is not ready")
        print("ready", flush=True)

    def reload(self):
        self.ready.clear()
        os.kill(self.pid, signal.SIGHUP)
        self.wait()

    def end(self, how):
        os.kill(self.pid, how)
        os.waitpid(self.pid, 0)


def main():
    with tempfile.TemporaryDirectory() as directory:
        store = Store(sys.argv[1], sys.argv[2], directory)
        store.start()
        for line in sys.stdin:
            word = line.strip()
            if word == "names":
                print(" ".join(sorted(name for name, _ in store.kept)), flush=True)
            elif word == "reload":
                store.reload()
            elif word == "end":
                break
            else:
                store.end({"restart": signal.SIGTERM, "kill": signal.SIGKILL}[word])
                store.start()
        store.end(signal.SIGTERM)


main()
