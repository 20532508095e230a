"""Any class of the management door, through pypsrp's WSMan."""

import xml.etree.ElementTree as ET

from pypsrp.wsman import NAMESPACES, SelectorSet
from support.management import Management

_NIL = "{%s}nil" % NAMESPACES["xsi"]
_WSEN = "{%s}" % NAMESPACES["wsen"]
_WSMAN = "{%s}" % NAMESPACES["wsman"]

Value = str | list[str] | None


def _local(element: ET.Element) -> str:
    return element.tag.rsplit("}", 1)[-1]


def _values(element: ET.Element) -> dict[str, Value]:
    """Values by name: None for null, a list where a name comes several times."""
    values: dict[str, Value] = {}
    for child in element:
        value = None if child.get(_NIL) else (child.text or "")
        if _local(child) in values:
            before = values[_local(child)]
            value = [*(before if isinstance(before, list) else [before]), value]
        values[_local(child)] = value
    return values


class Class:
    """A class of a namespace as one account sees it."""

    def __init__(self, management: Management, name: str, namespace: str = "root/cimv2/rdms"):
        self.name = name
        self.client = management.client
        self.uri = f"http://schemas.microsoft.com/wbem/wsman/1/wmi/{namespace}/{name}"

    def _element(self, name: str, values: dict[str, Value]) -> ET.Element:
        element = ET.Element("{%s}%s" % (self.uri, name))
        for key, value in values.items():
            for one in value if isinstance(value, list) else [value]:
                child = ET.SubElement(element, "{%s}%s" % (self.uri, key))
                if one is None:
                    child.set(_NIL, "true")
                else:
                    child.text = one
        return element

    def call(self, method: str, keys: dict[str, str] | None = None, **values: Value) -> dict[str, Value]:
        """Calls a method: what comes out, and ReturnValue as a number."""
        answer = self.client.invoke(
            f"{self.uri}/{method}",
            self.uri,
            self._element(f"{method}_INPUT", values),
            selector_set=_selectors(keys),
        )
        output = answer.find("s:Body", NAMESPACES)[0]
        assert _local(output) == f"{method}_OUTPUT", output.tag
        out = _values(output)
        return out | {"ReturnValue": int(out["ReturnValue"])}

    def create(self, **values: Value) -> None:
        self.client.create(self.uri, self._element(self.name, values))

    def put(self, keys: dict[str, str], values: dict[str, Value]) -> None:
        self.client.put(self.uri, self._element(self.name, values), selector_set=_selectors(keys))

    def delete(self, keys: dict[str, str]) -> None:
        self.client.delete(self.uri, selector_set=_selectors(keys))

    def get(self, keys: dict[str, str]) -> dict[str, Value]:
        return _values(self.client.get(self.uri, selector_set=_selectors(keys))[0])

    def list(self) -> list[dict[str, Value]]:
        request = ET.Element(_WSEN + "Enumerate")
        ET.SubElement(request, _WSMAN + "OptimizeEnumeration")
        ET.SubElement(request, _WSMAN + "MaxElements").text = "100"
        answer = self.client.enumerate(self.uri, request)[0]
        assert answer.find(_WSMAN + "EndOfSequence") is not None, "more than one batch"
        return [_values(item) for item in answer.findall(f"{_WSMAN}Items/*")]


def _selectors(keys: dict[str, str] | None) -> SelectorSet | None:
    if not keys:
        return None
    selectors = SelectorSet()
    for name, value in keys.items():
        selectors.add_option(name, value)
    return selectors
