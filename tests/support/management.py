"""The management door, through a WS-Management client that we did not write: pypsrp's WSMan."""

import xml.etree.ElementTree as ET
from urllib.parse import urlsplit

from pypsrp.exceptions import WSManFaultError
from pypsrp.wsman import NAMESPACES, SelectorSet, WSMan

SESSION = "http://schemas.microsoft.com/wbem/wsman/1/wmi/root/cimv2/rdms/Win32_VirtualDesktopSession"
# The same class in DMTF's family of URIs, where the namespace is a selector.
SESSION_CIM = "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/Win32_VirtualDesktopSession"
NAMESPACE = "root/cimv2/rdms"

ACTIVE, DISCONNECTED, LOGGING_OFF, STARTING = 0, 4, 7, 9
WBEM_E_NOT_FOUND = 0x80041002

_WSMAN = "{%s}" % NAMESPACES["wsman"]
_WSEN = "{%s}" % NAMESPACES["wsen"]
_NIL = "{%s}nil" % NAMESPACES["xsi"]

__all__ = ["Management", "WSManFaultError"]


def _local(element: ET.Element) -> str:
    return element.tag.rsplit("}", 1)[-1]


def _instance(element: ET.Element) -> dict[str, str | None]:
    return {_local(child): None if child.get(_NIL) else (child.text or "") for child in element}


class Management:
    """One account's view of the sessions. `uri` picks the family of resource URIs."""

    def __init__(self, endpoint: str, user: str, password: str, uri: str = SESSION):
        parts = urlsplit(endpoint)
        self.uri = uri
        self.client = WSMan(
            parts.hostname,
            port=parts.port,
            ssl=parts.scheme == "https",
            path=parts.path.strip("/"),
            auth="basic",
            username=user,
            password=password,
            encryption="never",
            cert_validation=False,
            no_proxy=True,
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.client.close()

    def _selectors(self, session: dict | None = None) -> SelectorSet | None:
        selectors = SelectorSet()
        if session:
            for key in ("VMHostName", "SessionId"):
                selectors.add_option(key, str(session[key]))
        if self.uri.startswith("http://schemas.dmtf.org/"):
            selectors.add_option("__cimnamespace", NAMESPACE)
        return selectors if selectors.values else None

    def sessions(self, optimised: bool = False) -> list[dict[str, str | None]]:
        """Every session that this account may see: Enumerate, then Pull until the end of the sequence."""
        request = ET.Element(_WSEN + "Enumerate")
        if optimised:
            ET.SubElement(request, _WSMAN + "OptimizeEnumeration")
            ET.SubElement(request, _WSMAN + "MaxElements").text = "1"
        answer = self.client.enumerate(self.uri, request, selector_set=self._selectors())[0]
        found: list[dict[str, str | None]] = []
        namespace = _WSMAN  # where EnumerateResponse has its items; PullResponse has them in _WSEN
        while True:
            for item in answer.findall(f"{namespace}Items/*"):
                found.append(_instance(item))
            if answer.find(f"{namespace}EndOfSequence") is not None:
                return found
            context = answer.findtext(_WSEN + "EnumerationContext")
            assert context, "neither an end of the sequence nor a context to go on with"
            pull = ET.Element(_WSEN + "Pull")
            ET.SubElement(pull, _WSEN + "EnumerationContext").text = context
            ET.SubElement(pull, _WSEN + "MaxElements").text = "20"
            answer = self.client.pull(self.uri, pull, selector_set=self._selectors())[0]
            namespace = _WSEN

    def session_of(self, user: str) -> dict[str, str | None] | None:
        """The one session of a user, or None."""
        found = [s for s in self.sessions() if (s["UserName"] or "").lower() == user.lower()]
        assert len(found) <= 1, f"{user} has {len(found)} sessions"
        return found[0] if found else None

    def get(self, session: dict) -> dict[str, str | None]:
        return _instance(self.client.get(self.uri, selector_set=self._selectors(session))[0])

    def state(self, session: dict) -> int:
        """Its ConnectState now."""
        return int(self.get(session)["ConnectState"])

    def invoke(self, session: dict, method: str, **parameters: str) -> int:
        """Calls a method and returns its ReturnValue. A fault is raised as WSManFaultError."""
        request = ET.Element("{%s}%s_INPUT" % (self.uri, method))
        for name, value in parameters.items():
            ET.SubElement(request, "{%s}%s" % (self.uri, name)).text = value
        selectors = self._selectors(session)
        answer = self.client.invoke(f"{self.uri}/{method}", self.uri, request, selector_set=selectors)
        output = answer.find("s:Body", NAMESPACES)[0]
        assert _local(output) == f"{method}_OUTPUT", output.tag
        return int(next(child.text for child in output if _local(child) == "ReturnValue"))
