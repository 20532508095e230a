"""The figures of OpenRDMS, each measured beside a peer in the same run. `script/bench` calls this.

A figure is a function that yields results; ours and the peer alternate, several rounds, and the result is the median of the
rounds with the least and the most in its note.
"""

import argparse
import contextlib
import resource
import sys
import tempfile
from pathlib import Path

import desktops
import management
import relay
from figures import Rounds

# By what they need to stand: its functions get it.
WORLDS = [
    (
        lambda where: relay.Relay(where).running(),
        {
            "relay-throughput": relay.throughput,
            "relay-cpu-per-gb": relay.throughput,
            "relay-memory-per-session": relay.memory,
            "handshakes-per-second": relay.handshakes,
            "logons-per-second": relay.logons,
        },
    ),
    (
        contextlib.nullcontext,
        {
            "connect-added-ms": desktops.connect_added,
            "disconnect-server-ms": desktops.disconnect_server,
            "disconnect-client-gone-ms": desktops.disconnect_client_gone,
        },
    ),
    (
        lambda where: management.Management(where).running(),
        {
            "enumerate-10k": management.enumerate_10k,
            "get-p50-ms": management.get_p50,
            "invoke-p50-ms": management.invoke_p50,
        },
    ),
    (
        lambda where: management.Management(where, management.MANY).running(),
        {
            "enumerate-100k": management.enumerate_100k,
            "get-100k-ms": management.get_100k,
        },
    ),
]


def main() -> int:
    names = [name for _, figures in WORLDS for name in figures]
    parser = argparse.ArgumentParser(prog="script/bench", description="The figures of OpenRDMS beside those of peers.")
    parser.add_argument("--quick", action="store_true", help="little of everything: to see that it runs, never to quote")
    parser.add_argument("--json", action="store_true", help="a line of JSON a figure, and nothing else")
    parser.add_argument("--only", choices=names, metavar="NAME", help=f"one of: {', '.join(names)}")
    options = parser.parse_args()
    # a relay of hundreds of connections has two descriptors for each, and so have those at its ends
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    for world, figures in WORLDS:
        # in their order, each once
        wanted = dict.fromkeys(figure for name, figure in figures.items() if options.only in (None, name))
        if not wanted:
            continue
        with tempfile.TemporaryDirectory(prefix="bench-") as where, world(Path(where)) as standing:
            for figure in wanted:
                for result in figure(standing, Rounds(options.quick)):
                    print(result.json() if options.json else result, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
