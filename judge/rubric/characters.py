"""The profiles of characters, as `characters.toml` has them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from judge.rubric.toml import Table, read_toml
from judge.types import Character

__all__ = ["Profiles", "character_tables", "read_character", "read_characters"]

_CHARACTER_TEXTS = ("traits", "speech", "habits", "people")
_CHARACTER_LISTS = ("address", "catchphrases", "terms")


class Profiles:
    """Profiles that are found by any name of their character.

    Args:
        characters: the profiles, by the name the dialogues use.
    """

    def __init__(self, characters: Mapping[str, Character]) -> None:
        self._characters = characters
        self._called: dict[str, list[Character]] = {}
        for character in characters.values():
            # "Captain" or "boss" names nobody; a form of address does that is part of the name.
            short = [word for word in character.address if word in character.name]
            for name in {_plain(n) for n in (*character.names.values(), *short)}:
                self._called.setdefault(name, []).append(character)

    def find(self, name: str) -> Character:
        """The profile of `name`, or a `Character` with `known=False` and nothing but the name.

        A profile is found by the name it is filed under, else by any of its `names` or by a
        form of `address` that is part of it (路飞, but not 船长), if only one character is
        called so. Case and outer blanks do not matter.
        """
        if name in self._characters:
            return self._characters[name]
        fits = self._called.get(_plain(name), [])
        return fits[0] if len(fits) == 1 else Character(name=name)


def _plain(name: str) -> str:
    return name.strip().casefold()


def read_characters(path: Path | None) -> dict[str, Character]:
    """The profiles of a file by their names, none where there is no file.

    Raises:
        RubricError: a profile that cannot be read, or a name that has two.
    """
    characters: dict[str, Character] = {}
    for table in character_tables(path):
        character = read_character(table)
        if character.name in characters:
            raise table.error("name", f"{character.name} has a profile already")
        characters[character.name] = character
    return characters


def character_tables(path: Path | None) -> tuple[Table, ...]:
    """The `[[character]]` tables of a file, none where there is no file.

    Raises:
        RubricError: it cannot be read.
    """
    if path is None:
        return ()
    top = read_toml(path)
    top.allow("format", "character")
    return top.tables("character")


def read_character(table: Table) -> Character:
    """One profile.

    Raises:
        RubricError: a key is missing, unknown or of the wrong type.
    """
    table.allow("name", "names", "work", *_CHARACTER_TEXTS, *_CHARACTER_LISTS)
    traits, speech, habits, people = (table.text(key) for key in _CHARACTER_TEXTS)
    address, catchphrases, terms = (
        table.texts(key, least=0) if key in table.values else () for key in _CHARACTER_LISTS
    )
    return Character(
        name=table.text("name"),
        known=True,
        names=table.texts_by("names"),
        work=table.texts_by("work"),
        traits=traits,
        speech=speech,
        habits=habits,
        people=people,
        address=address,
        catchphrases=catchphrases,
        terms=terms,
    )
