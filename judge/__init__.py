"""Scores emotionally supportive role-playing dialogues with a local judge LLM.

    import judge

    result = judge.evaluate("answers.json", judge="Qwen/Qwen3-8B")
    result.to_frame()                                  # the table of the report, as a DataFrame
    judge.agree(result.folder, "ratings.csv")          # how far people agree with it

Names are imported when they are first used, so that `import judge` loads no library. docs/api.md
has a session with all of them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from judge.errors import JudgeError
    from judge.rubric import load_rubric
    from judge.runs import StoredRun, open_run
    from judge.scaleout import Cluster
    from judge.types import Dialogue, Turn
    from judge.workflows.agree import AgreementReport, JudgeComparison, JudgeList, agree
    from judge.workflows.calibrate import CalibrationFit, calibrate
    from judge.workflows.evaluate import Evaluation, evaluate
    from judge.workflows.generate import Generation, generate
    from judge.workflows.inputs import RatingsFile, read_dialogues, read_ratings
    from judge.workflows.judging import Judge, Scores
    from judge.workflows.leaderboard import LeaderboardReport, leaderboard
    from judge.workflows.probe import ProbeReport, probe

__all__ = [
    "AgreementReport",
    "CalibrationFit",
    "Cluster",
    "Dialogue",
    "Evaluation",
    "Generation",
    "Judge",
    "JudgeComparison",
    "JudgeError",
    "JudgeList",
    "LeaderboardReport",
    "ProbeReport",
    "RatingsFile",
    "Scores",
    "StoredRun",
    "Turn",
    "__version__",
    "agree",
    "calibrate",
    "evaluate",
    "generate",
    "leaderboard",
    "load_rubric",
    "open_run",
    "probe",
    "read_dialogues",
    "read_ratings",
]

__version__ = "0.1.0"

_NAMES_OF = {
    "errors": ("JudgeError",),
    "rubric": ("load_rubric",),
    "runs": ("StoredRun", "open_run"),
    "scaleout": ("Cluster",),
    "types": ("Dialogue", "Turn"),
    "workflows.agree": ("AgreementReport", "JudgeComparison", "JudgeList", "agree"),
    "workflows.calibrate": ("CalibrationFit", "calibrate"),
    "workflows.evaluate": ("Evaluation", "evaluate"),
    "workflows.generate": ("Generation", "generate"),
    "workflows.inputs": ("RatingsFile", "read_dialogues", "read_ratings"),
    "workflows.judging": ("Judge", "Scores"),
    "workflows.leaderboard": ("LeaderboardReport", "leaderboard"),
    "workflows.probe": ("ProbeReport", "probe"),
}
_MODULE_OF = {name: f"judge.{module}" for module, names in _NAMES_OF.items() for name in names}


def __getattr__(name: str) -> Any:
    """A public name, its module imported now (PEP 562)."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'judge' has no attribute {name!r}")
    value = getattr(importlib.import_module(_MODULE_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
