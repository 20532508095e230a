//! The URIs that the protocols are written with.

/// SOAP 1.2.
pub const SOAP: &str = "http://www.w3.org/2003/05/soap-envelope";
/// WS-Addressing, August 2004.
pub const ADDRESSING: &str = "http://schemas.xmlsoap.org/ws/2004/08/addressing";
/// The address of whoever sent the request (WS-Addressing 2.1).
pub const ANONYMOUS: &str = "http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous";
/// WS-Enumeration.
pub const ENUMERATION: &str = "http://schemas.xmlsoap.org/ws/2004/09/enumeration";
/// WS-Transfer.
pub const TRANSFER: &str = "http://schemas.xmlsoap.org/ws/2004/09/transfer";
/// WS-Management (DSP0226 annex A).
pub const WSMAN: &str = "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd";
/// Microsoft's additions (MS-WSMV 2.2.1).
pub const WSMV: &str = "http://schemas.microsoft.com/wbem/wsman/1/wsman.xsd";
/// The CIM binding (DSP0227).
pub const BINDING: &str = "http://schemas.dmtf.org/wbem/wsman/1/cimbinding.xsd";
/// Identify (DSP0226 11).
pub const IDENTITY: &str = "http://schemas.dmtf.org/wbem/wsman/identity/1/wsmanidentity.xsd";
/// Microsoft's fault detail (MS-WSMV 2.2.4).
pub const WSMAN_FAULT: &str = "http://schemas.microsoft.com/wbem/wsman/1/wsmanfault";
/// Types of WS-CIM (DSP0230).
pub const CIM: &str = "http://schemas.dmtf.org/wbem/wscim/1/common";
/// XML Schema instance.
pub const XSI: &str = "http://www.w3.org/2001/XMLSchema-instance";
/// XML Schema; OMI's client binds the prefix `xsi` to it, so that its `nil` arrives here.
pub const XSD: &str = "http://www.w3.org/2001/XMLSchema";

/// Class URIs of the WMI family: namespace and class follow (MS-WSMV 2.2.5).
pub const WMI_CLASS: &str = "http://schemas.microsoft.com/wbem/wsman/1/wmi/";
/// Class URIs of the CIM family: the class follows (DSP0227 5.1).
pub const CIM_CLASS: &str = "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/";
/// All classes, for queries (DSP0227 5.1).
pub const ALL_CLASSES: &str = "http://schemas.dmtf.org/wbem/wscim/1/*";
/// Class declarations in CIM-XML; `*` follows, and the selector `ClassName` (MS-WSMV 3.1.4.1.38).
pub const CIM_XML: &str = "http://schemas.dmtf.org/wbem/cim-xml/2/cim-schema/2/";
/// Class declarations as XML schemas (DSP0230): known by name, and offered by nobody.
pub const WS_CIM: &str = "http://schemas.dmtf.org/wbem/ws-cim/1/cim-schema/2/";
/// What a [`CIM_CLASS`] URI is the class of `MSFT_WmiError` with.
pub const WMI_ERROR: &str = "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/MSFT_WmiError";

/// What we add: `Reason`, a header that says why a method returned what it did.
pub const OURS: &str = "urn:openrdms:management:1";

/// The filter dialect that compares properties for equality (DSP0226 annex E).
pub const SELECTOR_FILTER: &str = "http://schemas.dmtf.org/wbem/wsman/1/wsman/SelectorFilter";
/// The filter dialect of WMI (MS-WSMV 2.2.4).
pub const WQL: &str = "http://schemas.microsoft.com/wbem/wsman/1/WQL";
/// The filter dialect of CIM (DSP0227 8.1).
pub const CQL: &str = "http://schemas.dmtf.org/wbem/cql/1/dsp0202.pdf";
/// How a fragment is named: the part of XPath that a name, an index and `text()` need (DSP0226 annex D).
pub const XPATH_LEVEL_1: &str = "http://schemas.dmtf.org/wbem/wsman/1/wsman/xpath-level-1";
/// XPath 1.0, of which the same part is understood.
pub const XPATH: &str = "http://www.w3.org/TR/1999/REC-xpath-19991116";
/// Fault details follow (DSP0226 14.6).
pub const FAULT_DETAIL: &str = "http://schemas.dmtf.org/wbem/wsman/1/wsman/faultDetail/";
/// Action of faults of WS-Addressing.
pub const ADDRESSING_FAULT: &str = "http://schemas.xmlsoap.org/ws/2004/08/addressing/fault";
/// Action of all other faults. Windows uses it for faults of enumeration and transfer too, and OMI's client
/// does not know the right ones.
pub const WSMAN_FAULT_ACTION: &str = "http://schemas.dmtf.org/wbem/wsman/1/wsman/fault";

/// Get.
pub const GET: &str = "http://schemas.xmlsoap.org/ws/2004/09/transfer/Get";
/// Put.
pub const PUT: &str = "http://schemas.xmlsoap.org/ws/2004/09/transfer/Put";
/// Create.
pub const CREATE: &str = "http://schemas.xmlsoap.org/ws/2004/09/transfer/Create";
/// Delete.
pub const DELETE: &str = "http://schemas.xmlsoap.org/ws/2004/09/transfer/Delete";
/// Enumerate.
pub const ENUMERATE: &str = "http://schemas.xmlsoap.org/ws/2004/09/enumeration/Enumerate";
/// Pull.
pub const PULL: &str = "http://schemas.xmlsoap.org/ws/2004/09/enumeration/Pull";
/// Release.
pub const RELEASE: &str = "http://schemas.xmlsoap.org/ws/2004/09/enumeration/Release";
/// Renew, of a listing.
pub const RENEW: &str = "http://schemas.xmlsoap.org/ws/2004/09/enumeration/Renew";
/// GetStatus, of a listing.
pub const GET_STATUS: &str = "http://schemas.xmlsoap.org/ws/2004/09/enumeration/GetStatus";
/// A PowerShell client is done with an operation (MS-WSMV 3.1.4.19).
pub const END: &str = "http://schemas.microsoft.com/wbem/wsman/1/wsman/End";

/// The selector that names a class whose declaration is asked for.
pub const CLASS_SELECTOR: &str = "ClassName";
/// The selector that carries the namespace.
pub const NAMESPACE_SELECTOR: &str = "__cimnamespace";
