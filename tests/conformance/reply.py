"""A reply as XML: paths with prefixes bound by the suite, and what a QName in a text means."""

import io
import re
import xml.etree.ElementTree as ET
from typing import ClassVar

from .names import NAMESPACES


class NotXml(Exception):
    """The reply is no XML, or not in the encoding it has to be in."""


def decode(body: bytes) -> str:
    """The text of a message: UTF-8 without, UTF-16 with a byte order mark."""
    try:
        if body.startswith((b"\xff\xfe", b"\xfe\xff")):
            return body.decode("utf-16")
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise NotXml(f"not the text it says it is: {error}") from error


class BadPath(ValueError):
    """A mistake in a case."""


class Message:
    """A parsed message. Paths are ElementTree's, from the envelope on; a last `/@name` takes an attribute."""

    ATTRIBUTE: ClassVar = re.compile(r"^(.*)/@([\w:]+)$")

    def __init__(self, body: bytes, prefixes: dict[str, str]):
        self.text = decode(body)
        self.prefixes = {**NAMESPACES, **prefixes}
        self.scopes: dict[ET.Element, dict[str, str]] = {}
        self.root = self._parse()

    def _parse(self) -> ET.Element:
        scope: list[tuple[str, str]] = []
        root = None
        # The parser is given text, so that an encoding that the declaration names does not matter any more.
        text = re.sub(r"^\s*<\?xml[^>]*\?>", "", self.text)
        events = ("start", "start-ns", "end-ns")
        try:
            for event, what in ET.iterparse(io.BytesIO(text.encode()), events):
                if event == "start-ns":
                    scope.append(what)
                elif event == "end-ns":
                    scope.pop()
                else:
                    root = what if root is None else root
                    self.scopes[what] = dict(scope)
        except (ET.ParseError, UnicodeEncodeError) as error:
            raise NotXml(f"not XML: {error}") from error
        return root

    def name(self, prefixed: str) -> str:
        prefix, _, local = prefixed.rpartition(":")
        return f"{{{self.prefixes[prefix]}}}{local}" if prefix else local

    def find(self, path: str) -> list[ET.Element]:
        if path == ".":
            return [self.root]
        path = "." + path if path.startswith("//") else path
        try:
            return self.root.findall(path, self.prefixes)
        except SyntaxError as error:
            raise BadPath(f"{path!r} is no path: {error}") from error

    def values(self, path: str) -> list[str]:
        """The texts of elements, or the values of an attribute, without the space around them."""
        attribute = self.ATTRIBUTE.match(path)
        if attribute:
            name = self.name(attribute[2])
            found = (element.get(name) for element in self.find(attribute[1]))
            return [value.strip() for value in found if value is not None]
        return [(element.text or "").strip() for element in self.find(path)]

    def inside(self, path: str) -> str:
        """What is in the first such element, as XML that stands for itself."""
        found = self.find(path)
        if not found:
            raise NotXml(f"the reply has no {path}")
        return "".join(ET.tostring(child, encoding="unicode") for child in found[0])

    def count(self, path: str) -> int:
        return len(self.values(path) if self.ATTRIBUTE.match(path) else self.find(path))

    def qname(self, path: str) -> str | None:
        """The QName in the text of an element, with the prefix that the suite uses for its namespace."""
        found = self.find(path)
        if not found:
            return None
        prefix, _, local = (found[0].text or "").strip().rpartition(":")
        uri = self.scopes[found[0]].get(prefix)
        if uri is None:
            return f"(undeclared prefix {prefix!r}):{local}"
        return self.prefixed(f"{{{uri}}}{local}")

    def prefixed(self, tag: str) -> str:
        uri, _, local = tag[1:].rpartition("}") if tag.startswith("{") else ("", "", tag)
        for prefix, known in self.prefixes.items():
            if known == uri:
                return f"{prefix}:{local}"
        return tag if uri else local
