//! Security descriptors as text: what is read, what is refused and where, and that what is written reads back.

use openrdms_broker::SecurityDescriptor;
use openrdms_broker::sddl::{AceKind, MAX_ACES, MAX_LENGTH, Problem, SddlError, Sid, Trustee};
use proptest::prelude::*;

fn canonical(text: &str) -> String {
    SecurityDescriptor::parse(text).unwrap_or_else(|error| panic!("{text}: {error}")).to_string()
}

fn wrong(text: &str) -> SddlError {
    match SecurityDescriptor::parse(text) {
        Ok(read) => panic!("{text} is {} bytes", read.to_string().len()),
        Err(error) => error,
    }
}

#[test]
fn what_windows_writes_comes_back_as_it_is() {
    for text in [
        "O:BAG:SYD:(A;;FA;;;SY)(A;;FA;;;BA)",
        "O:S-1-5-21-3623811015-3361044348-30300820-1013G:DUD:PAI(D;OICI;FA;;;BG)(A;OICI;0x1301bf;;;BU)",
        "D:AR",
        "D:",
        "S:ARAI",
        "O:BAG:BAD:P(A;CIIO;GA;;;CO)S:(AU;SAFA;SDWDWO;;;WD)(ML;;NWNR;;;HI)",
        "D:(OA;;CCDC;bf967aba-0de6-11d0-a285-00aa003049e2;;AO)",
        "D:(OD;ID;RPWP;4c164200-20c0-11d0-a768-00aa006e0529;4828cc14-1437-45bc-9b07-ad6f015e5f28;RS)",
        "D:(OA;CI;CR;;bf967aba-0de6-11d0-a285-00aa003049e2;PS)S:(OU;SA;LO;;;AN)",
        "S:(SP;OI;;;;S-1-17-1)",
        "G:S-1-0x100000000005-7",
        "D:(A;;;;;WD)",
    ] {
        assert_eq!(canonical(text), text);
    }
}

#[test]
fn case_order_and_spelling_are_made_one() {
    for (text, one) in [
        ("o:baD:pai(a;ciOI;gx;;;wd)", "O:BAD:PAI(A;OICI;GX;;;WD)"),
        ("D:AIP(A;;WDCC;;;S-1-5-0032-544)", "D:PAI(A;;CCWD;;;S-1-5-32-544)"),
        // numbers: hexadecimal, decimal, octal; letters where they say it all
        ("D:(A;;0x1F01FF;;;WD)(A;;2032127;;;WD)(A;;07600777;;;WD)", "D:(A;;FA;;;WD)(A;;FA;;;WD)(A;;FA;;;WD)"),
        ("D:(A;;0x3;;;WD)S:(ML;;3;;;LW)", "D:(A;;CCDC;;;WD)S:(ML;;NWNR;;;LW)"),
        ("D:(A;;0x00100000;;;WD)(A;;0;;;WD)", "D:(A;;0x100000;;;WD)(A;;;;;WD)"),
        ("D:(A;;KX;;;WD)(A;;FRFW;;;WD)", "D:(A;;KR;;;WD)(A;;0x12019f;;;WD)"),
        ("O:S-1-0x000000000005-18", "O:S-1-5-18"),
        (
            "D:(OA;;GA;BF967ABA-0DE6-11D0-A285-00AA003049E2;;WD)",
            "D:(OA;;GA;bf967aba-0de6-11d0-a285-00aa003049e2;;WD)",
        ),
    ] {
        assert_eq!(canonical(text), one, "{text}");
        assert_eq!(canonical(one), one);
    }
}

