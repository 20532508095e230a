"""The prefixes that cases use, and the actions that they name by a word."""

NAMESPACES = {
    "s": "http://www.w3.org/2003/05/soap-envelope",
    "a": "http://schemas.xmlsoap.org/ws/2004/08/addressing",
    "n": "http://schemas.xmlsoap.org/ws/2004/09/enumeration",
    "x": "http://schemas.xmlsoap.org/ws/2004/09/transfer",
    "e": "http://schemas.xmlsoap.org/ws/2004/08/eventing",
    "w": "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd",
    "m": "http://schemas.microsoft.com/wbem/wsman/1/wsman.xsd",
    "b": "http://schemas.dmtf.org/wbem/wsman/1/cimbinding.xsd",
    "id": "http://schemas.dmtf.org/wbem/wsman/identity/1/wsmanidentity.xsd",
    "f": "http://schemas.microsoft.com/wbem/wsman/1/wsmanfault",
    "cim": "http://schemas.dmtf.org/wbem/wscim/1/common",
    "err": "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/MSFT_WmiError",
    "xsi": "http://www.w3.org/2001/XMLSchema-instance",
    "xml": "http://www.w3.org/XML/1998/namespace",
}

ANONYMOUS = NAMESPACES["a"] + "/role/anonymous"
FAULT_DETAIL = "http://schemas.dmtf.org/wbem/wsman/1/wsman/faultDetail/"

WMI = "http://schemas.microsoft.com/wbem/wsman/1/wmi"
CIM_SCHEMA = "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2"
CIM_ALL = "http://schemas.dmtf.org/wbem/wscim/1/*"
CIM_XML = "http://schemas.dmtf.org/wbem/cim-xml/2/cim-schema/2/*"

ACTIONS = {
    **{word: f"{NAMESPACES['x']}/{word}" for word in ("Get", "Put", "Create", "Delete")},
    **{
        word: f"{NAMESPACES['n']}/{word}"
        for word in ("Enumerate", "Pull", "Release", "Renew", "GetStatus")
    },
    **{
        f"e:{word}": f"{NAMESPACES['e']}/{word}"
        for word in ("Subscribe", "Renew", "GetStatus", "Unsubscribe")
    },
    "End": "http://schemas.microsoft.com/wbem/wsman/1/wsman/End",
}
