#!/usr/bin/env python3
"""What calibration does on ratings that real people gave: the tables of its document.

    python scripts/evaluate_calibration.py --data DIR --write docs/calibration-real-data.md

DIR/human_ratings holds three public sets, each with the scores of language models beside the
ratings of people: LLM-Rubric, HANNA, and one of empathic communication. Every number is of
dialogues, stories or systems that the fit has not seen. "No judge" is the mean rating of what was
fitted: a judge that does not beat it adds nothing.
"""

from __future__ import annotations

import csv
import gzip
import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import click
import numpy as np
from numpy.typing import NDArray

from calibration.agreement.correlation import pearson, spearman
from calibration.agreement.groups import group_correlations
from calibration.calibrators import CANDIDATES, NoJudge, Ordinal, Sample, as_distributions
from calibration.errors_of_fit import point_errors
from calibration.selection import pair_accuracy, select
from calibration.skill import judge_skill
from judge.ratings import Ratings, Scale, read_ratings

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
Figures = dict[str, Any]

NO_JUDGE = NoJudge.name
KNOWN, NO_JUDGE_KNOWN = "ordinal, rater known", "no judge, rater known"
LEVEL = 0.05
"""Of the test whether a judge adds anything, here for each choice alone."""
CROWD = "crowd"
HANNA_PROMPT = "-prompt1"
"""Each model of HANNA was asked in four ways; the first is taken."""
SCALES = {"lend_an_ear": (1, 5), "empathetic": (1, 5), "epitome": (0, 2), "perceived": (1, 7)}
"""Of the four sources of the empathic conversations."""
SETS = ("llm_rubric", "hanna", "empathic")
MEASURES = {"rmse": "RMSE", "mae": "MAE", "r": "r", "rho": "rho"}
WITHIN = {"r_within": "r within", "rho_within": "rho within"}


class Judged(NamedTuple):
    """What one judge said of n items, each a system and an item's name.

    `probs` (n, metrics, labels) are nan where there is no score; `off_scale` scores were no labels.
    """

    keys: Sequence[tuple[str, str]]
    metrics: Sequence[str]
    probs: Floats
    off_scale: int = 0

    def blank(self) -> Judged:
        """The same, were every judgment alike."""
        flat = np.full_like(self.probs, 1 / self.probs.shape[2])
        return self._replace(probs=np.where(np.isnan(self.probs), np.nan, flat))

    def sample(
        self, people: Ratings, metric: str, groups: Any, *, low: int = 1, raters: bool = True
    ) -> Sample:
        """With people's ratings of a metric on low, low + 1, ..., which are counted from 1 here."""
        row_of = {key: row for row, key in enumerate(self.keys)}
        rows = np.array(
            [row_of.get((dialogue.system, dialogue.scenario), -1) for dialogue in people.dialogues]
        )
        use = (people.metric == people.metrics.index(metric)) & (rows[people.dialogue] >= 0)
        if CROWD in people.raters:  # the mean of many people, beside three experts
            use &= people.rater != people.raters.index(CROWD)
        return Sample.of(
            self.probs,
            self.metrics.index(metric),
            people.score[use] - low + 1,
            rows[people.dialogue[use]],
            raters=people.rater[use] if raters else None,
            groups=groups,
        )


def judge_scores(path: Path, low: int, high: int, systems: Sequence[str] = ()) -> dict[str, Judged]:
    """Judge -> what it said of these systems, or all, in the rows of rater_type `llm`."""
    found: dict[str, dict[tuple[str, str], dict[str, float]]] = defaultdict(
        lambda: defaultdict(dict)
    )
    for row in _rows(path):
        if row["rater_type"] == "llm" and (not systems or row["system"] in systems):
            found[row["rater"]][row["system"], row["item"]][row["dimension"]] = float(row["score"])
    judges = {}
    for judge, of_key in found.items():
        keys = sorted(of_key)
        metrics = sorted({metric for scores in of_key.values() for metric in scores})
        scores = np.array([[of_key[k].get(m, np.nan) for m in metrics] for k in keys])
        off = (scores < low) | (scores > high)
        probs = as_distributions(np.where(off, np.nan, scores - low + 1), high - low + 1)
        judges[judge] = Judged(keys, metrics, probs, int(off.sum()))
    return judges