#[test]
fn what_is_no_descriptor_is_refused_where_it_goes_wrong() {
    for (text, at) in [
        ("", 0),
        ("everybody", 0),
        (" D:", 0),
        ("O:", 2),
        ("O:XX", 2),
        ("O:BAO:BA", 4),
        ("G:BAO:BA", 4),
        ("D:S:D:", 4),
        ("D:PP", 3),
        ("D:(A;;GA;;;BA", 13),
        ("D:(A;;GA;;;BA)x", 14),
        ("D:(A;;GA;;;BA) ", 14),
        ("D:(A;;GA;;BA)", 10),
        ("D:(B;;GA;;;BA)", 3),
        ("D:(;;GA;;;BA)", 3),
        ("D:(A;OIOI;GA;;;BA)", 7),
        ("D:(A;XX;GA;;;BA)", 5),
        ("D:(A;SA;GA;;;BA)", 5),
        ("D:(A;;QQ;;;BA)", 6),
        ("D:(A;;0xg;;;BA)", 6),
        ("D:(A;;0x100000000;;;BA)", 6),
        ("D:(A;;4294967296;;;BA)", 6),
        ("D:(A;;09;;;BA)", 6),
        ("D:(A;;GA;bf967aba-0de6-11d0-a285-00aa003049e2;;BA)", 9),
        ("D:(OA;;GA;bf967aba;;BA)", 10),
        ("D:(OA;;GA;{bf967aba-0de6-11d0-a285-00aa003049e2};;BA)", 10),
        ("D:(AU;SA;GA;;;WD)", 3),
        ("S:(A;;GA;;;WD)", 3),
        ("S:(SP;;;;;WD)", 10),
        ("O:S-1-5", 7),
        ("O:S-2-5-1", 2),
        ("O:S-1-5-4294967296", 8),
        ("O:S-1-0x5-1", 8),
        ("O:S-1-5-1-2-3-4-5-6-7-8-9-10-11-12-13-14-15-16", 44),
        ("D:(A;;GA;;;Bä)", 11),
        ("ä", 0),
    ] {
        let error = wrong(text);
        assert_eq!(error.at, at, "{text}: {error}");
    }
}

#[test]
fn an_entry_with_a_condition_is_never_taken_for_one_without() {
    for text in [
        r#"D:(XA;;FX;;;S-1-1-0;(@User.Title=="PM"))"#,
        r#"D:(A;;FX;;;WD;(@User.Title=="PM"))"#,
        "D:(XD;;FX;;;WD;(a))",
        "D:(ZA;;FX;;;WD;(a))",
        "S:(XU;SA;FX;;;WD;(a))",
        r#"S:(RA;;;;;WD;("Secrecy",TU,0,3))"#,
    ] {
        assert_eq!(wrong(text).problem, Problem::Conditional, "{text}");
    }
}

#[test]
fn size_and_number_are_limited_also_of_what_would_be_written() {
    let entries = |count: usize| format!("D:{}", "(A;;GA;;;WD)".repeat(count));
    assert_eq!(SecurityDescriptor::parse(&entries(MAX_ACES)).unwrap().dacl().unwrap().aces().len(), MAX_ACES);
    assert_eq!(wrong(&entries(MAX_ACES + 1)).problem, Problem::TooManyAces);
    let both = format!("{}S:(AU;SA;GA;;;WD)", entries(MAX_ACES));
    assert_eq!(wrong(&both).problem, Problem::TooManyAces);
    assert_eq!(wrong(&"D".repeat(MAX_LENGTH + 1)).problem, Problem::TooLong);
    assert_eq!(wrong(&"(".repeat(10_000)).at, 0);
    // numbers that become letters
    // all rights that have letters
    let growing = format!("D:{}", "(A;;4027515391;;;S-1-5-32-544)".repeat(1000));
    assert!(growing.len() < MAX_LENGTH);
    assert_eq!(wrong(&growing).problem, Problem::TooLong);
}

