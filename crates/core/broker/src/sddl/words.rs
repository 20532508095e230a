//! The words of SDDL (MS-DTYP 2.5.1.1; those of files, keys and newer groups are Win32's, `sddl.h`).

/// Flags of a list: protected, automatic inheritance requested, automatically inherited.
pub(super) const ACL_FLAGS: [(&str, u8); 3] = [("P", 1), ("AR", 2), ("AI", 4)];

/// Flags of an entry, with their bits in `ACE_HEADER` (MS-DTYP 2.4.4.1).
pub(super) const ACE_FLAGS: [(&str, u8); 7] =
    [("OI", 0x01), ("CI", 0x02), ("NP", 0x04), ("IO", 0x08), ("ID", 0x10), ("SA", SUCCESS), ("FA", FAILURE)];
/// Audit what succeeds.
pub(super) const SUCCESS: u8 = 0x40;
/// Audit what fails.
pub(super) const FAILURE: u8 = 0x80;

/// Rights of one bit each.
pub(super) const BITS: [(&str, u32); 17] = [
    ("GA", 0x1000_0000),
    ("GX", 0x2000_0000),
    ("GW", 0x4000_0000),
    ("GR", 0x8000_0000),
    ("CC", 0x1),
    ("DC", 0x2),
    ("LC", 0x4),
    ("SW", 0x8),
    ("RP", 0x10),
    ("WP", 0x20),
    ("DT", 0x40),
    ("LO", 0x80),
    ("CR", 0x100),
    ("SD", 0x1_0000),
    ("RC", 0x2_0000),
    ("WD", 0x4_0000),
    ("WO", 0x8_0000),
];

/// The bits of a label: what those below it may not do.
pub(super) const LABEL_BITS: [(&str, u32); 3] = [("NW", 0x1), ("NR", 0x2), ("NX", 0x4)];

/// Rights of several bits: of files and of registry keys.
pub(super) const WHOLE: [(&str, u32); 7] = [
    ("FA", 0x1f_01ff),
    ("FR", 0x12_0089),
    ("FW", 0x12_0116),
    ("FX", 0x12_00a0),
    ("KA", 0x0f_003f),
    ("KR", 0x02_0019),
    ("KW", 0x02_0006),
];
/// To execute a key is to read it; it is never written so.
pub(super) const KEY_EXECUTE: (&str, u32) = ("KX", 0x02_0019);

/// Groups and accounts that have letters.
#[rustfmt::skip]
pub(super) const ALIASES: [&str; 66] = [
    "AA", "AC", "AN", "AO", "AP", "AS", "AU", "BA", "BG", "BO", "BU", "CA", "CD", "CG", "CN", "CO", "CY",
    "DA", "DC", "DD", "DG", "DU", "EA", "ED", "EK", "ER", "ES", "HA", "HI", "IS", "IU", "KA", "LA", "LG",
    "LS", "LU", "LW", "ME", "MP", "MS", "MU", "NO", "NS", "NU", "OW", "PA", "PO", "PS", "PU", "RA", "RC",
    "RD", "RE", "RM", "RO", "RS", "RU", "SA", "SI", "SO", "SS", "SU", "SY", "UD", "WD", "WR",
];

/// Kinds of entries that have a condition or attributes.
pub(super) const CONDITIONAL: [&str; 5] = ["XA", "XD", "XU", "ZA", "RA"];