def rubric_scores(path: Path) -> dict[str, Judged]:
    """Split -> the label probabilities of LLM-Rubric's judge, made to sum to 1."""
    found: dict[str, dict[tuple[str, str], dict[str, list[float]]]] = defaultdict(
        lambda: defaultdict(dict)
    )
    for row in _rows(path):
        p = [float(row[f"p{label}"]) for label in (1, 2, 3, 4)]
        found[row["split"]][row["split"], row["item"]][row["criterion"]] = p
    metrics = [f"Q{number}" for number in range(9)]
    judged = {}
    for split, of_key in found.items():
        raw = np.array([[of_key[key][metric] for metric in metrics] for key in sorted(of_key)])
        judged[split] = Judged(sorted(of_key), metrics, raw / raw.sum(axis=2, keepdims=True))
    return judged


def _rows(path: Path) -> Iterator[dict[str, str]]:
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def fold_codes(n: int, folds: int, seed: int) -> Codes:
    """(n,) a fold for each item, all of nearly one size."""
    return np.random.default_rng(seed).permutation(n) % folds


def measures(predicted: Floats, sample: Sample) -> dict[str, float]:
    """Errors and correlations over all items, and correlations within a group, then averaged."""
    means, used = sample.means, sample.usable
    pair = predicted[used], means[used]
    errors, groups = point_errors(*pair), sample.groups[used]
    return {
        "rmse": errors.rmse,
        "mae": errors.mae,
        "bias": errors.bias,
        "r": pearson(*pair).value,
        "rho": spearman(*pair).value,
        "r_within": _mean(group_correlations(*pair, groups, "pearson").value),
        "rho_within": _mean(group_correlations(*pair, groups, "spearman").value),
    }


class Runs:
    """Measures of the same candidates over metrics and seeds, averaged at the end."""

    def __init__(self) -> None:
        self.rows: dict[str, list[dict[str, float]]] = defaultdict(list)
        self.chosen: Counter[str] = Counter()

    def add(self, sample: Sample, items: Any = ()) -> None:
        """Every candidate, and no judge, out of fold; `items` are crossed with the groups."""
        selection = select(sample)
        rows = {row.candidate: row for row in selection.rows}
        used = sample.usable
        raw = selection.out_of_fold["expected"].predicted[used]
        crossed = [np.asarray(items)[used]] if len(items) else []
        skill = judge_skill(raw, sample.means[used], sample.groups[used], *crossed)
        shown = rows[selection.chosen].beats_no_judge and skill.p <= LEVEL
        self.chosen[selection.chosen if shown else NO_JUDGE] += 1
        for candidate, found in selection.out_of_fold.items():
            # A candidate that fails without one fold has no figures, not those of the other folds.
            predicted = np.where(bool(found.reason), np.nan, found.predicted)
            self.rows[candidate].append(measures(predicted, sample))

    def figures(self) -> Figures:
        """Means over what was added, and standard deviations."""
        return {
            "mean": self._over(lambda values: float(np.mean(values))),
            "sd": self._over(lambda values: float(np.std(values, ddof=1))),
            "chosen": dict(self.chosen),
        }

    def _over(self, function: Callable[[list[float]], float]) -> Figures:
        return {
            name: {key: function([row[key] for row in rows]) for key in rows[0]}
            for name, rows in self.rows.items()
        }


def rater_known(sample: Sample) -> Floats:
    """Out-of-fold predictions of the one rating of each item, by the person who gave it."""
    predicted = np.full(len(sample.probs), np.nan)
    for group in np.unique(sample.groups):
        held = sample.groups == group
        predicted[held] = for_rater(Ordinal.fit(sample.take(~held)), sample)[held]
    return predicted