#[test]
fn what_was_read_can_be_looked_at() {
    let read = SecurityDescriptor::parse("O:BAG:S-1-5-18D:(A;;GX;;;WD)S:(AU;FA;GA;;;AN)").unwrap();
    assert_eq!(read.owner(), Some(&Trustee::Alias("BA")));
    assert_eq!(read.group().unwrap().to_string(), "S-1-5-18");
    let [ace] = read.dacl().unwrap().aces() else { panic!("{read}") };
    assert_eq!(
        (ace.kind(), ace.rights(), ace.trustee()),
        (AceKind::Allow, 0x2000_0000, &Trustee::Alias("WD"))
    );
    let [ace] = read.sacl().unwrap().aces() else { panic!("{read}") };
    assert_eq!(ace.kind(), AceKind::Audit);
    assert_eq!(SecurityDescriptor::parse("O:BA").unwrap().dacl(), None);
    assert_eq!(wrong("D:(A;;GA;;;BA").to_string(), "here has to be ) (at byte 13)");
}

#[test]
fn an_identifier_alone_is_read_whole_or_not_at_all() {
    for (text, one) in [("S-1-5-18", "S-1-5-18"), ("s-1-0x000000000005-021-7", "S-1-5-21-7")] {
        assert_eq!(Sid::parse(text).unwrap().to_string(), one);
    }
    for (text, at) in
        [("", 0), ("BA", 0), ("S-1-5", 5), ("S-1-5-18 ", 8), ("S-1-5-18-", 9), ("S-1-5-18G:BA", 8)]
    {
        assert_eq!(Sid::parse(text).unwrap_err().at, at, "{text}");
    }
}

/// Texts that are descriptors, or nearly.
fn near() -> impl Strategy<Value = String> {
    let trustee = prop_oneof![
        prop::sample::select(vec!["BA", "wd", "SY", "CO", "XX"]).prop_map(str::to_owned),
        "S-1-(5|17|0x[0-9A-F]{12})(-[0-9]{1,10}){1,4}",
    ];
    let guid =
        prop_oneof![3 => Just(String::new()), 1 => Just("bf967aba-0de6-11d0-a285-00aa003049e2".to_owned())];
    let ace = (
        prop::sample::select(vec!["A", "D", "OA", "OD", "AU", "OU", "ML", "SP", "XA", "ou"]),
        "(OI|CI|NP|IO|ID|SA|FA){0,2}",
        prop_oneof!["(GA|FR|KX|NW|CC|SD|WO|fa){0,3}", "0x[0-9a-f]{1,8}", "[0-9]{1,10}"],
        guid.clone(),
        guid,
        trustee.clone(),
    );
    let ace = ace.prop_map(|(kind, flags, rights, object, inherited, trustee)| {
        format!("({kind};{flags};{rights};{object};{inherited};{trustee})")
    });
    let aces = prop::collection::vec(ace, 0..4).prop_map(|aces| aces.concat());
    (
        prop::option::of(trustee.clone().prop_map(|t| format!("O:{t}"))),
        prop::option::of(trustee.prop_map(|t| format!("G:{t}"))),
        prop::option::of(
            ("(P|AR|AI){0,2}", aces.clone()).prop_map(|(flags, aces)| format!("D:{flags}{aces}")),
        ),
        prop::option::of(("(P|AR|AI){0,2}", aces).prop_map(|(flags, aces)| format!("S:{flags}{aces}"))),
    )
        .prop_map(|parts| {
            [parts.0, parts.1, parts.2, parts.3].into_iter().flatten().collect::<Vec<_>>().concat()
        })
}

proptest! {
    #[test]
    fn what_is_written_reads_back_the_same(text in near()) {
        if let Ok(read) = SecurityDescriptor::parse(&text) {
            let written = read.to_string();
            prop_assert_eq!(SecurityDescriptor::parse(&written), Ok(read), "{}", written);
        }
    }

    #[test]
    fn any_text_is_read_or_refused_within_itself(text in ".{0,60}|[OGDS:();SAIP0-9x-]{0,60}") {
        if let Err(error) = SecurityDescriptor::parse(&text) {
            prop_assert!(error.at <= text.len() && text.is_char_boundary(error.at));
        }
    }
}
