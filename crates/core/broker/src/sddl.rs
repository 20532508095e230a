//! Security descriptors as text: SDDL (MS-DTYP 2.5.1), read strictly and written again.
//!
//! Nothing here says who may do what: that takes principals with security identifiers. Conditional and attribute ACEs
//! (MS-DTYP 2.5.1.1, `XA`, `XD`, `XU`, `ZA`, `RA`) are refused: whoever takes one without heeding its condition grants
//! more than was meant.

mod parse;
mod words;

use std::fmt;
use uuid::Uuid;
use words::{ACE_FLAGS, ACL_FLAGS, BITS, LABEL_BITS, WHOLE};

/// Longest text, in bytes: as read, and as it would be written again.
pub const MAX_LENGTH: usize = 32_768;
/// Most entries of both lists together.
pub const MAX_ACES: usize = 1024;

/// A security descriptor. Written, it is in its canonical form: flags and rights in one order, numbers where letters
/// do not say it all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecurityDescriptor {
    owner: Option<Trustee>,
    group: Option<Trustee>,
    dacl: Option<Acl>,
    sacl: Option<Acl>,
}

/// A list of entries, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Acl {
    /// What the list is told besides, by [`words::ACL_FLAGS`].
    flags: u8,
    aces: Vec<Ace>,
}

/// An entry of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ace {
    kind: AceKind,
    /// Inheritance and audit, as in `ACE_HEADER` (MS-DTYP 2.4.4.1).
    flags: u8,
    /// `ACCESS_MASK` (MS-DTYP 2.4.3).
    rights: u32,
    /// What the rights are about, of an entry for objects.
    object: Option<Uuid>,
    /// What inherits it, of an entry for objects.
    inherited_object: Option<Uuid>,
    trustee: Trustee,
}

/// What an entry does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AceKind {
    /// `A`
    Allow,
    /// `D`
    Deny,
    /// `OA`
    AllowObject,
    /// `OD`
    DenyObject,
    /// `AU`
    Audit,
    /// `OU`
    AuditObject,
    /// `ML`
    Label,
    /// `SP`
    CentralPolicy,
}

/// Whom an entry, or the descriptor, is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trustee {
    /// Two letters, such as `BA`. Some of them mean a group of whichever domain reads them, so they stay letters.
    Alias(&'static str),
    /// A security identifier.
    Sid(Sid),
}

/// A security identifier of revision 1 (MS-DTYP 2.4.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sid {
    /// 48 bits.
    authority: u64,
    /// 1 to 15.
    sub_authorities: Vec<u32>,
}

/// Why a text is no security descriptor.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem} (at byte {at})")]
pub struct SddlError {
    /// Where, in bytes from the beginning.
    pub at: usize,
    /// What is wrong there.
    pub problem: Problem,
}

