"""Rubric sets: folders of Jinja templates that turn dialogues into prompts.

A set is a folder with

- `rubric.toml`: name, version, labels, languages, dimensions and metrics;
- `characters.toml`: the profiles of the characters, or the name of another set whose profiles it
  uses;
- one folder for each language with `layout.j2` and, unless the prompts are too short for that, one
  `<metric>.j2` for each metric.

The blocks of `layout.j2` are the segments of a prompt, from the one that most prompts share to the
one that is asked once. `BLOCKS` lists the blocks and the variables that each one sees. A set that
can ask for a reason before the label has a block `rationale`, which then replaces `question`.
"""

from judge.rubric.checks import SAMPLE, Problem, check
from judge.rubric.diff import RubricComparison, TextChange, compare
from judge.rubric.load import languages, load_rubric
from judge.rubric.render import BLOCKS, RubricSet
from judge.rubric.reply_sets import is_reply_set, replies_metric, replies_tree
from judge.rubric.set_files import new_set, shipped_sets

__all__ = [
    "BLOCKS",
    "SAMPLE",
    "Problem",
    "RubricComparison",
    "RubricSet",
    "TextChange",
    "check",
    "compare",
    "is_reply_set",
    "languages",
    "load_rubric",
    "new_set",
    "replies_metric",
    "replies_tree",
    "shipped_sets",
]
