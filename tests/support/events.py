"""Subscriptions by hand: SOAP written here, so that nothing of ours reads what ours has written."""

import base64
import http.client
import socket
import ssl
import uuid
import xml.etree.ElementTree as ET
from urllib.parse import urlsplit

S = "http://www.w3.org/2003/05/soap-envelope"
A = "http://schemas.xmlsoap.org/ws/2004/08/addressing"
E = "http://schemas.xmlsoap.org/ws/2004/08/eventing"
N = "http://schemas.xmlsoap.org/ws/2004/09/enumeration"
W = "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd"
ANONYMOUS = f"{A}/role/anonymous"
WSMAN = "http://schemas.dmtf.org/wbem/wsman/1/wsman"
PULL, PUSH, PUSH_WITH_ACK = f"{WSMAN}/Pull", f"{E}/DeliveryModes/Push", f"{WSMAN}/PushWithAck"
HEARTBEAT, ACK, EARLIEST = f"{WSMAN}/Heartbeat", f"{WSMAN}/Ack", f"{WSMAN}/bookmark/earliest"
WQL = "http://schemas.microsoft.com/wbem/wsman/1/WQL"
MICROSOFT = "http://schemas.microsoft.com/wbem/wsman/1/wmi/root/cimv2/rdms/*"
ALL_CLASSES = "http://schemas.dmtf.org/wbem/wscim/1/*"
SESSIONS = "SELECT * FROM __InstanceOperationEvent WITHIN 5 WHERE TargetInstance ISA 'Win32_VirtualDesktopSession'"
CREATED, MODIFIED, DELETED = (f"__Instance{kind}Event" for kind in ("Creation", "Modification", "Deletion"))


class Fault(Exception):
    """The server's fault, by the local name of its subcode."""

    def __init__(self, body: ET.Element):
        values = [node.text for node in body.iter(f"{{{S}}}Value")]
        self.subcode = values[-1].rsplit(":", 1)[-1]
        self.reason = body.findtext(f".//{{{S}}}Text")
        super().__init__(f"{self.subcode}: {self.reason}")


class Event:
    """One event: its class, and the instances in it as dicts; None where it is about no instance."""

    def __init__(self, node: ET.Element):
        self.kind = _local(node)
        self.values = {_local(child): _value(child) for child in node}
        self.target = self.values.get("TargetInstance")
        self.previous = self.values.get("PreviousInstance")

    def __repr__(self):
        told = self.target or self.values
        return f"{self.kind}({told.get('UserName')} {told.get('ConnectState')})"


def _local(node: ET.Element) -> str:
    return node.tag.rsplit("}", 1)[-1]


def _value(node: ET.Element):
    if node.get("{http://www.w3.org/2001/XMLSchema-instance}nil") == "true":
        return None
    return {_local(child): _value(child) for child in node} if len(node) else node.text or ""


