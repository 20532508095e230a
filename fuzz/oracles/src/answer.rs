//! Answers, as our own client reads them from a server that may be anybody's.

use crate::bounded;
use crate::world::{self, NS};
use openrdms_cim::mof::{self, print};
use openrdms_cim::wql::Projection;
use openrdms_cim::{Enumeration, Instance, ObjectPath, Repository, Value};
use openrdms_wsman::client::{self, Answer, AnswerError};
use openrdms_wsman::{Mode, reply};

/// What is read is no more than what came, and written and read again settles; as MOF it is one declaration and nothing
/// that could be taken for another.
pub fn answer(bytes: &[u8]) -> bool {
    let mut read = true;
    for repository in [world::repository(), &Repository::default()] {
        match client::read(bytes, NS, repository) {
            Ok(Answer::Instance(instance)) => is_sound(bytes.len(), repository, &[instance]),
            Ok(Answer::Listing(listing)) => is_sound(bytes.len(), repository, &listing.instances),
            Ok(Answer::Output(result)) => {
                let values: Vec<Value> = result.out.0.into_iter().map(|(_, value)| value).collect();
                is_no_more(bytes.len(), values.iter().chain([&result.return_value]));
                let reason = result.reason.map(|reason| reason.chars().count());
                assert!(reason.is_none_or(|length| (1..=400).contains(&length)), "{reason:?}");
            }
            Ok(Answer::Class(class)) => is_one_class(bytes.len(), &print::class(&class)),
            Ok(Answer::Classes { classes, .. }) => {
                classes.iter().for_each(|class| is_one_class(bytes.len(), &print::class(class)));
            }
            Ok(Answer::Identity { .. } | Answer::Empty) => {}
            Err(AnswerError::Fault(error)) => assert!(!error.message.is_empty()),
            Err(AnswerError::Malformed(_)) => read = false,
        }
    }
    read
}

/// That there are no more values than bytes in the message, and no more text: nothing is taken twice.
pub(crate) fn is_no_more<'a>(length: usize, values: impl Iterator<Item = &'a Value>) {
    let (mut count, mut text) = (0, 0);
    values.for_each(|value| measure(value, &mut count, &mut text));
    // what a class declares is there, also when it is null; a character can be as short as it is told
    assert!(count <= length + 1000, "{count} values in {length} bytes");
    assert!(text <= 2 * length + 1000, "{text} bytes of text in {length} bytes");
}

fn measure(value: &Value, count: &mut usize, text: &mut usize) {
    *count += 1;
    match value {
        Value::String(string) => *text += string.len(),
        Value::Array(items) => items.iter().for_each(|item| measure(item, count, text)),
        Value::Object(instance) => {
            instance.properties.iter().for_each(|(_, value)| measure(value, count, text))
        }
        Value::Reference(path) => path.keys.iter().for_each(|(_, value)| measure(value, count, text)),
        _ => {}
    }
}

fn is_sound(length: usize, repository: &Repository, instances: &[Instance]) {
    is_no_more(length, instances.iter().flat_map(|i| &i.properties).map(|(_, value)| value));
    for instance in instances {
        if let Some(once) = again(repository, instance) {
            let twice = again(repository, &once);
            assert_eq!(format!("{twice:?}"), format!("{:?}", Some(once)), "of {instance:?}");
        }
        is_one_instance(length, &print::instance(instance));
    }
}

/// The instance as our own server writes it and our own client reads it; `None` where it is as deep as an answer may be,
/// and so deeper as an item of a listing.
fn again(repository: &Repository, instance: &Instance) -> Option<Instance> {
    let what = Enumeration { class: ObjectPath::class(NS, "T_Thing"), condition: None };
    let request = world::request(&world::call().enumerate(&what, 5));
    let instances = std::slice::from_ref(instance);
    let items = world::items(&request, Mode::ObjectAndEpr, repository, instances, &Projection::All);
    let message = reply::listing(&request, "uuid:R", &items, None);
    world::well_formed(&message);
    match client::read(message.as_bytes(), NS, repository) {
        Ok(Answer::Listing(listing)) => match <[Instance; 1]>::try_from(listing.instances) {
            Ok([instance]) => Some(instance),
            Err(instances) => panic!("{} instances in {message}", instances.len()),
        },
        Err(AnswerError::Malformed("not xml, or too large")) => None,
        other => panic!("{other:?} of {message}"),
    }
}

fn is_one_instance(length: usize, printed: &str) {
    let reading = read_mof(length, printed);
    assert_eq!((reading.classes.len(), reading.qualifiers.len()), (0, 0), "{printed}");
    assert!(reading.instances.len() <= 1, "{printed}");
}

fn is_one_class(length: usize, printed: &str) {
    let reading = read_mof(length, printed);
    assert_eq!((reading.instances.len(), reading.qualifiers.len()), (0, 0), "{printed}");
    assert!(reading.classes.len() <= 1, "{printed}");
}

fn read_mof(length: usize, printed: &str) -> mof::Reading {
    bounded("the mof", printed, length, 256);
    mof::read(printed)
}
