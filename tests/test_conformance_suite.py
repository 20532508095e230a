"""Whether the conformance suite can fail: what it says of servers that are wrong."""

import re
import socketserver
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from conformance.case import Case, Step, load
from conformance.names import CIM_SCHEMA, NAMESPACES
from conformance.run import run
from conformance.subject import OURS, Account, Subject

CASES = load()

_ENVELOPE = (
    "<s:Envelope xmlns:s='{s}' xmlns:a='{a}' xmlns:w='{w}'><s:Header><a:Action>%s</a:Action>"
    "<a:RelatesTo>%s</a:RelatesTo></s:Header><s:Body>%s</s:Body></s:Envelope>"
).format_map(NAMESPACES)
_FAULT = (
    "<s:Fault><s:Code><s:Value>s:Receiver</s:Value><s:Subcode><s:Value>w:InternalError</s:Value></s:Subcode>"
    "</s:Code><s:Reason><s:Text xml:lang='en'>no idea</s:Text></s:Reason></s:Fault>"
)


class Nonsense(socketserver.BaseRequestHandler):
    """Answers one request of a connection, whatever it is, as the server's `says` tells."""

    def handle(self) -> None:
        self.request.settimeout(0.2)
        data = b""
        try:
            while not self._whole(data):
                more = self.request.recv(65536)
                if not more:
                    break
                data += more
        except TimeoutError:
            pass
        self.request.sendall(self.server.says(data.replace(b"\0", b"")))

    @staticmethod
    def _whole(data: bytes) -> bool:
        head, _, body = data.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: (\d+)", head)
        return b"\r\n\r\n" in data and length is not None and len(body) >= min(int(length[1]), 10**6)


def _reply(status: str, action: str, message_id: str, body: str) -> bytes:
    text = (_ENVELOPE % (action, message_id, body)).encode()
    head = f"HTTP/1.1 {status}\r\nConnection: close\r\nContent-Type: application/soap+xml;charset=UTF-8\r\n"
    return head.encode() + b"Content-Length: %d\r\n\r\n%s" % (len(text), text)


def _of(request: bytes, name: str) -> str:
    found = re.search(rf"<(?:\w+:)?{name}[^>]*>\s*([^<]*?)\s*<".encode(), request)
    return found[1].decode("utf-8", "replace") if found else ""


def says_yes_to_everything(request: bytes) -> bytes:
    return _reply("200 OK", _of(request, "Action") + "Response", _of(request, "MessageID"), "")


def fails_at_everything(request: bytes) -> bytes:
    action = "http://schemas.dmtf.org/wbem/wsman/1/wsman/fault"
    return _reply("500 Internal Server Error", action, _of(request, "MessageID"), _FAULT)


@pytest.fixture
def nonsense() -> Iterator[socketserver.ThreadingTCPServer]:
    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        request_queue_size = 256

    with Server(("127.0.0.1", 0), Nonsense) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def _hasty(case: Case) -> Case:
    """The same, without waiting for anything."""
    return replace(case, steps=[replace(s, http=replace(s.http, before=0.0, limit=1.0)) for s in case.steps])


def _wants_to_be_cut_off(case: Case) -> bool:
    """What every server does in the end."""
    return all(step.status == "closed" for step in case.steps)


@pytest.mark.parametrize("says", [says_yes_to_everything, fails_at_everything])
def test_a_server_that_is_wrong_in_everything_passes_no_case(nonsense: socketserver.TCPServer, says):
    nonsense.says = says
    account = Account("admin", "x")
    url = f"http://127.0.0.1:{nonsense.server_address[1]}/wsman"
    subject = Subject.read(OURS, url, account, other=account)
    for role, about in subject.roles.items():
        subject.found(role, {name: "1" for name in [*about["keys"], "Role"]})
    with ThreadPoolExecutor(16) as pool:
        outcomes = list(pool.map(lambda case: run(subject, _hasty(case)), CASES))
    asked = [each for each in outcomes if not each.skipped and not _wants_to_be_cut_off(each.case)]
    assert len(asked) > 0.98 * len(CASES)
    passed = [each.case.id for each in asked if each.why is None]
    assert not passed, "these cases cannot fail:\n" + "\n".join(passed)


