//! What an import has to do: everything is looked at before anything is done.

use super::rules;
use super::section::{
    APPLICATIONS, ASSIGNMENTS, COLLECTIONS, DESKTOPS, MACHINES, Made, Rows, SECTIONS, Section, of_class,
    says, text,
};
use crate::cli::Failure;
use crate::cli::remote::{KNOWN, OURS, Remote};
use crate::cli::setting;
use openrdms_cim::{Instance, ObjectPath, Params, Value};
use std::collections::{BTreeSet, HashMap, HashSet};

pub(super) struct Plan {
    pub(super) steps: Vec<Step>,
    /// Accounts that the file names and that are not there.
    pub(super) missing: Vec<String>,
    /// Hosts that the file has settings of and that are not there, as it comes from another machine.
    pub(super) elsewhere: BTreeSet<String>,
}

pub(super) struct Step {
    /// What it does, for people.
    pub(super) sentence: String,
    acts: Vec<Act>,
}

enum Act {
    Create(ObjectPath, Params),
    Put(ObjectPath, Params),
    Call(ObjectPath, &'static str, Params),
}

impl Step {
    pub(super) async fn run(&self, remote: &Remote) -> Result<(), Failure> {
        for act in &self.acts {
            match act {
                Act::Create(class, properties) => remote.create(class, properties).await,
                Act::Put(path, properties) => remote.put(path, properties).await,
                Act::Call(path, method, params) => remote.invoke(path, method, params.clone(), &[]).await,
            }?;
        }
        Ok(())
    }

    /// Publishes what is offered. Where nothing differs from what is published, it changes nothing.
    fn serve() -> Self {
        let class = ObjectPath::class(KNOWN, "Win32_RDMSManagementData");
        let act = Act::Call(class, "SynchronizeAllPublishingData", Params::default());
        Self { sentence: "serve what is offered".to_owned(), acts: vec![act] }
    }
}

/// What there is and will be, for what refers to it. Everything is in lower case.
struct Names {
    accounts: HashSet<String>,
    /// The kind of each collection.
    collections: HashMap<String, String>,
    hosts: HashSet<String>,
    /// Machines, now and by the file: each has a desktop of its own name.
    machines: HashSet<String>,
    /// The collection of each desktop.
    desktops: HashMap<String, String>,
    /// Collection and alias of each application.
    applications: HashSet<(String, String)>,
    /// Whose each desktop is, now and by the file.
    owners: HashMap<String, String>,
    /// The desktop that each user has in a collection, now and by the file.
    owned: HashMap<(String, String), String>,
}

/// The steps from what is there to what a file says, or every mistake of the file. Both have one list a section.
pub(super) fn make(present: &[Rows], wanted: &[Rows]) -> Result<Plan, Vec<String>> {
    let mut names = Names::of(present, wanted);
    let (mut steps, mut missing, mut mistakes) = (Vec::new(), Vec::new(), Vec::new());
    let mut elsewhere = BTreeSet::new();
    // behind the last section that is published, so that whatever fails later leaves users what the file offers
    let (mut is_published, mut serve_at) = (false, 0);
    for ((section, present), wanted) in SECTIONS.iter().zip(present).zip(wanted) {
        let before = steps.len();
        let there: HashMap<_, _> = present.iter().map(|row| (section.identity(row), row)).collect();
        for row in wanted {
            let now = there.get(&section.identity(row)).copied();
            let row = &names.as_told(row, now);
            if section.made == Made::Account && now.is_none() {
                missing.push(text(row, "UserName").to_owned());
                continue;
            }
            if let Some(host) = names.not_here(section, row) {
                elsewhere.insert(host);
                continue;
            }
            let step = rules::check(section, row, now)
                .and_then(|()| names.refused(section, row, now).map_or_else(|| step(section, row, now), Err));
            match step {
                Ok(step) => steps.extend(step),
                Err(mistake) => mistakes.push(format!("{}: {mistake}", section.describe(row))),
            }
        }
        if section.is_published() {
            is_published |= steps.len() > before;
            serve_at = steps.len();
        }
    }
    if !mistakes.is_empty() {
        return Err(mistakes);
    }
    if is_published {
        steps.insert(serve_at, Step::serve());
    }
    Ok(Plan { steps, missing, elsewhere })
}

impl Names {
    fn of(present: &[Rows], wanted: &[Rows]) -> Self {
        let key = |row: &Instance, name: &str| text(row, name).to_lowercase();
        // what is there comes last: a file may leave out what it does not change
        let both = |class| of_class(class, wanted).iter().chain(of_class(class, present));
        let placed = |row: &&Instance| says(row, "CollectionAlias");
        // a machine has one of its own name, and may be moved
        let placed = of_class(DESKTOPS, wanted).iter().chain(of_class(MACHINES, wanted)).filter(placed);
        let desktops = of_class(DESKTOPS, present).iter().chain(placed);
        let assignments = || of_class(ASSIGNMENTS, present).iter();
        let there = of_class(MACHINES, present).iter().filter(|row| says(row, "Address"));
        let machines = of_class(MACHINES, wanted).iter().chain(there);
        Self {
            accounts: of_class("OpenRDMS_User", present).iter().map(|row| user(row, "DomainName")).collect(),
            collections: both(COLLECTIONS).map(|row| (key(row, "Alias"), key(row, "Kind"))).collect(),
            hosts: both(MACHINES).map(|row| key(row, "Name")).collect(),
            machines: machines.map(|row| key(row, "Name")).collect(),
            desktops: desktops.map(|row| (key(row, "Name"), key(row, "CollectionAlias"))).collect(),
            applications: both(APPLICATIONS)
                .map(|row| (key(row, "PoolName"), key(row, "AppAlias")))
                .collect(),
            owners: assignments().map(|row| (key(row, "DesktopName"), user(row, "UserDomain"))).collect(),
            owned: assignments()
                .map(|row| ((key(row, "CollectionAlias"), user(row, "UserDomain")), key(row, "DesktopName")))
                .collect(),
        }
    }

