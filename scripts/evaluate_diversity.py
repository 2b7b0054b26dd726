#!/usr/bin/env python3
"""Compute the figures in docs/diversity.md.

    python scripts/evaluate_diversity.py --data DIR --write docs/diversity.md

The measured reply diversity of the public systems, within each character and over all characters
together, and the rank correlation of each measure with the diversity that the paper published.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import click
import numpy as np

from calibration.agreement.small_sample import permutation_p
from calibration.diversity import MEASURES, DiversityMeasures, DiversitySettings, measure_diversity
from judge.analysis.published import read_published_diversity
from judge.analysis.reply_diversity import MEASURE_TITLES, Segmenter, word_segmenter
from judge.dialogues import read_dialogues
from judge.types import Dialogue

HUMAN = "human"
WITHIN, ACROSS = "within characters", "over all characters"
POOLED = DiversitySettings(characters=100_000, words=60_000, bytes=30_000, replies=1000)
"""Larger samples for all replies of a system together; zlib looks back 32,768 bytes at most."""
MARKS = ("<!-- figures -->", "<!-- end of figures -->")

Figures = dict[str, Any]


def measure(
    dialogues: Sequence[Dialogue],
    settings: DiversitySettings,
    seed: int,
    segmenter: Segmenter | None,
) -> dict[str, dict[str, DiversityMeasures]]:
    """Within or across characters -> system -> its measures."""
    groups: dict[str, dict[str, list[str]]] = {}
    for d in sorted(dialogues, key=lambda d: (d.system, d.character, d.scenario)):
        own = groups.setdefault(d.system, {})
        own.setdefault(d.character, []).extend(turn.answer for turn in d.turns)
    name, cut = (segmenter.name, segmenter.cut) if segmenter else ("", None)
    found: dict[str, dict[str, DiversityMeasures]] = {WITHIN: {}, ACROSS: {}}
    for system, of_character in groups.items():
        everything = {"all": [text for texts in of_character.values() for text in texts]}
        for way, texts, budget in (
            (WITHIN, of_character, settings),
            (ACROSS, everything, replace(POOLED, draws=settings.draws)),
        ):
            found[way][system] = measure_diversity(
                texts, replace(budget, segmenter=name), np.random.default_rng(seed), cut
            )
    return found


def lengths(dialogues: Sequence[Dialogue]) -> dict[str, float]:
    """System -> mean length of a reply in characters, without white space."""
    found: dict[str, list[int]] = {}
    for d in dialogues:
        own = found.setdefault(d.system, [])
        own.extend(len("".join(turn.answer.split())) for turn in d.turns)
    return {system: float(np.mean(own)) for system, own in found.items()}


def agreement(values: Mapping[str, float], bars: Mapping[str, float]) -> Figures:
    """Spearman's rho between values, where higher is more diverse, and the published bars."""
    rows = {}
    for label, left_out in (("rho", ""), ("rho_without_human", HUMAN)):
        both = [s for s in values if s in bars and s != left_out]
        ours, theirs = ([of[s] for s in both] for of in (values, bars))
        found = permutation_p(ours, theirs, rng=np.random.default_rng(0))
        rows[label] = {"rho": found.rho, "p": found.value, "n": found.n}
    return rows


def tables(figures: Figures) -> str:
    """The figures as Markdown."""
    bars = figures["bars"]
    parts = []
    for way, one in figures["ways"].items():
        names = [n for n in MEASURES if any(s[n]["mean"] is not None for s in one.values())]
        order = sorted(one, key=lambda s: (-bars.get(s, -1), s))
        budget = figures["settings"][way]
        parts.append(f"**{way[0].upper()}{way[1:]}**: {_budget(budget)}.")
        arrows = [f"{MEASURE_TITLES[n]} {'↑' if MEASURES[n] else '↓'}" for n in names]
        rows = [
            [s, *(_cell(one[s][n]) for n in names), f"{figures['lengths'][s]:.1f}", _bar(bars, s)]
            for s in order
        ]
        for label, title in (("rho", "*ρ with bars*"), ("rho_without_human", "*ρ without human*")):
            row = figures["agreement"][way]
            short = figures["agreement"]["length"][label]
            rows.append([title, *(_rho(row[n][label]) for n in names), _rho(short), ""])
        parts.append(_markdown(["system", *arrows, "Mean length ↓", "bar"], rows))
    return "\n\n".join(parts)


def _budget(s: Mapping[str, Any]) -> str:
    words = f"{s['words']:,} words ({s['segmenter']}), " if s["segmenter"] else ""
    return (
        f"{s['characters']:,} characters, {words}{s['bytes']:,} bytes (zlib {s['zlib']}, level "
        f"{s['level']}), {s['replies']:,} replies (self-BLEU to {s['order']}-grams, openings of "
        f"{s['opening']} characters), {s['draws']} draws"
    )


def _cell(figure: Mapping[str, Any]) -> str:
    if figure["mean"] is None:
        return "–"
    error = figure["standard_error"]
    digits = f"{figure['mean']:.3f}"
    return digits if error is None else f"{digits} ± {error:.3f}"


def _bar(bars: Mapping[str, float], system: str) -> str:
    return f"{bars[system]:.2f}" if system in bars else ""


def _rho(row: Mapping[str, float]) -> str:
    return f"{row['rho']:+.2f} (p {row['p']:.2f})".replace("-", "−")


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _plain(measured: DiversityMeasures) -> Figures:
    """The figures as dicts, with None for NaN."""
    return {
        name: {
            key: None if isinstance(value, float) and np.isnan(value) else value
            for key, value in figure._asdict().items()
        }
        for name, figure in measured.figures.items()
    }


@click.command()
@click.option(
    "--data",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    required=True,
    help="Folder with chatanime/ and published/.",
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the draws.")
@click.option("--draws", type=click.IntRange(2), default=5, show_default=True, help="Of samples.")
@click.option(
    "--write", type=click.Path(exists=True, path_type=Path), help="Write the tables into this page."
)
@click.option(
    "--json", "json_file", type=click.Path(path_type=Path), help="Write the figures to this file."
)
def main(data: Path, seed: int, draws: int, write: Path | None, json_file: Path | None) -> None:
    """Measure the public systems and compare them with the published bars."""
    dialogues = read_dialogues(data / "chatanime").dialogues
    bars = read_published_diversity(data / "published" / "chatanime_diversity_bars.csv")
    found = measure(dialogues, DiversitySettings(draws=draws), seed, word_segmenter())
    figures: Figures = {
        "seed": seed,
        "bars": dict(bars.heights),
        "settings": {way: asdict(next(iter(of.values())).settings) for way, of in found.items()},
        "ways": {way: {s: _plain(m) for s, m in of.items()} for way, of in found.items()},
        "lengths": lengths(dialogues),
    }
    short = {system: -length for system, length in figures["lengths"].items()}
    figures["agreement"] = {"length": agreement(short, bars.heights)} | {
        way: {
            name: agreement(
                {s: m.figures[name].mean * (1 if higher else -1) for s, m in of.items()},
                bars.heights,
            )
            for name, higher in MEASURES.items()
        }
        for way, of in found.items()
    }
    text = tables(figures)
    print(text)
    if json_file is not None:
        json_file.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    if write is not None:
        page = write.read_text(encoding="utf-8")
        parts = re.split("|".join(MARKS), page)
        if len(parts) != 3:
            raise click.ClickException(f"{write} has no place for {' ... '.join(MARKS)}")
        write.write_text(f"{parts[0]}{MARKS[0]}\n{text}\n{MARKS[1]}{parts[2]}", encoding="utf-8")


if __name__ == "__main__":
    main()
