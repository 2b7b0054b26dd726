"""Docs that cannot lie: every command has help, and an example that the command understands."""

from __future__ import annotations

import copy
import os
import pkgutil
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from judge.cli.main import cli


def commands(command: click.Command, path: tuple[str, ...]) -> Iterator[tuple[str, click.Command]]:
    """`command` and all below it, each with the words that call it."""
    yield " ".join(path), command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            assert child is not None
            yield from commands(child, (*path, name))


COMMANDS = dict(commands(cli, ("judge",)))
ROOT = Path(__file__).parent.parent


def examples(help_text: str) -> list[list[str]]:
    """The words of each command line after `Example:`, lines ending in a backslash joined."""
    _, _, after = help_text.partition("Example:\n")
    lines = after.replace("\\\n", " ").splitlines()
    return [shlex.split(line, comments=True) for line in lines if line.strip().startswith("judge")]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_has_help(name: str) -> None:
    """A command says what it does, and each of its options what it is for."""
    command = COMMANDS[name]
    assert command.help, f"`{name}` has no help"
    options = [p for p in command.params if isinstance(p, click.Option) and not p.hidden]
    assert [option.name for option in options if not option.help] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_an_example_that_parses(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An example calls the command it stands under (or, for a group, one below it) rightly."""
    monkeypatch.chdir(tmp_path)  # where the option file of the examples lies
    Path("options.toml").write_text('model = "answers.json"\n', encoding="utf-8")
    found = examples(COMMANDS[name].help or "")
    assert found, f"`{name}` has no example"
    for words in found:
        depth = max(n for n in range(1, len(words) + 1) if " ".join(words[:n]) in COMMANDS)
        called = " ".join(words[:depth])
        assert called == name or called.startswith(f"{name} ")
        COMMANDS[called].make_context(called, words[depth:])


def test_the_names_in_contributing_exist() -> None:
    """Every dotted name of the program in CONTRIBUTING.md is a module or something in one."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    names = set(re.findall(r"`(judge(?:\.\w+)+)`", text))
    assert len(names) > 15
    for name in names:
        pkgutil.resolve_name(name)


def test_the_tests_in_the_page_on_security_exist() -> None:
    """Each row of its tables names a test that does it."""
    text = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    names = set(re.findall(r"`(test_\w+)`", text))
    sources = "".join(path.read_text(encoding="utf-8") for path in ROOT.glob("tests/**/test_*.py"))
    assert len(names) > 20
    assert {name for name in names if f"def {name}(" not in sources} == set()


def options_page() -> str:
    """The help of every command, one after the other, 100 columns wide."""
    lines = [
        "# All options",
        "",
        "The help of every command, as `judge COMMAND --help` prints it. All of them take three",
        "more: `--help`, `--verbose` (say what is done when, and where an error arose) and",
        "`--config FILE` (options from a TOML file, as `limit = 100` for `--limit 100`, or from",
        "the manifest.json of a run; what the command line says comes first).",
        "",
    ]
    for name, command in COMMANDS.items():
        shown = copy.copy(command)
        shown.params = [p for p in command.params if p.name not in ("config", "verbose")]
        shown.add_help_option = False
        context = click.Context(shown, info_name=name, terminal_width=100, max_content_width=100)
        text = shown.get_help(context)
        lines += [f"## {name}", "", "```text", text.rstrip(), "```", ""]
    return "\n".join(lines)


def test_the_page_of_all_options_is_current() -> None:
    """docs/options.md is the help of today; `WRITE_GOLDEN=1` writes it anew."""
    page = ROOT / "docs" / "options.md"
    if os.environ.get("WRITE_GOLDEN"):
        page.write_text(options_page(), encoding="utf-8")
    assert page.read_text(encoding="utf-8") == options_page()


@pytest.mark.parametrize("path", sorted(ROOT.glob("*.md")) + sorted(ROOT.glob("docs/**/*.md")))
def test_links_lead_somewhere(path: Path) -> None:
    """Every link of a page to a file of the repository finds it, pictures included."""
    text = path.read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text)
    files = [link for link in links if "://" not in link and not link.startswith("mailto:")]
    assert [link for link in files if not (path.parent / link).exists()] == []