class Subscriber:
    """One account's subscription."""

    def __init__(self, endpoint: str, user: str, password: str, resource: str = MICROSOFT, namespace: str = ""):
        self.endpoint = urlsplit(endpoint)
        self.authorization = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
        self.resource, self.namespace = resource, namespace
        self.identifier = self.context = self.bookmark = self.expires = None
        self._http: http.client.HTTPConnection | None = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.hang_up()

    def hang_up(self) -> None:
        if self._http:
            self._http.close()
            self._http = None

    def send(self, action: str, body: str, header: str = "", timeout: str = "PT20S") -> None:
        """Sends a request, without waiting for the answer."""
        selectors = ""
        if self.namespace:
            selectors = f'<w:SelectorSet><w:Selector Name="__cimnamespace">{self.namespace}</w:Selector></w:SelectorSet>'
        envelope = (
            f'<s:Envelope xmlns:s="{S}" xmlns:a="{A}" xmlns:e="{E}" xmlns:n="{N}" xmlns:w="{W}"><s:Header>'
            f"<a:To>http://x/wsman</a:To><a:Action>{action}</a:Action><a:MessageID>uuid:{uuid.uuid4()}</a:MessageID>"
            f"<a:ReplyTo><a:Address>{ANONYMOUS}</a:Address></a:ReplyTo>"
            f"<w:ResourceURI>{self.resource}</w:ResourceURI><w:OperationTimeout>{timeout}</w:OperationTimeout>"
            f"{selectors}{header}</s:Header><s:Body>{body}</s:Body></s:Envelope>"
        )
        if self._http is None:
            host, port = self.endpoint.hostname, self.endpoint.port
            if self.endpoint.scheme == "https":
                context = ssl._create_unverified_context()
                self._http = http.client.HTTPSConnection(host, port, timeout=70, context=context)
            else:
                self._http = http.client.HTTPConnection(host, port, timeout=70)
            self._http.connect()
            self._http.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        headers = {
            "Content-Type": "application/soap+xml;charset=UTF-8",
            "Authorization": self.authorization,
        }
        self._http.request("POST", self.endpoint.path, envelope.encode(), headers)

    def answer(self) -> tuple[ET.Element, ET.Element]:
        """Header and body of the answer to the last request. A fault is raised."""
        answer = self._http.getresponse()
        content = answer.read()
        assert answer.status in (200, 500), (answer.status, content)
        header, body = ET.fromstring(content)
        if answer.status == 500:
            raise Fault(body)
        return header, body

    def subscribe(
        self,
        query: str = SESSIONS,
        mode: str = PULL,
        delivery: str = "",
        bookmark: str | None = None,
        expires: str | None = "PT10M",
        more: str = "",
    ) -> "Subscriber":
        escaped = query.replace("&", "&amp;").replace("<", "&lt;")
        self.send(
            f"{E}/Subscribe",
            f'<e:Subscribe>{more}<e:Delivery Mode="{mode}">{delivery}</e:Delivery>'
            + (f"<e:Expires>{expires}</e:Expires>" if expires else "")
            + f'<w:Filter Dialect="{WQL}">{escaped}</w:Filter>'
            + (f"<w:Bookmark>{bookmark}</w:Bookmark>" if bookmark else "")
            + "<w:SendBookmarks/></e:Subscribe>",
        )
        _, body = self.answer()
        response = body[0]
        self.identifier = response.findtext(f".//{{{E}}}Identifier")
        self.expires = response.findtext(f"{{{E}}}Expires")
        self.context = response.findtext(f"{{{N}}}EnumerationContext")
        self.bookmark = response.findtext(f"{{{W}}}Bookmark")
        return self

    def ask(self, count: int = 100, timeout: str = "PT20S") -> None:
        """Sends a Pull, without waiting for the answer."""
        self.send(
            f"{N}/Pull",
            f"<n:Pull><n:EnumerationContext>{self.context}</n:EnumerationContext>"
            f"<n:MaxElements>{count}</n:MaxElements></n:Pull>",
            timeout=timeout,
        )

    def told(self) -> list[Event] | None:
        """The events in the answer to a Pull; None in a heartbeat."""
        header, body = self.answer()
        self.bookmark = header.findtext(f"{{{W}}}Bookmark")
        assert self.bookmark, "bookmarks were asked for"
        items = body[0].find(f"{{{N}}}Items")
        if len(items) and items[0].tag == f"{{{W}}}Event":
            assert items[0].get("Action") == HEARTBEAT
            return None
        return [Event(node) for node in items]

    def pull(self, count: int = 100, timeout: str = "PT20S") -> list[Event] | None:
        self.ask(count, timeout)
        return self.told()

    def until(self, enough, limit: int = 500) -> list[Event]:
        """Pulls until what has come is enough."""
        found: list[Event] = []
        while not enough(found):
            assert len(found) < limit, found
            found += self.pull()
        return found

    def about(self, action: str, body: str) -> tuple[ET.Element, ET.Element]:
        """A request about the subscription itself: Renew, GetStatus or Unsubscribe."""
        self.send(f"{E}/{action}", body, f"<e:Identifier>{self.identifier}</e:Identifier>")
        return self.answer()

    def unsubscribe(self) -> None:
        self.about("Unsubscribe", "<e:Unsubscribe/>")
