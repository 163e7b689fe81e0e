"""The pages made from the code say what the code says; `make reference` writes them anew."""

import json
import re

import pytest
import typer.main

import contrapeso
from contrapeso.audit import CHECKS
from contrapeso.cli import app
from contrapeso.settings import LoraSettings
from contrapeso.study import Study
from tools.docs_reference import DOCS, NOTE, PAGES
from tools.docs_settings import kind


@pytest.mark.parametrize("name", sorted(PAGES))
def test_the_page_is_what_the_code_gives(name):
    assert (DOCS / name).read_text(encoding="utf-8") == NOTE + PAGES[name](), "run `make reference`"


def keys(schema, definitions, prefix="", *, sections=False):
    """The full names of a study's keys, from its JSON schema; sections of the file have no row of their own."""
    for name, entry in schema["properties"].items():
        text = json.dumps(entry)
        inner = re.search(r"#/\$defs/(\w+)", text)
        several = '"array"' in text
        if inner and inner[1] == "RunSettings":
            yield from (f"training.{key}" for key in keys(definitions["LoraSettings"], definitions))
            yield "runs.N.name"
            continue
        if not (inner and sections):
            yield prefix + name
        if inner:
            yield from keys(definitions[inner[1]], definitions, f"{prefix}{name}.{'N.' * several}")


def test_every_key_of_a_study_has_a_row_with_a_sentence():
    rows = re.findall(r"^\| `([\w.]+)` \| (.+?) \| (.+?) \| (.+) \|$", PAGES["settings.md"](), re.MULTILINE)
    schema, training = Study.model_json_schema(), LoraSettings.model_json_schema()
    definitions = {**training.get("$defs", {}), **schema["$defs"], "LoraSettings": training}
    assert {row[0] for row in rows} == set(keys(schema, definitions, sections=True))
    assert all(words.rstrip().endswith(".") and value.strip() and default.strip() for _, value, default, words in rows)
    by_name = {name: (value, default) for name, value, default, _ in rows}
    assert by_name["target.shots"] == ("whole number ≥ 0 and ≤ 32", "`0`")
    assert by_name["model.quantization"] == ('`"none"` or `"nf4"`', '`"none"`')


def test_a_type_that_has_no_words_is_an_error():
    with pytest.raises(KeyError):
        kind(complex)


def test_every_command_and_option_is_on_the_page():
    page, group = PAGES["cli.md"](), typer.main.get_command(app)
    for name, command in group.commands.items():
        assert f"## `contrapeso {name}`" in page
        for parameter in command.params:
            assert all(option in page for option in parameter.opts if option.startswith("--"))


def test_every_public_name_is_on_the_page_with_its_first_sentence():
    page = PAGES["python-api.md"]()
    for name in contrapeso.__all__:
        if name != "__version__":
            assert f"### {name}\n" in page
    assert "Read a study." in page


def test_every_audit_check_is_explained_in_the_order_of_the_audit():
    page = (DOCS / "reading-a-verdict.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `(\w+)` \| [a-z]", page, re.MULTILINE) == [check.__name__ for check in CHECKS]
