use super::*;

fn host(name: &str, state: &str, lease: &str) -> Instance {
    Instance { class: "OpenRDMS_Host".into(), namespace: "n".into(), properties: Vec::new() }
        .with("Name", name)
        .with("State", state)
        .with("LeaseUntil", lease)
}

fn known(heeded: Option<&[&str]>) -> Known {
    let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    Known::new(vec!["Name".to_owned()], heeded.map(owned))
}

/// A whole look, in batches: what is told of it, as change, name, state, and what was before.
fn look(known: &mut Known, batches: Vec<Vec<Instance>>) -> Vec<String> {
    known.begin();
    let mut told = Vec::new();
    for batch in batches {
        told.extend(known.batch(batch, &Value::utc(0)).expect("few are listed"));
    }
    told.extend(known.end(&Value::utc(0)));
    told.iter().map(said).collect()
}

fn said(told: &Instance) -> String {
    let before = match told.get("Previous") {
        Value::Object(previous) => format!("{:?}", previous.properties),
        _ => String::new(),
    };
    let get = |name: &str| text(told.get(name));
    assert_eq!(told.get("Time"), &Value::utc(0));
    format!("{} {} {} {before}", get("Change"), get("Name"), get("State")).trim_end().to_owned()
}

#[test]
fn what_appears_changes_and_goes_is_told_and_nothing_else() {
    let mut known = known(None);
    let (a, b, c) = (host("a", "Up", "1"), host("b", "Up", "1"), host("c", "Up", "1"));
    assert_eq!(look(&mut known, vec![vec![a.clone()], vec![b.clone()]]), ["Listed a Up", "Listed b Up"]);
    assert!(
        look(&mut known, vec![vec![b.clone(), a.clone()]]).is_empty(),
        "in another order they are the same"
    );
    let drained = host("a", "Drained", "1");
    assert_eq!(
        look(&mut known, vec![vec![drained.clone()], vec![c.clone()]]),
        ["Modified a Drained [(\"State\", String(\"Up\"))]", "Created c Up", "Deleted b Up"]
    );
    assert_eq!(
        look(&mut known, vec![vec![drained, b, c]]),
        ["Created b Up"],
        "what comes back is there anew"
    );
    assert_eq!(look(&mut known, vec![]), ["Deleted a Drained", "Deleted b Up", "Deleted c Up"]);
    assert!(known.rows.is_empty(), "what is gone is not kept");
}

#[test]
fn a_time_that_moves_by_itself_is_no_change_unless_it_was_asked_for() {
    let (before, after) = (host("a", "Up", "1"), host("a", "Up", "2"));
    let mut all = known(None);
    look(&mut all, vec![vec![before.clone()]]);
    assert!(look(&mut all, vec![vec![after.clone()]]).is_empty());
    let mut asked = known(Some(&["LeaseUntil"]));
    look(&mut asked, vec![vec![before]]);
    assert_eq!(look(&mut asked, vec![vec![after]]), ["Modified a Up [(\"LeaseUntil\", String(\"1\"))]"]);
}

#[test]
fn only_what_was_asked_for_counts() {
    let mut known = known(Some(&["Name", "Change"]));
    look(&mut known, vec![vec![host("a", "Up", "1")]]);
    assert!(look(&mut known, vec![vec![host("a", "Lost", "1")]]).is_empty());
    assert_eq!(look(&mut known, vec![]), ["Deleted a Lost"], "as it last was");
}

#[test]
fn a_look_that_breaks_off_says_of_nothing_that_it_is_gone() {
    let mut known = known(None);
    look(&mut known, vec![vec![host("a", "Up", "1"), host("b", "Up", "1")]]);
    known.begin();
    let told = known.batch(vec![host("a", "Lost", "1")], &Value::utc(0)).expect("few are listed");
    assert_eq!(told.len(), 1);
    // no end: the service went away
    assert_eq!(
        look(&mut known, vec![vec![host("a", "Up", "1"), host("b", "Up", "1")]]),
        ["Modified a Up [(\"State\", String(\"Lost\"))]"]
    );
}

#[test]
fn a_list_without_an_end_is_not_held() {
    let mut known = known(None);
    known.begin();
    let batch = |from: usize| (from..from + 1000).map(|n| host(&n.to_string(), "Up", "1")).collect();
    for from in 0..100 {
        assert!(known.batch(batch(1000 * from), &Value::utc(0)).is_ok(), "{from}");
    }
    assert!(known.batch(batch(100_000), &Value::utc(0)).is_err());
}
