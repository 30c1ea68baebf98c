"""Check the names and the size of modules, which no other linter looks at: `make lint` runs it.

Three rules, each with the exceptions that are listed here with their reason:

1. A function's name begins with a verb, not with a participle: `decide`, not `decided`.
   Properties may be participles, as they name a state.
2. A public name is defined in one package only, unless it means the same in all of them.
3. A module of fewer than 60 lines is imported by at least two others.
"""

from __future__ import annotations

import ast
import re
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "webhook"
SMALL = 60

# Verbs that look like participles.
VERBS = {"bring", "embed", "exceed", "feed", "need", "open", "proceed", "read", "seed", "speed"}
PARTICIPLES = re.compile(
    r"[a-z]+(?:ed|ing)|bound|brought|built|caught|chosen|done|drawn|driven|fallen|forgotten|found"
    r"|frozen|given|gone|grown|held|hidden|kept|known|laid|led|left|lost|made|meant|met|paid|said"
    r"|seen|sent|shown|sold|sought|spent|spoken|stolen|stood|taken|taught|thought|told|torn"
    r"|understood|undone|won|worn|written"
)

# Function: why its name is a participle.
PARTICIPLE_NAMES: dict[str, str] = {
    "warning": "the name that every logger has",
}

# Public name: why several packages define it.
SHARED_NAMES: dict[str, str] = {}

# Module: why it is small and has one importer.
SMALL_MODULES: dict[str, str] = {}


def find_participles(trees: dict[str, ast.Module]) -> list[str]:
    """Return a problem for each function whose name begins with a participle."""
    problems = []
    for module, tree in trees.items():
        for node in ast.walk(tree):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            first = node.name.strip("_").split("_")[0]
            if first in VERBS or not PARTICIPLES.fullmatch(first) or _is_property(node):
                continue
            if node.name not in PARTICIPLE_NAMES:
                problems.append(f"{module}:{node.lineno}: {node.name}() does not begin with a verb")
    return problems


def find_shared_names(trees: dict[str, ast.Module]) -> list[str]:
    """Return a problem for each public name that several packages define."""
    places = defaultdict(set)
    for module, tree in trees.items():
        package = module.split(".")[1]
        for node in tree.body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                places[node.name].add(package)
    return [
        f"{name} is defined in the packages {', '.join(sorted(packages))}"
        for name, packages in sorted(places.items())
        if len(packages) > 1 and not name.startswith("_") and name not in SHARED_NAMES
    ]


def find_small_modules(trees: dict[str, ast.Module], lengths: dict[str, int]) -> list[str]:
    """Return a problem for each small module that only one other module imports."""
    importers = defaultdict(set)
    for module, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module:
                importers[node.module].add(module)
                for alias in node.names:
                    importers[f"{node.module}.{alias.name}"].add(module)
    return [
        f"{module} has {lengths[module]} lines, and only {next(iter(importers[module]))} imports it"
        for module in sorted(trees)
        if lengths[module] < SMALL and len(importers[module]) == 1 and module not in SMALL_MODULES
    ]


def find_unused_exceptions(trees: dict[str, ast.Module]) -> list[str]:
    """Return a problem for each exception above that nothing needs any more."""
    names = {
        node.name for tree in trees.values() for node in ast.walk(tree) if hasattr(node, "name")
    }
    listed = [*PARTICIPLE_NAMES, *SHARED_NAMES]
    problems = [
        f"{name} is an exception in tests/lint, and is gone" for name in listed if name not in names
    ]
    return problems + [
        f"{m} is an exception in tests/lint, and is gone" for m in SMALL_MODULES if m not in trees
    ]


def main() -> int:
    """Print all problems, and return the exit code."""
    trees, lengths = {}, {}
    for path in sorted(PACKAGE.rglob("*.py")):
        if path.name in ("__init__.py", "__main__.py"):
            continue
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        text = path.read_text()
        trees[module], lengths[module] = ast.parse(text), text.count("\n")
    problems = find_participles(trees) + find_shared_names(trees)
    problems += find_small_modules(trees, lengths) + find_unused_exceptions(trees)
    for problem in problems:
        print(problem)
    if problems:
        print(f"{len(problems)} problems; tests/lint/__main__.py explains the rules")
    return min(len(problems), 1)


def _is_property(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    names = [ast.unparse(decorator) for decorator in node.decorator_list]
    return any(name.endswith(("property", ".setter")) for name in names)


if __name__ == "__main__":
    sys.exit(main())