def for_rater(fitted: Ordinal, sample: Sample) -> Floats:
    """(n,) predictions for the rater of each item; one whom the fit did not see has severity 0."""
    who = np.full(len(sample.probs), -1)
    who[sample.cells] = sample.raters
    return fitted.rating_of(sample.probs, np.where(who < len(fitted.severities), who, -1))


def llm_rubric(data: Path, seeds: int, folds: int = 10) -> Figures:
    """Question Q0 of the real dialogues, predicted from the others and from synthetic ones."""
    people = read_ratings(
        data / "llm_rubric_human.csv.gz", aliases={"split": "system"}, scale=Scale(1, 4)
    )
    judged = rubric_scores(data / "llm_rubric_judge_probs.csv.gz")
    both = {True: judged, False: {split: one.blank() for split, one in judged.items()}}

    def sample(split: str, groups: Any, *, judge: bool = True) -> Sample:
        return both[judge][split].sample(people, "Q0", groups)

    n, other = len(judged["real"].keys), len(judged["synth"].keys)
    runs = Runs()
    for seed in range(seeds):
        codes = fold_codes(n, folds, seed)
        with_judge, without = sample("real", codes), sample("real", codes, judge=False)
        runs.add(with_judge)
        for name, one in ((KNOWN, with_judge), (NO_JUDGE_KNOWN, without)):
            runs.rows[name].append(measures(rater_known(one), one))
    transfer = {}
    for name in (*CANDIDATES, KNOWN, NO_JUDGE, NO_JUDGE_KNOWN):
        judge = name not in {NO_JUDGE, NO_JUDGE_KNOWN}
        source = sample("synth", range(other), judge=judge)
        target = sample("real", range(n), judge=judge)
        if name in {KNOWN, NO_JUDGE_KNOWN}:
            predicted = for_rater(Ordinal.fit(source), target)
        else:
            predicted = CANDIDATES.get(name, NoJudge).fit(source).predict(target.probs)
        transfer[name] = measures(predicted, target)
    published = json.loads((data / "expected.json").read_text("utf-8"))["llm_rubric"]["values"]
    sizes = {
        "n": int(target.usable.sum()),
        "raters": len(np.unique(target.raters)),
        "folds": folds,
        "seeds": seeds,
        "synthetic": int(source.usable.sum()),
        "synthetic_ratings": len(source.scores),
        "refused": dict(Counter(fault.kind for fault in people.faults)),
    }
    return {**sizes, **runs.figures(), "transfer": transfer, "published": published}


def hanna(data: Path) -> Figures:
    """Six dimensions: each system left out in turn, and each pair of systems for the order."""
    path = data / "hanna.csv.gz"
    people = read_ratings(path, scale=Scale(1, 5))
    found: Figures = {"judges": {}}
    for name, judge in judge_scores(path, 1, 5).items():
        if not name.endswith(HANNA_PROMPT):
            continue
        runs = Runs()
        systems = [system for system, _ in judge.keys]
        for metric in judge.metrics:
            # The three columns of raters are no three people.
            sample = judge.sample(people, metric, systems, raters=False)
            runs.add(sample, [item for _, item in judge.keys])
            for kind, candidate in CANDIDATES.items():
                runs.rows[kind][-1]["pairs"] = pair_accuracy(candidate, sample).value
        found["judges"][name.removesuffix(HANNA_PROMPT)] = {
            **runs.figures(),
            "bias": [row["bias"] for row in runs.rows["expected"]],
            "off_scale": judge.off_scale,
            "scores": len(judge.keys) * len(judge.metrics),
        }
        found |= {"n": len(judge.keys), "systems": len(set(systems))}
    return found


