"""Probe judges without human labels: do they see what they should, and only that?"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Unpack

from calibration.probing import LEAST
from judge.analysis.probe_records import ProbeFinding, ProbeRecord, ProbeRequirement
from judge.analysis.probe_set import CLEAN, ProbeSet, draw_probe_set
from judge.analysis.probe_statistics import MARGIN, JudgedAs, ProbeDesign, find
from judge.chatanime import data_root
from judge.dialogues import DialogueSet
from judge.engines import ENGINES
from judge.errors import DataError, UsageError
from judge.manifest import Manifest
from judge.perturbations import Pool
from judge.pipeline import run
from judge.report.probe_page import write_probe
from judge.report.probe_summary import number_rows
from judge.rubric import RubricSet, languages, load_rubric
from judge.runs import show_frame
from judge.scoring import prompts_hash
from judge.store import Store, only_writer
from judge.types import Dialogue, Judgment
from judge.workflows import Progress, no_progress
from judge.workflows.inputs import DialogueSource, paths_of, read_dialogues
from judge.workflows.judging import Judge, tell_outcome
from judge.workflows.opening import EngineKeywords

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ProbeReport", "probe"]

_log = logging.getLogger(__name__)

LIMIT, RESAMPLES = 40, 2000

_PUBLIC, _DEMO = "the public data", "the demo"
_REQUIREMENT = re.compile(r"\s*(\w+)\s*(>=|<=)\s*(\d*\.?\d+)\s*")
_SMALL, _KNOWN_ANSWERS = ("halo", "bait"), ("other_character", "shuffled")


@dataclass(frozen=True, slots=True)
class ProbeReport:
    """A probe with its page.

    Attributes:
        record: everything that it says.
        page: its HTML page; probe.json, .csv, .md and .tex lie beside it.
        failed: how many judgments could not be made.
    """

    record: ProbeRecord = field(repr=False)
    page: Path
    failed: int

    @property
    def missed(self) -> tuple[ProbeRequirement, ...]:
        """The requirements that were not met."""
        return tuple(one for one in self.record.requirements if not one.met)

    def to_frame(self) -> pd.DataFrame:
        """One row for each number, in the columns of probe.csv.

        Columns: `judge`, `part`, `name` of what was done to the replies, `measure`, `statistic`,
        `value` with `lower` and `upper`, `n` pairs, `note`.
        """
        import pandas as pd

        return pd.DataFrame(number_rows(self.record))

    def _repr_html_(self) -> str:
        return show_frame(self.to_frame(), f"probe: {self.page}")


class _Requirement(NamedTuple):
    text: str
    name: str
    sign: str
    bound: float


def probe(
    judge: str | Judge | Sequence[str | Judge] | None = None,
    *,
    rubric: str | Path | Sequence[str | Path] | None = None,
    language: str | None = None,
    metrics: Sequence[str] = (),
    dialogues: DialogueSource | None = None,
    limit: int = LIMIT,
    against: Sequence[str] = (),
    require: Sequence[str] = (),
    out: str | Path | None = None,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
    retry_failed: bool = False,
    progress: Progress = no_progress,
    **engine: Unpack[EngineKeywords],
) -> ProbeReport:
    """Let judges score dialogues and altered forms of them, and say what they see.

    What is in the folder already is not judged again: after an interruption the same call goes on
    where it stopped.

    Args:
        judge: the name of a judge, one that is open, or several of them; None for the default.
        rubric: a shipped set, a folder, or several; None for the judge's usual one.
        language: of the rubric; None for its first.
        metrics: only these; all otherwise.
        dialogues: what to alter; None for the public dialogues, or else those of the demo.
        limit: dialogues of the sample. Each is judged in about 60 forms.
        against: further ways to score the unaltered dialogues: `seed=1`, or an engine.
        require: thresholds, such as `fluency>=.8`; see `ProbeReport.missed`. Names are those of
            metrics (how often damage scores lower), `halo`, `bait` (the most that a bait buys, in
            points), `other_character` and `shuffled` (of the known answers). A share has to lie
            above chance with its whole interval, so that noise meets no bound above .5 by luck.
        out: the folder; None for `runs/probe-JUDGE`.
        confidence: of the intervals.
        resamples: of the bootstrap.
        retry_failed: ask again everything that failed before.
        progress: told of every batch.
        **engine: how models are asked; see `judge.engines.EngineOptions`.

    Raises:
        UsageError: options that do not go together, a requirement that is none, or a sample of
            fewer than two characters or scenarios.
        DataError, RubricError: a file cannot be used.
        EngineError: a judge cannot be found or asked.
        RunMismatchError: the folder has another probe.
        StoreError: the folder cannot be read or written.
    """
    wanted = [_parsed(text) for text in require]
    ways = {text: _way(text) for text in against}
    judges = [judge] if judge is None or isinstance(judge, str | Judge) else list(judge)
    rubrics = [rubric] if rubric is None or isinstance(rubric, str | Path) else list(rubric)
    opened = _open(judges, rubrics, language, engine)
    names = _common_metrics([one.rubric for one in opened], metrics)
    _refuse_unknown(wanted, names)
    given, source = _given(dialogues)
    seed = engine.get("seed", 0)
    profiles = load_rubric("esrp")
    pool = Pool(
        given.dialogues, {d.character: profiles.character(d.character) for d in given.dialogues}
    )
    probe_set = draw_probe_set(given.dialogues, pool, names, limit=limit, seed=seed)
    _refuse_few(probe_set)
    first, sample = opened[0].rubric.rubric, probe_set.sample
    design = ProbeDesign(probe_set, names, confidence, resamples, seed)
    folder = Path(out or Path("runs") / f"probe-{Path(opened[0].choice.spec.name).name}")
    labels = _labels(opened, severally=len(rubrics) > 1)
    findings = []
    for one, label in zip(opened, labels, strict=True):
        place = folder if len(opened) == 1 else folder / re.sub(r"[^\w.-]+", "-", label)
        run_of_one = _Probed(one, label, place, design, given.sources, progress, retry_failed)
        findings.append(run_of_one.finding(ways, engine, folder))
        if one not in judges:
            one.close()
    groups = {d.name: [m for m in d.metrics if m in names] for d in first.dimensions}
    systems = sorted({d.system for d in sample})
    record = ProbeRecord(
        findings=tuple(findings),
        titles={m.name: m.titles.get("en") or m.name for m in first.metrics if m.name in names},
        labels=first.labels,
        groups={name: tuple(members) for name, members in groups.items() if members},
        dialogues=len(sample),
        systems=len(systems),
        characters=len({d.character for d in sample}),
        scenarios=len({d.scenario for d in sample}),
        altered=sum(map(len, probe_set.altered.values())),
        source=source,
        confidence=confidence,
        resamples=resamples,
        seed=seed,
        margin=MARGIN,
        requirements=tuple(_checked(one, f) for f in findings for one in wanted),
        provenance={f"data {name}": given.sources.get(name, "") for name in systems},
        notes=(
            *given.notes,
            *_too_few(sample),
            *dict.fromkeys(f"{f.judge}: {f.note}" for f in findings if f.note),
        ),
    )
    return ProbeReport(record, write_probe(record, folder), sum(f.failed for f in findings))


@dataclass(frozen=True, slots=True)
class _Probed:
    """One judge with one rubric, and where its judgments go."""

    judge: Judge
    label: str
    folder: Path
    design: ProbeDesign
    sources: Mapping[str, str]
    progress: Progress
    retry_failed: bool

    def finding(
        self, ways: Mapping[str, EngineKeywords], engine: EngineKeywords, root: Path
    ) -> ProbeFinding:
        """Judge every form, and the sample in other ways; compute what that says."""
        rubric, spec, probe_set = self.judge.rubric, self.judge.choice.spec, self.design.probe_set
        _log.info(
            "probe of %s, rubric %s, %d dialogues in %d forms, folder %s",
            *(self.label, _rubric_name(rubric), len(probe_set.sample)),
            *(len(probe_set.dialogues()), self.folder),
        )
        judgments = self._judgments(self.folder, rubric, self.judge)
        others: dict[str, Sequence[Judgment] | str] = {}
        for name, other in _rubric_ways(rubric, probe_set).items():
            place = self.folder / "ways" / name.replace(" ", "-")
            others[name] = (
                other
                if isinstance(other, str)
                else self._judgments(place, other, self.judge, CLEAN)
            )
        for text, changed in ways.items():
            keywords = engine.copy()
            keywords.update(changed)
            place = self.folder / "ways" / text.replace("=", "-")
            with Judge(spec.name, **keywords) as another:
                others[text] = self._judgments(place, rubric, another, CLEAN)
        judged = JudgedAs(
            name=self.label,
            judge=spec.name,
            rubric=_rubric_name(rubric),
            fingerprint=self.judge.engine.fingerprint,
            folder=str(self.folder.relative_to(root)),
            note=spec.note,
        )
        return find(self.design, judged, judgments, others)

    def _judgments(
        self, folder: Path, rubric: RubricSet, judge: Judge, *variants: str
    ) -> tuple[Judgment, ...]:
        """The judgments of some variants, or of all, made now or before."""
        metrics, probe_set = self.design.metrics, self.design.probe_set
        dialogues = probe_set.dialogues(*variants)
        systems = sorted({d.system for d in (*probe_set.sample, *probe_set.fans)})
        manifest = Manifest.begin(
            rubric=rubric.rubric,
            judge=judge.facts,
            prompts=prompts_hash(rubric.tree(())),
            data={name: self.sources.get(name, "") for name in systems},
            options={"probe": len(probe_set.sample), "metrics": list(metrics)},
            notes=("Altered dialogues of `judge probe`: probe.html says what they show.",),
        )
        what = folder.name if variants else f"judging, {self.label}"
        with only_writer(folder), Store(folder) as store:
            done = run(
                rubric.tree(dialogues, metrics),
                judge.engine,
                store,
                manifest,
                lambda ready, total: self.progress(what, ready, total),
                retry_failed=self.retry_failed,
            )
            wanted = {(d.system, d.character, d.scenario) for d in dialogues}
            found = tuple(
                j
                for j in store.judgments()
                if j.metric in metrics and (j.system, j.character, j.scenario) in wanted
            )
        if not variants:
            tell_outcome(done.outcome, judge, found)
        return found


def _rubric_ways(rubric: RubricSet, probe_set: ProbeSet) -> dict[str, RubricSet | str]:
    """Other prompts about the same dialogues, or why there are none."""
    ways: dict[str, RubricSet | str] = {}
    declared, folder = rubric.rubric, rubric.template_path("layout.j2")
    source = folder.parent.parent if folder else Path(declared.name)
    others = [code for code in languages(source) if code != declared.language]
    for code in others:
        other = load_rubric(source, code)
        ways[f"rubric in {code}"] = RubricSet(other.rubric, other.sources, rubric.characters)
    if not others:
        ways["rubric in another language"] = "the set has one language only"
    known = any(rubric.character(d.character).known for d in probe_set.sample)
    ways["without profiles"] = (
        _changed(rubric, "without profiles", characters={}) if known else "no character has one"
    )
    ways["metrics in reverse order"] = _changed(
        rubric, "metrics in reverse order", metrics=declared.metrics[::-1]
    )
    return ways


def _changed(rubric: RubricSet, how: str, **parts: object) -> RubricSet:
    """The rubric set with other characters or metrics, under a version and a hash of its own."""
    declared = rubric.rubric
    digest = hashlib.sha256(f"{declared.hash} {how}".encode()).hexdigest()
    characters = parts.pop("characters", rubric.characters)
    changed = replace(declared, version=f"{declared.version}, {how}", hash=digest, **parts)  # type: ignore[arg-type]
    return RubricSet(changed, rubric.sources, characters)  # type: ignore[arg-type]


def _open(
    judges: Sequence[str | Judge | None],
    rubrics: Sequence[str | Path | None],
    language: str | None,
    engine: EngineKeywords,
) -> list[Judge]:
    opened: list[Judge] = []
    for one in judges:
        for rubric in rubrics:
            if isinstance(one, Judge):
                if rubric is not None or language is not None or engine:
                    raise UsageError(
                        "an open judge has its rubric, its language and its options already",
                        hint="give them to Judge(...), or name the judge instead of opening it",
                    )
                opened.append(one)
            else:
                opened.append(Judge(one, rubric=rubric, language=language, **engine))
    return opened


def _labels(opened: Sequence[Judge], *, severally: bool) -> list[str]:
    """What each judge with its rubric is called, all different."""
    names = [
        f"{one.choice.spec.name}, {_rubric_name(one.rubric)}" if severally else one.choice.spec.name
        for one in opened
    ]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(
                f"{name} is named twice", hint="name every judge and every rubric once"
            )
    return names


def _rubric_name(rubric: RubricSet) -> str:
    r = rubric.rubric
    return f"{r.name} {r.version} {r.language} {r.hash[:8]}"


def _common_metrics(rubrics: Sequence[RubricSet], wanted: Sequence[str]) -> tuple[str, ...]:
    """The metrics that are judged: of one scale, and known to every rubric."""
    chosen = [set(one.tree((), wanted).questions) for one in rubrics]
    if len({one.rubric.labels for one in rubrics}) > 1:
        raise UsageError("two rubrics have different labels", hint="probe them one by one")
    names = tuple(m.name for m in rubrics[0].dialogue_metrics if all(m.name in c for c in chosen))
    if not names:
        raise UsageError("the rubrics have no metric in common", hint="probe them one by one")
    return names


def _given(source: DialogueSource | None) -> tuple[DialogueSet, str]:
    if source is not None:
        return read_dialogues(source), ", ".join(paths_of(source)) or "dialogues in memory"
    demo = Path(__file__).parents[2] / "scripts" / "demo_dialogues"
    for folder, name in ((data_root() / "chatanime", _PUBLIC), (demo, _DEMO)):
        if folder.is_dir():
            return read_dialogues(folder), name
    raise DataError(
        "the dialogues to alter are the public ones, and they are not there",
        path=data_root() / "chatanime",
        hint="judge data fetch gets them; or name dialogues of your own with --dialogues",
    )


def _refuse_few(probe_set: ProbeSet) -> None:
    for what in ("character", "scenario"):
        if len({getattr(d, what) for d in probe_set.sample}) < 2:
            raise UsageError(
                f"the sample has fewer than two {what}s, so that there would be no interval",
                hint="raise --limit, or give more dialogues with --dialogues",
            )


def _too_few(sample: Sequence[Dialogue]) -> Iterator[str]:
    if len(sample) < LEAST:
        yield f"{len(sample)} dialogues give no intervals, which take {LEAST}: raise --limit."


# Requirements


def _way(text: str) -> EngineKeywords:
    """The options that `--against` changes."""
    seed = re.fullmatch(r"seed=(\d{1,9})", text)
    if seed:
        return {"seed": int(seed[1])}
    if text in ENGINES:
        return {"engine": text}
    raise UsageError(
        f"--against {text}: it is neither an engine nor a seed",
        hint=f"such as --against seed=1, or one of {', '.join(ENGINES)}",
    )


def _parsed(text: str) -> _Requirement:
    found = _REQUIREMENT.fullmatch(text)
    if found is None:
        raise UsageError(
            f"--require {text}: it is not NAME>=NUMBER or NAME<=NUMBER",
            hint="such as --require 'fluency>=.8' --require 'bait<=.2'",
        )
    return _Requirement(text.strip(), found[1], found[2], float(found[3]))


def _refuse_unknown(wanted: Sequence[_Requirement], metrics: Sequence[str]) -> None:
    known = (*metrics, *_SMALL, *_KNOWN_ANSWERS)
    for one in wanted:
        if one.name not in known:
            raise UsageError(
                f"--require {one.text}: a probe has no number called {one.name}",
                hint=f"choose from {', '.join(known)}",
            )
        if (one.sign == "<=") != (one.name in _SMALL):
            raise UsageError(
                f"--require {one.text}: a worse judge would meet it more easily",
                hint="halo and bait have an upper bound, <=, and everything else a lower one, >=",
            )
        if one.sign == ">=" and one.bound > 1:
            raise UsageError(
                f"--require {one.text}: nothing can meet it",
                hint="it is a share, from 0 to 1, such as .8",
            )


def _checked(wanted: _Requirement, finding: ProbeFinding) -> ProbeRequirement:
    """An unknown number meets nothing, and a share that may be chance no bound above chance."""
    shares = {row.metric: row.auc for row in finding.sensitivity}
    shares |= {one.name: one.auc for one in finding.known}
    share = shares.get(wanted.name)
    if share is not None:
        shown = share.above_chance or wanted.bound <= 0.5
        met = share.value is not None and share.value >= wanted.bound and shown
        return ProbeRequirement(wanted.text, finding.name, share.value, met)
    bought = [b.shift.value for b in finding.baits if b.expected == "steady"]
    known = [value for value in bought if value is not None]
    values = {"halo": finding.halo.value, "bait": max(known, default=None)}
    value = values.get(wanted.name)
    met = value is not None and value <= wanted.bound
    return ProbeRequirement(wanted.text, finding.name, value, met)