    /// The host that a setting is of, where it is none of these.
    fn not_here(&self, section: &Section, row: &Instance) -> Option<String> {
        let host = setting_of_host(section, row)?;
        (!self.hosts.contains(&host.to_lowercase())).then(|| host.to_owned())
    }

    /// The row with its users as the service tells them, where they are the same ones: a file may leave out the domain.
    fn as_told(&self, row: &Instance, now: Option<&Instance>) -> Instance {
        let whole = |value: &Value| -> Option<BTreeSet<String>> {
            let Value::Array(users) = value else { return None };
            let known = |user: &str| {
                let user = user.to_lowercase();
                let mut accounts = self.accounts.iter();
                accounts.find(|known| known.rsplit('\\').next() == Some(&user)).cloned().unwrap_or(user)
            };
            Some(users.iter().filter_map(Value::as_str).map(known).collect())
        };
        let same = now.filter(|now| {
            let (there, said) = (whole(now.get("Users")), whole(row.get("Users")));
            said.is_some_and(|said| !said.is_empty() && there == Some(said))
        });
        let mut row = row.clone();
        if let (Some(now), Some((_, users))) =
            (same, row.properties.iter_mut().find(|(name, _)| name.eq_ignore_ascii_case("Users")))
        {
            *users = now.get("Users").clone();
        }
        row
    }

    /// Why a row cannot be: what it speaks of is not there, or is something else.
    fn refused(&mut self, section: &Section, row: &Instance, now: Option<&Instance>) -> Option<String> {
        let owner = (section.made == Made::Setting).then(|| text(row, "Owner").split_once(' ')).flatten();
        let owner = owner.filter(|(kind, _)| kind.eq_ignore_ascii_case("collection")).map(|(_, alias)| alias);
        let named = ["CollectionAlias", "PoolName"].into_iter().filter(|property| says(row, property));
        for alias in named.map(|property| text(row, property)).chain(owner) {
            if !self.collections.contains_key(&alias.to_lowercase()) {
                return Some(format!("there is no collection {alias}"));
            }
        }
        let differs = now.is_none_or(|now| now.get("Users") != row.get("Users"));
        let users: Vec<_> = match row.get("Users") {
            Value::Array(users) if users.is_empty() => return Some("Users cannot be made empty".to_owned()),
            Value::Array(users) if differs => users.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        let unknown = users.iter().find(|user| {
            !self.accounts.iter().any(|known| {
                let user = user.to_lowercase();
                *known == user || known.rsplit('\\').next() == Some(&user)
            })
        });
        if let Some(user) = unknown {
            return Some(format!("there is no account {user}"));
        }
        if let Some(host) = setting_of_host(section, row)
            && ["SessionLimit", "RelativeWeight"]
                .iter()
                .any(|name| name.eq_ignore_ascii_case(text(row, "Name")))
            && !self.machines.contains(&host.to_lowercase())
        {
            return Some("only a machine has it".to_owned());
        }
        match section.class {
            MACHINES if now.is_some_and(|now| !says(now, "Address")) => {
                Some("it is the host of a node, and no machine".to_owned())
            }
            DESKTOPS if now.is_none() && self.machines.contains(&text(row, "Name").to_lowercase()) => {
                Some("a machine has that name".to_owned())
            }
            ASSIGNMENTS => self.not_assigned(row),
            _ if section.name == "file_type" => {
                let application = ["PoolName", "AppAlias"].map(|key| text(row, key).to_lowercase());
                let [pool, alias] = application;
                (!self.applications.contains(&(pool, alias)))
                    .then(|| format!("the collection offers no application {}", text(row, "AppAlias")))
            }
            _ => None,
        }
    }

    fn not_assigned(&mut self, row: &Instance) -> Option<String> {
        let (desktop, owner) = (text(row, "DesktopName").to_lowercase(), user(row, "UserDomain"));
        let collection = text(row, "CollectionAlias").to_lowercase();
        if self.desktops.get(&desktop) != Some(&collection) {
            return Some(format!("the collection has no desktop {desktop}"));
        }
        if !self.accounts.contains(&owner) {
            return Some(format!("there is no account {owner}"));
        }
        let kind = self.collections.get(&collection).map_or("", String::as_str);
        if matches!(kind, "" | "pooled") {
            return Some("the collection is pooled: its desktops are nobody's".to_owned());
        }
        let before = self.owners.insert(desktop.clone(), owner.clone()).filter(|before| *before != owner);
        if let Some(before) = before {
            return Some(format!("the desktop is {before}'s"));
        }
        let other = self.owned.insert((collection, owner.clone()), desktop.clone());
        let other = other.filter(|other| *other != desktop)?;
        Some(format!("{owner} has the desktop {other} of the collection"))
    }
}

/// The host that a setting is of.
fn setting_of_host<'r>(section: &Section, row: &'r Instance) -> Option<&'r str> {
    let owner = if section.made == Made::Setting { text(row, "Owner") } else { return None };
    let (kind, name) = owner.split_once(' ')?;
    kind.eq_ignore_ascii_case("host").then_some(name)
}

