"""A network between clients and a server: a TCP forwarder that can be cut, and that can fall silent for a while."""

import contextlib
import select
import socket
import struct
import threading

RESET = struct.pack("ii", 1, 0)  # SO_LINGER of no time: closing tells the peer by a reset


class Link:
    """Forwards connections until it is told otherwise."""

    def __init__(self, address: str):
        host, port = address.rsplit(":", 1)
        self._upstream = (host, int(port))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self._listener.getsockname()[1]
        self._peers: dict[socket.socket, socket.socket] = {}
        self._silent = False
        self._orders, self._tell = socket.socketpair()
        self._thread = threading.Thread(target=self._run, daemon=True)
        # how many connections clients have made through it
        self.connections = 0

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._tell.close()
        self._thread.join(10)
        for peer in self._peers:
            peer.close()
        self._listener.close()
        self._orders.close()

    def cut(self) -> None:
        """Both sides of every connection are told by a reset. New connections pass, also after a silence."""
        self._order(b"c")

    def fall_silent(self) -> None:
        """From now on nothing passes, and nobody is told."""
        self._order(b"s")

    def _order(self, order: bytes) -> None:
        self._tell.sendall(order)
        assert self._tell.recv(1) == order, "the link does as it is told"

    def _run(self) -> None:
        while True:
            listening = [] if self._silent else [self._listener, *self._peers]
            ready, _, _ = select.select([self._orders, *listening], [], [])
            if self._orders in ready:
                order = self._orders.recv(1)
                if not order:
                    return
                self._silent = order == b"s"
                if order == b"c":
                    self._close(*self._peers)
                self._orders.sendall(order)
                continue
            for source in ready:
                if source is self._listener:
                    self._connect(self._listener.accept()[0])
                elif source in self._peers:
                    self._pass_on(source)

    def _connect(self, client: socket.socket) -> None:
        self.connections += 1
        try:
            server = socket.create_connection(self._upstream)
        except OSError:
            self._peers[client] = client
            self._close(client)
            return
        self._peers[client], self._peers[server] = server, client

    def _pass_on(self, source: socket.socket) -> None:
        peer = self._peers[source]
        try:
            data = source.recv(65536)
            peer.sendall(data)
        except OSError:
            data = b""
        if not data:
            for end in (source, peer):
                del self._peers[end]
                end.close()

    def _close(self, *ends: socket.socket) -> None:
        for end in ends:
            self._peers.pop(end, None)
            with contextlib.suppress(OSError):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            end.close()
