//! The classes that messages and queries are about: those that are served, and one with everything in it.

use openrdms_cim::wql::Projection;
use openrdms_cim::{Instance, ObjectPath, Repository, Value};
use openrdms_wsman::client::Call;
use openrdms_wsman::{InstanceItems, Items, Limits, Mode, Request};
use std::sync::LazyLock;
use std::time::Duration;

/// The namespace of the class with everything in it.
pub(crate) const NS: &str = "root/fuzz";

pub(crate) const LIMITS: Limits = Limits { max_request: 1 << 20, max_envelope: 512_000 };

const SYSTEM: &str = include_str!("../../../schema/System.mof");
const SERVED: [(&str, &str); 2] = [
    ("root/cimv2/rdms", include_str!("../../../schema/RDManagement.mof")),
    ("root/openrdms", include_str!("../../../schema/OpenRDMS.mof")),
];
const EVERYTHING: &str = r#"
    class T_Thing {
        [Key] string Name; [Key] uint32 Id; boolean Flag; datetime When; string Tags[]; uint8 Bytes[]; real32 Half;
        real64 Ratio; T_Thing ref Owner; T_Thing ref Owners[]; char16 Letter; sint64 Big; datetime Times[];
        [EmbeddedObject] string Inner;
        [Static] uint32 Make([in] string Name, [in] uint32 Sizes[], [in] boolean Hard, [in] datetime When,
                             [in] T_Thing ref Owner, [in] real64 Ratio, [in, out] string Users[], [out] T_Thing ref Made);
        uint32 Stop([in] string Reason);
    };
    class T_Special : T_Thing { string More; };
"#;

static REPOSITORY: LazyLock<Repository> = LazyLock::new(|| {
    let mut repository = Repository::default();
    let mut load = |namespace: &str, text: &str| {
        repository.load(namespace, text).expect("the classes that are served can be read");
    };
    for (namespace, text) in SERVED {
        load(namespace, SYSTEM);
        load(namespace, text);
    }
    load(NS, SYSTEM);
    load(NS, EVERYTHING);
    repository
});

pub(crate) fn repository() -> &'static Repository {
    &REPOSITORY
}

/// An instance of the class with everything in it.
pub(crate) fn thing() -> Instance {
    let class = repository().class(NS, "T_Special").expect("it is declared above");
    let reference = || {
        Value::Reference(Box::new(
            ObjectPath::class(NS, "T_Thing").with_key("Name", "o").with_key("Id", 1u32),
        ))
    };
    Instance::of(class)
        .with("Name", "a<b>&\"'\r\n\u{e4}")
        .with("Id", 7u32)
        .with("Flag", true)
        .with("When", Value::Datetime { micros: 1_714_551_630_123_456, offset_minutes: 120 })
        .with("Tags", vec!["x", "", "Y%_"])
        .with("Ratio", Value::Real64(0.5))
        .with("Owner", reference())
        .with("Owners", Value::Array(vec![reference(), reference()]))
        .with("Letter", Value::Char16(65))
        .with("Big", Value::Sint64(-5_000_000_000))
        .with("Times", Value::Array(vec![Value::Interval(90_000_000), Value::utc(0)]))
        .with(
            "Inner",
            Value::Object(Box::new(Instance {
                class: "T_Thing".into(),
                namespace: NS.into(),
                properties: vec![("Name".into(), "inner".into())],
            })),
        )
}

/// What our own client puts into the headers of its requests.
pub(crate) fn call() -> Call<'static> {
    let timeout = Some(Duration::from_millis(90_500));
    Call { to: "https://h:5986/wsman", message_id: "uuid:Q", timeout, max_envelope: 100_000, options: &[] }
}

/// A request of our own client, which our own server can read.
#[track_caller]
pub(crate) fn request(text: &str) -> Request {
    match Request::parse(text.as_bytes(), &LIMITS) {
        Ok(request) => request,
        Err(rejected) => panic!("our own request is refused: {:?}\n{text}", rejected.fault),
    }
}

/// Instances as the items of a listing.
pub(crate) fn items(
    request: &Request,
    mode: Mode,
    repository: &Repository,
    instances: &[Instance],
    projection: &Projection,
) -> Items {
    let mut items = Items::within(request.charset, usize::MAX, None);
    let mut writer = InstanceItems::new(request, mode, repository, projection);
    for instance in instances {
        assert!(writer.push(&mut items, instance), "there is room without end");
    }
    items
}

/// That our own message is XML as another reader takes it.
#[track_caller]
pub(crate) fn well_formed(message: &str) {
    if let Err(error) = roxmltree::Document::parse(message) {
        panic!("our own message is no XML: {error}\n{message}");
    }
}
