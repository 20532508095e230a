//! What a desktop cannot reach.

use crate::support::*;
use openrdms_broker::Endpoint;
use openrdms_broker::ports::Host as _;
use openrdms_host_local::{LocalError, Network};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::Command;

/// Prints one word a line: what worked that must not, or `done`.
const PROBE: &str = r#"
{
  for d in :10 unix:10 localhost:10; do XAUTHORITY=/dev/null xsetroot -display $d -def && echo "display $d without cookie"; done
  xsetroot -def || echo "own display refused"
  for d in / /usr /etc /bin /run/desk-etc /run/openrdms; do touch $d/x && echo "can write $d"; done
  ls -d "DATA"/* && echo "sees the data directory"
  ls -A /home | grep -vx "$USER" && echo "sees another home"
  cat /etc/shadow && echo "reads shadow"
  grep -q '^CapEff:.*[1-9a-f]' /proc/self/status && echo "has capabilities"
  grep -q '^NoNewPrivs:.*1' /proc/self/status || echo "may gain privileges"
  [ "$(id -u)" = 0 ] && echo "is root"
  [ "$(ls /proc | grep -c '^[0-9]')" -lt 30 ] || echo "sees processes of others"
  grep -q '@' /proc/net/unix && echo "has an abstract socket"
  grep -qE 'eth|ens|enp' /proc/net/dev && echo "has a network"
  [ "$(ulimit -n) $(ulimit -p) $(ulimit -c)" = "4096 2048 0" ] || echo "has other limits"
  for d in /tmp /dev/shm; do
    [ "$(df -B1 --output=size $d | tail -n 1)" = 1073741824 ] || echo "$d has no limit"
  done
  echo "done"
} > ~/probe 2> ~/probe.err
exec sleep 100000
"#;

#[tokio::test]
async fn a_desktop_reaches_nothing_but_its_own() {
    if !possible_as_root() {
        return;
    }
    let bench = Bench::with(|config| {
        let script = PROBE.replace("DATA", config.data_dir.to_str().unwrap());
        config.session_command = ["/bin/sh", "-c", &script].map(str::to_owned).to_vec();
    });
    let a = bench.start("d1", "alice", 20_001).await;
    let b = bench.start("d2", "bob", 20_002).await;
    for user in ["alice", "bob"] {
        assert_eq!(bench.written(user, "probe").await, "done\n", "{user}");
    }
    for kind in ["pid", "net", "ipc", "mnt", "uts", "user"] {
        assert_ne!(namespace(&a, kind), namespace(&b, kind));
        assert_ne!(namespace(&a, kind), std::fs::read_link(format!("/proc/self/ns/{kind}")).unwrap());
    }
}

#[tokio::test]
async fn nothing_of_a_desktop_is_root_of_the_machine() {
    if !possible_as_root() {
        return;
    }
    let bench = Bench::new("exec dbus-run-session openbox");
    let handle = bench.start("d1", "alice", 20_001).await;
    eventually("the session is up", || find(&handle, "openbox").is_some()).await;
    let pids = inside(&handle);
    assert!(pids.len() >= 6, "supervisor, Xorg, xrdp, chansrv, dbus, openbox");
    for pid in pids {
        let status = std::fs::read_to_string(format!("/proc/{}/status", pid.as_raw_nonzero())).unwrap();
        let line = |key| status.lines().find_map(|l: &str| l.strip_prefix(key)).unwrap().trim();
        for key in ["Uid:", "Gid:"] {
            assert!(line(key).split_whitespace().all(|id| id == "20001"), "{key} {}", line(key));
        }
        assert_eq!(line("Groups:"), "", "{status}");
        let map = std::fs::read_to_string(format!("/proc/{}/uid_map", pid.as_raw_nonzero())).unwrap();
        assert_eq!(map.split_whitespace().nth(1), Some("20001"), "{map}");
    }
}

#[tokio::test]
async fn another_uid_of_the_machine_cannot_get_at_a_desktops_files() {
    if !possible_as_root() {
        return;
    }
    let bench = Bench::new(IDLE);
    let handle = bench.start("d1", "alice", 20_001).await;
    let Endpoint::Unix { path: socket, uid } = &handle.endpoint else { panic!("{handle:?}") };
    assert_eq!((*uid, std::fs::metadata(socket).unwrap().uid()), (20_001, 20_001));
    let desk = bench.dir.path().join("desktops/d1");
    let home = bench.home("alice");
    let closed =
        [&home, &desk.join("run"), &desk.join("log"), &desk.join("etc"), &desk.join("key.pem"), socket];
    for path in closed {
        let look = |uid: &str| {
            let as_uid = ["--reuid", uid, "--regid", uid, "--clear-groups", "test", "-r"];
            Command::new("setpriv").args(as_uid).arg(path).status().unwrap().success()
        };
        assert!(!look("20002"), "{}", path.display());
        assert_eq!(look("20001"), !path.ends_with("key.pem"), "{}", path.display());
    }
}

#[tokio::test]
async fn outbound_desktops_have_a_network_of_their_own_and_do_not_reach_the_machine() {
    if !possible() || !(Path::new("/usr/bin/pasta").exists() || skipped("pasta is not installed")) {
        return;
    }
    let service = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = service.local_addr().unwrap().port();
    let gateway = std::fs::read_to_string("/proc/net/route").unwrap();
    let routed = gateway.lines().any(|l| l.split_whitespace().nth(1) == Some("00000000"));
    if !routed && !skipped("this machine has no default route to hand on") {
        return;
    }
    let bench = Bench::with(|config| {
        config.network = Network::Outbound;
        let script = format!(
            "{{ awk '$2 == \"00000000\" {{ print \"routed\" }}' /proc/net/route | head -n 1; \
             id -u; grep ^nameserver /etc/resolv.conf; \
             for a in 127.0.0.1 $(awk '$2 == \"00000000\" {{ print $3 }}' /proc/net/route | head -n 1 | \
             sed 's/\\(..\\)\\(..\\)\\(..\\)\\(..\\)/0x\\4 0x\\3 0x\\2 0x\\1/' | xargs printf '%d.%d.%d.%d'); do \
             timeout 2 bash -c \"</dev/tcp/$a/{port}\" && echo \"reached $a\"; done; \
             echo done; }} > ~/probe 2> ~/probe.err; exec sleep 100000"
        );
        config.session_command = ["/bin/sh", "-c", &script].map(str::to_owned).to_vec();
    });
    let handle = bench.start("d1", "alice", 20_001).await;
    let uid = if rustix::process::geteuid().is_root() { 20_001 } else { rustix::process::geteuid().as_raw() };
    let expected = format!("routed\n{uid}\nnameserver 169.254.53.53\ndone\n");
    let probe = bench.home("alice").join("probe");
    eventually("the probe is done", || std::fs::read_to_string(&probe).is_ok_and(|t| t.ends_with("done\n")))
        .await;
    assert_eq!(std::fs::read_to_string(&probe).unwrap(), expected);
    bench.host.logoff(&name("d1"), &handle, GRACE).await.unwrap();
    drop(service);
}

#[test]
fn a_data_directory_that_leaves_no_room_for_sockets_is_refused() {
    if !possible() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let long = dir.path().join("d".repeat(60));
    let error = config(&long).build().unwrap_err();
    assert!(matches!(error, LocalError::PathTooLong(..)), "{error}");
}

#[test]
fn a_data_directory_that_desktops_cannot_enter_is_refused() {
    if !possible_as_root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
    let error = config(&dir.path().join("data")).build().unwrap_err();
    assert!(matches!(error, LocalError::NotTraversable(..)), "{error}");
}
