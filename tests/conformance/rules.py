"""What must hold of every reply, whatever was asked (DSP0226 5 and 14, and what known clients break on)."""

from .check import Wrong
from .names import FAULT_DETAIL, NAMESPACES
from .reply import Message
from .wire import Answer

_A, _S, _W, _F = (f"{{{NAMESPACES[p]}}}" for p in "aswf")
_XSI = f"{{{NAMESPACES['xsi']}}}"

FAULT_ACTIONS = {
    f"{NAMESPACES['a']}/fault",
    "http://schemas.dmtf.org/wbem/wsman/1/wsman/fault",
    f"{NAMESPACES['x']}/fault",
    f"{NAMESPACES['n']}/fault",
    f"{NAMESPACES['e']}/fault",
}


def of_http(answer: Answer) -> None:
    """OMI's client cannot read chunks, and takes a length as a promise."""
    if "transfer-encoding" in answer.headers:
        raise Wrong("the reply is chunked: not every client can read that")
    if "content-length" not in answer.headers and answer.status != 204:
        raise Wrong("the reply does not tell its length")


def no_accident(message: Message, wanted: str) -> None:
    """A fault that says that the server has failed is never what a case wants, unless it says so."""
    subcode = message.qname("s:Body/s:Fault/s:Code/s:Subcode/s:Value")
    if subcode == "w:InternalError" and "w:InternalError" not in wanted:
        raise Wrong("the server has failed: w:InternalError")


def of_message(answer: Answer, message: Message, message_id: str, utf16: bool) -> None:
    """The rules of a SOAP reply."""
    marked = answer.body[:2] in (b"\xff\xfe", b"\xfe\xff")
    if marked != utf16:
        raise Wrong("the reply is not in the encoding of the request")
    if answer.body.startswith(b"\xef\xbb\xbf"):
        raise Wrong("the reply begins with a UTF-8 byte order mark: OMI's client breaks on it")
    if not answer.headers.get("content-type", "").lower().startswith("application/soap+xml"):
        raise Wrong(f"Content-Type is {answer.headers.get('content-type')!r}")
    if message.root.tag != f"{_S}Envelope":
        raise Wrong(f"the reply is no SOAP 1.2 envelope but {message.root.tag}")
    if message.count("s:Body") != 1:
        raise Wrong("the reply has not one body")
    fault = message.count("s:Body/s:Fault") > 0
    if fault != (answer.status >= 400):
        raise Wrong(f"status {answer.status} with {'a' if fault else 'no'} fault")
    if message.count("s:Body/id:IdentifyResponse"):
        return
    _addressing(message, message_id, fault)
    if fault:
        _fault(message)
    _instances(message)


def _addressing(message: Message, message_id: str, fault: bool) -> None:
    for name in ("To", "RelatesTo", "MessageID", "Action"):
        if "" in message.values(f"s:Header/a:{name}"):
            raise Wrong(f"header {name} is there and empty: OMI's client breaks on that")
    related = [e.text or "" for e in message.find("s:Header/a:RelatesTo")]
    if related and related != [message_id]:
        raise Wrong(f"RelatesTo is {related}, not {message_id!r}")
    if not related and not fault:
        raise Wrong("the reply has no RelatesTo")
    action = message.values("s:Header/a:Action")
    if len(action) != 1:
        raise Wrong("the reply has not one Action")
    if fault and action[0] not in FAULT_ACTIONS:
        raise Wrong(f"the Action of a fault is {action[0]!r}")


def _fault(message: Message) -> None:
    texts = message.values("s:Body/s:Fault/s:Reason/s:Text")
    if len(texts) != 1 or not texts[0]:
        raise Wrong(f"a fault needs one reason that says something; it has {texts}")
    for path in ("s:Body/s:Fault/s:Code/s:Value", "s:Body/s:Fault/s:Code/s:Subcode/s:Value"):
        if "undeclared" in (message.qname(path) or ""):
            raise Wrong(f"{path} uses {message.qname(path)}")
    for detail in message.values("//w:FaultDetail"):
        if not detail.startswith(FAULT_DETAIL) or detail == FAULT_DETAIL:
            raise Wrong(f"FaultDetail is {detail!r}")
    for text in message.find("//f:Message"):
        if not len(text) and not (text.text or "").strip():
            raise Wrong("f:Message is empty: OMI's client breaks on that")
        if len(text) and (text.text or ""):
            raise Wrong("f:Message has white space before its elements: OMI's client breaks on that")


def _instances(message: Message) -> None:
    for element in message.root.iter():
        kind = element.get(f"{_XSI}type")
        if kind is not None and len(element) and "_" not in kind:
            raise Wrong(f"xsi:type {kind!r} without an underscore on an element with children")
        nil = element.get(f"{_XSI}nil")
        if nil is not None and (nil != "true" or len(element) or element.text):
            raise Wrong(f"a null that is not empty or not 'true': {element.tag}")
    if 'nil="true"></' in message.text.replace('"  ', '"'):
        raise Wrong("a null with two tags is an empty string to OMI's client")
