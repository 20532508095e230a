"""`python -m conformance [WORD…]`: all cases, or those with one of the words in their names."""

import sys
from concurrent.futures import ThreadPoolExecutor

from .case import load
from .run import Outcome, discover, run
from .subject import Subject


def _tell(outcome: Outcome) -> None:
    if outcome.skipped:
        print(f"SKIPPED {outcome.case.id}: {outcome.skipped}")
    elif outcome.why:
        print(f"FAILED  {outcome.case.id} ({outcome.case.source})\n        {outcome.why}")
    else:
        print(f"passed  {outcome.case.id}")
    sys.stdout.flush()


def main(words: list[str]) -> int:
    subject = Subject.of_environment()
    cases = [case for case in load() if not words or any(word in case.id for word in words)]
    discover(subject)
    outcomes: list[Outcome] = []
    # Those that wait for a limit of the server do so beside the others.
    with ThreadPoolExecutor(max_workers=32) as pool:
        waiting = [pool.submit(run, subject, case) for case in cases if case.slow]
        for case in cases:
            if not case.slow:
                outcomes.append(run(subject, case))
                _tell(outcomes[-1])
        for future in waiting:
            outcomes.append(future.result())
            _tell(outcomes[-1])
    failed = sum(o.why is not None for o in outcomes)
    skipped = sum(o.skipped is not None for o in outcomes)
    print(f"{len(outcomes) - failed - skipped} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
