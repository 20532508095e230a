"""HTTP/1.1 over a socket of our own, byte by byte where a case wants that."""

import contextlib
import socket
import ssl
import time
from dataclasses import dataclass, field
from urllib.parse import urlsplit

# What may come back before we stop reading: no reply of a server that is asked like this is longer.
LONGEST_REPLY = 64 * 1024 * 1024


class Closed(Exception):
    """The server closed the connection instead of answering."""


class Hangs(Exception):
    """The server neither answered nor closed in time."""


@dataclass
class Answer:
    """One HTTP reply."""

    status: int
    version: str
    headers: dict[str, str]
    body: bytes
    # How many reads brought it, and whether a 100 came before.
    reads: int = 0
    continued: bool = False
    # How much of the body had been sent when it came.
    sent: int = 0
    all_headers: list[tuple[str, str]] = field(default_factory=list)


class Connection:
    """One connection to an endpoint."""

    def __init__(self, url: str, limit: float, tls: bool | None = None):
        parts = urlsplit(url)
        self.secure = parts.scheme == "https" if tls is None else tls
        self.limit = limit
        port = parts.port or (443 if self.secure else 80)
        self.socket = socket.create_connection((parts.hostname, port), timeout=limit)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.secure:
            context = ssl.create_default_context()
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            self.socket = context.wrap_socket(self.socket, server_hostname=parts.hostname)
        self._rest = b""
        self._reads = 0

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.socket.close()

    def send(self, data: bytes) -> None:
        """A server that has refused already may have closed: what it said is still to be read."""
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            self.socket.sendall(data)

    def send_while_silent(self, pieces, pause: float, limit: float) -> int:
        """Sends piece after piece until the server says something or closes. How much was sent."""
        sent, until = 0, time.monotonic() + limit
        for piece in pieces:
            self.socket.settimeout(max(pause, 0.001))
            if self._something_to_read(pause):
                break
            self.socket.settimeout(self.limit)
            try:
                self.socket.sendall(piece)
            except (ConnectionError, ssl.SSLError):
                break
            except TimeoutError as error:
                raise Hangs("the server takes no more bytes and says nothing") from error
            sent += len(piece)
            if time.monotonic() > until:
                raise Hangs(f"still listening after {limit:.0f} s")
        return sent

    def _something_to_read(self, pause: float) -> bool:
        if self._rest:
            return True
        self.socket.settimeout(pause if pause > 0 else 0.0001)
        try:
            data = self.socket.recv(65536)
        except (TimeoutError, ssl.SSLWantReadError, BlockingIOError):
            return False
        except (ConnectionError, ssl.SSLError):
            return True
        self._reads += 1
        self._rest = data
        return True

    def _more(self) -> bytes:
        left = self._until - time.monotonic()
        if left <= 0:
            raise Hangs(f"no whole answer within {self.limit:.0f} s")
        self.socket.settimeout(left)
        try:
            data = self.socket.recv(262144)
        except TimeoutError as error:
            raise Hangs(f"no whole answer within {self.limit:.0f} s") from error
        except (ConnectionError, ssl.SSLError) as error:
            raise Closed(f"the connection broke: {error}") from error
        if data:
            self._reads += 1
        return data

    def wait_close(self) -> None:
        """Waits until the server closes without a word, or with one."""
        self._until = time.monotonic() + self.limit
        with contextlib.suppress(Closed):
            while self._more():
                pass

    def receive(self, method: str = "POST") -> Answer:
        """The next reply; replies of 100 are noted and passed over."""
        self._until = time.monotonic() + self.limit
        self._reads = 1 if self._rest else 0
        continued = False
        while True:
            answer = self._receive_one(method)
            if answer.status != 100:
                answer.continued = continued
                return answer
            continued = True
            self._reads = 1 if self._rest else 0

    def receive_head_only(self) -> int:
        """The status of the next reply, 100 included."""
        self._until = time.monotonic() + self.limit
        return self._head()[0]

    def _head(self) -> tuple[int, str, list[tuple[str, str]]]:
        while b"\r\n\r\n" not in self._rest:
            data = self._more()
            if not data:
                raise Closed("the connection was closed without an answer")
            self._rest += data
        head, self._rest = self._rest.split(b"\r\n\r\n", 1)
        first, *lines = head.decode("latin-1").split("\r\n")
        version, status, *_ = first.split(" ")
        split = (line.partition(":") for line in lines)
        pairs = [(name.strip().lower(), value.strip()) for name, _, value in split]
        return int(status), version, pairs

    def _receive_one(self, method: str) -> Answer:
        status, version, pairs = self._head()
        headers = dict(pairs)
        if status == 100 or status == 204 or method == "HEAD":
            body = b""
        elif headers.get("transfer-encoding", "").lower() == "chunked":
            body = self._chunks()
        elif "content-length" in headers:
            body = self._exactly(int(headers["content-length"]))
        else:
            body = self._to_the_end()
        return Answer(status, version, headers, body, self._reads, all_headers=pairs)

    def _exactly(self, length: int) -> bytes:
        parts, have = [self._rest], len(self._rest)
        while have < length:
            data = self._more()
            if not data:
                raise Closed("the connection was closed within an answer")
            parts.append(data)
            have += len(data)
            if have > LONGEST_REPLY:
                raise Closed("the answer is endless")
        whole = b"".join(parts)
        self._rest = whole[length:]
        return whole[:length]

    def _to_the_end(self) -> bytes:
        parts, self._rest = [self._rest], b""
        while data := self._more():
            parts.append(data)
        return b"".join(parts)

    def _chunks(self) -> bytes:
        parts = []
        while True:
            while b"\r\n" not in self._rest:
                data = self._more()
                if not data:
                    raise Closed("the connection was closed within a chunk")
                self._rest += data
            size, self._rest = self._rest.split(b"\r\n", 1)
            length = int(size.split(b";")[0], 16)
            parts.append(self._exactly(length))
            self._exactly(2)
            if length == 0:
                return b"".join(parts)
