//! Examples, by command. A test reads each; the end-to-end tests run them.

type Examples = &'static [&'static str];

/// The examples of a command such as `session list`.
pub(super) fn of(path: &str) -> Examples {
    ALL.iter().find(|(of, _)| *of == path).map_or(&[], |(_, lines)| lines)
}

pub(super) const ALL: &[(&str, Examples)] = &[
    ("serve", &["openrdms serve", "openrdms serve --data-dir /srv/openrdms"]),
    (
        "session list",
        &[
            "openrdms session list",
            "openrdms session list --state disconnected --in-state-for 2h -o wide",
            "openrdms session list --columns user,state,ClientAddress",
            "openrdms session list --watch",
            "openrdms -o csv session list > sessions.csv",
        ],
    ),
    (
        "session watch",
        &["openrdms session watch", "openrdms -o json session watch --user alice | jq -r .Change"],
    ),
    ("session show", &["openrdms session show 17", "openrdms -o json session show --user alice"]),
    (
        "session disconnect",
        &[
            "openrdms session disconnect 17",
            "openrdms session disconnect desk 17 --expect-user alice --force",
            "openrdms session disconnect --collection pool1 --all --dry-run",
        ],
    ),
    (
        "session logoff",
        &[
            "openrdms session logoff --user alice",
            "openrdms session logoff --state disconnected --in-state-for 2d --all -f",
        ],
    ),
    ("session message", &["openrdms session message --all --text 'Please save your work by noon.'"]),
    ("session forget", &["openrdms session forget --host desk2 --state lost --all"]),
    (
        "collection create",
        &[
            "openrdms collection create pool1 --size 4",
            "openrdms collection create lab --name 'The lab' --user alice --idle-limit 30m",
        ],
    ),
    ("collection add", &["openrdms collection add pool1 reading-room"]),
    ("collection remove", &["openrdms collection remove pool1 reading-room"]),
    ("collection list", &["openrdms collection list"]),
    ("collection show", &["openrdms collection show pool1"]),
    (
        "collection limits",
        &["openrdms collection limits pool1", "openrdms collection limits pool1 --disconnected-limit 2d"],
    ),
    (
        "collection change",
        &["openrdms collection change lab --user alice", "openrdms collection change lab --everybody"],
    ),
    ("collection delete", &["openrdms collection delete lab --force"]),
    ("desktop list", &["openrdms desktop list --collection pool1", "openrdms desktop list --watch"]),
    ("desktop start", &["openrdms desktop start pool1-001"]),
    ("desktop pause", &["openrdms desktop pause pool1-001"]),
    ("desktop stop", &["openrdms desktop stop pool1-002 --force"]),
    ("desktop assign", &["openrdms desktop assign own-001 alice"]),
    ("desktop unassign", &["openrdms desktop unassign own-001"]),
    ("assignment list", &["openrdms assignment list --user alice", "openrdms -o csv assignment list"]),
    ("app publish", &["openrdms app publish pool1 editor --path /usr/bin/gedit --folder Office"]),
    ("app list", &["openrdms app list --collection pool1"]),
    ("app show", &["openrdms app show pool1 editor"]),
    ("app withdraw", &["openrdms app withdraw pool1 editor --force"]),
    (
        "setting set",
        &[
            "openrdms setting set DeploymentRedirectorServer desk.example.org",
            "openrdms setting set IdleSessionLimit 900000 --type number --collection pool1",
            "openrdms setting set Floors ground first --type list",
        ],
    ),
    ("setting list", &["openrdms setting list", "openrdms setting list --collection pool1"]),
    ("setting get", &["openrdms setting get DeploymentRedirectorServer"]),
    ("setting unset", &["openrdms setting unset Floors"]),
    ("job run", &["openrdms job run job.xml", "openrdms job run - --wait < job.xml"]),
    ("job list", &["openrdms job list", "openrdms job list --watch --every 10"]),
    ("job show", &["openrdms job show 5b1f8c11-7b7c-4a51-9a39-2f3a5b1f8c11"]),
    ("job cancel", &["openrdms job cancel 5b1f8c11-7b7c-4a51-9a39-2f3a5b1f8c11 --force"]),
    ("job update", &["openrdms job update pool1 --start 18h --deadline 20h"]),
    ("job show-update", &["openrdms job show-update pool1"]),
    ("job cancel-update", &["openrdms job cancel-update pool1 --force"]),
    ("export", &["openrdms export > deployment.toml"]),
    ("import", &["openrdms import deployment.toml --dry-run", "openrdms import deployment.toml --force"]),
    ("host list", &["openrdms host list", "openrdms -o json host list --watch | jq -c .Previous"]),
    (
        "host add",
        &[
            "openrdms host add rdsh1 --address 192.0.2.7 --collection pool1",
            "openrdms -o json host add pc7 --address 192.0.2.7 --session-limit 1",
        ],
    ),
    (
        "host change",
        &["openrdms host change rdsh1 --weight 200", "openrdms host change rdsh1 --no-collection"],
    ),
    ("host remove", &["openrdms host remove rdsh1", "openrdms host remove pc7 --force"]),
    ("host drain", &["openrdms host drain desk"]),
    ("host undrain", &["openrdms host undrain desk"]),
    ("node list", &["openrdms node list"]),
    ("node drain", &["openrdms node drain 7b7c2a0e-5a1f-4a51-9a39-2f3a5b1f8c11"]),
    ("node undrain", &["openrdms node undrain 7b7c2a0e-5a1f-4a51-9a39-2f3a5b1f8c11"]),
    (
        "user add",
        &["openrdms user add alice", "openrdms user add admin --role admin --password-stdin < password"],
    ),
    ("user list", &["openrdms user list"]),
    ("user passwd", &["openrdms user passwd alice"]),
    ("user delete", &["openrdms user delete alice"]),
    (
        "audit",
        &[
            "openrdms audit",
            "openrdms audit --since 7d --action logoff --actor admin",
            "openrdms -o json audit --since 2026-05-01T08:00:00Z --limit 0",
        ],
    ),
    ("cim classes", &["openrdms cim classes", "openrdms cim classes root/cimv2/rdms"]),
    ("cim class", &["openrdms cim class Win32_VirtualDesktopSession -n root/cimv2/rdms"]),
    (
        "cim get",
        &[
            "openrdms cim get 'OpenRDMS_Collection.Alias=\"pool1\"'",
            "openrdms cim get 'OpenRDMS_User.DomainName=\"OPENRDMS\",UserName=\"alice\"'",
        ],
    ),
    (
        "cim query",
        &[
            "openrdms cim query \"SELECT Uid FROM OpenRDMS_Session WHERE State = 'Lost'\"",
            "openrdms -o json cim query 'SELECT * FROM OpenRDMS_Host'",
        ],
    ),
    (
        "cim watch",
        &[
            "openrdms cim watch \"SELECT * FROM __InstanceDeletionEvent WITHIN 5 WHERE TargetInstance ISA 'OpenRDMS_Session'\"",
        ],
    ),
    (
        "cim invoke",
        &[
            "openrdms cim invoke 'OpenRDMS_Host.Name=\"desk\"' Drain --force",
            "openrdms cim invoke OpenRDMS_User AddUser UserName=bob Password=@password -f",
        ],
    ),
    ("cim create", &["openrdms cim create OpenRDMS_Collection Alias=lab2 Size=1 -f"]),
    ("cim set", &["openrdms cim set 'OpenRDMS_Collection.Alias=\"lab2\"' Rollback=true -f"]),
    ("cim delete", &["openrdms cim delete 'OpenRDMS_Collection.Alias=\"lab2\"' --force"]),
    ("cim mof", &["openrdms cim mof OpenRDMS_Session"]),
    ("context list", &["openrdms context list"]),
    ("context current", &["openrdms context current"]),
    ("context use", &["openrdms context use farm", "openrdms context use local"]),
    (
        "context add",
        &[
            "openrdms context add farm --server https://desk.example.org --username ann",
            "openrdms context add lab --server https://192.0.2.7 --password-file lab.secret",
        ],
    ),
    ("context remove", &["openrdms context remove farm"]),
    ("context distrust", &["openrdms context distrust desk.example.org:5986"]),
    ("config check", &["openrdms config check", "openrdms --config new.toml config check"]),
    ("config show", &["openrdms config show"]),
    ("completion", &["openrdms completion bash > /etc/bash_completion.d/openrdms"]),
];
