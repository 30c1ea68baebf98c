"""Update the generated files: `python -m tests.generate [--check]`."""

from __future__ import annotations

import difflib
import sys

from tests.generate.registry import ROOT, compare


def main(arguments: list[str]) -> int:
    """Write outdated files. With ``--check``, show the differences and return 1 instead.

    Files that need Helm are skipped with a message if Helm is missing.
    """
    if arguments not in ([], ["--check"]):
        sys.stderr.write("usage: python -m tests.generate [--check]\n")
        return 2
    comparison = compare()
    for path, reason in comparison.unknown.items():
        sys.stderr.write(f"{path.relative_to(ROOT)} was skipped: {reason}\n")
    for path, content in comparison.outdated.items():
        name = str(path.relative_to(ROOT))
        if arguments:
            before = path.read_text() if path.exists() else ""
            sys.stdout.writelines(
                difflib.unified_diff(
                    before.splitlines(keepends=True),
                    content.splitlines(keepends=True),
                    name,
                    f"{name} (generated)",
                )
            )
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
            sys.stdout.write(f"{name}\n")
    if not arguments:
        return int(bool(comparison.unknown))
    if comparison.outdated:
        sys.stderr.write("Run `make generate` and commit the changes.\n")
    return int(bool(comparison.outdated))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
