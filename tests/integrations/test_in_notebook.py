"""A study's progress and results in a notebook: what stays in a cell's output, and what it shows."""

import weakref

import pytest
from IPython import display
from made_up_study import FACTS, study

from contrapeso import load_study
from contrapeso.integrations import notebook
from contrapeso.integrations.notebook import InNotebook, bar, run_in_cell, seconds_left, show_study, show_table
from contrapeso.report.measurement import Check
from contrapeso.report.summary import summarize


class Cell:
    """The output of a cell: `clear_output` empties it, `print` writes on."""

    def __init__(self, monkeypatch, capsys):
        self.capsys, self.seen = capsys, []
        monkeypatch.setattr(display, "clear_output", lambda wait: capsys.readouterr())
        monkeypatch.setattr(display, "display", self.seen.append)

    @property
    def text(self) -> str:
        return self.capsys.readouterr().out


@pytest.fixture
def cell(monkeypatch, capsys):
    return Cell(monkeypatch, capsys)


def test_the_finished_steps_are_what_stays(cell):
    reporter = InNotebook(clock=iter(range(100)).__next__)
    reporter.say("load pocket: 0.1 s")
    with reporter.track("measure", total=4, done=1) as advance:
        advance(1)
        advance(2)
    reporter.say("measure: 3.0 s")
    assert cell.text == "load pocket: 0.1 s\nmeasure: 3.0 s\n"


def test_a_bar_is_drawn_below_the_steps_and_says_the_time_left(cell):
    now = iter([0.0, 30.0])
    reporter = InNotebook(clock=now.__next__)
    reporter.say("first")
    with reporter.track("training", total=40, done=10) as advance:
        advance(10)
        drawn = cell.text
    assert drawn == f"first\ntraining  {'#' * 12}{'.' * 12}  20 / 40  0:01:00 left\n"


def test_it_is_not_drawn_more_than_once_a_second(cell):
    times = iter([0.0, 0.1, 0.2, 1.3])
    reporter = InNotebook(clock=times.__next__)
    with reporter.track("answers", total=9) as advance:
        advance(1)
        assert "1 / 9" in cell.text
        advance(1)
        assert cell.text == ""
        advance(1)
        assert "3 / 9" in cell.text


def test_hours_are_hours_and_an_empty_bar_divides_by_nothing():
    assert bar("run", 0, 0, 3 * 3600 + 62.4) == f"run  {'.' * 24}  0 / 0  3:01:02 left"
    assert seconds_left(10.0, 0, 5) is None and seconds_left(10.0, 4, 8) == 20.0


def test_a_failing_step_leaves_the_finished_ones(cell):
    reporter = InNotebook()
    reporter.say("done")
    with pytest.raises(RuntimeError), reporter.track("next", total=3):
        raise RuntimeError("out of memory")
    assert cell.text == "done\n"


class Model:
    """Stands for what takes all the memory there is."""


def test_a_run_that_ends_early_leaves_no_model_in_memory(cell, monkeypatch, tmp_path):
    held = []

    def interrupted(study, folder, reporter):
        model = Model()
        held.append(weakref.ref(model))
        raise KeyboardInterrupt

    monkeypatch.setattr(notebook, "run", interrupted)
    with pytest.raises(KeyboardInterrupt) as error:
        run_in_cell(load_study("pocket"), tmp_path)
    assert error.tb is not None and held[0]() is None


def test_a_study_is_shown_as_verdict_tables_and_figures(cell, tmp_path):
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "accuracy.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    withheld = Check("below_chance", "fail", "worse than guessing", affects=(("Fine-Tuned Run 2", "mmlu"),))
    summary = summarize(FACTS, study(), checks=[withheld], resamples=200)
    show_study(tmp_path, summary)
    verdict, *tables, figure = cell.seen
    assert verdict.data.startswith("**Fine-Tuned Run 1: gain of")
    accuracy = 100 * summary["variants"]["Fine-Tuned Run 1"]["mmlu"]["accuracy"]
    hidden = 100 * summary["variants"]["Fine-Tuned Run 2"]["mmlu"]["accuracy"]
    text = "".join(table.data for table in tables)
    assert len(tables) == 3 and f"{accuracy:.1f} %" in text
    assert f"{hidden:.1f} %" not in text and "not valid: below_chance: worse than guessing" in text
    assert isinstance(figure, display.Image) and figure.data.startswith(b"\x89PNG")


def test_markup_in_a_cell_of_a_table_is_text(cell):
    show_table(("a",), [("<script>alert(1)</script>",)])
    (table,) = cell.seen
    assert "<script>" not in table.data and "&lt;script&gt;" in table.data
