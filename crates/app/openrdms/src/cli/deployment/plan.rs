//! What an import has to do: everything is looked at before anything is done.

use super::section::{MACHINES, Made, Rows, SECTIONS, Section, says, text};
use crate::cli::Failure;
use crate::cli::remote::{KNOWN, OURS, Remote};
use crate::cli::setting;
use openrdms_cim::{Instance, ObjectPath, Params, Value};
use std::collections::{HashMap, HashSet};

pub(super) struct Plan {
    pub(super) steps: Vec<Step>,
    /// Accounts that the file names and that are not there.
    pub(super) missing: Vec<String>,
}

pub(super) struct Step {
    /// What it does, for people.
    pub(super) sentence: String,
    act: Act,
}

enum Act {
    Create(ObjectPath, Params),
    Put(ObjectPath, Params),
    Call(ObjectPath, &'static str, Params),
}

impl Step {
    pub(super) async fn run(&self, remote: &Remote) -> Result<(), Failure> {
        match &self.act {
            Act::Create(class, properties) => remote.create(class, properties).await,
            Act::Put(path, properties) => remote.put(path, properties).await,
            Act::Call(path, method, params) => remote.invoke(path, method, params.clone(), &[]).await,
        }
    }
}

/// What there is and will be, for what refers to it.
struct Names {
    accounts: HashSet<String>,
    collections: HashSet<String>,
    /// The collection of each desktop.
    desktops: HashMap<String, String>,
    /// Whose each desktop is, now and by the file.
    owners: HashMap<String, String>,
}

/// The steps from what is there to what a file says, or every mistake of the file. Both have one list a section.
pub(super) fn make(present: &[Rows], wanted: &[Rows]) -> Result<Plan, Vec<String>> {
    let mut names = Names::of(present, wanted);
    let (mut steps, mut missing, mut mistakes) = (Vec::new(), Vec::new(), Vec::new());
    let mut publishes = false;
    for ((section, present), wanted) in SECTIONS.iter().zip(present).zip(wanted) {
        let there: HashMap<_, _> = present.iter().map(|row| (section.identity(row), row)).collect();
        let before = steps.len();
        for row in wanted {
            let now = there.get(&section.identity(row)).copied();
            if section.made == Made::Account && now.is_none() {
                missing.push(text(row, "UserName").to_owned());
                continue;
            }
            match names.refused(section, row, now).map_or_else(|| step(section, row, now), Err) {
                Ok(step) => steps.extend(step),
                Err(mistake) => mistakes.push(format!("{}: {mistake}", section.describe(row))),
            }
        }
        let offers =
            section.class == "Win32_RDMSVirtualDesktopCollection" || section.keys.contains(&"PoolName");
        publishes |= offers && steps.len() > before;
    }
    if publishes {
        let class = ObjectPath::class(KNOWN, "Win32_RDMSManagementData");
        let act = Act::Call(class, "SynchronizeAllPublishingData", Params::default());
        steps.push(Step { sentence: "serve what is offered".to_owned(), act });
    }
    if mistakes.is_empty() { Ok(Plan { steps, missing }) } else { Err(mistakes) }
}

impl Names {
    fn of(present: &[Rows], wanted: &[Rows]) -> Self {
        let key = |row: &Instance, name: &str| text(row, name).to_lowercase();
        let rows = |class: &str, all: &[Rows]| {
            let at = SECTIONS.iter().position(|section| section.class == class);
            at.and_then(|at| all.get(at)).cloned().unwrap_or_default()
        };
        let both = |class: &str| [rows(class, wanted), rows(class, present)].concat();
        let accounts = rows("OpenRDMS_User", present);
        // a machine has one of its own name
        let desktops = [both(MACHINES), both("OpenRDMS_Desktop")].concat();
        let assignments = rows("Win32_RDMSDesktopAssignment", present);
        Self {
            accounts: accounts.iter().map(|row| user(row, "DomainName")).collect(),
            collections: both("OpenRDMS_Collection").iter().map(|row| key(row, "Alias")).collect(),
            desktops: desktops.iter().map(|row| (key(row, "Name"), key(row, "CollectionAlias"))).collect(),
            owners: assignments
                .iter()
                .map(|row| (key(row, "DesktopName"), user(row, "UserDomain")))
                .collect(),
        }
    }

    /// Why a row cannot be: what it speaks of is not there.
    fn refused(&mut self, section: &Section, row: &Instance, now: Option<&Instance>) -> Option<String> {
        for property in ["CollectionAlias", "PoolName"] {
            let alias = text(row, property).to_lowercase();
            if says(row, property) && !self.collections.contains(&alias) {
                return Some(format!("there is no collection {alias}"));
            }
        }
        if section.class == "OpenRDMS_Desktop" && now.is_none() && !says(row, "CollectionAlias") {
            return Some("CollectionAlias is missing".to_owned());
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
        (section.class == "Win32_RDMSDesktopAssignment").then(|| self.not_assigned(row)).flatten()
    }

    fn not_assigned(&mut self, row: &Instance) -> Option<String> {
        let (desktop, owner) = (text(row, "DesktopName").to_lowercase(), user(row, "UserDomain"));
        if self.desktops.get(&desktop) != Some(&text(row, "CollectionAlias").to_lowercase()) {
            return Some(format!("the collection has no desktop {desktop}"));
        }
        if !self.accounts.contains(&owner) {
            return Some(format!("there is no account {owner}"));
        }
        let before = self.owners.insert(desktop, owner.clone()).filter(|before| *before != owner);
        before.map(|before| format!("the desktop is {before}'s"))
    }
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
        (_, Some(_)) | (Made::WithCollection, None) => Act::Put(section.path(row), Params(changes)),
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
        // whoever makes plans keeps those that are missing apart
        (Made::Account, None) => return Ok(None),
    };
    let sentence = match &act {
        Act::Put(..) => format!("change {what}: {changed}"),
        Act::Create(..) => format!("make {what}"),
        Act::Call(..) if section.made == Made::Setting => format!("set {what}"),
        Act::Call(..) => format!("make {what}"),
    };
    Ok(Some(Step { sentence, act }))
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
