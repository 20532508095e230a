"""Enumerate, pull, get, invoke, identify and faults with pypsrp, against the server on a port."""

import sys
import xml.etree.ElementTree as ET

import pypsrp.wsman as w
from pypsrp.exceptions import AuthenticationError, WSManFaultError

PORT = int(sys.argv[1])
NS = {
    "n": "http://schemas.xmlsoap.org/ws/2004/09/enumeration",
    "w": "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd",
    "i": "http://schemas.dmtf.org/wbem/wsman/identity/1/wsmanidentity.xsd",
}
URIS = [
    "http://schemas.microsoft.com/wbem/wsman/1/wmi/root/cimv2/rdms/Win32_VirtualDesktopSession",
    "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/Win32_VirtualDesktopSession",
]


def client(user="LAB\\root", password="secret"):
    return w.WSMan("127.0.0.1", port=PORT, username=user, password=password, ssl=False, auth="basic",
                   encryption="never", no_proxy=True)


def selectors(**given):
    out = w.SelectorSet()
    for name, value in given.items():
        out.add_option(name, value)
    return out


def enumerate_all(wsman, uri, where, optimize):
    body = ET.Element("{%s}Enumerate" % NS["n"])
    if optimize:
        ET.SubElement(body, "{%s}OptimizeEnumeration" % NS["w"])
        ET.SubElement(body, "{%s}MaxElements" % NS["w"]).text = "32000"
        ET.SubElement(body, "{%s}EnumerationMode" % NS["w"]).text = "EnumerateObjectAndEPR"
    reply = wsman.enumerate(uri, body, selector_set=where)
    found, trips, prefix = [], 1, "w"
    while True:
        found += reply.findall(".//{%s}SessionId" % uri)
        if reply.find(".//%s:EndOfSequence" % prefix, NS) is not None:
            return [int(e.text) for e in found], trips
        context = reply.find(".//n:EnumerationContext", NS).text
        body = ET.Element("{%s}Pull" % NS["n"])
        ET.SubElement(body, "{%s}EnumerationContext" % NS["n"]).text = context
        ET.SubElement(body, "{%s}MaxElements" % NS["n"]).text = "700"
        reply, trips, prefix = wsman.pull(uri, body, selector_set=where), trips + 1, "n"


def fault(call):
    try:
        call()
    except WSManFaultError as error:
        return error
    raise AssertionError("no fault")


wsman = client()
for uri, extra in zip(URIS, [{}, {"__cimnamespace": "root/cimv2/rdms"}]):
    for optimize in (False, True):
        ids, trips = enumerate_all(wsman, uri, selectors(**extra) if extra else None, optimize)
        assert ids == list(range(1, 1501)), (len(ids), ids[:3])
        print("enumerate", uri[:40], "optimized" if optimize else "plain", len(ids), "items in", trips, "messages")
    one = selectors(VMHostName="HOST1", SessionId="2", **extra)
    names = [e.tag.split("}")[1] for e in wsman.get(uri, None, selector_set=one)[0]]
    assert names == sorted(names, key=str.lower) and len(names) == 8, names
    print("get", names)
    body = ET.Element("{%s}SendMessage_INPUT" % uri)
    ET.SubElement(body, "{%s}Message" % uri).text = "hello"
    ET.SubElement(body, "{%s}Title" % uri).text = "a < b"
    out = wsman.invoke(uri + "/SendMessage", uri, body, selector_set=one)
    assert out.find(".//{%s}SendMessage_OUTPUT" % uri) is not None, ET.tostring(out)
    assert out.find(".//{%s}ReturnValue" % uri).text == "0"
    print("invoke 0")
    error = fault(lambda: wsman.get(uri, None, selector_set=selectors(VMHostName="h", SessionId="9999", **extra)))
    assert (error.code, error.reason) == (0x80041002, "no such session"), (error.code, error.reason)
    print("fault", error)
    error = fault(lambda: wsman.get(uri, None, selector_set=selectors(VMHostName="h", **extra)))
    assert "SessionId is missing" in error.reason
    error = fault(lambda: wsman.get(uri.replace("Desktop", "Nothing"), None, selector_set=one))
    assert error.code == 0x80041010, error.code
    error = fault(lambda: wsman.invoke(uri + "/Reboot", uri, None, selector_set=one))
    assert error.code == 0x8004102E, error.code
    denied = fault(lambda: client("anna", "geheim:ä").invoke(uri + "/Logoff", uri, None, selector_set=one))
    assert denied.code == 0x80041003, denied.code

try:
    client(password="wrong").get(URIS[0], None)
    raise AssertionError("let in")
except AuthenticationError as error:
    print("wrong password:", error)

SOAP = "http://www.w3.org/2003/05/soap-envelope"
envelope = ET.Element("{%s}Envelope" % SOAP)
ET.SubElement(envelope, "{%s}Header" % SOAP)
ET.SubElement(ET.SubElement(envelope, "{%s}Body" % SOAP), "{%s}Identify" % NS["i"])
reply = ET.fromstring(wsman.transport.send(ET.tostring(envelope)))
print("identify", reply.find(".//i:ProductVendor", NS).text, reply.find(".//i:ProductVersion", NS).text)
