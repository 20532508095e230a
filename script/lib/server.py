"""The running half of script/server."""

import argparse
import json
import secrets
import signal
import sys
from pathlib import Path

from support.paths import openrdms
from support.server import Server, make_data_dir, remove

ADMIN, USER, COLLECTION = "admin", "alice", "demo"


class Stop(Exception):
    """Somebody asked us to end."""


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="script/server", description="An OpenRDMS to connect to; ports are free ones unless given."
    )
    parser.add_argument(
        "--json", action="store_true", help="print one line of JSON once ready, and nothing else"
    )
    parser.add_argument(
        "--data-dir", type=Path, help="keep everything there (default: thrown away at the end)"
    )
    parser.add_argument(
        "--address", default="127.0.0.1", help="address for RDP clients (default: %(default)s)"
    )
    parser.add_argument("--rdp-port", type=int, default=0)
    parser.add_argument("--http-port", type=int, default=0, help="WS-Management over HTTP, on loopback")
    parser.add_argument("--https-port", type=int, default=0, help="WS-Management over HTTPS, on loopback")
    parser.add_argument(
        "--size", type=int, default=4, help="desktops in the collection (default: %(default)s)"
    )
    return parser.parse_args()


def provide(server: Server, size: int) -> None:
    """Accounts with fresh passwords and the collection; a data directory used before may have them already."""
    known = {user["UserName"].lower() for user in server.json("user", "list")}
    for name, role in ((ADMIN, "admin"), (USER, "user")):
        if name in known:
            server.passwords[name] = secrets.token_urlsafe(12)
            server.cli("user", "passwd", name, "--password-stdin", text=server.passwords[name] + "\n")
        else:
            server.add_user(name, role)
    if COLLECTION not in {c["Alias"].lower() for c in server.json("collection", "list")}:
        server.add_collection(COLLECTION, size)


def as_json(server: Server) -> str:
    account = lambda name: {"user": name, "password": server.passwords[name]}  # noqa: E731
    doors = {key: server.ready[key] for key in ("rdp", "wsman_http", "wsman_https")}
    more = {"collection": COLLECTION, "data_dir": str(server.data_dir)}
    return json.dumps({**doors, "admin": account(ADMIN), "user": account(USER), **more})


def as_text(server: Server) -> str:
    ready, password, admin = server.ready, server.passwords[USER], server.passwords[ADMIN]
    http_port = ready["wsman_http"].rsplit(":", 1)[1].split("/")[0]
    return f"""
OpenRDMS is ready. Everything is in {server.data_dir}; Ctrl-C ends it and its desktops.

Connect to a desktop as {USER}, password {password}
  xfreerdp /v:{ready["rdp"]} /u:{USER} /p:{password} /cert:ignore /dynamic-resolution
  mstsc    /v:{ready["rdp"]}   (user name {USER}; the certificate is self-signed;
           for clients on other machines start this script with --address 0.0.0.0)

Manage it, on this machine
  export OPENRDMS_SOCKET={ready["socket"]}
  {openrdms()} session list
  {openrdms()} session disconnect --user {USER}

Manage it through WS-Management as {ADMIN}, password {admin}
  {ready["wsman_http"]}
  {ready["wsman_https"]}
  python: WSMan("127.0.0.1", port={http_port}, ssl=False, auth="basic", encryption="never",
                username="{ADMIN}", password="{admin}")   # from pypsrp.wsman
  class:  root/cimv2/rdms/Win32_VirtualDesktopSession (Disconnect, Logoff, SendMessage)
"""


def main() -> int:
    options = arguments()
    throw_away = options.data_dir is None
    if throw_away:
        data_dir = make_data_dir()
    else:
        data_dir = options.data_dir.resolve()
        if not data_dir.exists():
            data_dir.mkdir(parents=True)
            data_dir.chmod(0o711)
    settings = {
        "OPENRDMS_RDP_LISTEN": f"{options.address}:{options.rdp_port}",
        "OPENRDMS_MANAGEMENT_HTTP": f"127.0.0.1:{options.http_port}",
        "OPENRDMS_MANAGEMENT_HTTPS": f"127.0.0.1:{options.https_port}",
    }
    server = Server(data_dir, data_dir, settings)

    def stop(*_):
        # Once is enough: what follows is the clean end, which must not be cut short.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        raise Stop

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    try:
        server.start()
        provide(server, options.size)
        print(as_json(server) if options.json else as_text(server), flush=True)
        code = server.process.join()
        print(f"script/server: openrdms ended with {code}:\n{server.process.log}", file=sys.stderr)
        return 1
    except Stop:
        return 0
    finally:
        server.close()
        if throw_away:
            remove(data_dir)


if __name__ == "__main__":
    sys.exit(main())
