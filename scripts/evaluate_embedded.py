#!/usr/bin/env python3
"""Compute the figures in the model card of the embedded judges.

    python scripts/evaluate_embedded.py --data DIR --write judge/embedded/MODEL_CARD.md

For `lexical`, how well it agrees with the reference judgments that it was not fitted to. For each
judge: how often the perturbed dialogue of a pair scores strictly lower, on held-out
scenarios and on held-out characters; and the rank correlation of its mean scores of the systems
with the published means.
"""

from __future__ import annotations

import json
import re
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
from perturbation_pairs import PerturbationPair, pairs, split

from calibration.agreement.correlation import spearman
from judge.analysis.published import PublishedMeans, read_published
from judge.dialogues import read_dialogues
from judge.engines import EMBEDDED, Engine, EngineOptions, open_engine, resolve_judge
from judge.perturbations import Pool
from judge.rubric import RubricSet, load_rubric
from judge.scoring import make_judgment
from judge.types import Dialogue

PARTS = {"new_scenarios": "held-out scenarios", "new_characters": "held-out characters"}
UNHARMED = ("fluency", "emotional_value", "demand_matching")
"""Metrics that `cut_rest`, which only makes replies shorter, should not change."""
MARKS = ("<!-- figures -->", "<!-- end of figures -->")

Figures = dict[str, Any]


def scores(
    engine: Engine, rubric: RubricSet, dialogues: Sequence[Dialogue]
) -> list[dict[str, float]]:
    """Metric -> score for each dialogue; failed judgments are left out."""
    found: dict[Dialogue, dict[str, float]] = {d: {} for d in dialogues}
    once = list(found)
    for start in range(0, len(once), engine.batch_size):
        part = once[start : start + engine.batch_size]
        for read in engine.score(rubric.tree(part)):
            score = make_judgment(read, part[read.item], "").score
            if score is not None:
                found[part[read.item]][read.metric] = score
    return [found[d] for d in dialogues]


def pair_figures(engine: Engine, rubric: RubricSet, made: Sequence[PerturbationPair]) -> Figures:
    """Metric -> perturbation -> [pairs whose perturbed dialogue scored strictly lower, pairs]."""
    good = scores(engine, rubric, [p.original for p in made])
    bad = scores(engine, rubric, [p.perturbed for p in made])
    found: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(lambda: [0, 0]))
    for pair, g, b in zip(made, good, bad, strict=True):
        for metric in pair.perturbation.lowers or UNHARMED:
            if metric in g and metric in b:
                cell = found[metric][pair.perturbation.name]
                cell[0] += b[metric] < g[metric]
                cell[1] += 1
    return {metric: dict(cells) for metric, cells in found.items()}


def system_figures(
    engine: Engine, rubric: RubricSet, dialogues: Sequence[Dialogue], published: PublishedMeans
) -> Figures:
    """Metric -> Spearman's rho between the judge's means of the systems and the published means."""
    found = scores(engine, rubric, dialogues)
    by_system: dict[str, list[dict[str, float]]] = defaultdict(list)
    for dialogue, row in zip(dialogues, found, strict=True):
        by_system[dialogue.system].append(row)
    systems = sorted(by_system)
    out: Figures = {}
    for metric in (m.name for m in rubric.dialogue_metrics):
        means = [float(np.mean([row[metric] for row in by_system[s]])) for s in systems]
        people = [published.means[s][metric] for s in systems]
        result = spearman(means, people)
        out[metric] = {"rho": result.value, "means": dict(zip(systems, means, strict=True))}
    return out


def sample(dialogues: Sequence[Dialogue], count: int, rng: np.random.Generator) -> list[Dialogue]:
    """A random sample, in the order of `dialogues`."""
    return [dialogues[i] for i in sorted(rng.permutation(len(dialogues))[:count].tolist())]


def same_scenes(
    dialogues: Sequence[Dialogue], systems: Sequence[str], count: int, rng: np.random.Generator
) -> list[Dialogue]:
    """The dialogues of `systems` in `count` random pairs of character and scenario."""
    scenes = sorted({(d.character, d.scenario) for d in dialogues})
    chosen = {scenes[i] for i in rng.permutation(len(scenes))[:count]}
    return [d for d in dialogues if d.system in systems and (d.character, d.scenario) in chosen]


def rate(cells: Mapping[str, Sequence[int]]) -> tuple[float, int]:
    """The share of pairs and their number, over all perturbations that lower the metric."""
    real = [v for name, v in cells.items() if name != "cut_rest"]
    total = sum(v[1] for v in real)
    return sum(v[0] for v in real) / total, total


