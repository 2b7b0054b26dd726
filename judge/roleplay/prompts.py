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

from collections.abc import Mapping
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
from judge.types import Character, Message

__all__ = ["RoleplayPrompts", "load_prompts"]

_MANIFEST = "roleplay.toml"
_CHARACTER, _USER = "character.j2", "user.j2"

Chat = tuple[Message, ...]


class RoleplayPrompts(Templates):
    """A set of roleplay prompts in one language, ready to render.

    Args:
        name: of the set.
        version: of the set.
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

    def character_chat(self, character: Character, question: str) -> Chat:
        """The chat to which the character's first answer replies. RubricError: see `Templates`."""
        return (
            self._message("system", self.render_template(_CHARACTER, {"character": character})),
            self._message("user", question),
        )

    def second_chat(
        self, character: Character, question1: str, answer1: str, question2: str
    ) -> Chat:
        """The chat to which the character's second answer replies."""
        return (
            *self.character_chat(character, question1),
            self._message("assistant", answer1),
            self._message("user", question2),
        )

    def user_chat(self, character: Character, question1: str, answer1: str) -> Chat:
        """The chat to which the user simulator replies with the second question."""
        chat = {"character": character, "question": question1, "answer": answer1}
        return (
            self._message("system", self.render_block(_USER, "system", {"character": character})),
            self._message("user", self.render_block(_USER, "chat", chat)),
        )

    def _message(self, role: Literal["system", "user", "assistant"], text: str) -> Message:
        return Message(role, text.strip())


def load_prompts(
    name: str | Path = "roleplay",
    language: str | None = None,
    characters_file: str | Path | None = None,
) -> RoleplayPrompts:
    """Read a set of roleplay prompts in one language.

    All templates are rendered for every profile and for a character without one, so that faults
    are found now and not in the middle of a run.

    Args:
        name: `roleplay`, which comes with the program, or a folder with a `roleplay.toml`.
        language: one of the set's languages; the first one by default.
        characters_file: profiles that replace those of the set.

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
        _check_chats(prompts, character)
    return prompts


def _check_chats(prompts: RoleplayPrompts, character: Character) -> None:
    """Raise a RubricError if a chat has an empty instruction or does not show the dialogue."""
    question, answer = "<question>", "<answer>"
    of_character = prompts.character_chat(character, question)[0].text
    of_user, chat = (message.text for message in prompts.user_chat(character, question, answer))
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
    for variable, text in (("question", question), ("answer", answer)):
        if text not in chat:
            raise RubricError(
                f"block `chat` does not show the {variable}",
                path=prompts.template_path(_USER),
                hint=f"put {{{{ {variable} }}}} into it",
            )
