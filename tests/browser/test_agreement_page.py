"""The page of an agreement in a real browser: what its script, its styles and its policy do."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from markupsafe import Markup

from judge.analysis.agreement.agreement_records import Agreement
from judge.report.agreement_page import render_agreement
from tests.unit.report.page_example import CHARACTERS, EVIL, SYSTEMS, agreement

Tab = Any
"""Of conftest.py."""

PICTURE = Markup('<svg viewBox="0 0 100 60" style="max-width: 50rem; width: 100%"></svg>')
ROWS = """[...document.querySelector(".sortable").tBodies[0].rows]
    .filter((row) => getComputedStyle(row).display !== "none")"""
TITLES = f"{ROWS}.map((row) => row.cells[0].textContent)"
HEADS = "[...document.querySelector('.sortable').tHead.rows[1].cells]"
SHOWN = """[...document.querySelectorAll("#differences > article")]
    .filter((entry) => entry.checkVisibility())"""
STATUS = "document.getElementById('hits').textContent"
MORE = "document.getElementById('more')"


@pytest.fixture
def opened(tab: Tab, tmp_path: Path) -> Callable[..., Tab]:
    """`opened(agreement, width=1280, dark=False)`: its page, loaded from disk."""

    def make(found: Agreement, **how: Any) -> Tab:
        path = tmp_path / "agreement.html"
        page = render_agreement(found, [("A figure", PICTURE, "its caption")])
        path.write_text(page, encoding="utf-8", newline="\n")
        tab.open(path, **how)
        return tab

    return make


def complaints(tab: Tab) -> list[Any]:
    """Errors, warnings and words on the console."""
    return list(tab.events("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded"))


def column(found: Agreement, name: str) -> dict[str, float | None]:
    """A column of the table from the record: title -> number."""
    get = {
        "All": lambda m: m.spearman["all"].value,
        "Within item": lambda m: m.spearman["within_item"].value,
        "Bias": lambda m: m.bias.value,
        "Judge’s share": lambda m: m.ceiling.share,
    }[name]
    return {measure.title: get(measure) for measure in found.measures}


def test_it_asks_nobody_and_nothing_goes_wrong(opened: Callable[..., Tab]) -> None:
    """The page itself is all that is loaded, without a word on the console.

    Its policy would stop a request: one that is tried is refused, and seen here.
    """
    tab = opened(agreement(simulated=True))
    tab.run("document.querySelector('.sortable button').click()")
    tab.run(f"{MORE}.click()")
    tab.run("for (const more of document.querySelectorAll('details')) more.open = true")
    asked = [event["request"]["url"] for event in tab.events("Network.requestWillBeSent")]
    assert [url.rsplit("/", 1)[-1] for url in asked] == ["agreement.html"]
    assert asked[0].startswith("file:")
    assert complaints(tab) == []
    refused = tab.run("fetch('http://127.0.0.1:9/').then(() => 'sent', () => 'refused')")
    assert refused == "refused"
    assert "Content Security Policy" in json.dumps(complaints(tab))


@pytest.mark.parametrize("name", ["All", "Within item", "Bias", "Judge’s share"])
def test_a_column_sorts_and_the_undefined_come_last(opened: Callable[..., Tab], name: str) -> None:
    """Largest first, then smallest first, then as it was; undefined last in either order."""
    found = agreement()
    tab = opened(found)
    before = tab.run(TITLES)
    numbers = column(found, name)
    known = {title: number for title, number in numbers.items() if number is not None}
    assert 0 < len(known) < len(numbers)
    rising = sorted(known, key=lambda title: known[title])
    at = tab.run(f"{HEADS}.findIndex((head) => head.textContent === {json.dumps(name)})")
    for order, expected in (("descending", rising[::-1]), ("ascending", rising)):
        tab.run(f"{HEADS}[{at}].querySelector('button').click()")
        titles = tab.run(TITLES)
        assert [known[t] for t in titles[: len(known)]] == [known[t] for t in expected]
        assert set(titles[len(known) :]) == set(numbers) - set(known)
        marked = tab.run(f"{HEADS}.map((head) => head.getAttribute('aria-sort'))")
        assert marked == [order if place == at else None for place in range(len(marked))]
    tab.run(f"{HEADS}[{at}].querySelector('button').click()")
    assert tab.run(TITLES) == before
    assert set(tab.run(f"{HEADS}.map((head) => head.getAttribute('aria-sort'))")) == {None}


def test_names_sort_and_the_groups_come_back(opened: Callable[..., Tab]) -> None:
    """By name from A; a dimension that is a heading only has no place then.

    One button restores the groups and hands the focus back to the table.
    """
    found = agreement()
    tab = opened(found)
    before = tab.run(TITLES)
    assert "lone" in before
    reset = "document.getElementById('original-order')"
    assert tab.run(f"{reset}.hidden")
    tab.run(f"{HEADS}[0].querySelector('button').click()")
    assert tab.run(TITLES) == sorted(measure.title for measure in found.measures)
    tab.run(f"{reset}.click()")
    assert tab.run(TITLES) == before
    assert tab.run(f"{reset}.hidden")
    assert tab.run(f"{HEADS}[0].contains(document.activeElement)")


@pytest.mark.parametrize("key", ["Enter", "Space"])
def test_the_keyboard_sorts(opened: Callable[..., Tab], key: str) -> None:
    """A real key on a column's button does what a click does."""
    tab = opened(agreement())
    tab.run(f"{HEADS}[1].querySelector('button').focus()")
    tab.press(key)
    assert tab.run(f"{HEADS}[1].getAttribute('aria-sort')") == "descending"
    tab.press("Tab")
    assert tab.run(f"{HEADS}[2].contains(document.activeElement)")
    assert tab.run("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_the_filters_agree_with_the_record(opened: Callable[..., Tab]) -> None:
    """Every combination shows as many as the record has, at most 8 of them, and says how many."""
    found = agreement()
    tab = opened(found)
    metrics = ("", "fluency", "sense", "style")
    for metric, system, character, side in itertools.product(
        metrics, ("", *SYSTEMS[:2]), ("", CHARACTERS[1]), ("", "higher", "lower")
    ):
        chosen = {"metric": metric, "system": system, "character": character, "side": side}
        tab.run(f"""{{
            const form = document.getElementById("filter");
            for (const [name, value] of Object.entries({json.dumps(chosen)}))
              form.elements[name].value = value;
            form.elements.metric.dispatchEvent(new Event("change", {{bubbles: true}}));
        }}""")
        gaps = sorted(
            (
                abs(one.gap)
                for one in found.disagreements
                if metric in ("", one.metric)
                and system in ("", one.system)
                and character in ("", one.character)
                and side in ("", "higher" if one.gap > 0 else "lower")
            ),
            reverse=True,
        )
        shown = tab.run(f"{SHOWN}.map((entry) => entry.querySelector('.score').textContent)")
        assert [text.strip("+−") for text in shown] == [f"{gap:.2f}" for gap in gaps[:8]]
        said = tab.run(STATUS)
        assert said.startswith(f"{len(gaps)} of {len(found.disagreements)}," if gaps else "None.")
        assert tab.run(f"{MORE}.hidden") is (len(gaps) <= 8)
    assert tab.run("document.getElementById('hits').getAttribute('role')") == "status"


def test_a_filter_by_keyboard_and_clear(opened: Callable[..., Tab]) -> None:
    """An arrow on a select filters; the button that clears brings all back."""
    tab = opened(agreement())
    tab.run("document.querySelector('[name=metric]').focus()")
    tab.press("ArrowDown")
    assert tab.run("document.querySelector('[name=metric]').value") == "fluency"
    assert tab.run(STATUS).startswith("18 of 54")
    tab.run("document.querySelector('#filter [type=reset]').focus()")
    tab.press("Enter")
    tab.run("new Promise((done) => setTimeout(done, 20))")
    assert tab.run(STATUS).startswith("54 of 54")


def test_more_are_shown_on_request(opened: Callable[..., Tab]) -> None:
    """8, then 8 more each time, all 54 at last; the focus goes to the first new one."""
    tab = opened(agreement())
    focused = f"{SHOWN}.indexOf(document.activeElement)"
    assert tab.run(f"{SHOWN}.length") == 8
    for first in range(8, 54, 8):
        shown = min(first + 8, 54)
        tab.run(f"{MORE}.focus()")
        tab.press("Enter")
        assert tab.run(f"{SHOWN}.length") == shown
        assert tab.run(focused) == first
    assert tab.run(f"{MORE}.hidden")


def test_hostile_text_is_text(opened: Callable[..., Tab]) -> None:
    """A dialogue that closes and opens scripts is shown letter by letter and runs nothing."""
    tab = opened(agreement(text=EVIL))
    assert tab.run("document.title") != "owned"
    assert tab.run("document.scripts.length") == 1
    assert tab.run("document.images.length") == 0
    assert EVIL in tab.run(f"{SHOWN}[0].querySelector('.answer').innerText")
    assert EVIL in tab.run("document.querySelector('.notes').innerText")
    assert complaints(tab) == []
    assert len(tab.events("Network.requestWillBeSent")) == 1


@pytest.mark.parametrize("dark", [False, True])
def test_both_themes_are_readable(opened: Callable[..., Tab], dark: bool) -> None:
    """Dark where dark is asked for; text has a contrast of 4.5 (WCAG 2 AA) with what is behind."""
    tab = opened(agreement(simulated=True), dark=dark)
    tab.run("document.querySelectorAll('details').forEach((more) => { more.open = true; })")
    ratios = tab.run("""(() => {
      const canvas = new OffscreenCanvas(1, 1).getContext("2d", {willReadFrequently: true});
      function parse(colour) {
        canvas.clearRect(0, 0, 1, 1);
        canvas.fillStyle = colour;
        canvas.fillRect(0, 0, 1, 1);
        return [...canvas.getImageData(0, 0, 1, 1).data];
      }
      function light(colour) {
        const [r, g, b] = parse(colour).map((c) => c / 255)
          .map((c) => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
      }
      function behind(node) {
        for (let at = node; at; at = at.parentElement) {
          const colour = getComputedStyle(at).backgroundColor;
          if (parse(colour)[3] === 255) return colour;
        }
        return "white";
      }
      const found = {"paper": light(getComputedStyle(document.body).backgroundColor)};
      for (const where of ["body", ".small", ".banner p", ".notes li", ".sortable td.n", "nav a",
          ".undefined", ".why li", ".passed", ".failed", "#hits", ".question", ".single th",
          "#more", "thead th"]) {
        const node = document.querySelector(where);
        const [a, b] = [light(getComputedStyle(node).color), light(behind(node))];
        found[where] = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
      }
      return found;
    })()""")
    assert (ratios.pop("paper") < 0.1) is dark
    assert {where: ratio for where, ratio in ratios.items() if ratio < 4.5} == {}


def test_a_phone_needs_no_sideways_scrolling(opened: Callable[..., Tab]) -> None:
    """At 360 pixels, with words of 300 letters, tables scroll in their boxes, the page does not."""
    tab = opened(agreement(text="x" * 300, simulated=True, partial="y" * 300), width=360)
    tab.run("document.querySelectorAll('details').forEach((more) => { more.open = true; })")
    wide = tab.run("""[...document.querySelectorAll("body *")]
        .filter((node) => !node.closest(".wide") && node.getBoundingClientRect().right > 360)
        .map((node) => node.tagName + "." + node.className)""")
    assert wide == []
    assert tab.run("innerWidth") == 360
    assert tab.run("document.documentElement.scrollWidth") == 360
    assert tab.run("""(() => {
      const box = document.querySelector(".sortable").parentElement;
      return box.scrollWidth > box.clientWidth;
    })()""")


def test_it_reads_without_script(opened: Callable[..., Tab], tab: Tab) -> None:
    """The first 8 are there and the page says that it is so; no control that does nothing."""
    tab.call("Emulation.setScriptExecutionDisabled", value=True)
    opened(agreement())
    seen = tab.call("DOM.getDocument")["root"]["nodeId"]

    def boxes(selector: str) -> int:
        found = tab.call("DOM.querySelectorAll", nodeId=seen, selector=selector)["nodeIds"]
        styles = [tab.call("CSS.getComputedStyleForNode", nodeId=n)["computedStyle"] for n in found]
        return sum({"name": "display", "value": "none"} not in style for style in styles)

    tab.call("CSS.enable")
    assert boxes("#differences > article") == 8
    assert boxes("noscript") == 1
    assert boxes("#filter") + boxes("#more") + boxes(".sortable button") == 0


def test_the_first_tab_leads_past_the_head(opened: Callable[..., Tab]) -> None:
    """The skip link is the first to get the focus, and is seen then."""
    tab = opened(agreement())
    assert tab.run("document.querySelector('.skip').getBoundingClientRect().right") <= 0
    tab.press("Tab")
    assert tab.run("document.activeElement.className") == "skip"
    assert tab.run("document.activeElement.getBoundingClientRect().left") >= 0
    tab.press("Enter")
    assert tab.run("location.hash") == "#main"


def test_paper_gets_no_controls(opened: Callable[..., Tab]) -> None:
    """In print there is neither filter nor button, and the details are open."""
    tab = opened(agreement())
    seen = "document.querySelector('.measure .figures').checkVisibility()"
    assert not tab.run(seen)
    tab.call("Emulation.setEmulatedMedia", media="print")
    assert tab.run(seen)
    hidden = "['#filter', '#more', 'nav'].map((s) => document.querySelector(s).checkVisibility())"
    assert tab.run(hidden) == [False, False, False]