fn user(row: &Instance, domain: &str) -> String {
    format!("{}\\{}", text(row, domain), text(row, "UserName")).to_lowercase()
}

/// The step that makes a row so; none where it is so already.
fn step(section: &Section, row: &Instance, now: Option<&Instance>) -> Result<Option<Step>, String> {
    let class = || ObjectPath::class(section.namespace, section.class);
    let what = section.describe(row);
    let stays = |property: &str| {
        now.is_some_and(|now| says(row, property) && !now.get(property).same(row.get(property)))
    };
    if let Some(property) = section.fixed.iter().find(|property| stays(property)) {
        return Err(format!("{property} cannot be changed"));
    }
    // WS-Management cannot tell an empty list from none, which may mean the opposite: no users, or all
    let is_empty = |value: &Value| matches!(value, Value::Array(items) if items.is_empty());
    let fixed = section.fixed.iter().find(|name| now.is_none() && is_empty(row.get(name)));
    let differs = |name: &str| now.is_none_or(|now| now.get(name) != row.get(name));
    let emptied =
        section.properties.iter().find(|name| now.is_some() && is_empty(row.get(name)) && differs(name));
    if let Some(name) = fixed.or(emptied) {
        return Err(format!("{name} cannot be made empty"));
    }
    let changes: Vec<(String, Value)> = row
        .properties
        .iter()
        .filter(|(name, value)| {
            section.properties.contains(&name.as_str()) && !is_empty(value) && differs(name)
        })
        .cloned()
        .collect();
    let changed = changes.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ");
    let act = match (section.made, now) {
        (Made::Setting, _) if changes.is_empty() && now.is_some() => return Ok(None),
        (Made::Setting, _) => written(row)?,
        (_, Some(_)) | (Made::WithCollection, None) if changes.is_empty() => return Ok(None),
        (_, Some(_)) | (Made::WithCollection, None) => Act::Put(section.path(row), Params(changes.clone())),
        (Made::Collection, None) => {
            let properties = Params(row.properties.clone()).with("Size", 0u32);
            Act::Create(class(), properties)
        }
        (Made::Instance, None) => Act::Create(class(), Params(row.properties.clone())),
        (Made::Desktop, None) => {
            let alias = text(row, "CollectionAlias");
            let collection = ObjectPath::class(OURS, "OpenRDMS_Collection").with_key("Alias", alias);
            Act::Call(collection, "AddDesktop", Params::default().with("Name", text(row, "Name")))
        }
        (Made::Server, None) => {
            let sid = row.get("SID").clone();
            let params = Params::default().with("NodeFQDN", text(row, "FQDN")).with("NodeSID", sid);
            Act::Call(class(), "Join", params)
        }
        // whoever makes plans keeps those that are missing apart
        (Made::Account, None) => return Ok(None),
    };
    let sentence = match &act {
        Act::Put(..) => format!("change {what}: {changed}"),
        Act::Create(..) => format!("make {what}"),
        Act::Call(..) if section.made == Made::Setting => format!("set {what}"),
        Act::Call(..) => format!("make {what}"),
    };
    let mut acts = vec![act];
    if section.made == Made::Server && now.is_none() && !changes.is_empty() {
        acts.push(Act::Put(section.path(row), Params(changes)));
    }
    Ok(Some(Step { sentence, acts }))
}

/// How a setting is written.
fn written(row: &Instance) -> Result<Act, String> {
    let given = ["Number", "Text", "List"].iter().filter(|name| says(row, name)).count();
    if given != 1 {
        return Err("it has one of Number, Text and List".to_owned());
    }
    let owner = setting::of(text(row, "Owner"))
        .ok_or("Owner is deployment, or collection and its alias, or host and its name")?;
    let value = setting::value(row);
    if matches!(value, Value::Array(items) if items.is_empty()) {
        return Err("List cannot be made empty".to_owned());
    }
    let method = setting::writing(&owner, value).ok_or("only the deployment has lists")?;
    let params = Params::default().with("Key", text(row, "Name")).with("Value", value.clone());
    Ok(Act::Call(owner, method, params))
}
