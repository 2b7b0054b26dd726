"""A model plays characters in scenarios: instructions, playing, and a summary of the replies."""

from judge.roleplay.playing import (
    Cast,
    Scene,
    parts_of,
    play,
    played_dialogues,
    recorded_questions,
    scenes_from_dialogues,
    unanswered_dialogues,
)
from judge.roleplay.playing_summary import PlayingSummary, summarize_playing
from judge.roleplay.prompts import RoleplayPrompts, load_prompts
from judge.roleplay.transcript import Part, SceneId, Transcript

__all__ = [
    "Cast",
    "Part",
    "PlayingSummary",
    "RoleplayPrompts",
    "Scene",
    "SceneId",
    "Transcript",
    "load_prompts",
    "parts_of",
    "play",
    "played_dialogues",
    "recorded_questions",
    "scenes_from_dialogues",
    "summarize_playing",
    "unanswered_dialogues",
]
