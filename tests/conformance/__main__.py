"""`make conformance`: every case of the folder, the id of each that differs, and the sum.

`-v` says in what they differ; `--strict` wants the rules one for one in the captured order.
"""

from __future__ import annotations

import sys

from tests.conformance.folder import folder, load


def main(arguments: list[str]) -> int:
    where = folder()
    if not (where / "cases.py").exists():
        print(f"no conformance cases in {where}: set CONFORMANCE to the folder that has cases.py")
        return 2
    cases = load(where)
    failed = 0
    for case in cases.cases:
        try:
            differences = cases.differences(case, strict="--strict" in arguments)
        except Exception as error:  # one broken case must not hide the others
            differences = [f"{type(error).__name__}: {error}"]
        if differences:
            failed += 1
            print(case["id"])
            if "-v" in arguments:
                for difference in differences:
                    print(f"    {difference}")
    print(f"{len(cases.cases) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
