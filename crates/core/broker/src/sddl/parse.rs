//! Reading, in one pass from left to right. What is behind the first mistake is not looked at.

use super::words::{
    ACE_FLAGS, ACL_FLAGS, ALIASES, BITS, CONDITIONAL, FAILURE, KEY_EXECUTE, LABEL_BITS, SUCCESS, WHOLE,
};
use super::{Ace, AceKind, Acl, MAX_ACES, MAX_LENGTH, Problem, SddlError, SecurityDescriptor, Sid, Trustee};
use uuid::Uuid;

/// Most parts behind the authority.
const MAX_SUB_AUTHORITIES: usize = 15;
/// Most digits of such a part.
const MAX_DIGITS: usize = 10;
/// The authority of central policies.
const POLICIES: u64 = 17;

/// A text, and how much of it is read.
struct Reader<'a> {
    text: &'a str,
    at: usize,
    aces: usize,
}

pub(super) fn descriptor(text: &str) -> Result<SecurityDescriptor, SddlError> {
    if text.len() > MAX_LENGTH {
        return Err(SddlError { at: MAX_LENGTH, problem: Problem::TooLong });
    }
    let mut reader = Reader { text, at: 0, aces: 0 };
    let mut read = SecurityDescriptor { owner: None, group: None, dacl: None, sacl: None };
    if reader.take("O:") {
        read.owner = Some(reader.trustee()?);
    }
    if reader.take("G:") {
        read.group = Some(reader.trustee()?);
    }
    if reader.take("D:") {
        read.dacl = Some(reader.acl(|kind| !kind.is_audit())?);
    }
    if reader.take("S:") {
        read.sacl = Some(reader.acl(AceKind::is_audit)?);
    }
    if reader.at == 0 {
        return reader.wrong(Problem::Expected("O:, G:, D: or S:"));
    }
    if reader.at < text.len() {
        return reader
            .wrong(Problem::Expected("the next section (O: G: D: S: in this order), an entry, or the end"));
    }
    // letters are longer than numbers: what is written has to read back too
    if read.to_string().len() > MAX_LENGTH {
        return reader.wrong(Problem::TooLong);
    }
    Ok(read)
}

