"""Requests: from a step and the variables to the bytes of a message."""

import re
import uuid
from xml.sax.saxutils import escape

from .case import Step
from .names import ACTIONS, ANONYMOUS, CIM_ALL, CIM_SCHEMA, CIM_XML, NAMESPACES, WMI

_VARIABLE = re.compile(r"\{([A-Za-z][\w.]*)\}")

_URIS = {"ANONYMOUS": ANONYMOUS, "CIM": CIM_SCHEMA, "CIM_ALL": CIM_ALL, "CIM_XML": CIM_XML, "WMI": WMI}

_CHARSETS = {
    "utf-8": ("utf-8", b"", "UTF-8"),
    "utf-8-bom": ("utf-8", b"\xef\xbb\xbf", "UTF-8"),
    "utf-16": ("utf-16-le", b"\xff\xfe", "UTF-16"),
    "utf-16be": ("utf-16-be", b"\xfe\xff", "UTF-16"),
    "utf-32": ("utf-32-le", b"\xff\xfe\x00\x00", "UTF-32"),
    "utf-7": ("utf-7", b"", "UTF-7"),
    "latin-1": ("latin-1", b"", "ISO-8859-1"),
}


class Unknown(Exception):
    """A case names a variable that nobody has set."""

    def __init__(self, name: str):
        super().__init__(f"no variable {{{name}}}")
        self.name = name


def filled(text: str, variables: dict[str, str]) -> str:
    """`text` with its `{variables}`, which may hold variables themselves."""

    def value(match: re.Match) -> str:
        name = match[1]
        if name in variables:
            # Values of the subject's file may name variables; values that came from a server may not.
            return filled(variables[name], variables) if "{fresh." in variables[name] else variables[name]
        if name in _URIS:
            return _URIS[name]
        raise Unknown(name)

    return _VARIABLE.sub(value, text)


def fresh_id() -> str:
    return f"uuid:{str(uuid.uuid4()).upper()}"


def resource(step: Step, variables: dict[str, str]) -> str:
    """What the step is about, as a URI; empty where it is about nothing."""
    if not step.on:
        return filled(step.resource, variables)
    role, _, family = step.on.partition(" ")
    if family == "":
        return variables[role]
    if f"{role}.class" not in variables:
        raise Unknown(f"{role}.class")
    if family == "cim":
        return f"{CIM_SCHEMA}/{variables[role + '.class']}"
    if family == "all":
        return f"{WMI}/{variables[role + '.namespace']}/*"
    if family == "cim-all":
        return CIM_ALL
    if family == "class":
        return CIM_XML
    raise ValueError(f"no family of URIs {family!r}")


def action(step: Step, variables: dict[str, str]) -> str:
    if step.method:
        return f"{resource(step, variables)}/{filled(step.method, variables)}"
    word = filled(step.action, variables)
    return ACTIONS.get(word, word)


def _selectors(step: Step, variables: dict[str, str]) -> str:
    role, _, family = step.on.partition(" ")
    found = filled(step.selectors, variables)
    if step.keys:
        found += variables[f"{role}.keys"]
    if family in ("cim", "cim-all", "class"):
        found += f'<w:Selector Name="__cimnamespace">{variables[role + ".namespace"]}</w:Selector>'
    return found


def text(step: Step, variables: dict[str, str]) -> str:
    """The message of a step."""
    for name, fill in step.fill.items():
        variables[name] = _many(fill)
    about = resource(step, variables)
    variables.update({"resource": escape(about), "action": escape(action(step, variables))})
    if step.envelope:
        return filled(step.envelope, variables)
    must = 's:mustUnderstand="true"'
    headers = {
        "To": f"<a:To>{escape(variables['url'])}</a:To>",
        "ResourceURI": f"<w:ResourceURI {must}>{escape(about)}</w:ResourceURI>" if about else "",
        "ReplyTo": f"<a:ReplyTo><a:Address {must}>{ANONYMOUS}</a:Address></a:ReplyTo>",
        "Action": f"<a:Action {must}>{variables['action']}</a:Action>",
        "MessageID": f"<a:MessageID>{variables['message_id']}</a:MessageID>",
    }
    head = "".join(xml for name, xml in headers.items() if name not in step.omit)
    if selectors := _selectors(step, variables):
        head += f"<w:SelectorSet>{selectors}</w:SelectorSet>"
    if step.options:
        head += f"<w:OptionSet>{filled(step.options, variables)}</w:OptionSet>"
    head += filled(step.headers, variables)
    body = filled(step.body, variables)
    declared = "".join(f' xmlns:{p}="{uri}"' for p, uri in NAMESPACES.items() if p not in ("xml", "err"))
    if about:
        declared += f' xmlns:p="{escape(about)}"'
    return f"<s:Envelope{declared}><s:Header>{head}</s:Header><s:Body>{body}</s:Body></s:Envelope>"


def _many(fill: dict) -> str:
    one, times = fill["text"], fill["times"]
    if "%n" in one:
        return "".join(one.replace("%n", str(n)) for n in range(times))
    return one * times


def encoded(step: Step, message: str) -> tuple[bytes, str]:
    """The bytes of a message, and the Content-Type that tells what they are."""
    codec, mark, label = _CHARSETS[step.http.charset]
    data = mark + message.encode(codec)
    for word, octets in step.octets.items():
        data = data.replace(word.encode(codec), bytes.fromhex(octets))
    return data, f"application/soap+xml;charset={label}"
