"""Sends a step and takes the answer, over connections that are kept from step to step."""

import contextlib
import select
import time
from urllib.parse import urlsplit

from . import message
from .case import Http, Step
from .check import Wrong
from .subject import Account, Subject
from .wire import Answer, Closed, Connection

# When a server hangs rather than thinks. Nothing is measured by it.
HANGS = 30.0

# Those of a crowd that are not let in are closed at once, the others stay for much longer: how long to wait for
# the first, and when nobody else seems to come.
FIRST_SHED, NEXT_SHED = 10.0, 2.0


class Exchange:
    """The connection of a case."""

    def __init__(self, subject: Subject, variables: dict[str, str]):
        self.subject = subject
        self.variables = variables
        self.connection: Connection | None = None

    def drop(self) -> None:
        if self.connection:
            self.connection.close()
        self.connection = None

    def of(self, step: Step) -> Answer:
        """The answer to a step. `Closed` where there is none."""
        http = step.http
        body, content_type = message.encoded(step, message.text(step, self.variables))
        if http.method in ("GET", "HEAD", "OPTIONS") and not step.envelope:
            body = b""
        head = self._head(http, content_type, len(body) if http.declare is None else http.declare)
        if http.chunked:
            pieces = (body[at : at + http.chunked] for at in range(0, len(body), http.chunked))
            body = b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in pieces) + b"0\r\n\r\n"
        # It is this long that the server has to see nothing of us: there is no condition to wait for.
        time.sleep(http.before)
        kept = self.connection is not None
        try:
            answer = self._send(step, self._connect(http), head, body)
        except Closed:
            self.drop()
            # A connection that was kept may have ended by itself since.
            if not kept or http.connection == "same" or step.may_be_closed:
                raise
            answer = self._send(step, self._connect(http), head, body)
        told = answer.headers.get("connection", "").lower()
        if told == "close" or (answer.version == "HTTP/1.0" and told != "keep-alive"):
            self.drop()
        return answer

    def _connect(self, http: Http) -> Connection:
        if http.connection == "new" or (self.connection is None and http.connection != "same"):
            self.drop()
            elsewhere = http.tls != "as the endpoint" and self.subject.https
            tls = False if http.tls == "plain" else None
            url = self.subject.https if elsewhere else self.subject.url
            self.connection = Connection(url, http.limit or HANGS, tls)
        if self.connection is None:
            raise Closed("the connection of the step before is not there any more")
        self.connection.limit = http.limit or HANGS
        return self.connection

    def _head(self, http: Http, content_type: str, length: int) -> bytes:
        parts = urlsplit(self.subject.url)
        path = message.filled(parts.path if http.path is None else http.path, self.variables)
        lines = [f"{http.method} {path} HTTP/{http.version}", f"Host: {parts.netloc}"]
        if authorization := self._authorization(http.auth):
            lines.append(f"Authorization: {authorization}")
        if http.content_type != "":
            lines.append(f"Content-Type: {http.content_type or content_type}")
        lines.append("Transfer-Encoding: chunked" if http.chunked else f"Content-Length: {length}")
        lines += [message.filled(line, self.variables) for line in http.lines]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    def _authorization(self, auth: str) -> str:
        if auth == "none":
            return ""
        if auth == "good":
            return self.subject.account.basic
        if auth == "other":
            return self.subject.other.basic
        if auth == "wrong":
            return Account(self.subject.account.name, "not the password").basic
        return message.filled(auth, self.variables)

    def _send(self, step: Step, connection: Connection, head: bytes, body: bytes) -> Answer:
        http, sent = step.http, 0
        limit = http.limit or HANGS
        match http.send:
            case "whole":
                connection.send(head + body)
            case "head":
                connection.send(head)
            case "half":
                connection.send(head + body[: len(body) // 2])
            case "nothing":
                connection.wait_close()
                raise Closed("without a word")
            case "late":
                connection.send(head)
                connection.send_while_silent([body], http.pause, limit)
            case "drip":
                connection.send(head)
                connection.send_while_silent((bytes([b]) for b in body), http.pause, limit)
            case "head-drip":
                connection.send_while_silent((bytes([b]) for b in head + body), http.pause, limit)
            case "stream":
                connection.send(head)
                sent = connection.send_while_silent(_endless(http.chunked), 0.0, limit)
            case "continue":
                connection.send(head)
                if (status := connection.receive_head_only()) != 100:
                    raise Wrong(f"the body was not asked for: {status}")
                connection.send(body)
            case "twice":
                connection.send((head + body) * 2)
                first = connection.receive(http.method)
                if first.status != 200:
                    raise Wrong(f"the first of two is answered with {first.status}")
            case "crowd":
                self.variables["shed"] = str(self._shed(http.crowd))
                connection.send(head + body)
            case _:
                raise Wrong(f"no way of sending {http.send!r}")
        answer = connection.receive(http.method)
        answer.sent = sent
        if step.status == "closed":
            connection.wait_close()
            raise Closed("after an answer")
        return answer

    def _shed(self, number: int) -> int:
        """How many of so many connections that say nothing are closed at once."""
        with contextlib.ExitStack() as stack:
            crowd = set()
            for _ in range(number):
                one = Connection(self.subject.url, HANGS, tls=False)
                stack.callback(one.close)
                crowd.add(one.socket)
            left = FIRST_SHED
            # All that they can have to say is that they are closed.
            while crowd and (closed := select.select(crowd, [], [], left)[0]):
                crowd -= set(closed)
                left = NEXT_SHED
            return number - len(crowd)


def _endless(chunked: int):
    piece = b" " * 65536
    if chunked:
        piece = b"10000\r\n" + piece + b"\r\n"
    while True:
        yield piece
