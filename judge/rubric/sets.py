"""A rubric set in one language, rendered block by block.

Each block of `layout.j2` sees the variables of its own level only, so a template cannot put
something of one dialogue into a segment that all dialogues share. A metric of unit `replies`
uses the blocks `replies_system` and `replies` in place of `system` and `dialogue`. The block
`rationale` may be missing: it stands in place of `question` where the judge writes its reason
before the label.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from judge.errors import RubricError, UsageError
from judge.rubric.characters import Profiles
from judge.rubric.templates import Templates
from judge.types import Character, Dialogue, Metric, PromptItem, PromptTree, Question, Rubric

__all__ = ["BLOCKS", "RubricSet"]

BLOCKS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "system": ("rubric", "metrics", "language"),
        "profile": ("character",),
        "dialogue": ("dialogue", "character"),
        "question": ("metric",),
        "rationale": ("metric",),
        "stub": ("metric",),
        "replies_system": ("rubric", "metric", "language"),
        "replies": ("replies", "character"),
    }
)
"""The blocks of a layout and the variables that each one sees."""


class RubricSet(Templates):
    """One rubric set in one language, ready to render.

    Args:
        rubric: what the set declares, with the hash of its files.
        sources: file name of each template of this language -> (text, path).
        characters: the profiles, by the name the dialogues use.
    """

    def __init__(
        self,
        rubric: Rubric,
        sources: Mapping[str, tuple[str, Path]],
        characters: Mapping[str, Character],
    ) -> None:
        super().__init__(sources, main="layout.j2")
        self.rubric = rubric
        self.characters = dict(characters)
        self._profiles = Profiles(self.characters)

    @property
    def dialogue_metrics(self) -> tuple[Metric, ...]:
        """The metrics that are judged one dialogue at a time, in the set's order."""
        return tuple(m for m in self.rubric.metrics if m.unit == "dialogue")

    def character(self, name: str) -> Character:
        """The profile of `name`, or a `Character` with `known=False`: see `Profiles.find`."""
        return self._profiles.find(name)

    @property
    def has_rationale(self) -> bool:
        """Whether the set can ask for a reason before the label.

        Raises:
            RubricError: the layout is not valid Jinja.
        """
        self.compile("layout.j2")
        return "rationale" in self.environment.get_template("layout.j2").blocks

    def tree(
        self, dialogues: Sequence[Dialogue], metrics: Sequence[str] = (), *, rationale: int = 0
    ) -> PromptTree:
        """The prompts for `metrics` (default: all of unit `dialogue`) of each dialogue.

        The system text always carries the whole set, so that asking for fewer metrics does
        not change the prompts of those that remain. `rationale` is the most tokens of a reason
        that the judge writes first, 0 for none.

        Raises:
            UsageError: a metric that the set does not have, or that judges sets of replies.
            RubricError: a template that does not render, or reasons from a set that asks for none.
        """
        chosen = self._choose(metrics)
        characters = {d.character: self.character(d.character) for d in dialogues}
        return PromptTree(
            system=self._system(),
            profiles={n: self.render("profile", character=c) for n, c in characters.items()},
            questions={m.name: self.question(m, rationale=rationale > 0) for m in chosen},
            labels=self.rubric.labels,
            items=tuple(
                PromptItem(
                    dialogue=d,
                    text=self.render("dialogue", dialogue=d, character=characters[d.character]),
                    metrics=tuple(m.name for m in chosen),
                )
                for d in dialogues
            ),
            rationale=rationale,
        )

    def segments(
        self, metric: Metric, dialogue: Dialogue, *, rationale: bool = False
    ) -> dict[str, str]:
        """One whole prompt as block -> text, in order; joined, the texts are the prompt.

        For a metric of unit `replies` the replies of the dialogue are what is judged. With
        `rationale` the prompt ends where the judge begins its reason: the stub comes after it.

        Raises:
            RubricError: a template that does not render.
        """
        character = self.character(dialogue.character)
        question = self.question(metric, rationale=rationale)
        if metric.unit == "dialogue":
            first = {"system": self._system()}
            third = {"dialogue": self.render("dialogue", dialogue=dialogue, character=character)}
        else:
            replies = [turn.answer for turn in dialogue.turns]
            language = self.rubric.language
            rubric_text = self.render(
                "replies_system", rubric=self.rubric, metric=metric, language=language
            )
            first = {"replies_system": rubric_text}
            third = {"replies": self.render("replies", replies=replies, character=character)}
        profile = {"profile": self.render("profile", character=character)}
        last = {"question": question.text, "stub": question.prefill}
        if rationale:
            last = {"rationale": question.text}
        return first | profile | third | last

    def question(self, metric: Metric, *, rationale: bool = False) -> Question:
        """The last segment of a prompt for `metric`; with `rationale` it asks for a reason first.

        Raises:
            RubricError: a template that does not render, or a stub that ends in white space.
        """
        stub = self.render("stub", metric=metric)
        if stub != stub.rstrip():
            raise RubricError(
                f"the answer stub of {metric.name} ends in white space",
                path=self.template_path("layout.j2"),
                hint="end the block `stub` right after the last character: the label follows it",
            )
        if rationale and not self.has_rationale:
            raise RubricError(
                f"the rubric set {self.rubric.name} cannot ask for reasons: its layout has no "
                "block `rationale`",
                path=self.template_path("layout.j2"),
                hint="add {% block rationale %}...{% endblock %} to layout.j2: a question that "
                "asks for the reason first and then, on a line of its own, the stub and a label",
            )
        block = "rationale" if rationale else "question"
        return Question(metric.name, self.render(block, metric=metric), stub)

    def describe(self, metric: Metric) -> str | None:
        """The text of the metric's own template; None if the metric has none.

        Raises:
            RubricError: the template does not render.
        """
        name = f"{metric.name}.j2"
        if name not in self.sources:
            return None
        variables = {
            "rubric": self.rubric,
            "metrics": self.dialogue_metrics,
            "metric": metric,
            "language": self.rubric.language,
        }
        return self.render_template(name, variables)

    def render(self, block: str, **variables: Any) -> str:
        """The text of one block of `layout.j2`.

        Raises:
            RubricError: a missing block, a syntax error or an undefined variable, with the
                template file and line.
        """
        return self.render_block("layout.j2", block, variables)

    def _system(self) -> str:
        return self.render(
            "system",
            rubric=self.rubric,
            metrics=self.dialogue_metrics,
            language=self.rubric.language,
        )

    def _choose(self, names: Sequence[str]) -> tuple[Metric, ...]:
        by_name = {m.name: m for m in self.dialogue_metrics}
        unknown = [name for name in names if name not in by_name]
        if unknown:
            raise UsageError(
                f"--metrics: {', '.join(unknown)} is not a dialogue metric of {self.rubric.name}",
                hint=f"choose from {', '.join(by_name)}",
            )
        return tuple(m for m in by_name.values() if not names or m.name in names)