/// What is wrong with a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// It, or its canonical form, is longer than [`MAX_LENGTH`].
    #[error("a security descriptor has at most {MAX_LENGTH} bytes")]
    TooLong,
    /// There are more than [`MAX_ACES`].
    #[error("a security descriptor has at most {MAX_ACES} entries")]
    TooManyAces,
    /// Something else has to stand there.
    #[error("here has to be {0}")]
    Expected(&'static str),
    /// A number is too large.
    #[error("{0} does not fit {1} bits")]
    TooLarge(&'static str, u32),
    /// The same comes twice.
    #[error("{0} comes twice")]
    Twice(&'static str),
    /// It is right elsewhere, but not there.
    #[error("{0}")]
    Misplaced(&'static str),
    /// It is SDDL, and not offered.
    #[error("entries with conditions or attributes are not supported")]
    Conditional,
}

impl SecurityDescriptor {
    /// Reads a descriptor. Letters may be in any case, sections are in the order of owner, group, entries, audit.
    ///
    /// # Errors
    /// What is wrong with the text, and where.
    pub fn parse(text: &str) -> Result<Self, SddlError> {
        parse::descriptor(text)
    }

    /// Whose the object is.
    pub fn owner(&self) -> Option<&Trustee> {
        self.owner.as_ref()
    }

    /// Its primary group.
    pub fn group(&self) -> Option<&Trustee> {
        self.group.as_ref()
    }

    /// Who may do what.
    pub fn dacl(&self) -> Option<&Acl> {
        self.dacl.as_ref()
    }

    /// What is audited.
    pub fn sacl(&self) -> Option<&Acl> {
        self.sacl.as_ref()
    }
}

impl Acl {
    /// The entries.
    pub fn aces(&self) -> &[Ace] {
        &self.aces
    }
}

impl Ace {
    /// What it does.
    pub fn kind(&self) -> AceKind {
        self.kind
    }

    /// The rights that it is about: an `ACCESS_MASK` (MS-DTYP 2.4.3).
    pub fn rights(&self) -> u32 {
        self.rights
    }

    /// Whom it is about.
    pub fn trustee(&self) -> &Trustee {
        &self.trustee
    }
}

impl AceKind {
    /// Every kind, and its letters.
    const ALL: [(AceKind, &'static str); 8] = [
        (AceKind::Allow, "A"),
        (AceKind::Deny, "D"),
        (AceKind::AllowObject, "OA"),
        (AceKind::DenyObject, "OD"),
        (AceKind::Audit, "AU"),
        (AceKind::AuditObject, "OU"),
        (AceKind::Label, "ML"),
        (AceKind::CentralPolicy, "SP"),
    ];

    fn letters(self) -> &'static str {
        Self::ALL.iter().find(|(kind, _)| *kind == self).map_or("", |(_, letters)| letters)
    }

    /// Whether it stands in the list of audit rather than in that of access.
    fn is_audit(self) -> bool {
        match self {
            Self::Allow | Self::Deny | Self::AllowObject | Self::DenyObject => false,
            Self::Audit | Self::AuditObject | Self::Label | Self::CentralPolicy => true,
        }
    }

    /// Whether it may say what of an object it is about.
    fn is_of_objects(self) -> bool {
        match self {
            Self::AllowObject | Self::DenyObject | Self::AuditObject => true,
            Self::Allow | Self::Deny | Self::Audit | Self::Label | Self::CentralPolicy => false,
        }
    }
}

impl Sid {
    /// Reads an identifier alone: `S-1-` and what follows it.
    ///
    /// # Errors
    /// What is wrong with the text, and where.
    pub fn parse(text: &str) -> Result<Self, SddlError> {
        parse::sid(text)
    }
}

impl fmt::Display for SecurityDescriptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (letter, trustee) in [("O:", &self.owner), ("G:", &self.group)] {
            if let Some(trustee) = trustee {
                write!(f, "{letter}{trustee}")?;
            }
        }
        for (letter, acl) in [("D:", &self.dacl), ("S:", &self.sacl)] {
            if let Some(acl) = acl {
                write!(f, "{letter}{acl}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Acl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        flags(f, &ACL_FLAGS, self.flags)?;
        self.aces.iter().try_for_each(|ace| ace.fmt(f))
    }
}

impl fmt::Display for Ace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({};", self.kind.letters())?;
        flags(f, &ACE_FLAGS, self.flags)?;
        f.write_str(";")?;
        rights(f, self.kind, self.rights)?;
        for guid in [&self.object, &self.inherited_object] {
            f.write_str(";")?;
            if let Some(guid) = guid {
                guid.fmt(f)?;
            }
        }
        write!(f, ";{})", self.trustee)
    }
}

impl fmt::Display for Trustee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Alias(letters) => f.write_str(letters),
            Self::Sid(sid) => sid.fmt(f),
        }
    }
}

impl fmt::Display for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match u32::try_from(self.authority) {
            Ok(authority) => write!(f, "S-1-{authority}")?,
            Err(_) => write!(f, "S-1-0x{:012X}", self.authority)?,
        }
        self.sub_authorities.iter().try_for_each(|part| write!(f, "-{part}"))
    }
}

fn flags(f: &mut fmt::Formatter<'_>, words: &[(&'static str, u8)], set: u8) -> fmt::Result {
    words.iter().filter(|(_, flag)| set & flag != 0).try_for_each(|(letters, _)| f.write_str(letters))
}

/// Letters where they say it all, else a number.
fn rights(f: &mut fmt::Formatter<'_>, kind: AceKind, mask: u32) -> fmt::Result {
    let bits: &[(&str, u32)] = if kind == AceKind::Label { &LABEL_BITS } else { &BITS };
    if let Some((letters, _)) = WHOLE.iter().find(|(_, whole)| *whole == mask) {
        return f.write_str(letters);
    }
    let said = bits.iter().fold(0, |said, (_, bit)| said | bit);
    if mask & !said != 0 {
        return write!(f, "0x{mask:x}");
    }
    bits.iter().filter(|(_, bit)| mask & bit != 0).try_for_each(|(letters, _)| f.write_str(letters))
}
