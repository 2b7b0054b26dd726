"""The instructions for the model that plays a character and for the model that plays the user.

A set of roleplay prompts is a folder with `roleplay.toml` (name, version, languages), profiles of
its own or those of a rubric set, and one folder for each language with two templates:
`character.j2` is the system text for the character; `user.j2` has a block `system`, which tells the
user simulator what to write, and a block `chat`, which shows the dialogue so far.

The character is asked in an ordinary chat: the questions are user messages, and its first answer is
an assistant message. The user simulator gets the dialogue quoted in one message instead. In a chat
with swapped roles, the first message would be the assistant's, which many chat templates refuse,
and the answer it should react to would stand where a model expects instructions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from judge.errors import RubricError
from judge.rubric.load import read_characters
from judge.rubric.render import Templates
from judge.rubric.set_files import (
    choose_language,
    find_folder,
    hash_files,
    profiles_file,
    read_templates,
    read_toml,
)
from judge.types import Character, Message, Turn

__all__ = ["RoleplayPrompts", "load_prompts"]

_MANIFEST = "roleplay.toml"
_CHARACTER, _USER = "character.j2", "user.j2"

Chat = tuple[Message, ...]
_Role = Literal["system", "user", "assistant"]


class RoleplayPrompts(Templates):
    """A set of roleplay prompts in one language, ready to render.

    Args:
        language: of the prompts.
        hash: SHA-256 (hex) over all files that the chats are made of.
        sources: file name of each template of this language -> (text, path).
        characters: the profiles, by the character names that the dialogues use.
    """

    def __init__(
        self,
        name: str,
        version: str,
        language: str,
        hash: str,  # noqa: A002 - as in `Rubric`
        sources: Mapping[str, tuple[str, Path]],
        characters: Mapping[str, Character],
    ) -> None:
        super().__init__(sources, characters, main=_CHARACTER)
        self.name = name
        self.version = version
        self.language = language
        self.hash = hash

    def character_chat(
        self, character: Character, question: str, before: Sequence[Turn] = ()
    ) -> Chat:
        """The chat to which the character answers `question`, after the rounds `before`.

        Raises:
            RubricError: see `Templates`.
        """
        system = self.render_template(_CHARACTER, {"character": character})
        said = (self._message(role, text) for turn in before for role, text in _messages(turn))
        return (self._message("system", system), *said, self._message("user", question))

    def user_chat(self, character: Character, turns: Sequence[Turn]) -> Chat:
        """The chat to which the user simulator replies with the next question, after `turns`."""
        seen = {"character": character, "turns": tuple(turns)}
        last = {"question": turns[-1].question, "answer": turns[-1].answer}
        return (
            self._message("system", self.render_block(_USER, "system", seen)),
            self._message("user", self.render_block(_USER, "chat", {**seen, **last})),
        )

    def _message(self, role: _Role, text: str) -> Message:
        return Message(role, text.strip())


def _messages(turn: Turn) -> tuple[tuple[_Role, str], ...]:
    return ("user", turn.question), ("assistant", turn.answer)


def load_prompts(
    name: str | Path = "roleplay",
    language: str | None = None,
    characters_file: str | Path | None = None,
    rounds: int = 2,
) -> RoleplayPrompts:
    """Read a set of roleplay prompts in one language.

    All templates are rendered for every profile and for a character without one, so that faults
    are found now and not in the middle of a run.

    Args:
        name: `roleplay`, which comes with the program, or a folder with a `roleplay.toml`.
        language: one of the set's languages; the first one by default.
        characters_file: profiles that replace those of the set.
        rounds: that are played; from three on, the user has to see more than one answer.

    Raises:
        RubricError: there is no such set, or one of its files is wrong.
        UsageError: the set does not have this language.
    """
    folder = find_folder(name, _MANIFEST, "set of roleplay prompts")
    top = read_toml(folder / _MANIFEST)
    top.allow("format", "name", "version", "languages", "characters")
    what = f"the set of roleplay prompts {top.text('name')}"
    chosen = choose_language(language, top.texts("languages"), what, "--play-lang")
    sources = read_templates(folder / chosen, _CHARACTER, _USER)
    profiles = profiles_file(top, characters_file)
    paths = [top.path, *(path for _, path in sources.values()), *([profiles] if profiles else [])]
    characters = read_characters(profiles)
    prompts = RoleplayPrompts(
        top.text("name"), top.text("version"), chosen, hash_files(paths), sources, characters
    )
    for character in (*characters.values(), Character(name="?")):
        _check_chats(prompts, character, rounds)
    return prompts


def _check_chats(prompts: RoleplayPrompts, character: Character, rounds: int) -> None:
    """Raise a RubricError if a chat has an empty instruction or does not show the dialogue."""
    turns = [Turn("<question>", "<answer>"), Turn("<later question>", "<later answer>")]
    turns = turns[: 2 if rounds > 2 else 1]
    of_character = prompts.character_chat(character, turns[0].question)[0].text
    of_user, chat = (message.text for message in prompts.user_chat(character, turns))
    for template, what, text in (
        (_CHARACTER, "the template", of_character),
        (_USER, "block `system`", of_user),
    ):
        if not text:
            raise RubricError(
                f"{what} renders to an empty text",
                path=prompts.template_path(template),
                hint="write instructions into it",
            )
    for text in (text for turn in turns for text in (turn.question, turn.answer)):
        if text not in chat:
            variable = text.strip("<>")
            raise RubricError(
                f"block `chat` does not show the {variable}",
                path=prompts.template_path(_USER),
                hint=f"put {{{{ {variable} }}}} into it"
                if len(turns) == 1
                else "with --rounds 3 or more it has to loop over `turns`, as the shipped one does",
            )
