"""A client that stops reading: a TCP forwarder in front of a server that can go deaf in the middle of a PDU."""

import contextlib
import select
import socket
import threading


class Forwarder:
    """Forwards one connection at a time. After `go_deaf` nothing more is read from the server, nothing closed."""

    def __init__(self, address: str):
        host, port = address.rsplit(":", 1)
        self._upstream = (host, int(port))
        self._listener = socket.create_server(("127.0.0.1", 0))
        # A small window: a deaf client holds the server up soon, in the middle of whatever it was saying.
        self.address = "127.0.0.1:%d" % self._listener.getsockname()[1]
        self._deaf = threading.Event()
        self._wake, self._waker = socket.socketpair()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.bytes_to_client = 0

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._waker.close()
        self._thread.join(10)
        self._listener.close()
        self._wake.close()

    def go_deaf(self) -> None:
        self._deaf.set()

    def _run(self) -> None:
        ready, _, _ = select.select([self._listener, self._wake], [], [])
        if self._wake in ready:
            return
        client, _ = self._listener.accept()
        with client, socket.socket() as server, contextlib.suppress(OSError):
            server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
            server.connect(self._upstream)
            while True:
                listening = [client, self._wake] if self._deaf.is_set() else [client, server, self._wake]
                ready, _, _ = select.select(listening, [], [], 0.2)
                if self._wake in ready:
                    return
                if client in ready:
                    data = client.recv(65536)
                    if not data:
                        return
                    server.sendall(data)
                if server in ready:
                    # An odd number of bytes, so that going deaf leaves a PDU (and a TLS record) cut in two.
                    data = server.recv(1021)
                    if not data:
                        return
                    client.sendall(data)
                    self.bytes_to_client += len(data)
