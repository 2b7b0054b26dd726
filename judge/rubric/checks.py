"""Find the faults of a rubric set without running a judge.

A run uses one language and renders templates as it needs them, so a fault could show up late. Here
every template of every language is compiled, every block is rendered for every character with a
profile and for one without, and the text of each metric is searched for its levels.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import product
from pathlib import Path
from typing import NamedTuple

from jinja2 import TemplateSyntaxError, meta, nodes

from judge.errors import RubricError
from judge.rubric.load import RubricManifest, build, faults, read_characters, read_manifest
from judge.rubric.render import BLOCKS, RubricSet
from judge.rubric.set_files import find_folder, read_templates
from judge.types import Character, Dialogue, Turn

__all__ = ["SAMPLE", "Problem", "check"]

SAMPLE = Dialogue(
    system="sample",
    character="路飞",
    scenario="1",
    turns=(
        Turn(
            "今天面试又被刷下来了，我是不是真的不行啊……",
            "哈？一次就说不行？我刚出海那会儿，小船就被大漩涡吞了，钻进木桶才捡回一条命！"
            "嘻嘻，先去吃肉，吃饱了再去敲下一家的门！",
        ),
        Turn(
            "可是我连投简历的力气都没有了。",
            "那就先睡一觉！睡醒了叫上伙伴陪你去。这家不要你就找下一家，总有一条船等着你上！",
        ),
    ),
)
"""A dialogue of two rounds to try a rubric set on."""


class Problem(NamedTuple):
    """One fault of a rubric set; `line` is 1-based, None if the fault is not in one line."""

    path: Path
    line: int | None
    message: str

    def __str__(self) -> str:
        return ":".join(map(str, filter(None, (self.path, self.line)))) + f": {self.message}"


def check(name: str | Path, characters_file: str | Path | None = None) -> list[Problem]:
    """The faults of a rubric set in all its languages; an empty list for a good set.

    Args:
        name: a shipped set, or a folder with a `rubric.toml`.
        characters_file: profiles that replace those of the set.

    Raises:
        RubricError: there is no such set.
    """
    folder = find_folder(name)
    try:
        manifest = read_manifest(folder, characters_file)
    except RubricError as error:
        return [_problem(error)]
    problems = [Problem(manifest.path, None, fault) for fault in faults(manifest)]
    characters = read_characters(
        manifest.characters, lambda error: problems.append(_problem(error))
    )
    for language in dict.fromkeys(manifest.languages):
        try:
            sources = read_templates(folder / language, "layout.j2")
        except RubricError as error:
            problems.append(_problem(error))
        else:
            problems += _check_language(manifest, language, sources, characters)
    return list(dict.fromkeys(problems))


def _problem(error: RubricError) -> Problem:
    hint = f" ({error.hint})" if error.hint else ""
    return Problem(error.path or Path(), error.line, error.message + hint)


def _check_language(
    manifest: RubricManifest,
    language: str,
    sources: Mapping[str, tuple[str, Path]],
    characters: Mapping[str, Character],
) -> Iterator[Problem]:
    folder = manifest.path.parent / language
    rubric = build(manifest, language, sources, characters)
    expected = [f"{metric.name}.j2" for metric in manifest.rubric.metrics]
    missing = [name for name in expected if name not in sources]
    if len(missing) == len(expected) and not _includes(rubric):
        missing = []  # a set with short prompts, which are written in the layout alone
    for name in missing:
        yield Problem(folder / name, None, "the template of this metric is missing")
    for name, (_, path) in sources.items():
        if name not in expected and name != "layout.j2" and not name.startswith("_"):
            yield Problem(path, None, "no metric has this name (shared parts begin with _)")
    # Empty templates in place of the missing ones, so that the rest can be checked.
    placeholders = {name: ("", folder / name) for name in missing}
    rubric = RubricSet(rubric.rubric, {**sources, **placeholders}, characters)
    reported = set()  # rendering meets faults that parsing has reported, often in several blocks
    for part in (_check_names(rubric), _check_blocks(rubric), _check_metrics(rubric, sources)):
        new = [p for p in part if p.line is None or (p.path, p.line) not in reported]
        reported |= {(problem.path, problem.line) for problem in new}
        yield from new


def _includes(rubric: RubricSet) -> bool:
    """Whether the layout includes a template other than the shared parts, which begin with _."""
    try:
        names = meta.find_referenced_templates(_parse(rubric, "layout.j2"))
        return any(name is None or not name.startswith("_") for name in names)
    except TemplateSyntaxError:
        return False


def _parse(rubric: RubricSet, name: str) -> nodes.Template:
    text, path = rubric.sources[name]
    return rubric.environment.parse(text, name, str(path))


def _check_names(rubric: RubricSet) -> Iterator[Problem]:
    """Syntax errors and undefined variables, also in branches that no rendering reaches."""
    everywhere = tuple(sorted({name for names in BLOCKS.values() for name in names}))
    for template in rubric.sources:
        try:
            rubric.compile(template)
        except RubricError as error:
            yield _problem(error)
            continue
        tree = _parse(rubric, template)
        if template == "layout.j2":
            for block in tree.find_all(nodes.Block):
                if block.name in BLOCKS:
                    what, body = f"block `{block.name}`", block.body
                    yield from _undefined(rubric, template, what, body, BLOCKS[block.name])
        else:
            yield from _undefined(rubric, template, template, tree.body, everywhere)


def _undefined(
    rubric: RubricSet, template: str, what: str, body: list[nodes.Node], seen: tuple[str, ...]
) -> Iterator[Problem]:
    tree = nodes.Template(body, lineno=1)
    tree.set_environment(rubric.environment)
    unknown = meta.find_undeclared_variables(tree) - {*seen}
    path = rubric.sources[template][1]
    for node in tree.find_all(nodes.Name):
        if node.name in unknown and node.ctx == "load":
            hint = f"it sees the variables {', '.join(sorted(seen))}"
            yield Problem(path, node.lineno, f"{what}: {node.name!r} is undefined ({hint})")


def _check_blocks(rubric: RubricSet) -> Iterator[Problem]:
    """Render every block with all combinations of values, then check the block `stub`.

    The block `rationale` has to contain the stub, because a judge that writes its reason first has
    to be told how to begin its answer after it.
    """
    metrics = rubric.rubric.metrics
    values: dict[str, Sequence[object]] = {
        "rubric": [rubric.rubric],
        "metrics": [rubric.dialogue_metrics],
        "metric": metrics,
        "language": [rubric.rubric.language],
        "character": [*rubric.characters.values(), Character(name="?")],
        "dialogue": [SAMPLE],
        "replies": [[turn.answer for turn in SAMPLE.turns]],
    }
    replies = [metric for metric in metrics if metric.unit == "replies"]
    reasoned = rubric.dialogue_metrics if _has_rationale(rubric) else ()
    for block, names in BLOCKS.items():
        about_replies = block.startswith("replies")
        if block in {"system", "dialogue"} and not rubric.dialogue_metrics:
            continue
        if about_replies and not replies:
            continue
        judged = replies if about_replies else metrics
        choices = {**values, "metric": reasoned if block == "rationale" else judged}
        for chosen in product(*(choices[name] for name in names)):
            try:
                rubric.render(block, **dict(zip(names, chosen, strict=True)))
            except RubricError as error:
                yield _problem(error)
    for metric in metrics:
        try:
            rubric.question(metric)
        except RubricError as error:
            yield _problem(error)
    for metric in reasoned:
        with suppress(RubricError):  # reported above
            question = rubric.question(metric, rationale=True)
            if question.prefill.strip() not in question.text:
                what = f"block `rationale`: it does not show the stub of {metric.name}"
                yield Problem(rubric.sources["layout.j2"][1], None, what)


def _has_rationale(rubric: RubricSet) -> bool:
    try:
        return rubric.has_rationale
    except RubricError:  # reported by _check_names
        return False


def _check_metrics(rubric: RubricSet, sources: Iterable[str]) -> Iterator[Problem]:
    """Whether the text of each metric describes every level and appears in the prompt."""
    labels = rubric.rubric.labels
    for metric in rubric.rubric.metrics:
        name = f"{metric.name}.j2"
        if name not in sources:
            continue
        source, path = rubric.sources[name]
        try:
            text = rubric.describe(metric) or ""
        except RubricError as error:
            yield _problem(error)
            continue
        for label in labels:
            level_line = re.compile(rf"[\W_]*{re.escape(label)}(?![0-9A-Za-z])")
            if not any(level_line.match(line) for line in text.splitlines()):
                yield Problem(path, None, f"no line begins with the label {label}")
        for number, line in enumerate(source.splitlines(), start=1):
            level = re.match(r"[\W_]*([0-9]+)\s*[:：]", line)
            if level and level[1] not in labels and labels[0].isdecimal():
                yield Problem(path, number, f"the level {level[1]} is not a label of the scale")
        with suppress(RubricError):  # reported by _check_blocks
            prompt = "".join(rubric.segments(metric, SAMPLE).values())
            if "".join(text.split()) not in "".join(prompt.split()):
                yield Problem(path, None, "the layout does not put this text into the prompt")
