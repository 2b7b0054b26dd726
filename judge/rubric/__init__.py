"""Rubric sets: folders of Jinja templates that turn dialogues into prompts.

A set is a folder with `rubric.toml` (name, version, labels, dimensions, metrics), a
`characters.toml` of its own or borrowed from another set, and one folder per language with
`layout.j2` and, unless its prompts are too short for that, one `<metric>.j2` for each metric.
The layout's blocks are the segments of a prompt, from most shared to least: `BLOCKS` says
which variables each one sees. A set that can ask for a reason before the label has the block
`rationale`, which stands in place of `question` then.
"""

from judge.rubric.checks import SAMPLE, Problem, check
from judge.rubric.load import languages, load_rubric, shipped_sets
from judge.rubric.replies import is_draw, replies_metric, replies_tree
from judge.rubric.sets import BLOCKS, RubricSet
from judge.rubric.toml import FORMAT

__all__ = [
    "BLOCKS",
    "FORMAT",
    "SAMPLE",
    "Problem",
    "RubricSet",
    "check",
    "is_draw",
    "languages",
    "load_rubric",
    "replies_metric",
    "replies_tree",
    "shipped_sets",
]
