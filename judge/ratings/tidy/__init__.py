"""JudgedTable tables of any task: what people and judges said of items, in one file or several.

- long: one row per score, `item, system, dimension, rater, rater_type, score`;
- probabilities: `item, system, dimension, rater, p1, p2, ...`, one row per reading of a judge;
- measures: `item, system, measure, score`, where some measures are people's and each other one is
  a judge of all of these.

What was judged is a system on an item: one item label under two systems says that both answered
the same thing. Who is a person and who a judge is told by `rater_type`, by name, or by the shape;
a row that tells nothing is a person's.
"""

from judge.ratings.tidy.read import read_judged_table
from judge.ratings.tidy.record import JudgedTable
from judge.ratings.tidy.rows import Point

__all__ = ["JudgedTable", "Point", "read_judged_table"]
