"""The page in a real browser: what is drawn, what the filters find, what the keys do, and that nothing leaves it."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from made_up_study import BASE, FACTS, RUN_1, RUN_2, SHOTS, sources, study, study_with_ways, with_outcomes

from contrapeso.report.measurement import Check, Measurement
from contrapeso.report.page import render_page
from contrapeso.report.summary import summarize

OWNED = "document.title='owned'"
HOSTILE = f'</script><script>{OWNED}</script><img src=x onerror="{OWNED}"><!-- \u202e \x00 \ud800'
HISTORY = [{"step": step, "loss": 3 - step / 60} for step in range(1, 101)]
FAST = {"timeout": 20_000}


def rich_study() -> list[Measurement]:
    """The made-up study with results and details; every twentieth answer of Run 1 is markup."""
    gold = {"rows": [["1", "x"]], "row_count": 7, "column_count": 2}
    rich = []
    for measurement in study():
        if measurement.kind == "generation":
            measurement = with_outcomes(
                measurement,
                lambda i, o: replace(o, results={"gold": gold, "predicted": gold} if o.correct else {"gold": gold}),
            )
        if (measurement.variant, measurement.kind) == (RUN_1, "generation"):
            measurement = with_outcomes(
                measurement, lambda i, o: o if i % 20 else replace(o, answer=HOSTILE, detail=HOSTILE)
            )
        rich.append(measurement)
    return rich


MEASUREMENTS = rich_study()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        pytest.skip("no Chromium on this machine")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    checks = [Check("letter_rate", "warn", "often no letter", ((RUN_1, "mmlu"),)), Check("below_chance", "ok", "fine")]
    made_of = sources(
        MEASUREMENTS,
        schemas={f"db_{number:02d}": "CREATE TABLE t (a INTEGER)" for number in range(12)},
        training={RUN_1: HISTORY, RUN_2: HISTORY},
        provenance={"seed": 7},
    )
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(
        render_page(summarize(FACTS, MEASUREMENTS, checks=checks, resamples=300), made_of), encoding="utf-8"
    )
    return path


class Opened:
    """A page with what it complained of and what it asked for."""

    def __init__(self, browser: Any, file: Path, **context: Any) -> None:
        self.context = browser.new_context(**context)
        self.page = self.context.new_page()
        self.trouble: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.trouble.append(message.text))
        self.page.on("pageerror", lambda error: self.trouble.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(file.as_uri())

    def ready(self) -> Any:
        self.page.wait_for_selector("#explorer", state="visible", **FAST)
        return self.page


@pytest.fixture
def opened(browser: Any, file: Path) -> Iterator[Opened]:
    opened = Opened(browser, file, viewport={"width": 1280, "height": 900})
    opened.ready()
    yield opened
    opened.context.close()


def buckets(task: str, variant: str, keep: Any = lambda outcome: True) -> dict[str, int]:
    """How many items a variant lost, gained, ..., counted from the outcomes."""
    by_variant = {m.variant: {o.item: o for o in m.outcomes} for m in MEASUREMENTS if m.task == task}
    names = {(True, False): "lost", (False, True): "gained", (True, True): "both", (False, False): "neither"}
    counts = dict.fromkeys(names.values(), 0)
    for item, outcome in by_variant[variant].items():
        if keep(outcome):
            counts[names[by_variant[BASE][item].correct, outcome.correct]] += 1
    return counts


def shown(page: Any) -> dict[str, int]:
    return {
        name: int(page.inner_text(f"[data-count={name}]").replace(",", ""))
        for name in ("lost", "gained", "both", "neither")
    }


def test_nothing_is_asked_for_and_nothing_goes_wrong(opened: Opened, file: Path) -> None:
    assert opened.requests == [file.as_uri()] and opened.trouble == []


def test_plots_are_drawn(opened: Opened) -> None:
    sizes = opened.page.eval_on_selector_all("figure svg", "all => all.map(svg => svg.getBoundingClientRect().height)")
    assert len(sizes) == 3 and min(sizes) > 100
    names = opened.page.eval_on_selector_all("figure:first-child svg text", "all => all.map(text => text.textContent)")
    assert {BASE, RUN_1, RUN_2} <= set(names)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_way_there_shows_its_figure_and_a_row_for_every_point(browser: Any, tmp_path: Path, scheme: str) -> None:
    measured = study_with_ways()
    summary = summarize(FACTS, measured, resamples=100)
    file = tmp_path / "report.html"
    file.write_text(render_page(summary, sources(measured)), encoding="utf-8")
    opened = Opened(browser, file, viewport={"width": 1280, "height": 900}, color_scheme=scheme)
    page = opened.ready()
    assert opened.requests == [file.as_uri()] and opened.trouble == []
    page.click("nav a[href='#way']")
    assert page.is_visible("#way figure svg") and page.is_visible("#way h2")
    first = page.eval_on_selector_all("#way tbody th", "all => all.map(th => th.textContent.trim())")
    assert sorted(first) == sorted(name for name in summary["variants"] if name != BASE)
    labels = page.eval_on_selector_all("#way svg text", "all => all.map(text => text.textContent)")
    assert {BASE, RUN_1, RUN_2, "@300"} <= set(labels)
    described = page.text_content("#way svg desc")
    assert described and f"{RUN_2}: of 5 points on its way" in described
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280
    opened.context.close()


@pytest.mark.parametrize(("place", "task"), [("0", "spider"), ("1", "mmlu")])
@pytest.mark.parametrize("variant", [RUN_1, RUN_2])
def test_filters_count_what_the_outcomes_say(opened: Opened, place: str, task: str, variant: str) -> None:
    page = opened.page
    page.select_option("#task", place)
    page.select_option("#variant", label=variant)
    assert shown(page) == buckets(task, variant)
    group = next(o.group for m in MEASUREMENTS if m.task == task for o in m.outcomes[5:])
    page.select_option("#group", label=group)
    expected = buckets(task, variant, lambda outcome: outcome.group == group)
    assert shown(page) == expected
    page.click(".choice.lost")
    assert page.inner_text("#count").startswith(f"{expected['lost']} of ")
    assert page.locator("[role=option]").count() == expected["lost"]


def test_reason_and_search_narrow_the_list_together(opened: Opened) -> None:
    page = opened.page
    page.select_option("#variant", label=RUN_2)
    page.select_option("#reason", label="timeout")
    assert shown(page) == buckets("spider", RUN_2, lambda outcome: outcome.reason == "timeout")
    page.fill("#query", "WHAT dev/003")
    expected = buckets("spider", RUN_2, lambda o: o.reason == "timeout" and o.item.startswith("dev/003"))
    assert shown(page) == expected
    page.fill("#query", "surely nowhere")
    assert "No item fits" in page.inner_text("#list") and page.inner_text("#detail") == ""


def test_keys_move_through_the_list_and_slash_searches(opened: Opened) -> None:
    page = opened.page
    page.focus("#list")
    for key in ("j", "ArrowDown", "ArrowDown", "k"):
        page.keyboard.press(key)
    assert page.get_attribute("#list", "aria-activedescendant") == "item-2"
    assert page.get_attribute("#item-2", "aria-selected") == "true" and "3 of 480" in page.inner_text("#detail")
    page.keyboard.press("End")
    assert "480 of 480" in page.inner_text("#detail") and page.locator("#item-479").is_visible()
    page.keyboard.press("/")
    page.keyboard.type("jjj")
    assert page.input_value("#query") == "jjj" and page.evaluate("document.activeElement.id") == "query"


@pytest.mark.parametrize("place", ["nav a", "#parts th button", "[name=show]:checked", "#detail"])
def test_slash_searches_from_anywhere_on_the_page(opened: Opened, place: str) -> None:
    opened.page.locator(place).first.focus()
    opened.page.keyboard.press("/")
    assert opened.page.evaluate("document.activeElement.id") == "query" and opened.page.input_value("#query") == ""


def test_a_slash_that_is_typed_is_searched_for(opened: Opened) -> None:
    opened.page.focus("#query")
    opened.page.keyboard.type("dev/0031")
    assert opened.page.input_value("#query") == "dev/0031" and opened.page.locator("[role=option]").count() == 1


def test_the_explorer_opens_on_the_first_run(opened: Opened) -> None:
    names = opened.page.eval_on_selector_all("#variant option", "all => all.map(option => option.textContent)")
    assert names == [RUN_1, RUN_2, SHOTS] and opened.page.input_value("#variant") == "1"


@pytest.mark.parametrize(("withheld", "closed"), [(RUN_2, [RUN_2]), (BASE, [RUN_1, RUN_2, SHOTS])])
def test_a_withheld_number_cannot_be_counted_from_the_items(
    browser: Any, tmp_path: Path, withheld: str, closed: list[str]
) -> None:
    checks = [Check("unstopped_answers", "fail", "never stopped", ((withheld, "spider"),))]
    file = tmp_path / "report.html"
    summary = summarize(FACTS, MEASUREMENTS, checks=checks, resamples=100)
    file.write_text(render_page(summary, sources(MEASUREMENTS)), encoding="utf-8")
    opened = Opened(browser, file)
    page = opened.ready()
    for variant in (RUN_1, RUN_2, SHOTS):
        page.select_option("#variant", label=RUN_1)
        if RUN_1 not in closed:
            page.click(".choice.lost")
            page.select_option("#reason", label="timeout")
        page.select_option("#variant", label=variant)
        inputs = page.locator("[name=show]:not([value=all]), #reason")
        disabled = inputs.evaluate_all("all => all.map(input => input.disabled)")
        assert disabled == [variant in closed] * 6
        if variant in closed:
            assert page.locator("[role=option]").count() == 60 and page.inner_text("#count") == "480 of 480 items"
            counts = page.eval_on_selector_all("[data-count]", "all => all.map(count => count.textContent)")
            assert counts == ["480", "", "", "", "", ""]
            whys = inputs.evaluate_all("all => all.map(i => [i.ariaDescription, i.closest('label').title])")
            assert all(f"{withheld}: unstopped_answers: never stopped" in why for pair in whys for why in pair)
            assert page.locator("#detail > .pair pre").count() == 2
    opened.context.close()


def test_every_control_is_reached_by_tab_and_has_a_name(opened: Opened) -> None:
    tree = json.dumps(opened.page.locator("#explorer").aria_snapshot())
    for name in (
        'combobox \\"Task\\"',
        'combobox \\"Database\\"',
        'searchbox \\"Search\\"',
        'listbox \\"Items\\"',
        "status",
    ):
        assert name in tree, name
    opened.page.focus("#task")
    reached = []
    for _ in range(9):
        opened.page.keyboard.press("Tab")
        reached.append(opened.page.evaluate("document.activeElement.id || document.activeElement.name"))
    assert reached[:7] == ["variant", "part", "group", "reason", "query", "show", "list"]


def test_a_query_is_shown_with_its_reason_result_schema_and_difference(opened: Opened) -> None:
    page = opened.page
    page.select_option("#variant", label=RUN_2)
    page.click(".choice.lost")
    item = page.inner_text("#detail small").split(" · ")[0]
    outcome = next(
        o for m in MEASUREMENTS if (m.variant, m.task) == (RUN_2, "spider") for o in m.outcomes if o.item == item
    )
    detail = page.inner_text("#detail")
    assert outcome.gold in detail and outcome.answer in detail and outcome.reason.replace("_", " ") in detail
    assert "7 × 2 (rows × columns), the first 1" in detail and "No result." in detail
    marked = page.eval_on_selector_all(
        "#detail > .pair > :nth-child(2) mark", "all => all.map(mark => mark.textContent).join('')"
    )
    assert marked == "nothing" and page.locator("#detail > .pair > :nth-child(1) mark").count() == 0
    page.click("#detail details:last-child summary")
    assert "CREATE TABLE t" in page.inner_text("#detail")


def test_options_show_every_variants_probabilities_with_gold_and_choice_marked(opened: Opened) -> None:
    page = opened.page
    page.select_option("#task", "1")
    rows = page.locator(".chances tbody tr")
    assert rows.count() == 3
    first = next(m for m in MEASUREMENTS if (m.variant, m.task) == (BASE, "mmlu")).outcomes[0]
    cells = rows.nth(0).locator("td").all_inner_texts()
    place = "ABCD".index(first.answer)
    assert "●" in cells[place] and sum("●" in cell for cell in cells) == 1
    assert page.locator(".chances tbody tr:first-child td.gold").get_attribute("class").split()[-1] == "gold"
    assert sum(int(cell.split()[0]) for cell in cells) == pytest.approx(100, abs=2)


def test_what_a_model_wrote_is_shown_and_never_run(opened: Opened) -> None:
    page = opened.page
    page.fill("#query", "owned")
    assert page.locator("[role=option]").count() == 24
    assert "⟨U+202E⟩" in page.inner_text("#detail") and "</script><script>" in page.inner_text("#detail")
    assert page.locator("#detail img").count() == 0 and "owned" not in page.title() and opened.trouble == []


def test_tables_sort_by_any_column(opened: Opened) -> None:
    page = opened.page
    heading = page.locator("#parts table", has_text="MMLU by subject").locator("th", has_text=f"Δ {RUN_2}")
    values = "table => [...table.tBodies[0].rows].map(row => Number(row.cells[6].dataset.sort))"
    table = page.locator("#parts table", has_text="MMLU by subject").element_handle()
    for direction in ("ascending", "descending"):
        heading.locator("button").click()
        assert heading.get_attribute("aria-sort") == direction
        found = table.evaluate(values)
        assert found == sorted(found, reverse=direction == "descending") and len(found) == 8


@pytest.mark.parametrize("width", [360, 768])
def test_no_page_is_wider_than_its_window(browser: Any, file: Path, width: int) -> None:
    opened = Opened(browser, file, viewport={"width": width, "height": 740})
    page = opened.ready()
    for place in ("0", "1"):
        page.select_option("#task", place)
        page.click(".choice.lost")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    opened.context.close()


CONTRAST = """() => {
  const light = (colour) => {
    const linear = (v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    const [r, g, b] = colour.match(/[\\d.]+/g).map((part) => linear(Number(part) / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const colour = getComputedStyle(each).backgroundColor;
      if (!colour.endsWith(", 0)")) return colour;
    }
    return "rgb(255, 255, 255)";
  };
  const poor = [];
  for (const element of document.querySelectorAll("body *:not(svg *):not(script):not(style)")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!own || !element.checkVisibility({ opacityProperty: true }) || element.disabled) continue;
    const [a, b] = [light(getComputedStyle(element).color), light(behind(element))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) poor.push([ratio.toFixed(2), element.tagName, element.textContent.slice(0, 30)]);
  }
  return poor;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_is_legible_in_light_and_dark(browser: Any, file: Path, scheme: str) -> None:
    opened = Opened(browser, file, color_scheme=scheme)
    page = opened.ready()
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)"
    assert dark == (scheme == "dark")
    page.click(".choice.lost")
    assert page.evaluate(CONTRAST) == []
    page.select_option("#task", "1")
    assert page.evaluate(CONTRAST) == []
    opened.context.close()


def test_print_leaves_the_explorer_out_and_opens_the_tables(opened: Opened) -> None:
    opened.page.emulate_media(media="print")
    assert not opened.page.locator("#explorer").is_visible() and not opened.page.locator("nav").is_visible()
    assert "left out of print" in opened.page.inner_text("#items")


def test_a_browser_that_cannot_unpack_says_so(browser: Any, file: Path) -> None:
    context = browser.new_context()
    context.add_init_script("delete window.DecompressionStream")
    page = context.new_page()
    page.goto(file.as_uri())
    page.wait_for_selector("#items-trouble", state="visible", **FAST)
    assert "DecompressionStream" in page.inner_text("#items-trouble") and not page.locator("#explorer").is_visible()
    context.close()


def test_a_damaged_file_says_so_and_the_rest_still_reads(browser: Any, file: Path, tmp_path: Path) -> None:
    html = file.read_text(encoding="utf-8")
    start = html.index('id="packed-items">') + 200
    damaged = tmp_path / "damaged.html"
    damaged.write_text(html[:start] + "0" * 500 + html[start + 500 :], encoding="utf-8")
    opened = Opened(browser, damaged)
    opened.page.wait_for_selector("#items-trouble", state="visible", **FAST)
    assert "damaged" in opened.page.inner_text("#items-trouble") and opened.page.locator("figure svg").count() == 3
    opened.context.close()
