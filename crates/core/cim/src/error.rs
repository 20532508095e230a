//! What can go wrong, in the terms of the caller: a kind for programs, a WMI code for clients, a message
//! for people. The one table from code to kind and CIM status is [`WmiCode::ALL`]; what a kind is over
//! HTTP is [`Kind::http_status`]; the WS-Management fault of each code is made in `openrdms-wsman`.

use std::fmt;

/// A refused or failed call. The message goes to the caller: no internals, no causes, no secrets in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct CimError {
    /// Whose fault it is, and what a program should do about it.
    pub kind: Kind,
    /// The number that clients of WMI know.
    pub code: WmiCode,
    /// For people: lower case, no full stop.
    pub message: String,
}

/// The kinds of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The caller may not.
    Denied,
    /// It does not exist, or not for this caller.
    NotFound,
    /// The request is wrong and will stay wrong.
    Invalid,
    /// The request does not fit the present state.
    Conflict,
    /// Something that is needed does not answer now.
    Unavailable,
    /// Not offered here.
    NotSupported,
    /// It took too long.
    TimedOut,
    /// Our mistake.
    Bug,
}

/// A WMI error code: an `HRESULT` as unsigned 32-bit number, which is also what a method returns.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct WmiCode(pub u32);

macro_rules! codes {
    ($($name:ident = $number:literal, $kind:ident, $cim:literal, $about:literal;)*) => {
        impl WmiCode {
            $(#[doc = concat!($about, ".")] pub const $name: WmiCode = WmiCode($number);)*

            /// Every known code with its name, kind and CIM status (DSP0200 table 4).
            pub const ALL: &'static [(WmiCode, &'static str, Kind, u16)] =
                &[$((WmiCode::$name, stringify!($name), Kind::$kind, $cim)),*];

            /// What it means, for people; `None` for a code that is not ours.
            pub fn meaning(self) -> Option<&'static str> {
                match self {
                    $(WmiCode::$name => Some($about),)*
                    _ => None,
                }
            }
        }
    };
}

codes! {
    WBEM_E_FAILED = 0x8004_1001, Bug, 1, "Failed, without a closer reason";
    WBEM_E_NOT_FOUND = 0x8004_1002, NotFound, 6, "There is no such object";
    WBEM_E_ACCESS_DENIED = 0x8004_1003, Denied, 2, "The caller may not do this";
    WBEM_E_PROVIDER_FAILURE = 0x8004_1004, Bug, 1, "The provider failed while it ran";
    WBEM_E_TYPE_MISMATCH = 0x8004_1005, Invalid, 13, "A value has the wrong type";
    WBEM_E_OUT_OF_MEMORY = 0x8004_1006, Unavailable, 1, "Memory ran out";
    WBEM_E_INVALID_CONTEXT = 0x8004_1007, Invalid, 4, "The context object is wrong";
    WBEM_E_INVALID_PARAMETER = 0x8004_1008, Invalid, 4, "A parameter is wrong";
    WBEM_E_NOT_AVAILABLE = 0x8004_1009, Unavailable, 1, "Something that is needed cannot be reached now";
    WBEM_E_NOT_SUPPORTED = 0x8004_100C, NotSupported, 7, "Not offered";
    WBEM_E_INVALID_NAMESPACE = 0x8004_100E, NotFound, 3, "There is no such namespace";
    WBEM_E_INVALID_OBJECT = 0x8004_100F, Conflict, 1, "The object is not what the caller takes it for";
    WBEM_E_INVALID_CLASS = 0x8004_1010, NotFound, 5, "There is no such class";
    WBEM_E_INITIALIZATION_FAILURE = 0x8004_1014, Bug, 1, "A part could not start";
    WBEM_E_TRANSPORT_FAILURE = 0x8004_1015, Unavailable, 1, "The network failed";
    WBEM_E_INVALID_OPERATION = 0x8004_1016, Conflict, 1, "Not possible in the present state";
    WBEM_E_INVALID_QUERY = 0x8004_1017, Invalid, 15, "The query cannot be understood";
    WBEM_E_INVALID_QUERY_TYPE = 0x8004_1018, Invalid, 14, "The query language is unknown";
    WBEM_E_ALREADY_EXISTS = 0x8004_1019, Conflict, 11, "It exists already";
    WBEM_E_INVALID_SYNTAX = 0x8004_1021, Invalid, 15, "The query has a syntax error";
    WBEM_E_READ_ONLY = 0x8004_1023, Invalid, 7, "The property cannot be written";
    WBEM_E_PROVIDER_NOT_CAPABLE = 0x8004_1024, NotSupported, 7, "The provider does not offer this";
    WBEM_E_ILLEGAL_NULL = 0x8004_1028, Invalid, 4, "Null where a value must be";
    WBEM_E_VALUE_OUT_OF_RANGE = 0x8004_102B, Invalid, 4, "A value is out of range";
    WBEM_E_INVALID_METHOD = 0x8004_102E, NotFound, 17, "There is no such method";
    WBEM_E_INVALID_METHOD_PARAMETERS = 0x8004_102F, Invalid, 4, "The parameters of the method are wrong";
    WBEM_E_CALL_CANCELLED = 0x8004_1032, Conflict, 1, "The call was cancelled";
    WBEM_E_SHUTTING_DOWN = 0x8004_1033, Unavailable, 1, "The service is stopping";
    WBEM_E_MISSING_PARAMETER_ID = 0x8004_1036, Invalid, 4, "A parameter of the method is missing";
    WBEM_E_INVALID_OBJECT_PATH = 0x8004_103A, Invalid, 4, "The object path cannot be understood";
    WBEM_E_SERVER_TOO_BUSY = 0x8004_1045, Unavailable, 1, "The server has too much to do now";
    WBEM_E_METHOD_NOT_IMPLEMENTED = 0x8004_1055, NotSupported, 16, "The method is declared but not implemented";
    WBEM_E_QUEUE_OVERFLOW = 0x8004_1061, Conflict, 1, "Events were lost because they were not read in time";
    WBEM_E_TIMED_OUT = 0x8004_1069, TimedOut, 1, "It took too long";
    WBEM_E_QUOTA_VIOLATION = 0x8004_106C, Unavailable, 1, "A quota is used up";
}

