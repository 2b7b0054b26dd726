"""A model plays characters: instructions, the playing, and what is amiss with the replies."""

from judge.roleplay.imitation import Imitation, measure_imitation
from judge.roleplay.marks import MARKS, count_marks, marks
from judge.roleplay.play import PARTS, Cast, dialogues, place, play
from judge.roleplay.plays import Part, Place, Plays
from judge.roleplay.prompts import RoleplayPrompts, load_prompts, shipped_prompts
from judge.roleplay.review import review
from judge.roleplay.scenes import Scene, blanks, replayed, scenes

__all__ = [
    "MARKS",
    "PARTS",
    "Cast",
    "Imitation",
    "Part",
    "Place",
    "Plays",
    "RoleplayPrompts",
    "Scene",
    "blanks",
    "count_marks",
    "dialogues",
    "load_prompts",
    "marks",
    "measure_imitation",
    "place",
    "play",
    "replayed",
    "review",
    "scenes",
    "shipped_prompts",
]