def empathic(data: Path, seeds: int, folds: int = 5) -> Figures:
    """Each dimension of each source, over folds of its conversations."""
    path = data / "empathic_comm.csv.gz"
    people = read_ratings(path, scale=Scale(0, 7))
    found: Figures = {"folds": folds, "seeds": seeds, "sources": {}}
    for source, (low, high) in SCALES.items():
        judges = {}
        for name, judge in judge_scores(path, low, high, [source]).items():
            runs = Runs()
            for metric in judge.metrics:
                for seed in range(seeds):
                    codes = fold_codes(len(judge.keys), folds, seed)
                    runs.add(judge.sample(people, metric, codes, low=low))
            judges[name] = {**runs.figures(), "off_scale": judge.off_scale}
        found["sources"][source] = {
            "scale": f"{low}-{high}",
            "n": len(judge.keys),
            "metrics": len(judge.metrics),
            "judges": judges,
        }
    return found


def llm_rubric_tables(found: Figures) -> Iterator[str]:
    """Out of fold, and from the synthetic dialogues."""
    published = found["published"]
    yield (
        f"{found['n']} dialogues with one rating each, by {found['raters']} people; "
        f"{found['folds']} folds, seeds 0 to {found['seeds'] - 1}: means over the seeds, and for "
        "RMSE their standard deviation. *Within*: the correlation within a fold, averaged."
    )
    rows = [
        [name, f"{number(row['rmse'])} ± {number(found['sd'][name]['rmse'])}"]
        + [number(row[key]) for key in ("mae", "r", "rho", *WITHIN)]
        for name, row in found["mean"].items()
    ]
    for name, key in (("mode", "argmax"), ("expected", "expected")):
        rows.append([f"*{name}, as published*", *_published(published[key]), "", ""])
    yield markdown(["Q0", *MEASURES.values(), *WITHIN.values()], rows)
    yield _chosen(found["chosen"], "seeds")
    yield (
        f"Fitted to {found['synthetic_ratings']} ratings of {found['synthetic']} synthetic "
        f"dialogues, and tried on the same {found['n']} real ones:"
    )
    rows = [
        [name, *(number(row[key]) for key in MEASURES)] for name, row in found["transfer"].items()
    ]
    refused = ", ".join(f"{kind} {count}" for kind, count in found["refused"].items())
    authors = _published(published["calibrated_by_its_authors"])
    yield markdown(
        ["Q0, from synthetic", *MEASURES.values()], [*rows, ["*the authors' network*", *authors]]
    )
    yield (
        "Refused by the reader, over all splits and criteria, because one rater rated one thing "
        f"twice: {refused}."
    )


def hanna_tables(found: Figures) -> Iterator[str]:
    """One row for each judge and candidate."""
    yield (
        f"{found['n']} stories by {found['systems']} systems, three ratings each, six dimensions: "
        "means over the dimensions. *Within*: the correlation within the system left out, averaged "
        "over systems. *Pairs*: share of the pairs of systems in the order of people, by fits that "
        "saw neither. *Chosen*: for how many of the dimensions."
    )
    columns = ("rmse", "mae", *WITHIN, "pairs")
    rows = [
        [
            judge,
            candidate,
            *(number(row.get(key)) for key in columns),
            _times(one["chosen"], candidate),
        ]
        for judge, one in found["judges"].items()
        for candidate, row in one["mean"].items()
    ]
    yield markdown(["judge", "map", "RMSE", "MAE", *WITHIN.values(), "pairs", "chosen"], rows)
    off = ", ".join(
        f"{judge} {one['off_scale']} of {one['scores']}" for judge, one in found["judges"].items()
    )
    bias = ", ".join(
        f"{judge} {min(one['bias']):+.2f} to {max(one['bias']):+.2f}"
        for judge, one in found["judges"].items()
    )
    yield (
        f"Raw score less rating, over the dimensions: {bias}. Judge scores that are not on the "
        f"scale 1-5 are left out: {off}."
    )