impl CimError {
    /// An error with that code, and the kind that belongs to it.
    pub fn new(code: WmiCode, message: impl Into<String>) -> Self {
        Self { kind: code.kind(), code, message: message.into() }
    }

    /// An error of that kind, with the code that says just that.
    pub fn of(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, code: kind.code(), message: message.into() }
    }
}

impl Kind {
    /// The code of a failure about which no more is known than its kind.
    pub fn code(self) -> WmiCode {
        match self {
            Kind::Denied => WmiCode::WBEM_E_ACCESS_DENIED,
            Kind::NotFound => WmiCode::WBEM_E_NOT_FOUND,
            Kind::Invalid => WmiCode::WBEM_E_INVALID_PARAMETER,
            Kind::Conflict => WmiCode::WBEM_E_INVALID_OPERATION,
            Kind::Unavailable => WmiCode::WBEM_E_NOT_AVAILABLE,
            Kind::NotSupported => WmiCode::WBEM_E_NOT_SUPPORTED,
            Kind::TimedOut => WmiCode::WBEM_E_TIMED_OUT,
            Kind::Bug => WmiCode::WBEM_E_FAILED,
        }
    }

    /// The HTTP status where a door answers with one; WS-Management answers 500 to every fault.
    pub fn http_status(self) -> u16 {
        match self {
            Kind::Denied => 403,
            Kind::NotFound => 404,
            Kind::Invalid => 400,
            Kind::Conflict => 409,
            Kind::Unavailable => 503,
            Kind::NotSupported => 501,
            Kind::TimedOut => 504,
            Kind::Bug => 500,
        }
    }
}

impl WmiCode {
    /// The code of that name, such as `WBEM_E_NOT_FOUND`.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|row| row.1 == name).map(|row| row.0)
    }

    /// Its name; `None` for a code that is not ours.
    pub fn name(self) -> Option<&'static str> {
        self.row().map(|row| row.1)
    }

    /// Its kind; an unknown code is a bug.
    pub fn kind(self) -> Kind {
        self.row().map_or(Kind::Bug, |row| row.2)
    }

    /// The CIM status code (DSP0200 table 4); an unknown code is 1, `CIM_ERR_FAILED`.
    pub fn cim_status(self) -> u16 {
        self.row().map_or(1, |row| row.3)
    }

    fn row(self) -> Option<&'static (WmiCode, &'static str, Kind, u16)> {
        Self::ALL.iter().find(|row| row.0 == self)
    }
}

impl fmt::Debug for WmiCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for WmiCode {
    /// The name where it is known, else the number in hexadecimal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "0x{:08X}", self.0),
        }
    }
}

impl From<WmiCode> for crate::Value {
    fn from(code: WmiCode) -> Self {
        crate::Value::Uint32(code.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_unique_and_found_again() {
        for (i, (code, name, _, _)) in WmiCode::ALL.iter().enumerate() {
            assert_eq!(WmiCode::from_name(name), Some(*code));
            assert_eq!(code.name(), Some(*name));
            assert!(WmiCode::ALL[..i].iter().all(|other| other.0 != *code));
        }
        assert_eq!(WmiCode(0x8004_1002), WmiCode::WBEM_E_NOT_FOUND);
        assert_eq!(WmiCode(5).to_string(), "0x00000005");
    }

    #[test]
    fn the_code_of_a_kind_is_of_that_kind() {
        for (_, _, kind, _) in WmiCode::ALL {
            assert_eq!(kind.code().kind(), *kind);
        }
    }
}
