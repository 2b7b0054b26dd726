"""The options that several commands share, each by the name that the workflows know it by."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from judge.cli.command import FOLDER_OR_FILE, NameList, given_options, option
from judge.engines import DEFAULT_CUDA, ENGINES
from judge.errors import UsageError

__all__ = [
    "CLUSTER",
    "ENGINE",
    "GIVEN",
    "JUDGE",
    "PLAYING",
    "REPORT",
    "SERVER",
    "TABLE",
    "aliases_of",
    "calibration_option",
    "characters_file_option",
    "confidence_option",
    "engine_options",
    "given_cluster",
    "given_ratings",
    "json_option",
    "judge_option",
    "metrics_option",
    "out_option",
    "play_options",
    "published_option",
    "rating_options",
    "retry_failed_option",
    "selection_options",
    "shape_options",
]

_Decorated = TypeVar("_Decorated", bound=Callable[..., Any])

# The groups of the help.
GIVEN, JUDGE, ENGINE = "What is judged", "The judge", "How models are asked"
SERVER, CLUSTER = "How a server is asked", "Several workers"
PLAYING, REPORT, RATINGS = "A model that plays", "The report", "Human ratings"
TABLE = "A table instead of RUNS"
_POSITIVE = click.IntRange(min=1)
_SHARE = click.FloatRange(0, 1, min_open=True, max_open=True)

judge_option = option(
    "--judge",
    group=JUDGE,
    help="lexical, tiny, mock, a model folder, a hub id, a GGUF file, or openai:NAME for a model "
    f"on a server.  [default: {DEFAULT_CUDA} with CUDA, else the better embedded judge]",
)
characters_file_option = option(
    "--characters-file",
    type=FOLDER_OR_FILE,
    metavar="FILE",
    group=GIVEN,
    help="Profiles that replace those of the rubric set and of the playing instructions.",
)
metrics_option = option(
    "--metrics",
    type=NameList(),
    default="",
    group=JUDGE,
    help="Only these, separated by commas, such as fluency,coherency.",
)
retry_failed_option = option(
    "--retry-failed",
    is_flag=True,
    group=SERVER,
    help="Ask again everything that failed before. Without it only what failed because a server "
    "was in trouble is asked again.",
)
json_option = option("--json", "as_json", is_flag=True, help="Print one JSON object.")
confidence_option = option(
    "--confidence",
    type=_SHARE,
    default=0.95,
    show_default=True,
    group=REPORT,
    help="Of every interval, and of all ranks together.",
)
published_option = option(
    "--published",
    type=FOLDER_OR_FILE,
    group=REPORT,
    help="CSV of published means (system, metric, mean) to set beside, or `paper` for those of "
    "Figure 1 of arXiv 2508.06388.",
)
calibration_option = option(
    "--calibration",
    type=FOLDER_OR_FILE,
    group=REPORT,
    help="What `judge calibrate` wrote: the scores are shown on the human scale too.",
)


def out_option(text: str, **attributes: Any) -> Callable[[_Decorated], _Decorated]:
    """`--out`, with what it is the place of."""
    return option("--out", type=FOLDER_OR_FILE, group=REPORT, help=text, **attributes)


def engine_options(decorated: _Decorated) -> _Decorated:
    """How a model is asked."""
    return _all(
        decorated,
        _engine(
            "--engine",
            "The program that asks the model.  [default: http with --base-url, else vllm, if "
            "installed, with CUDA, else hf]",
            type=click.Choice(sorted(ENGINES)),
        ),
        _server("--base-url", "Ask a server, such as http://localhost:8000/v1."),
        _server(
            "--server",
            "What answers there: vllm, sglang, llama.cpp, ollama or openai.  "
            "[default: found by asking]",
        ),
        _server("--concurrency", "Requests to the server at once.", type=_POSITIVE),
        _server(
            "--samples",
            "Draw so many answers for each prompt, from a server without probabilities.",
            type=_POSITIVE,
        ),
        _server(
            "--retry-for",
            "Seconds for which a request is repeated while the server is busy or in trouble.  "
            "[default: 600]",
            type=click.FloatRange(min=0),
        ),
        _server(
            "--accept-model-name",
            "Another name under which the server answers for the same judge, such as an alias.",
        ),
        _engine("--batch-size", "Dialogues at once.", type=_POSITIVE),
        _engine("--device", "cpu, cuda, cuda:1, ..."),
        _engine("--dtype", "The precision of the weights: float32, bfloat16 or float16."),
        _engine(
            "--quantization",
            "Load the weights in a smaller format, which needs less memory and changes scores a "
            "little: 4bit or 8bit with hf; with vllm what it knows, such as fp8, awq or gptq.",
        ),
        _engine("--adapter", "The folder of a LoRA adapter of the judge, as PEFT saves it."),
        _engine("--tensor-parallel", "GPUs that share the model.", type=_POSITIVE),
        _engine(
            "--gpu-memory",
            "Share of the GPU's memory to use.",
            type=click.FloatRange(min=0, max=1, min_open=True),
        ),
        _engine(
            "--reproducible",
            "The same numbers whatever else is in the batch; slower.",
            is_flag=True,
            default=None,
        ),
        _engine(
            "--trust-remote-code",
            "Run the Python files that a model brings. They can do whatever you can: read them.",
            is_flag=True,
            default=None,
        ),
        _engine(
            "--seed",
            "The start of every random draw: of replies of models that play, of sampled answers, "
            "of sets of replies. The same seed draws the same; --seed 1 draws anew.",
            type=int,
            default=0,
            show_default=True,
        ),
        _cluster(
            "--workers",
            "Ask so many copies of a local model at once, each on GPUs of its own or on one CPU; "
            "needs the extra ray.  [default: 1 in this process; with --ray-address as many as "
            "there is room for]",
            type=_POSITIVE,
        ),
        _cluster(
            "--ray-address",
            "Of the Ray cluster that has the workers: auto, or HOST:PORT.  [default: this machine]",
        ),
        _cluster(
            "--worker-timeout",
            "Seconds without an answer after which a worker is replaced: more than loading the "
            "model takes.  [default: 1800]",
            type=click.FloatRange(min=0, min_open=True),
        ),
    )


def given_cluster(ctx: click.Context) -> dict[str, Any]:
    """Where the workers are, as the argument of a workflow; empty without workers.

    Raises:
        UsageError: a timeout of workers that there are not.
    """
    given = given_options(ctx, CLUSTER)
    if not given:
        return {}
    if given.keys() == {"worker_timeout"}:
        raise UsageError("--worker-timeout goes with --workers", hint="add it, or leave both out")
    from judge.scaleout import Cluster

    names = {"workers": "workers", "ray_address": "address", "worker_timeout": "patience"}
    return {"cluster": Cluster(**{names[name]: value for name, value in given.items()})}


def play_options(decorated: _Decorated) -> _Decorated:
    """How a model plays."""
    return _all(
        decorated,
        _play(
            "--user",
            "Who asks on after the first answer: a model, openai:NAME, or replay:SYSTEM for "
            "the recorded questions to that system.  [default: the judge of `judge eval`, if it is "
            "a model]",
        ),
        _play("--rounds", "Of a dialogue.", type=_POSITIVE, default=2, show_default=True),
        _play("--model-url", "The server of openai: models.  [default: --base-url]"),
        _play("--user-url", "The server of an openai: user.  [default: --base-url]"),
        _play(
            "--questions",
            "Dialogues whose first questions are asked.  [default: the public ones]",
            type=FOLDER_OR_FILE,
        ),
        _play(
            "--prompts",
            "Instructions for both sides: a shipped set or a folder.",
            default="roleplay",
            show_default=True,
        ),
        _play("--play-lang", "Of the instructions.  [default: their first]", name="play_language"),
        _play("--name", "What to call the model.  [default: its own name]"),
        _play(
            "--temperature",
            "How freely both sides write; 0 always takes the most probable token.",
            type=click.FloatRange(min=0),
            default=0.7,
            show_default=True,
        ),
        _play(
            "--top-p",
            "Draw from the most probable tokens that together have this share.",
            type=click.FloatRange(0, 1, min_open=True),
            default=0.95,
            show_default=True,
        ),
        _play(
            "--max-tokens",
            "Most tokens of a reply.",
            type=_POSITIVE,
            default=512,
            show_default=True,
        ),
        _play("--thinking", "Let models think before they reply.", is_flag=True),
        _play("--keep-loaded", "Hold model and user in memory at once: fewer loads.", is_flag=True),
    )


def selection_options(decorated: _Decorated) -> _Decorated:
    """Which dialogues or scenes are taken."""
    return _all(
        decorated,
        option(
            "--characters",
            type=NameList(),
            default="",
            group=GIVEN,
            help="Only these: names or parts, separated by commas.",
        ),
        option(
            "--scenarios",
            type=NameList(),
            default="",
            group=GIVEN,
            help="Only these, such as 1-12,15.",
        ),
        option(
            "--limit",
            type=_POSITIVE,
            group=GIVEN,
            help="Only so many dialogues: --limit 100 for a quick trial. They are drawn so that "
            "every system has the same characters and scenarios, and as many as can be.",
        ),
    )


def rating_options(what_for: str) -> Callable[[_Decorated], _Decorated]:
    """A file of human ratings and how to read it; `given_ratings` makes one thing of them."""
    return lambda decorated: _all(
        decorated,
        _ratings("--ratings", what_for, type=FOLDER_OR_FILE),
        _ratings(
            "--alias",
            "What a metric, or a column such as rater, is called in the file of ratings, as "
            "--alias 流畅度=fluency. Repeatable.",
            name="aliases",
            metavar="NAME=METRIC",
            multiple=True,
        ),
        _ratings(
            "--scale", "What a rating may be.  [default: 1-5; --table: as used]", metavar="LOW-HIGH"
        ),
        _ratings(
            "--step",
            "Distance of two neighbouring ratings of the scale: --step 0.5 takes half points "
            "too, --step 0 any number.",
            type=float,
            default=1,
            show_default=True,
        ),
        shape_options,
        _ratings(
            "--allow-missing",
            "Go on where more than 1% of the ratings that a figure rests on are refused; every "
            "page says so.",
            is_flag=True,
        ),
    )


def shape_options(decorated: _Decorated) -> _Decorated:
    """What shape a table of ratings has, where its headings do not say it."""
    return _all(
        decorated,
        _ratings(
            "--sheet",
            "Of a workbook of ratings, this sheet.  [default: all, which must have the same "
            "columns]",
            metavar="NAME",
        ),
        _ratings(
            "--raters",
            "Headings of columns that hold the scores of one rater each; in a --table of one judge "
            "or rater each, and --judge says who is a judge.",
            type=NameList(),
            default="",
        ),
        _ratings(
            "--systems",
            "Headings of columns that hold the scores of one system each.",
            type=NameList(),
            default="",
        ),
        _ratings(
            "--mapping",
            "For the export of a questionnaire: a table with the columns heading, system, "
            "character, scenario and metric that says what each question is of.",
            type=FOLDER_OR_FILE,
        ),
    )


def given_ratings(ctx: click.Context) -> dict[str, Any]:
    """The file that the options name and how to read it, as the argument of a workflow.

    Empty without a file.

    Raises:
        UsageError: options of a file that was not named, or an alias that is none.
    """
    from judge.workflows.inputs import RatingsFile

    given = given_options(ctx, RATINGS)
    path = given.pop("ratings", None)
    if path is not None:
        aliases = aliases_of(given.pop("aliases", ()))
        return {"ratings": RatingsFile(path, aliases, **given)}
    if given:
        raise UsageError(
            "--alias, --scale, --step and the other options of ratings go with --ratings",
            hint="add it, or leave them out",
        )
    return {}


def aliases_of(texts: Sequence[str]) -> dict[str, str]:
    """NAME=METRIC of each text, taken apart.

    Raises:
        UsageError: a text is not of that form.
    """
    aliases = {}
    for text in texts:
        name, sign, target = text.rpartition("=")
        if not (sign and name.strip() and target.strip()):
            raise UsageError(
                f"--alias {text}: it is not NAME=METRIC", hint="--alias 流畅度=fluency"
            )
        aliases[name] = target.strip()
    return aliases


def _all(decorated: _Decorated, *options: Callable[[Any], Any]) -> _Decorated:
    for one in reversed(options):
        decorated = one(decorated)
    return decorated


def _grouped(group: str) -> Callable[..., Any]:
    """What makes an option of this group, from its flag, its help and its name if another one."""

    def grouped(flag: str, text: str, name: str | None = None, **attributes: Any) -> Any:
        declared = (flag,) if name is None else (flag, name)
        return option(*declared, group=group, help=text, **attributes)

    return grouped


_engine, _cluster, _server, _play, _ratings = map(
    _grouped, (ENGINE, CLUSTER, SERVER, PLAYING, RATINGS)
)