pub(super) fn sid(text: &str) -> Result<Sid, SddlError> {
    let mut reader = Reader { text, at: 0, aces: 0 };
    reader.expect("S-1-")?;
    let sid = reader.sid()?;
    if reader.at < text.len() { reader.wrong(Problem::Expected("the end")) } else { Ok(sid) }
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn wrong<T>(&self, problem: Problem) -> Result<T, SddlError> {
        Err(SddlError { at: self.at, problem })
    }

    /// The next `length` bytes, if they are whole characters.
    fn next(&self, length: usize) -> Option<&'a str> {
        self.rest().get(..length)
    }

    /// Goes on behind `word` if it is next, in any case.
    fn take(&mut self, word: &str) -> bool {
        let there = self.next(word.len()).is_some_and(|next| next.eq_ignore_ascii_case(word));
        if there {
            self.at += word.len();
        }
        there
    }

    fn expect(&mut self, word: &'static str) -> Result<(), SddlError> {
        if self.take(word) { Ok(()) } else { self.wrong(Problem::Expected(word)) }
    }

    /// Goes on behind as many digits as there are.
    fn digits(&mut self, is: fn(&u8) -> bool) -> &'a str {
        let count = self.rest().bytes().take_while(is).count();
        let digits = &self.rest()[..count];
        self.at += count;
        digits
    }

    /// One of `words`, if it is next.
    fn word<T: Copy>(&mut self, words: &[(&'static str, T)]) -> Option<(&'static str, T)> {
        words.iter().find(|(word, _)| self.take(word)).copied()
    }

    /// Flags, each once.
    fn flags(&mut self, words: &[(&'static str, u8)]) -> Result<u8, SddlError> {
        let mut flags = 0;
        loop {
            let before = self.at;
            let Some((word, flag)) = self.word(words) else { return Ok(flags) };
            if flags & flag != 0 {
                return Err(SddlError { at: before, problem: Problem::Twice(word) });
            }
            flags |= flag;
        }
    }

    fn trustee(&mut self) -> Result<Trustee, SddlError> {
        const WHAT: Problem = Problem::Expected("a security identifier (S-1-...) or the letters of a group");
        if self.take("S-1-") {
            return Ok(Trustee::Sid(self.sid()?));
        }
        match ALIASES.into_iter().find(|alias| self.take(alias)) {
            Some(alias) => Ok(Trustee::Alias(alias)),
            None => self.wrong(WHAT),
        }
    }

    /// What follows `S-1-` (MS-DTYP 2.4.2.1).
    fn sid(&mut self) -> Result<Sid, SddlError> {
        let authority = if self.take("0x") {
            let start = self.at;
            match self.digits(u8::is_ascii_hexdigit) {
                digits if digits.len() == 12 => u64::from_str_radix(digits, 16).unwrap_or_default(),
                _ => {
                    return Err(SddlError {
                        at: start,
                        problem: Problem::Expected("twelve hexadecimal digits"),
                    });
                }
            }
        } else {
            u64::from(self.part()?)
        };
        let mut sub_authorities = Vec::new();
        while self.take("-") {
            if sub_authorities.len() == MAX_SUB_AUTHORITIES {
                return self.wrong(Problem::Misplaced(
                    "a security identifier has at most 15 parts behind the first",
                ));
            }
            sub_authorities.push(self.part()?);
        }
        if sub_authorities.is_empty() {
            return self.wrong(Problem::Expected("- and a number"));
        }
        Ok(Sid { authority, sub_authorities })
    }

    fn part(&mut self) -> Result<u32, SddlError> {
        let start = self.at;
        let digits = self.digits(u8::is_ascii_digit);
        let problem = match digits.len() {
            0 => Problem::Expected("a number"),
            1..=MAX_DIGITS => match digits.parse() {
                Ok(part) => return Ok(part),
                Err(_) => Problem::TooLarge("the number", 32),
            },
            _ => Problem::TooLarge("the number", 32),
        };
        Err(SddlError { at: start, problem })
    }

    fn acl(&mut self, fits: fn(AceKind) -> bool) -> Result<Acl, SddlError> {
        let flags = self.flags(&ACL_FLAGS)?;
        let mut aces = Vec::new();
        while self.rest().starts_with('(') {
            if self.aces == MAX_ACES {
                return self.wrong(Problem::TooManyAces);
            }
            self.aces += 1;
            self.at += 1;
            aces.push(self.ace(fits)?);
        }
        Ok(Acl { flags, aces })
    }

    /// What follows `(`.
    fn ace(&mut self, fits: fn(AceKind) -> bool) -> Result<Ace, SddlError> {
        let kind = self.kind(fits)?;
        let before = self.at;
        let flags = self.flags(&ACE_FLAGS)?;
        if flags & (SUCCESS | FAILURE) != 0 && !matches!(kind, AceKind::Audit | AceKind::AuditObject) {
            let problem = Problem::Misplaced("SA and FA are flags of audit entries");
            return Err(SddlError { at: before, problem });
        }
        self.expect(";")?;
        let rights = if kind == AceKind::CentralPolicy { 0 } else { self.rights()? };
        self.expect(";")?;
        let object = self.guid(kind)?;
        self.expect(";")?;
        let inherited_object = self.guid(kind)?;
        self.expect(";")?;
        let before = self.at;
        let trustee = self.trustee()?;
        let is_policy = matches!(&trustee, Trustee::Sid(sid) if sid.authority == POLICIES);
        if kind == AceKind::CentralPolicy && !is_policy {
            let problem = Problem::Expected("the identifier of a central policy (S-1-17-...)");
            return Err(SddlError { at: before, problem });
        }
        if self.rest().starts_with(';') {
            return self.wrong(Problem::Conditional);
        }
        self.expect(")")?;
        Ok(Ace { kind, flags, rights, object, inherited_object, trustee })
    }

    /// The kind, and the `;` behind it.
    fn kind(&mut self, fits: fn(AceKind) -> bool) -> Result<AceKind, SddlError> {
        let start = self.at;
        let length = self.rest().bytes().take_while(u8::is_ascii_alphabetic).count();
        let word = &self.rest()[..length];
        let is = |letters: &&str| letters.eq_ignore_ascii_case(word);
        let problem = match AceKind::ALL.into_iter().find(|(_, letters)| is(letters)) {
            Some((kind, _)) if fits(kind) => {
                self.at += length;
                self.expect(";")?;
                return Ok(kind);
            }
            Some((kind, _)) if kind.is_audit() => Problem::Misplaced("audit entries stand in the section S:"),
            Some(_) => Problem::Misplaced("entries of access stand in the section D:"),
            None if CONDITIONAL.iter().any(is) => Problem::Conditional,
            None => Problem::Expected("the kind of an entry (A, D, OA, OD, AU, OU, ML or SP)"),
        };
        Err(SddlError { at: start, problem })
    }

    /// Letters, or one number: hexadecimal, octal or decimal.
    fn rights(&mut self) -> Result<u32, SddlError> {
        let start = self.at;
        if !self.rest().starts_with(|c: char| c.is_ascii_digit()) {
            let mut rights = 0;
            while let Some((_, mask)) = self.right() {
                rights |= mask;
            }
            return Ok(rights);
        }
        let (digits, radix) = if self.take("0x") {
            (self.digits(u8::is_ascii_hexdigit), 16)
        } else {
            let digits = self.digits(u8::is_ascii_digit);
            (digits, if digits.len() > 1 && digits.starts_with('0') { 8 } else { 10 })
        };
        let problem = match u32::from_str_radix(digits, radix) {
            Ok(rights) => return Ok(rights),
            Err(error) => match error.kind() {
                std::num::IntErrorKind::PosOverflow => Problem::TooLarge("the rights", 32),
                _ => Problem::Expected("rights: letters, or a number"),
            },
        };
        Err(SddlError { at: start, problem })
    }

    fn right(&mut self) -> Option<(&'static str, u32)> {
        [&BITS[..], &LABEL_BITS, &WHOLE, &[KEY_EXECUTE]].into_iter().find_map(|words| self.word(words))
    }

    fn guid(&mut self, kind: AceKind) -> Result<Option<Uuid>, SddlError> {
        /// Eight, four, four, four and twelve digits, and what is between them.
        const LENGTH: usize = 36;
        if self.rest().starts_with(';') {
            return Ok(None);
        }
        let guid = self.next(LENGTH).and_then(|text| Uuid::try_parse(text).ok());
        let Some(guid) = guid else { return self.wrong(Problem::Expected("; or a GUID")) };
        if !kind.is_of_objects() {
            return self.wrong(Problem::Misplaced("only entries for objects (OA, OD, OU) have a GUID"));
        }
        self.at += LENGTH;
        Ok(Some(guid))
    }
}
