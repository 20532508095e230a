"""What a case says of a reply, one line each.

    has PATH                    there is such an element or attribute
    no PATH                     there is none
    PATH = TEXT                 the text of the first one
    PATH != TEXT
    PATH ~ REGEX                (anywhere in it)
    PATH !~ REGEX               none of them has it
    every PATH = TEXT           (or ~) of each one, and there is at least one
    count PATH = N              (or >=, <=)
    name PATH = PREFIX:LOCAL    the name of the first one; PREFIX may be * (any namespace)
    order PATH = A B C          local names of all, in this order
    sorted PATH                 local names in the order of the alphabet
    header NAME = TEXT          of HTTP (or ~, or !~; an absent one is empty)
    raw ~ REGEX                 the text of the whole reply (or !~)
    bytes <= N                  the length of the reply
    charset = NAME              utf-8 or utf-16
    one read                    the reply came in one piece
    continued / not continued   a 100 came before it
    value A = B                 two texts, with their variables (or !=, <=, >=, ~)
    size LIST >= N              how many values were collected (or =, <=)
    distinct LIST               no value came twice
    same LIST LIST              the same values, in whatever order
    connection stays / closes   as the reply tells
"""

import re

from .message import filled
from .reply import Message
from .wire import Answer


class Wrong(AssertionError):
    """Something does not hold."""


_COMPARE = {
    "=": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    ">=": lambda a, b: float(a) >= float(b),
    "<=": lambda a, b: float(a) <= float(b),
    "~": lambda a, b: re.search(b, a, re.DOTALL) is not None,
    "!~": lambda a, b: re.search(b, a, re.DOTALL) is None,
}
_LINE = re.compile(r"^(.*?) (=|!=|>=|<=|~|!~)(?: (.*))?$", re.DOTALL)


def holds(line: str, answer: Answer, message: Message | None, variables: dict, lists: dict) -> None:
    """Raises `Wrong` unless it does."""
    try:
        _holds(line, answer, message, variables, lists)
    except Wrong as wrong:
        raise Wrong(f"{line!r} does not hold: {wrong}") from None


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]


def _need(message: Message | None) -> Message:
    if message is None:
        raise Wrong("the reply has no message")
    return message


def _compare(found, operator: str, wanted: str) -> None:
    try:
        good = _COMPARE[operator](str(found), wanted)
    except ValueError:
        good = False
    if not good:
        raise Wrong(f"it is {str(found)[:300]!r}")


def _holds(line: str, answer: Answer, message: Message | None, variables: dict, lists: dict) -> None:
    line = line.strip()
    verb, _, rest = line.partition(" ")
    if verb in ("has", "no"):
        found = _need(message).count(filled(rest, variables))
        if (found > 0) != (verb == "has"):
            raise Wrong(f"there are {found}")
    elif line == "one read":
        if answer.reads != 1:
            raise Wrong(f"it took {answer.reads} reads")
    elif line in ("continued", "not continued"):
        if answer.continued != (line == "continued"):
            raise Wrong(f"continued: {answer.continued}")
    elif line in ("connection stays", "connection closes"):
        told = answer.headers.get("connection", "").lower()
        stays = told == "keep-alive" if answer.version == "HTTP/1.0" else told != "close"
        if stays != (line == "connection stays"):
            raise Wrong(f"{answer.version}, Connection: {told!r}")
    elif verb == "sorted":
        names = [_local(e.tag) for e in _need(message).find(filled(rest, variables))]
        if not names or names != sorted(names, key=str.lower):
            raise Wrong(f"they are {names}")
    elif verb == "distinct":
        values = lists[rest]
        if not values or len(set(values)) != len(values):
            raise Wrong(f"{len(values)} values, {len(set(values))} different ones")
    elif verb == "same":
        one, other = rest.split()
        if sorted(lists[one]) != sorted(lists[other]):
            raise Wrong(f"only in {one}: {sorted(set(lists[one]) - set(lists[other]))[:5]}, "
                        f"only in {other}: {sorted(set(lists[other]) - set(lists[one]))[:5]}; "
                        f"{len(lists[one])} and {len(lists[other])} values")
    else:
        _with_operator(line, answer, message, variables, lists)


def _with_operator(line: str, answer: Answer, message: Message | None, variables: dict, lists: dict) -> None:
    parts = _LINE.match(line)
    if parts is None:
        raise Wrong("it is no line that the suite knows")
    left, operator, wanted = parts[1], parts[2], filled(parts[3] or "", variables)
    verb, _, rest = left.partition(" ")
    path = filled(rest, variables)
    if verb == "count":
        _compare(_need(message).count(path), operator, wanted)
    elif verb == "name":
        found = _need(message).find(path)
        name = _need(message).prefixed(found[0].tag) if found else "(nothing)"
        if wanted.startswith("*:"):
            name = "*:" + _local(found[0].tag) if found else name
        _compare(name, operator, wanted)
    elif verb == "order":
        _compare(" ".join(_local(e.tag) for e in _need(message).find(path)), operator, wanted)
    elif verb == "header":
        _compare(answer.headers.get(rest.lower(), ""), operator, wanted)
    elif verb == "value":
        _compare(path, operator, wanted)
    elif verb == "size":
        _compare(len(lists[rest]), operator, wanted)
    elif verb == "every":
        values = _need(message).values(path)
        if not values:
            raise Wrong("there is none")
        for value in values:
            _compare(value, operator, wanted)
    elif left == "raw":
        _compare(_need(message).text, operator, wanted)
    elif left == "bytes":
        _compare(len(answer.body), operator, wanted)
    elif left == "charset":
        _compare("utf-16" if answer.body[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8", operator, wanted)
    else:
        _of_texts(_need(message), filled(left, variables), operator, wanted)


def _of_texts(message: Message, path: str, operator: str, wanted: str) -> None:
    values = message.values(path)
    if operator == "!~":
        for value in values:
            _compare(value, operator, wanted)
    elif not values:
        raise Wrong("there is no such thing")
    else:
        _compare(values[0], operator, wanted)
