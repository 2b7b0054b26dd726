"""The main job: let a model play or read what was recorded, judge it, and write a report."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple, Unpack

from judge.analysis.published import PublishedMeans
from judge.dialogues import DialogueSet, select
from judge.engines import SERVED
from judge.errors import UsageError
from judge.manifest import Manifest
from judge.pipeline import run
from judge.ratings.reference import is_reference
from judge.roleplay import PlayingSummary
from judge.rubric import RubricSet, replies_metric, replies_tree
from judge.runs import StoredRun
from judge.scoring import prompts_hash
from judge.store import Store, only_writer
from judge.token_plan import TokenPlan, plan_tokens
from judge.types import PromptTree
from judge.workflows import Progress, no_progress
from judge.workflows.generate import Stage, prepare_stage, refuse_recorded, split_keywords
from judge.workflows.inputs import (
    DialogueSource,
    RatingsSource,
    name_of,
    paths_of,
    published_means,
    read_dialogues,
    usual_folder,
)
from judge.workflows.judging import (
    Judge,
    cost_of_reasons,
    judge_notes,
    tell_outcome,
    warn_of_window,
)
from judge.workflows.opening import (
    PlayOptions,
    WriterKeywords,
    choose_judge,
    choose_judge_beside,
    playing_model,
    refuse_play_options,
)
from judge.workflows.report import Report, human_scale, of_the_files, write_run_report

__all__ = ["Evaluation", "EvaluationPlan", "evaluate", "plan_evaluation"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Evaluation(Report):
    """A model or dialogues judged, with the report.

    Attributes:
        run: the run folder as it is now: every judgment, and `run.to_frame()` for all of them.
        made: judgments made now; `reused` were there before.
        played: how the model played, empty where dialogues were recorded.
        reasons: what writing reasons took now; empty where none was written.
    """

    run: StoredRun = field(repr=False)
    made: int
    reused: int
    played: tuple[PlayingSummary, ...] = ()
    reasons: Mapping[str, object] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """The run folder."""
        return self.run.folders[0]

    @property
    def complete(self) -> bool:
        """Whether every reply and every judgment could be made."""
        return not self.failed and not any(played.incomplete for played in self.played)


@dataclass(frozen=True, slots=True)
class EvaluationPlan:
    """What an evaluation would take; nothing was judged or written.

    Attributes:
        judge: its name.
        dialogues: to be judged; of a model that is to play, its scenes.
        rationale: the most tokens of a reason, 0 without reasons.
        tokens: of the prompts; None for a judge that counts none, or where a model is to play.
        model: the name of the model that is to play; None for recorded dialogues.
    """

    judge: str
    dialogues: int
    prompts: int
    rationale: int
    tokens: TokenPlan | None = None
    model: str | None = None
    replies: int = 0


class _Task(NamedTuple):
    """What is to be judged by whom: dialogues, or scenes that become dialogues when played.

    `complete` says whether no dialogue of the chosen characters is left out.
    """

    name: str
    judge: Judge
    given: DialogueSet
    complete: bool
    tree: PromptTree
    stage: Stage | None


def evaluate(
    model: DialogueSource | Sequence[str | Path],
    *,
    judge: str | Judge | None = None,
    rubric: str | Path | None = None,
    language: str | None = None,
    characters_file: str | Path | None = None,
    metrics: Sequence[str] = (),
    characters: Sequence[str] = (),
    scenarios: Sequence[str] = (),
    limit: int | None = None,
    rationale: bool | int = False,
    out: str | Path | None = None,
    retry_failed: bool = False,
    published: str | Path | PublishedMeans | None = None,
    calibration: str | Path | None = None,
    ratings: RatingsSource | None = None,
    progress: Progress = no_progress,
    **options: Unpack[WriterKeywords],
) -> Evaluation:
    """Let a model play, or read recorded dialogues; judge them, and write a report.

    What is in the run folder already is neither played nor judged again: after an interruption
    the same call goes on where it stopped. Another process that is at the same folder is waited
    for.

    Args:
        model: a model that is to play: a folder, a hub id such as `Qwen/Qwen3-4B`, or
            `openai:NAME` on a server. Or recorded dialogues: files, a folder, a DataFrame, a list
            of `Dialogue`, or `reference`, the 440 public ones that a strong LLM has scored.
        judge: the name of a judge, or a `Judge` that is open already; None for the default one.
        rubric: a shipped rubric set or a folder; None for the judge's usual one.
        language: of the rubric; None for its first.
        characters_file: profiles of the characters that replace those of the rubric, and of the
            instructions by which a model plays.
        metrics: only these; all otherwise.
        characters: only these: names, or parts that fit one name only.
        scenarios: only these, such as `["1-12", "15"]`.
        limit: judge at most so many dialogues, spread over systems and characters.
        rationale: let the judge write its reason before it scores; a number is the most tokens.
        out: the run folder; None for `runs/MODEL-JUDGE`.
        retry_failed: ask again everything that failed before, not only what failed because a
            server was in trouble.
        published: published means to set beside; see `published_means`.
        calibration: what `calibrate` wrote: scores are given on the human scale too.
        ratings: with `calibration`: of some dialogues of systems that it has not seen.
        progress: told of every batch.
        **options: how models are asked, and how a model plays: see `judge.engines.EngineOptions`
            and `PlayOptions`.

    Raises:
        UsageError: options that do not go together, or select nothing.
        DataError, RubricError: a file cannot be used.
        EngineError: a model cannot be found or asked.
        RunMismatchError: the folder was made with another judge, rubric or model.
        StoreError: the folder cannot be read or written.
    """
    means = published_means(published)
    task = _prepare(
        model,
        judge=judge,
        rubric=rubric,
        language=language,
        characters_file=characters_file,
        metrics=metrics,
        characters=characters,
        scenarios=scenarios,
        limit=limit,
        rationale=rationale,
        **options,
    )
    opened, rubric_set, tree, given = task.judge, task.judge.rubric, task.tree, task.given
    spec, replies = opened.choice.spec, _wanted_replies_metric(task, metrics)
    folder = usual_folder(model, task.name, spec.name) if out is None else Path(out)
    manifest = Manifest.begin(
        rubric=rubric_set.rubric,
        judge=opened.facts,
        prompts=prompts_hash(rubric_set.tree((), rationale=opened.rationale)),
        data={d.system: given.sources.get(d.system, "") for d in given.dialogues},
        options={
            **_recorded_options(model, opened, rubric, options),
            "characters_file": None if characters_file is None else str(characters_file),
            "metrics": [*tree.questions, *([] if replies is None else [replies])],
            "characters": ",".join(characters),
            "scenarios": ",".join(scenarios),
            "limit": limit,
            "batch_size": opened.engine.batch_size,
        },
        notes=(*given.notes, *judge_notes(opened, given.dialogues)),
    )
    human = human_scale(calibration, ratings, manifest)
    _announce(manifest, len(given.dialogues), folder, named=opened.choice.named)
    played: tuple[PlayingSummary, ...] = ()
    unsettled = 0
    with only_writer(folder), nullcontext() if isinstance(judge, Judge) else opened:
        if task.stage is not None:
            refuse_recorded(folder, manifest)  # before hours of playing, not after
            played_now = task.stage.perform(folder, progress, retry_failed=retry_failed)
            given, record, unsettled = played_now
            for line in record.lines():
                _log.info(line)
            played = (record,)
            facts = {"played": dict(record.facts)}
            manifest = replace(manifest, data=given.sources, options={**manifest.options, **facts})
            names = list(tree.questions)
            tree = rubric_set.tree(given.dialogues, names, rationale=opened.rationale)
        sets = None
        if replies is not None and not unsettled:  # a set must not change later
            sets = replies_tree(rubric_set, given.dialogues, seed=opened.choice.options.seed)
        with Store(folder) as store:
            if not store.keys() and options.get("cluster") is None:
                warn_of_window(tree, opened.engine)
            done = run(
                tree,
                opened.engine,
                store,
                manifest,
                lambda ready, total: progress("judging", ready, total),
                sets,
                retry_failed=retry_failed,
            )
            with store.transaction():  # another process may be at the same run
                judged = tuple(store.judgments()), tuple(store.dialogues())
                stored = StoredRun((folder,), done.manifest, *judged)
                reported = of_the_files(stored, given, tree.items)
                report = write_run_report(reported, folder, means, human, played)
        outcome = done.outcome
        tell_outcome(outcome, opened, reported.judgments)
        reasons = cost_of_reasons(outcome, tree, rubric_set.tree((), list(tree.questions)), opened)
    return Evaluation(
        results=report.results,
        page=report.page,
        failed=report.failed,
        run=stored,
        made=outcome.made,
        reused=outcome.reused,
        played=played,
        reasons=reasons,
    )


def plan_evaluation(
    model: DialogueSource | Sequence[str | Path], **arguments: Any
) -> EvaluationPlan:
    """What `evaluate` would ask; nothing is judged or written.

    Args:
        model: as of `evaluate`.
        **arguments: those of `evaluate` from `judge` to `rationale`, and its options.

    Raises:
        UsageError, DataError, RubricError, EngineError: as `evaluate`.
    """
    arguments.pop("cluster", None)  # counting needs no workers
    task = _prepare(model, **arguments)
    name, tree = task.judge.choice.spec.name, task.tree
    if task.stage is not None:
        stage = task.stage
        scenes, replies = len(stage.chosen), len(stage.chosen) * stage.cast.rounds
        return EvaluationPlan(name, scenes, len(tree), tree.rationale, None, stage.system, replies)
    tokens = plan_tokens(tree, task.judge.engine)
    return EvaluationPlan(name, len(tree.items), len(tree), tree.rationale, tokens)


def _prepare(
    model: DialogueSource | Sequence[str | Path],
    *,
    judge: str | Judge | None = None,
    rubric: str | Path | None = None,
    language: str | None = None,
    characters_file: str | Path | None = None,
    metrics: Sequence[str] = (),
    characters: Sequence[str] = (),
    scenarios: Sequence[str] = (),
    limit: int | None = None,
    rationale: bool | int = False,
    **options: Unpack[WriterKeywords],
) -> _Task:
    """The judge opened, and what it is to judge: read, or ready to be played."""
    engine, play_keywords = split_keywords(options)
    seed = engine.get("seed", 0)
    live = playing_model(paths_of(model))
    if live is None:
        refuse_play_options(play_keywords, paths_of(model))
    playing = PlayOptions(**play_keywords)
    if isinstance(judge, Judge):
        if any(v is not None for v in (rubric, language, characters_file)) or rationale or engine:
            raise UsageError(
                "an open judge has its rubric, language, profiles and options already",
                hint="give them to Judge(...), or name the judge instead of opening it",
            )
        opened = judge
    else:
        if live is None:
            choice = choose_judge(judge, engine)
        else:
            choice = choose_judge_beside(judge, engine, live, playing)
        opened = Judge(
            choice,
            rubric=rubric,
            language=language,
            characters_file=characters_file,
            rationale=rationale,
        )
    if live is not None:
        stage = prepare_stage(
            live,
            playing,
            engine,
            opened.choice,
            characters_file=characters_file,
            characters=characters,
            scenarios=scenarios,
            limit=limit,
            seed=seed,
        )
        given, complete, name = DialogueSet(stage.unanswered, {}), stage.complete, stage.system
    else:
        stage = None
        found = read_dialogues(model)
        chosen = select(
            found.dialogues, characters=characters, scenarios=scenarios, limit=limit, seed=seed
        )
        complete = len(chosen) == len(select(found.dialogues, characters=characters))
        complete = complete and not any(map(is_reference, paths_of(model)))
        given, name = DialogueSet(chosen, found.sources, found.notes), name_of(model)
    wanted = _dialogue_metrics(metrics, opened.rubric)
    tree = opened.rubric.tree(given.dialogues, wanted, rationale=opened.rationale)
    return _Task(name, opened, given, complete, tree, stage)


def _dialogue_metrics(metrics: Sequence[str], rubric: RubricSet) -> list[str]:
    """Those of `metrics` that judge one dialogue, not many replies.

    Raises:
        UsageError: metrics were named, and none of them judges a dialogue. Without any, the
            rubric would judge all, which is not what was asked for.
    """
    named = [metric for metric in metrics if metric != replies_metric(rubric.rubric)]
    if metrics and not named:
        raise UsageError(
            f"--metrics {metrics[0]}: it is judged over many replies, beside metrics of dialogues",
            hint=f"name one more, such as --metrics fluency,{metrics[0]}",
        )
    return named


def _wanted_replies_metric(task: _Task, metrics: Sequence[str]) -> str | None:
    """The metric that judges sets of replies, None where it was not asked for or cannot be judged.

    Of a part of the dialogues other sets would be drawn than of all of them.
    """
    metric = replies_metric(task.judge.rubric.rubric)
    wanted = metric is not None and (not metrics or metric in metrics)
    can = task.complete and task.judge.choice.spec.engine != "lexical"
    return metric if wanted and can else None


def _recorded_options(
    model: DialogueSource | Sequence[str | Path],
    judge: Judge,
    rubric: str | Path | None,
    options: WriterKeywords,
) -> dict[str, object]:
    """What the manifest says of the options, under their names on the command line.

    An address may hold a password, so none is kept: the engine says where it asked.
    """
    spec = judge.choice.spec
    name = f"{SERVED}{spec.model}" if spec.engine == "http" else spec.name
    settings = {**asdict(judge.choice.options), **options}
    settings["play_lang"] = settings.pop("play_language", None)
    cluster = settings.pop("cluster", None)
    settings["workers"] = cluster and cluster.workers
    return {
        "model": paths_of(model),
        "judge": name,
        **({} if rubric is None else {"rubric": str(rubric)}),
        **{
            key: str(value) if isinstance(value, Path) else value
            for key, value in settings.items()
            if value is not None and not key.endswith("_url")
        },
    }


def _announce(manifest: Manifest, dialogues: int, folder: Path, *, named: bool) -> None:
    """Tell who judges what by which rubric, and what to know of it."""
    rubric, judge = manifest.rubric, manifest.judge
    engine = f", engine {judge['engine']}" * (judge["engine"] != judge["name"])
    engine += f" on {judge['device']}" * (bool(engine) and "device" in judge)
    _log.info(
        "judge %s%s%s, rubric %s %s %s %s, %d dialogues, run folder %s",
        *(judge["name"], "" if named else " (no --judge given)", engine),
        *(rubric.name, rubric.version, rubric.language, rubric.hash[:8]),
        *(dialogues, folder),
    )
    for note in manifest.notes:
        _log.info("note: %s", note)
