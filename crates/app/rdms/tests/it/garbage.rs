//! What makes no sense, in every parameter of every method of Microsoft's classes: a code each time, and nothing has
//! changed.

use crate::support::World;
use crate::{MICROSOFT, OURS, admin, rdms};
use openrdms_broker::{Setting, SettingOwner};
use openrdms_cim::{
    CimService as _, Class, Enumeration, Instance, Limits, Method, ObjectPath, Parameter, Params, Type, Value,
};
use openrdms_rdms::Rdms;

/// 10,000 characters that no name or path has.
fn noise() -> String {
    "x'\"<&\u{1f}\\/ä%".chars().cycle().take(10_000).collect()
}

/// All that can be listed, and the settings.
async fn everything(world: &World, rdms: &Rdms) -> (Vec<Instance>, Vec<Setting>) {
    let mut all = Vec::new();
    for namespace in [MICROSOFT, OURS] {
        for class in rdms.repository().classes(namespace).filter(|class| class.name != "OpenRDMS_Audit") {
            let what = Enumeration { class: ObjectPath::class(namespace, &class.name), condition: None };
            let Ok(page) = rdms.enumerate(&admin(), &what, None, Limits { max_elements: 1000 }).await else {
                continue;
            };
            // what tells the time differs from one look to the next
            all.extend(page.instances.into_iter().map(|mut instance| {
                instance
                    .properties
                    .retain(|(name, _)| !["AsOf", "IdleSeconds", "LeaseUntil"].contains(&name.as_str()));
                instance
            }));
        }
    }
    (all, world.engine.store().settings(&SettingOwner::Deployment).await.unwrap())
}

/// The keys of an instance that there is, or of one that there is not.
async fn paths(rdms: &Rdms, class: &Class, method: &Method) -> Vec<ObjectPath> {
    let of_class = ObjectPath::class(MICROSOFT, &class.name);
    if method.is_static() {
        return vec![of_class];
    }
    let what = Enumeration { class: of_class.clone(), condition: None };
    let listed = rdms.enumerate(&admin(), &what, None, Limits { max_elements: 1 }).await;
    let known = listed.ok().and_then(|page| page.instances.first().map(|instance| instance.path(class)));
    let key = |ty: Type| if ty == Type::String { Value::from(noise()) } else { Value::Uint32(4_000_000_000) };
    let unknown = class.keys().fold(of_class, |path, of| path.with_key(&of.name, key(of.ty)));
    known.into_iter().chain([unknown]).collect()
}

pub(crate) fn of_another_type(parameter: &Parameter) -> Value {
    match (parameter.array, parameter.ty) {
        (true, _) => Value::Boolean(true),
        (false, Type::Boolean) => Value::from("perhaps"),
        (false, _) => Value::Array(vec![Value::Boolean(true)]),
    }
}

#[tokio::test]
async fn noise_in_every_text_and_wrong_types_change_nothing() {
    let world = World::new().await;
    let rdms = rdms(&world.engine);
    let client = world.active("alice").await;
    let client_is_there = || assert_eq!(client.kill.thrown(), None);
    let before = everything(&world, &rdms).await;
    for class in rdms.repository().classes(MICROSOFT) {
        for method in &class.methods {
            let given: Vec<_> = method.parameters.iter().filter(|parameter| parameter.is_in()).collect();
            if given.is_empty() {
                continue;
            }
            let noisy = given.iter().filter(|p| p.ty == Type::String).fold(Params::default(), |params, p| {
                let value = if p.array { Value::from(vec![noise()]) } else { noise().into() };
                params.with(&p.name, value)
            });
            let numbered = given.iter().fold(noisy.clone(), |params, p| match p.ty {
                Type::Uint32 => params.with(&p.name, u32::MAX),
                Type::Sint32 => params.with(&p.name, i32::MIN),
                _ => params,
            });
            let mistyped =
                given.iter().fold(Params::default(), |params, p| params.with(&p.name, of_another_type(p)));
            let unknown = Params::default().with("NoSuchParameter", noise());
            for path in paths(&rdms, class, method).await {
                for params in [&noisy, &numbered, &mistyped, &unknown, &Params::default()] {
                    let answer = rdms.invoke(&admin(), &path, &method.name, params.clone(), &[]).await;
                    let may = match method.name.as_str() {
                        // to publish all of it anew is what no Context asks for
                        "SynchronizePublishingData" => params.0.is_empty(),
                        // of none there are at most as many as anybody says
                        "GetPendingStartServerList" => params.get("maxServers") == &Value::Uint32(u32::MAX),
                        _ => false,
                    };
                    let done = answer.as_ref().is_ok_and(|answer| answer.return_value == Value::Uint32(0));
                    assert!(!done || may, "{}.{} took {params:?}", class.name, method.name);
                    if let Err(error) = &answer {
                        assert!(error.code.name().is_some(), "{}.{}: {error:?}", class.name, method.name);
                        assert!(error.message.chars().count() < 1000, "{}.{}", class.name, method.name);
                    }
                    client_is_there();
                }
            }
        }
        let (keyless, nothing) = (ObjectPath::class(MICROSOFT, &class.name), Params::default());
        for method in class.methods.iter().filter(|method| !method.is_static()) {
            let refused = rdms.invoke(&admin(), &keyless, &method.name, nothing.clone(), &[]).await;
            assert!(refused.is_err(), "{}.{} without keys", class.name, method.name);
        }
        assert!(rdms.invoke(&admin(), &keyless, &noise(), nothing.clone(), &[]).await.is_err());
        let elsewhere = ObjectPath::class("root/nowhere", &class.name);
        assert!(rdms.invoke(&admin(), &elsewhere, "Get", nothing.clone(), &[]).await.is_err());
        let noisy = class.properties.iter().fold(nothing, |params, p| params.with(&p.name, noise()));
        assert!(rdms.create(&admin(), &keyless, noisy.clone()).await.is_err(), "{}", class.name);
        for path in class.keys().next().map(|_| &before.0).into_iter().flatten() {
            if path.class == class.name {
                assert!(
                    rdms.put(&admin(), &path.path(class), noisy.clone()).await.is_err(),
                    "{}",
                    class.name
                );
            }
        }
    }
    assert_eq!(everything(&world, &rdms).await, before);
}
