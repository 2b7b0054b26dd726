#!/usr/bin/env python3
"""The size and the names of the product code: the packages `calibration` and `judge`.

    python scripts/house.py          # the figures, and what stands behind them
    python scripts/house.py --json   # the same as one JSON object

Lines are those of the file, blank lines and comments included. An importer is another module of the
product that imports the module itself or a name from it; a package imports the modules whose names
it gives out.
"""

from __future__ import annotations

import ast
import json
import statistics
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("calibration", "judge")
LONGEST = 450
SHORTEST = 80


def modules(root: Path) -> dict[str, Path]:
    """Every module of the product by its dotted name; a package stands for its `__init__`."""
    files = [file for package in PACKAGES for file in sorted((root / package).rglob("*.py"))]
    parts = {file: file.relative_to(root).with_suffix("").parts for file in files}
    return {".".join(part for part in parts[file] if part != "__init__"): file for file in files}


def imports(name: str, tree: ast.Module, known: Mapping[str, Path]) -> set[str]:
    """The modules of the product that this one imports, anywhere in its text.

    Raises:
        ValueError: it has a relative import, which this script does not follow.
    """
    targets: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            targets.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                raise ValueError(f"{name}, line {node.lineno}: a relative import")
            for alias in node.names:
                module = f"{node.module}.{alias.name}"
                targets.add(module if module in known else str(node.module))
    return {target for target in targets if target in known and target != name}


def public_classes(tree: ast.Module) -> Iterator[str]:
    """The names of the classes of a module that do not begin with an underscore."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield node.name


def twice(places: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """The names that stand in more than one place."""
    return {name: where for name, where in sorted(places.items()) if len(where) > 1}


def figures(root: Path) -> dict[str, Any]:
    """Counts, and the modules behind each."""
    known = modules(root)
    texts = {name: file.read_text("utf-8") for name, file in known.items()}
    trees = {name: ast.parse(text) for name, text in texts.items()}
    lines = {name: len(text.splitlines()) for name, text in texts.items()}
    stems, classes, importers = (defaultdict[str, list[str]](list) for _ in range(3))
    for name, file in known.items():
        if file.stem not in ("__init__", "__main__"):
            stems[file.stem].append(name)
        for class_ in public_classes(trees[name]):
            classes[class_].append(name)
        for target in imports(name, trees[name], known):
            importers[target].append(name)
    return {
        "modules": len(known),
        "lines": sum(lines.values()),
        "mean_lines": round(statistics.mean(lines.values()), 1),
        "median_lines": statistics.median(lines.values()),
        "file_names_twice": twice(stems),
        "class_names_twice": twice(classes),
        "over_450_lines": {name: n for name, n in lines.items() if n > LONGEST},
        "under_80_lines_with_one_importer": {
            name: importers[name][0]
            for name, n in lines.items()
            if n < SHORTEST and len(importers[name]) == 1 and known[name].stem != "__init__"
        },
        "packages": {
            package: {"modules": len(sizes), "lines": sum(sizes)}
            for package, sizes in by_package(lines).items()
        },
    }


def by_package(lines: Mapping[str, int]) -> dict[str, list[int]]:
    """The lines of each module by the package it is in, as far as its second level."""
    sizes = defaultdict[str, list[int]](list)
    for name, n in lines.items():
        sizes[".".join(name.split(".")[:2])].append(n)
    return sizes


@click.command(help=__doc__.partition("\n")[0])
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option(
    "--root",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=ROOT,
    help="The checkout to look at; this one by default.",
)
def main(*, as_json: bool, root: Path) -> None:
    """Print the figures."""
    found = figures(root)
    if as_json:
        print(json.dumps(found))
        return
    for key, value in found.items():
        if not isinstance(value, dict):
            print(f"{value:>9,}  {key.replace('_', ' ')}")
            continue
        print(f"{len(value):>9,}  {key.replace('_', ' ')}")
        for name, where in value.items():
            print(f"{'':11}{name}: {said(where)}")


def said(where: Any) -> str:
    """What stands behind a name: modules, a number of lines, or both counts of a package."""
    if isinstance(where, dict):
        return f"{where['modules']} modules, {where['lines']:,} lines"
    return ", ".join(where) if isinstance(where, list) else str(where)


if __name__ == "__main__":
    main()