_INSTANCE = "<p:C xmlns:p='{CIM}/C' xmlns:i='{xsi}' i:type='p:C_Type'><p:N i:nil=\"true\"/></p:C>".format(
    CIM=CIM_SCHEMA, **NAMESPACES
)
_STEP = Step(action="Get", resource=f"{CIM_SCHEMA}/C", check=["count s:Body/p:C/p:N = 1"])
_GET = Case("area", "name", "source", [_STEP])
_DENIED = replace(_GET, steps=[replace(_STEP, check=[], fault="s:Sender w:AccessDenied")])


def says_well(request: bytes) -> bytes:
    return _reply("200 OK", _of(request, "Action") + "Response", _of(request, "MessageID"), _INSTANCE)


def says_no_well(request: bytes) -> bytes:
    fault = _FAULT.replace("s:Receiver", "s:Sender").replace("InternalError", "AccessDenied")
    action = f"{NAMESPACES['a']}/fault"
    return _reply("500 Internal Server Error", action, _of(request, "MessageID"), fault)


# What is wrong with a reply: words of it, and what comes instead.
_SPOILT = {
    "RelatesTo in another case": (says_well, b"uuid:", b"UUID:"),
    "no RelatesTo": (says_well, b"RelatesTo", b"RelatesXx"),
    "another Action": (says_well, b"GetResponse<", b"PutResponse<"),
    "an empty To": (says_well, b"<s:Header>", b"<s:Header><a:To/>"),
    "two bodies": (says_well, b"</s:Envelope>", b"<s:Body/></s:Envelope>"),
    "a byte order mark": (says_well, b"<s:Envelope", b"\xef\xbb\xbf<s:Envelope"),
    "no length": (says_well, b"Content-Length", b"Content-Lengthy"),
    "another Content-Type": (says_well, b"application/soap+xml", b"text/html; x=+xml"),
    "nil as a number": (says_well, b'nil="true"', b'nil="1"'),
    "nil with two tags": (says_well, b'nil="true"/>', b'nil="true"></p:N>'),
    "a type without an underscore": (says_well, b"p:C_Type", b"p:CType"),
    "a property in another namespace": (says_well, b"<p:N", b"<N"),
    "no XML": (says_well, b"</s:Body>", b""),
    "a fault with 200": (says_no_well, b"500 ", b"200 "),
    "a fault with 400": (says_no_well, b"500 ", b"400 "),
    "a fault's Action that is none": (says_no_well, b"addressing/fault", b"addressing/fawlty"),
    "an undeclared prefix": (says_no_well, b">w:AccessDenied", b">v:AccessDenied"),
    "a prefix bound to something else": (says_no_well, b">w:AccessDenied", b">a:AccessDenied"),
    "no reason": (says_no_well, b">no idea<", b"><"),
    "two reasons": (says_no_well, b"</s:Reason>", b"<s:Text>x</s:Text></s:Reason>"),
    "an empty FaultDetail": (says_no_well, b"</s:Fault>", b"<s:Detail><w:FaultDetail/></s:Detail></s:Fault>"),
}


@pytest.mark.parametrize("spoilt", [None, *_SPOILT])
def test_the_general_rules_see_what_is_wrong(nonsense: socketserver.TCPServer, spoilt: str | None):
    """A reply that is right passes, and each that is spoilt in one place does not."""
    well, word, instead = _SPOILT[spoilt] if spoilt else (says_well, b"", b"")
    url = f"http://127.0.0.1:{nonsense.server_address[1]}/wsman"
    subject = Subject(url, Account("admin", "x"), variables={"url": url})
    nonsense.says = well
    case = _hasty(_GET if well is says_well else _DENIED)
    assert run(subject, case).why is None
    if spoilt:

        def says(request: bytes) -> bytes:
            reply = well(request)
            assert word in reply
            head, _, body = reply.replace(word, instead).partition(b"\r\n\r\n")
            head = re.sub(rb"Content-Length: \d+", b"Content-Length: %d" % len(body), head)
            return head + b"\r\n\r\n" + body

        nonsense.says = says
        assert run(subject, case).why is not None


def test_the_suite_asks_enough():
    """What is promised of it: at least two hundred cases, and each quirk that is known."""
    assert len(CASES) >= 200
    quirks = {case.name.split(":")[0] for case in CASES if case.area == "quirks"}
    assert {str(number) for number in range(1, 18)} <= quirks
