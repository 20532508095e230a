"""Cases, as their files tell them. A word that is not known is a mistake in the file, and not passed over."""

import tomllib
from dataclasses import dataclass, field
from pathlib import Path

CASES = Path(__file__).parent / "cases"


@dataclass(frozen=True)
class Http:
    """What differs from a plain POST of one message."""

    method: str = "POST"
    # Path and query instead of the endpoint's own.
    path: str | None = None
    version: str = "1.1"
    # good, none, wrong, other (the subject's second account), or a header's whole text.
    auth: str = "good"
    # The whole Content-Type; empty: none.
    content_type: str | None = None
    # Header lines besides, as they stand.
    lines: list[str] = field(default_factory=list)
    # utf-8, utf-8-bom, utf-16 (little-endian with a mark), utf-16be (with a mark), utf-32, utf-7, latin-1.
    charset: str = "utf-8"
    # whole; head (the body is never sent); half (half of the body, no more); late (the body after the head);
    # continue (the body when it is asked for); drip (the body byte by byte); head-drip (all of it so);
    # stream (a body without end); twice (without waiting between); crowd (beside others that say nothing);
    # nothing (connects and says nothing).
    send: str = "whole"
    # Chunked with chunks of so many bytes.
    chunked: int = 0
    # Seconds to wait before anything is sent.
    before: float = 0.0
    # With `crowd`: how many other connections there are that say nothing.
    crowd: int = 0
    # The Content-Length to claim.
    declare: int | None = None
    # Seconds between two pieces, and when to give up.
    pause: float = 0.0
    limit: float | None = None
    # same (it must still be there), new, or whatever fits.
    connection: str = "any"
    # plain: the connection of an https endpoint without TLS.
    tls: str = "as the endpoint"


@dataclass(frozen=True)
class Step:
    """One request, and what must hold of its reply."""

    # A word (Get, Enumerate, …) or a URI.
    action: str = ""
    # A method of the class instead of an action.
    method: str = ""
    # `role` or `role cim`: a class of the subject, in Microsoft's or in DMTF's family of URIs.
    on: str = ""
    # Whether the keys of the role's sample go along.
    keys: bool = False
    resource: str = ""
    selectors: str = ""
    options: str = ""
    headers: str = ""
    # Headers that are left out of those which are always there.
    omit: list[str] = field(default_factory=list)
    body: str = ""
    # The whole message instead of all these.
    envelope: str = ""
    # Text that comes many times: NAME = { text, times }; `%n` in it is its number.
    fill: dict[str, dict] = field(default_factory=dict)
    # Bytes that cannot stand in a case file: a text, and what it is replaced by, in hexadecimal.
    octets: dict[str, str] = field(default_factory=dict)
    http: Http = field(default_factory=Http)

    # Number, list of numbers, `refused` (a status from 400 on, or closed) or `closed`.
    status: int | str | list = 0
    # `code subcode detail`: as much of it as is written has to be so.
    fault: str = ""
    check: list[str] = field(default_factory=list)
    # Values for later steps, and values of all rounds.
    keep: dict[str, str] = field(default_factory=dict)
    collect: dict[str, str] = field(default_factory=dict)
    # So many times, whatever comes; or once for each collected value, which is `{each}`.
    times: int = 1
    each: str = ""
    # Again until this holds, so many times at most.
    until: str = ""
    most: int = 200
    # So many MiB may the service grow meanwhile, at its highest.
    memory: int | None = None
    # For replies that the general rules of replies do not hold for, and why.
    lenient: str = ""

    @property
    def may_be_closed(self) -> bool:
        """Whether no answer but the end of the connection is as good as one."""
        either = self.status if isinstance(self.status, list) else [self.status]
        return "closed" in either or "refused" in either


@dataclass(frozen=True)
class Case:
    """A rule and how to see whether it holds."""

    area: str
    name: str
    source: str
    steps: list[Step]
    needs: list[str] = field(default_factory=list)
    slow: bool = False

    @property
    def id(self) -> str:
        return f"{self.area}: {self.name}"


class BadCase(ValueError):
    """A case file that does not make sense."""


def _made(kind, table: dict, where: str):
    unknown = set(table) - set(kind.__dataclass_fields__)
    if unknown:
        raise BadCase(f"{where}: unknown words {sorted(unknown)}")
    return kind(**table)


def _step(table: dict, where: str) -> Step:
    table = dict(table)
    table["http"] = _made(Http, table.get("http", {}), f"{where}, http")
    step = _made(Step, table, where)
    if not (step.check or step.fault or step.status):
        raise BadCase(f"{where}: expects nothing, and so can hardly fail")
    if step.on and step.resource:
        raise BadCase(f"{where}: says twice what it is about")
    return step


def _case(area: str, table: dict, where: str) -> Case:
    table = dict(table)
    about = {key: table.pop(key) for key in ("name", "source", "needs", "slow") if key in table}
    for key in ("name", "source"):
        if not about.get(key):
            raise BadCase(f"{where} has no {key}")
    where = f"{where} ({about['name']})"
    steps = table.pop("step", None)
    if steps is not None and table:
        raise BadCase(f"{where}: words outside of its steps: {sorted(table)}")
    tables = [table] if steps is None else steps
    return Case(area=area, steps=[_step(t, f"{where}, step {n}") for n, t in enumerate(tables, 1)], **about)


def load(folder: Path = CASES) -> list[Case]:
    """All cases, in the order of their files' names."""
    cases: list[Case] = []
    for file in sorted(folder.glob("*.toml")):
        with file.open("rb") as stream:
            try:
                table = tomllib.load(stream)
            except tomllib.TOMLDecodeError as error:
                raise BadCase(f"{file.name}: {error}") from error
        unknown = set(table) - {"case"}
        if unknown:
            raise BadCase(f"{file.name}: unknown words {sorted(unknown)}")
        for number, each in enumerate(table.get("case", []), 1):
            cases.append(_case(file.stem, each, f"{file.name}, case {number}"))
    ids = [case.id for case in cases]
    twice = {each for each in ids if ids.count(each) > 1}
    if twice:
        raise BadCase(f"two cases have the same name: {sorted(twice)}")
    return cases