def tables(figures: Figures, metrics: Sequence[str]) -> str:
    """The figures as Markdown."""
    judges = figures["judges"]
    names = list(judges)
    head = [f"{name}, {label}" for label in PARTS.values() for name in names]
    left_out = figures["left_out"]
    means = [sum(row[k] for row in left_out.values()) / len(left_out) for k in range(3)]
    lines = [
        "Spearman's rho of `lexical` with the reference judgments, the system and the character of",
        "each of the 440 dialogues left out:",
        "",
        "| metric | all | within item | systems |",
        "|---|---|---|---|",
        *(f"| {m} | " + " | ".join(f"{x:.2f}" for x in left_out[m]) + " |" for m in metrics),
        "| mean | " + " | ".join(f"{x:.3f}" for x in means) + " |",
        "",
        "Share of pairs in which the perturbed dialogue scored strictly lower (pairs):",
        "",
        "| metric | " + " | ".join(head) + " |",
        "|---|" + "---|" * len(head),
    ]
    for metric in metrics:
        cells = []
        for part in PARTS:
            for name in names:
                share, n = rate(judges[name][part][metric])
                cells.append(f"{share:.3f} ({n})")
        lines.append(f"| {metric} | " + " | ".join(cells) + " |")
    lines += [
        "",
        "The same by perturbation:",
        "",
        "| perturbation | metric | " + " | ".join(head) + " |",
    ]
    lines.append("|---|---|" + "---|" * len(head))
    for metric in metrics:
        for perturbation in sorted(judges[names[0]]["new_scenarios"][metric]):
            cells = []
            for part in PARTS:
                for name in names:
                    lower, n = judges[name][part][metric].get(perturbation, (0, 0))
                    cells.append(f"{lower / n:.2f} ({n})" if n else "-")
            lines.append(f"| {perturbation} | {metric} | " + " | ".join(cells) + " |")
    lines += [
        "",
        (
            f"Spearman's rho of system means with the published ones ({figures['systems']} "
            f"systems, {figures['cells']} dialogues of each, training dialogues among them):"
        ),
        "",
        "| metric | " + " | ".join(names) + " |",
        "|---|" + "---|" * len(names),
    ]
    for metric in metrics:
        rhos = [judges[name]["systems"][metric]["rho"] for name in names]
        lines.append(
            f"| {metric} | " + " | ".join("-" if np.isnan(r) else f"{r:.2f}" for r in rhos) + " |"
        )
    return "\n".join(lines)


@click.command()
@click.option(
    "--data",
    type=click.Path(exists=True, path_type=Path),
    required=True,
    help="Folder with chatanime/ and published/.",
)
@click.option("--judge", "names", multiple=True, default=("lexical", "tiny"), show_default=True)
@click.option("--pairs-from", default=100, show_default=True, help="Dialogues of each part.")
@click.option("--cells", default=60, show_default=True, help="Dialogues of each system.")
@click.option("--seed", default=0, show_default=True, help="Of the split; pairs use seed + 2.")
@click.option(
    "--write", type=click.Path(path_type=Path), help="Write the tables into this model card."
)
@click.option(
    "--json", "json_file", type=click.Path(path_type=Path), help="Write the figures to this file."
)
def main(
    data: Path,
    names: tuple[str, ...],
    pairs_from: int,
    cells: int,
    seed: int,
    write: Path | None,
    json_file: Path | None,
) -> None:
    """Measure the embedded judges on held-out dialogues."""
    everything = read_dialogues(data / "chatanime").dialogues
    published = read_published(data / "published" / "chatanime_figure1.csv")
    parts = split(everything, np.random.default_rng(seed))
    rubric = load_rubric("tiny")
    pool = Pool(everything, rubric.characters)
    systems = sorted(published.means)
    figures: Figures = {"judges": {}, "systems": len(systems), "cells": cells, "seed": seed}
    trained = Path(EMBEDDED["lexical"].model).with_suffix(".training.json")
    figures["left_out"] = json.loads(trained.read_text(encoding="utf-8"))["left_out"]
    rng = np.random.default_rng(seed + 2)
    made = {
        part: list(pairs(sample(getattr(parts, part), pairs_from, rng), pool, rng))
        for part in PARTS
    }
    beside = same_scenes(everything, systems, cells, rng)
    for name in names:
        engine = open_engine(resolve_judge(name), EngineOptions())
        found: Figures = {}
        for part in PARTS:
            started = time.time()
            found[part] = pair_figures(engine, rubric, made[part])
            print(
                f"{name} {part}: {len(made[part])} pairs, {time.time() - started:.0f} s", flush=True
            )
        found["systems"] = system_figures(engine, rubric, beside, published)
        figures["judges"][name] = found
    text = tables(figures, [m.name for m in rubric.dialogue_metrics])
    print(text)
    if json_file is not None:
        json_file.write_text(json.dumps(figures, indent=1) + "\n")
    if write is not None:
        card = write.read_text(encoding="utf-8")
        before, after = MARKS
        pattern = re.compile(f"{re.escape(before)}.*?{re.escape(after)}", re.DOTALL)
        if not pattern.search(card):
            raise click.ClickException(
                f"{write} has no place for the figures: {before} ... {after}"
            )
        write.write_text(
            pattern.sub(lambda _: f"{before}\n{text}\n{after}", card), encoding="utf-8"
        )


if __name__ == "__main__":
    main()