def empathic_tables(found: Figures) -> Iterator[str]:
    """One row for each source and judge, one table for each measure."""
    candidates = [NO_JUDGE, *(candidate for candidate in CANDIDATES if candidate != "mode")]
    sources = "; ".join(
        f"{source} {one['metrics']} dimensions on {one['scale']}"
        for source, one in found["sources"].items()
    )
    yield (
        f"50 conversations of each source ({sources}); {found['folds']} folds, seeds 0 to "
        f"{found['seeds'] - 1}: means over dimensions and seeds, in points of the scale. The "
        "judges give whole numbers, so that the most probable label is the expected score."
    )
    for key, title in {"rmse": "RMSE", "mae": "MAE", "rho_within": WITHIN["rho_within"]}.items():
        rows = [
            [source, judge, *(number(one["mean"][candidate][key]) for candidate in candidates)]
            for source, of_source in found["sources"].items()
            for judge, one in of_source["judges"].items()
        ]
        yield markdown([title, "judge", *candidates], rows)
    total: Counter[str] = Counter()
    for of_source in found["sources"].values():
        for one in of_source["judges"].values():
            total.update(one["chosen"])
    yield _chosen(total, "choices, one for each judge, dimension and seed")


TABLES = {"llm_rubric": llm_rubric_tables, "hanna": hanna_tables, "empathic": empathic_tables}


def number(value: float | None) -> str:
    """Three decimals; nothing where nothing is known."""
    return "" if value is None or np.isnan(value) else f"{value:.3f}".replace("0.", ".", 1)


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _published(values: Mapping[str, float]) -> list[str]:
    return [number(values.get(key)) for key in ("rmse", "mae", "pearson", "spearman")]


def _times(chosen: Mapping[str, int], candidate: str) -> str:
    return str(chosen[candidate]) if candidate in chosen else ""


def _chosen(chosen: Mapping[str, int], of: str) -> str:
    counts = ", ".join(
        f"{name} {chosen[name]}" for name in (NO_JUDGE, *CANDIDATES) if name in chosen
    )
    return (
        f"Chosen by the one-standard-error rule, or no judge where the judge is not shown to add "
        f"anything, of {sum(chosen.values())} {of}: {counts}."
    )


def _mean(values: Floats) -> float:
    """Of those that are defined."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")


@click.command()
@click.option(
    "--data",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    required=True,
    help="Folder with human_ratings/.",
)
@click.option("--only", type=click.Choice(SETS), multiple=True, default=SETS, help="These sets.")
@click.option(
    "--seeds", type=click.IntRange(2), default=10, show_default=True, help="Of the folds."
)
@click.option("--write", type=click.Path(exists=True, path_type=Path), help="Put tables in here.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Keep the figures.")
def main(
    data: Path, only: tuple[str, ...], seeds: int, write: Path | None, json_file: Path | None
) -> None:
    """Calibrate judges to public ratings, by cross-validation."""
    folder = data / "human_ratings"
    measure: Mapping[str, Callable[[], Figures]] = {
        "llm_rubric": lambda: llm_rubric(folder, seeds),
        "hanna": lambda: hanna(folder),
        "empathic": lambda: empathic(folder, seeds),
    }
    figures = {name: measure[name]() for name in only}
    text = {name: "\n\n".join(TABLES[name](found)) for name, found in figures.items()}
    print("\n\n".join(text.values()))
    if json_file is not None:
        json_file.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    if write is not None:
        page = write.read_text(encoding="utf-8")
        for name, tables in text.items():
            marks = f"<!-- {name} -->", f"<!-- end of {name} -->"
            parts = re.split("|".join(marks), page)
            if len(parts) != 3:
                raise click.ClickException(f"{write} has no place for {' ... '.join(marks)}")
            page = f"{parts[0]}{marks[0]}\n{tables}\n{marks[1]}{parts[2]}"
        write.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
