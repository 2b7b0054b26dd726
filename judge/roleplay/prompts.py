"""What the model that plays a character is told, and what the model that plays the user is.

A set is a folder with `roleplay.toml` (name, version, languages), profiles of its own or borrowed
from a rubric set, and one folder per language with `character.j2`, the system text of the
character, and `user.j2`, whose block `system` tells the user what to write and whose block `chat`
shows what was said so far.

The character is asked in a chat of its own: the questions are the user's messages, its first
answer is its own. The user sees the chat as a quotation within one message. With the roles
swapped the chat would begin with words of the assistant, which many chat templates refuse, and
the answer to react to would be in the place where a model looks for orders.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from judge.errors import RubricError, UsageError
from judge.rubric.characters import Profiles, read_characters
from judge.rubric.folders import characters_file, find_folder, hash_files, read_templates, shipped
from judge.rubric.templates import Templates
from judge.rubric.toml import read_toml
from judge.types import Character, Message

__all__ = ["RoleplayPrompts", "load_prompts", "shipped_prompts"]

_MANIFEST = "roleplay.toml"
_CHARACTER, _USER = "character.j2", "user.j2"

Chat = tuple[Message, ...]


class RoleplayPrompts(Templates):
    """A set of instructions in one language, ready to render.

    Args:
        name, version, language: what the set says of itself.
        hash: SHA-256 (hex) over every file that the chats are made of.
        sources: file name of each template of this language -> (text, path).
        characters: the profiles, by the name the dialogues use.
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
        super().__init__(sources, main=_CHARACTER)
        self.name = name
        self.version = version
        self.language = language
        self.hash = hash
        self.characters = dict(characters)
        self._profiles = Profiles(self.characters)

    def character(self, name: str) -> Character:
        """The profile of `name`, or a `Character` with `known=False`: see `Profiles.find`."""
        return self._profiles.find(name)

    def character_chat(self, character: Character, question: str) -> Chat:
        """What the character is asked first. Raises RubricError, as a template does."""
        return (
            self._message("system", self.render_template(_CHARACTER, {"character": character})),
            self._message("user", question),
        )

    def second_chat(
        self, character: Character, question1: str, answer1: str, question2: str
    ) -> Chat:
        """What the character is asked after its first answer. Raises what `character_chat` does."""
        return (
            *self.character_chat(character, question1),
            self._message("assistant", answer1),
            self._message("user", question2),
        )

    def user_chat(self, character: Character, question1: str, answer1: str) -> Chat:
        """What the user is asked: to react to the first answer. Raises as `character_chat`."""
        chat = {"character": character, "question": question1, "answer": answer1}
        return (
            self._message("system", self.render_block(_USER, "system", {"character": character})),
            self._message("user", self.render_block(_USER, "chat", chat)),
        )

    def _message(self, role: Literal["system", "user", "assistant"], text: str) -> Message:
        return Message(role, text.strip())


def shipped_prompts() -> dict[str, Path]:
    """The sets of instructions that come with the program: name -> folder."""
    return shipped(_MANIFEST)


def load_prompts(name: str | Path = "roleplay", language: str | None = None) -> RoleplayPrompts:
    """Read a shipped set by name, or any folder that has a `roleplay.toml`.

    Every template is rendered once for every profile and for a stranger, so that a fault is found
    here and not in the middle of a run.

    Args:
        name: `roleplay`, or the path of a folder.
        language: one of the set's languages; default the first it lists.

    Raises:
        RubricError: no such set, or a file of it that cannot be read as what it should be.
        UsageError: a language that the set does not have.
    """
    folder = find_folder(name, _MANIFEST, "set of roleplay prompts")
    top = read_toml(folder / _MANIFEST)
    top.allow("format", "name", "version", "languages", "characters")
    languages = top.texts("languages")
    chosen = languages[0] if language is None else language
    if chosen not in languages:
        raise UsageError(
            f"--play-lang {chosen}: the prompts {top.text('name')} have no such language",
            hint=f"choose from {', '.join(languages)}",
        )
    sources = read_templates(folder / chosen, _CHARACTER, _USER)
    profiles = characters_file(top)
    paths = [top.path, *(path for _, path in sources.values()), *([profiles] if profiles else [])]
    characters = read_characters(profiles)
    prompts = RoleplayPrompts(
        top.text("name"), top.text("version"), chosen, hash_files(paths), sources, characters
    )
    for character in (*characters.values(), Character(name="?")):
        _try(prompts, character)
    return prompts


def _try(prompts: RoleplayPrompts, character: Character) -> None:
    """RubricError where a chat cannot be rendered, has an empty message or lacks the chat."""
    question, answer = "<question>", "<answer>"
    told = prompts.character_chat(character, question)[0].text
    asked, shown = (message.text for message in prompts.user_chat(character, question, answer))
    for template, block, text in ((_CHARACTER, "it", told), (_USER, "block `system`", asked)):
        if not text:
            raise RubricError(
                f"{block} renders to nothing",
                path=prompts.template_path(template),
                hint="say in it what is to be written",
            )
    for variable, text in (("question", question), ("answer", answer)):
        if text not in shown:
            raise RubricError(
                f"block `chat` does not show the {variable}",
                path=prompts.template_path(_USER),
                hint=f"put {{{{ {variable} }}}} into it",
            )
