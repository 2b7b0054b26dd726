"""Templates rendered to prompts.

Each block of `layout.j2` sees only the variables of its own level, so that a template cannot put
something about one dialogue into a segment that all dialogues share. A metric of unit `replies`
uses the blocks `replies_system` and `replies` instead of `system` and `dialogue`. The block
`rationale` is optional: it replaces `question` where the judge writes its reason before the label.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

from judge.errors import RubricError, UsageError
from judge.limits import LimitError, bounded, refuse_long
from judge.types import Character, Dialogue, Metric, PromptItem, PromptTree, Question, Rubric

__all__ = ["BLOCKS", "RubricSet", "Templates"]

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


class Templates:
    """The templates of a set in one language, and the characters that they are rendered for.

    Templates run in a sandbox and without the functions of Jinja that draw random numbers, so that
    the same files always give the same prompts.

    Args:
        sources: file name of each template -> (text, path).
        characters: the profiles, by the character names that the dialogues use.
        main: the template that is named in an error if the line at fault is unknown.
    """

    def __init__(
        self,
        sources: Mapping[str, tuple[str, Path]],
        characters: Mapping[str, Character],
        main: str,
    ) -> None:
        self.sources = dict(sources)
        self.characters = dict(characters)
        self.environment = ImmutableSandboxedEnvironment(
            loader=jinja2.FunctionLoader(self._load),
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            autoescape=False,  # prompts are plain text, not HTML
        )
        del self.environment.globals["lipsum"], self.environment.filters["random"]
        self._main = main
        self._by_name: dict[str, list[Character]] = {}
        for character in self.characters.values():
            # A form of address such as "captain" fits many people, but one that is part of the
            # filed name is a name.
            short = [word for word in character.address if word in character.name]
            for name in {_plain(n) for n in (*character.names.values(), *short)}:
                self._by_name.setdefault(name, []).append(character)

    def character(self, name: str) -> Character:
        """The profile of a character, or a `Character` with `known=False` and only the name.

        A profile is found by the name it is filed under, else by any of its `names` or by a form of
        `address` that is part of the filed name (路飞, but not 船长), if only one character has
        that name. Case and surrounding blanks do not matter.
        """
        if name in self.characters:
            return self.characters[name]
        candidates = self._by_name.get(_plain(name), [])
        return candidates[0] if len(candidates) == 1 else Character(name=name)

    def template_path(self, template: str) -> Path | None:
        """The file of `template`, or None if the set has no such template."""
        source = self.sources.get(template)
        return None if source is None else source[1]

    def compile(self, template: str) -> None:
        """Raise a RubricError with file and line if the template is not valid Jinja."""
        with self._located(template, {}):
            self.environment.get_template(template)

    def render_template(self, name: str, variables: dict[str, Any]) -> str:
        """The text of a whole template.

        Raises:
            RubricError: a syntax error or an undefined variable, with the file and line.
        """
        with self._located(name, variables):
            template = self.environment.get_template(name)
            return refuse_long("".join(template.root_render_func(template.new_context(variables))))

    def render_block(self, name: str, block: str, variables: dict[str, Any]) -> str:
        """The text of one block of the template `name`.

        Raises:
            RubricError: a missing block, a syntax error or an undefined variable, with the
                template file and line.
        """
        with self._located(f"block `{block}`", variables):
            template = self.environment.get_template(name)
            if block not in template.blocks:
                raise RubricError(
                    f"{name} has no block `{block}`",
                    path=self.template_path(name),
                    hint=f"add {{% block {block} %}}...{{% endblock %}} to {name}",
                )
            return refuse_long("".join(template.blocks[block](template.new_context(variables))))

    def _load(self, name: str) -> tuple[str, str, Any] | None:
        if name not in self.sources:
            return None
        text, path = self.sources[name]
        return text, str(path), lambda: True

    @contextmanager
    def _located(self, what: str, variables: Mapping[str, Any]) -> Iterator[None]:
        """Turn anything that a template raises into a RubricError with its file and line."""
        try:
            with bounded():
                yield
        except RubricError:
            raise
        except LimitError as error:
            path, line = self._where(error.__context__ or error)
            raise RubricError(
                f"{what}: {error}",
                path=path,
                line=line,
                hint="a template should only put texts together: shorten its loops and sums",
            ) from error
        except jinja2.TemplateSyntaxError as error:
            raise RubricError(
                f"template syntax: {error.message}",
                path=error.filename or error.name,
                line=error.lineno,
                hint="see https://jinja.palletsprojects.com/templates/ for the syntax",
            ) from error
        except jinja2.TemplateNotFound as error:
            path, line = self._where(error)
            raise RubricError(
                f"the template {error.name} is missing",
                path=path,
                line=line,
                hint=f"add {error.name} to the folder of the language",
            ) from error
        except Exception as error:  # templates run code: undefined names, 1 / 0, ...
            path, line = self._where(error)
            raise RubricError(
                f"{what}: {error}",
                path=path,
                line=line,
                hint=f"it sees the variables {', '.join(sorted(variables))}",
            ) from error

    def _where(self, error: BaseException) -> tuple[Path | None, int | None]:
        """The innermost template line that the error passed through."""
        names = {str(path): name for name, (_, path) in self.sources.items()}
        position: tuple[Path | None, int | None] = (self.template_path(self._main), None)
        frame = error.__traceback__
        while frame is not None:
            file = frame.tb_frame.f_code.co_filename
            if file in names:  # Jinja compiles templates to Python: translate the line number back
                template = self.environment.get_template(names[file])
                position = (Path(file), template.get_corresponding_lineno(frame.tb_lineno))
            frame = frame.tb_next
        return position


class RubricSet(Templates):
    """One rubric set in one language, ready to render.

    Args:
        rubric: what `rubric.toml` declares, with the hash of the set's files.
        sources: file name of each template of this language -> (text, path).
        characters: the profiles, by the character names that the dialogues use.
    """

    def __init__(
        self,
        rubric: Rubric,
        sources: Mapping[str, tuple[str, Path]],
        characters: Mapping[str, Character],
    ) -> None:
        super().__init__(sources, characters, main="layout.j2")
        self.rubric = rubric

    @property
    def dialogue_metrics(self) -> tuple[Metric, ...]:
        """The metrics that are judged one dialogue at a time, in the set's order."""
        return tuple(m for m in self.rubric.metrics if m.unit == "dialogue")

    @property
    def blocks(self) -> tuple[str, ...]:
        """The blocks of the layout, in its order.

        Raises:
            RubricError: the layout is not valid Jinja.
        """
        self.compile("layout.j2")
        return tuple(self.environment.get_template("layout.j2").blocks)

    @property
    def has_rationale(self) -> bool:
        """Whether the set can ask for a reason before the label; errors as `blocks`."""
        return "rationale" in self.blocks

    def tree(
        self, dialogues: Sequence[Dialogue], metrics: Sequence[str] = (), *, rationale: int = 0
    ) -> PromptTree:
        """The prompts for some metrics of each dialogue.

        The system text always contains all metrics of the set, so that the prompts of a metric do
        not depend on which other metrics are judged.

        Args:
            dialogues: what is judged.
            metrics: the names of metrics of unit `dialogue`; all of them if empty.
            rationale: the maximum number of tokens of the reason that the judge writes before the
                label; 0 for no reason.

        Raises:
            UsageError: the set has no such metric, or the metric judges sets of replies.
            RubricError: a template cannot be rendered, or `rationale` is positive and the set
                cannot ask for reasons.
        """
        return self._tree(dialogues, self._choose(metrics), rationale)

    def reply_sets_tree(self, reply_sets: Sequence[Dialogue], metric: Metric) -> PromptTree:
        """The prompts for a metric of unit `replies`.

        The tree has a system text of its own, so it is asked separately from the dialogues.

        Args:
            reply_sets: dialogues whose turns are the replies of a set (see `draw_replies`).
            metric: a metric of unit `replies`.

        Raises:
            RubricError: a template cannot be rendered.
        """
        return self._tree(reply_sets, (metric,))

    def segments(
        self, metric: Metric, dialogue: Dialogue, *, rationale: bool = False
    ) -> dict[str, str]:
        """One prompt as block -> text, in order; the texts joined are the prompt.

        For a metric of unit `replies`, the replies of `dialogue` are judged as a set. With
        `rationale` the prompt ends where the judge begins its reason, so it has no block `stub`.

        Raises:
            RubricError: a template cannot be rendered.
        """
        tree = self._tree([dialogue], (metric,), int(rationale))
        question = tree.questions[metric.name]
        about_replies = metric.unit == "replies"
        segments = {
            "replies_system" if about_replies else "system": tree.system,
            "profile": tree.profiles[dialogue.character],
            "replies" if about_replies else "dialogue": tree.items[0].text,
        }
        if rationale:
            return segments | {"rationale": question.text}
        return segments | {"question": question.text, "stub": question.prefill}

    def question(self, metric: Metric, *, rationale: bool = False) -> Question:
        """The question about `metric`; with `rationale` it asks for a reason first.

        Raises:
            RubricError: a template cannot be rendered, the block `stub` ends in white space, or
                the set cannot ask for reasons.
        """
        stub = self.render("stub", metric=metric)
        if stub != stub.rstrip():
            raise RubricError(
                f"the answer stub of {metric.name} ends in white space",
                path=self.template_path("layout.j2"),
                hint="end the block `stub` directly after its last character: the label follows it",
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
        """The text of the metric's own template; None if it has no template.

        Raises:
            RubricError: the template cannot be rendered.
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

    def _tree(
        self, dialogues: Sequence[Dialogue], metrics: Sequence[Metric], rationale: int = 0
    ) -> PromptTree:
        """The prompts for metrics that all have the same unit."""
        about_replies = any(metric.unit == "replies" for metric in metrics)
        shared = {"rubric": self.rubric, "language": self.rubric.language}
        characters = {d.character: self.character(d.character) for d in dialogues}

        def text(d: Dialogue) -> str:
            character = characters[d.character]
            if about_replies:
                answers = [turn.answer for turn in d.turns]
                return self.render("replies", replies=answers, character=character)
            return self.render("dialogue", dialogue=d, character=character)

        return PromptTree(
            system=self.render("replies_system", metric=metrics[0], **shared)
            if about_replies
            else self.render("system", metrics=self.dialogue_metrics, **shared),
            profiles={n: self.render("profile", character=c) for n, c in characters.items()},
            questions={m.name: self.question(m, rationale=rationale > 0) for m in metrics},
            labels=self.rubric.labels,
            items=tuple(PromptItem(d, text(d), tuple(m.name for m in metrics)) for d in dialogues),
            rationale=rationale,
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


def _plain(name: str) -> str:
    return name.strip().casefold()
