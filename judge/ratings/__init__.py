"""Human ratings: files in, sheets for annotators out, filled sheets back in.

`read_ratings` reads a table in any of the shapes that ratings come in and refuses nothing in
silence; `summarise`, `compare` and `ensure_usable` say what can be done with what was read.
`plan_sheets` deals dialogues to raters, `write_sheets` writes what they fill in, and `collect`
reads it back.
"""

from judge.ratings.check import (
    Comparison,
    Summary,
    compare,
    ensure_usable,
    join_ratings,
    mean_ratings,
    summarise,
)
from judge.ratings.design import Overlap, plan_sheets
from judge.ratings.incomplete import ensure_complete, ensure_complete_table, list_counts, on_scale
from judge.ratings.read import read_judged_table, read_ratings
from judge.ratings.record import DialogueId, Fault, JudgedTable, Point, Ratings, Scale
from judge.ratings.sheets import (
    Form,
    Key,
    collect,
    read_key,
    write_sheets,
    write_table,
)

__all__ = [
    "Comparison",
    "DialogueId",
    "Fault",
    "Form",
    "JudgedTable",
    "Key",
    "Overlap",
    "Point",
    "Ratings",
    "Scale",
    "Summary",
    "collect",
    "compare",
    "ensure_complete",
    "ensure_complete_table",
    "ensure_usable",
    "join_ratings",
    "list_counts",
    "mean_ratings",
    "on_scale",
    "plan_sheets",
    "read_judged_table",
    "read_key",
    "read_ratings",
    "summarise",
    "write_sheets",
    "write_table",
]
