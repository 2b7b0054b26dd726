"""Jinja templates from anywhere, and errors that name their file and line.

They run in a sandbox, without the parts of Jinja that draw random numbers, so that the same files
always make the same prompts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

from judge.errors import RubricError

__all__ = ["Templates"]


class Templates:
    """The templates of one language of a set.

    Args:
        sources: file name of each template -> (text, path).
        main: the template that is at fault where no line of any is.
    """

    def __init__(self, sources: Mapping[str, tuple[str, Path]], main: str) -> None:
        self.sources = dict(sources)
        self.environment = ImmutableSandboxedEnvironment(
            loader=jinja2.FunctionLoader(self._load),
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            autoescape=False,  # prompts are plain text; reports escape, prompts must not
        )
        del self.environment.globals["lipsum"], self.environment.filters["random"]
        self._main = main

    def template_path(self, template: str) -> Path | None:
        """The file of `template`, or None where the set has no such template."""
        source = self.sources.get(template)
        return None if source is None else source[1]

    def compile(self, template: str) -> None:
        """Raises a RubricError, with file and line, if the template is not valid Jinja."""
        with self._located(template, {}):
            self.environment.get_template(template)

    def render_template(self, name: str, variables: dict[str, Any]) -> str:
        """The text of a whole template.

        Raises:
            RubricError: a syntax error or an undefined variable, with the file and line.
        """
        with self._located(name, variables):
            template = self.environment.get_template(name)
            return "".join(template.root_render_func(template.new_context(variables)))

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
            return "".join(template.blocks[block](template.new_context(variables)))

    def _load(self, name: str) -> tuple[str, str, Any] | None:
        if name not in self.sources:
            return None
        text, path = self.sources[name]
        return text, str(path), lambda: True

    @contextmanager
    def _located(self, what: str, variables: Mapping[str, Any]) -> Iterator[None]:
        """Turns whatever a template raises into a RubricError with its file and line."""
        try:
            yield
        except RubricError:
            raise
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
        except Exception as error:  # a template can raise anything: undefined names, 1 / 0, ...
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
        found: tuple[Path | None, int | None] = (self.template_path(self._main), None)
        frame = error.__traceback__
        while frame is not None:
            file = frame.tb_frame.f_code.co_filename
            if file in names:  # the line is one of the Python code that Jinja made of the template
                template = self.environment.get_template(names[file])
                found = (Path(file), template.get_corresponding_lineno(frame.tb_lineno))
            frame = frame.tb_next
        return found
