"""Which dialogue of a run a rated one is, where names are not written the same."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from judge.names import fold
from judge.ratings.record import DialogueId

__all__ = ["match_dialogues"]


def match_dialogues(
    rated: Sequence[DialogueId], known: Collection[tuple[str, ...]]
) -> list[tuple[str, ...] | None]:
    """The known dialogue that each rated one is; None if it is none, or could be several.

    Names are the same whatever their width, case and blanks. A character may have a short name,
    which is a part of one known name only.

    Args:
        rated: (system, character, scenario) as the ratings have them.
        known: the same as the dialogues have them.
    """
    exact = set(known)
    if all(dialogue in exact for dialogue in rated):
        return list(rated)
    folded: dict[tuple[str, ...], set[tuple[str, ...]]] = {}
    for dialogue in known:
        folded.setdefault(tuple(map(fold, dialogue)), set()).add(dialogue)
    characters = {dialogue[1] for dialogue in folded}

    def full(name: str) -> str:
        if name in characters or not name:
            return name
        longer = [other for other in characters if name in other or (other and other in name)]
        return longer[0] if len(longer) == 1 else name

    full_names = {name: full(fold(name)) for name in {dialogue.character for dialogue in rated}}
    found: list[tuple[str, ...] | None] = []
    for dialogue in rated:
        key = (fold(dialogue.system), full_names[dialogue.character], fold(dialogue.scenario))
        same = {dialogue} if dialogue in exact else folded.get(key, set())
        found.append(next(iter(same)) if len(same) == 1 else None)
    return found
