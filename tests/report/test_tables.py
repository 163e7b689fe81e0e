"""The CSV files against the original study's own files and against hostile text."""

import csv
import io
from dataclasses import replace

import pytest
from made_up_study import BASE, FACTS, RUN_1, mmlu, sources, spider, study, with_outcomes

from contrapeso.errors import DataError
from contrapeso.report.measurement import Check, Measurement, Sources
from contrapeso.report.summary import summarize
from contrapeso.report.tables import csv_files
from contrapeso.tasks.base import Item, Outcome


def rows_of(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline="")))


def test_file_names_columns_and_order_are_the_originals() -> None:
    files = csv_files(summarize(FACTS, study()), sources(study()))
    assert list(files)[:3] == [
        "avaliacao_Baseline_Model.csv",
        "avaliacao_Fine-Tuned_Run_1.csv",
        "avaliacao_Fine-Tuned_Run_2.csv",
    ]
    by_category = rows_of(files["avaliacao_mmlu_resultados.csv"])
    assert by_category[0] == ["", "STEM", "Humanidades", "Ciências Sociais", "Outros", "Acurácia Agregada"]
    assert [row[0] for row in by_category[1:]] == ["Baseline", "Run 1", "Run 2"]
    assert rows_of(files["summary_fase3_accuracy.csv"])[0] == ["", "Execution Accuracy"]


def test_there_is_no_column_for_a_category_without_subjects() -> None:
    measurement = mmlu(BASE, 0.6, seed=1)
    three = replace(measurement, outcomes=[o for o in measurement.outcomes if FACTS.categories[o.group] != "Other"])
    head = rows_of(csv_files(summarize(FACTS, [three]), sources([three]))["avaliacao_mmlu_resultados.csv"])[0]
    assert head == ["", "STEM", "Humanidades", "Ciências Sociais", "Acurácia Agregada"]


def test_scores_of_a_file_average_to_the_accuracy_in_the_summary() -> None:
    def leave_out(index: int, outcome: Outcome) -> Outcome:
        return replace(outcome, left_out="gold fails") if index % 9 == 0 else outcome

    measurements = [with_outcomes(m, leave_out) for m in study()]
    summary = summarize(FACTS, measurements)
    rows = rows_of(csv_files(summary, sources(measurements))["avaliacao_Fine-Tuned_Run_1.csv"])[1:]
    scores = [row[3] for row in rows]
    assert set(scores) == {"0.0", "1.0"}
    assert sum(map(float, scores)) / len(scores) == pytest.approx(summary["variants"][RUN_1]["spider"]["accuracy"])


def test_the_originals_files_come_out_byte_for_byte(shared_data) -> None:  # type: ignore[no-untyped-def]
    folder = shared_data / "seed_results"
    measurements: list[Measurement] = []
    items: dict[str, Item] = {}
    for variant in (BASE, RUN_1, "Fine-Tuned Run 2"):
        path = folder / f"avaliacao_{variant.replace(' ', '_')}.csv"
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        outcomes = [
            Outcome(
                item=f"dev/{index:04d}",
                group="concert_singer" if index < 45 else "pets_1",
                gold=row["expected_sql"],
                answer=row["generated_sql"],
                correct=row["score"] == "1.0",
                reason="ok" if row["score"] == "1.0" else "wrong_result",
                prompt_sha="",
                prompt_tokens=0,
                truncated=False,
                stopped=True,
            )
            for index, row in enumerate(rows)
        ]
        for outcome, row in zip(outcomes, rows, strict=True):
            items[outcome.item] = Item(outcome.item, outcome.group, row["question"], outcome.gold)
        measurements.append(Measurement(variant, "spider", "generation", outcomes))
    files = csv_files(summarize(FACTS, measurements), Sources(measurements, {"spider": items}))
    assert files.pop("frontier.csv")  # which the original has not
    assert len(files) == 4
    for name, text in files.items():
        original = (folder / name).read_bytes().decode("utf-8")
        assert text == original.replace("\r\n", "\n"), name


@pytest.mark.parametrize(
    "answer",
    ['=HYPERLINK("http://x")', "a\r\nb", "a\rb", 'say "hi", twice', "", "ünïcode, 数", "a\nb", " spaces "],
)
def test_any_answer_survives_the_file_letter_for_letter(answer: str) -> None:
    one = with_outcomes(spider(BASE, 0.3, seed=1), lambda i, o: replace(o, answer=answer) if i == 0 else o)
    text = csv_files(summarize(FACTS, [one]), sources([one]))["avaliacao_Baseline_Model.csv"]
    # as a file read in text mode would give it: a bare carriage return must not end a row
    assert rows_of(text)[1][1] == answer
    assert len(rows_of(text)) == 1 + len(one.outcomes)


def test_a_worthless_number_is_replaced_by_the_reason() -> None:
    checks = [Check("below_chance", "fail", "too low", ((BASE, "mmlu"), (RUN_1, "spider")))]
    files = csv_files(summarize(FACTS, study(), checks=checks), sources(study()))
    baseline = rows_of(files["avaliacao_mmlu_resultados.csv"])[1]
    assert baseline[0] == "Baseline" and set(baseline[1:]) == {"not valid: below_chance: too low"}
    assert rows_of(files["summary_fase3_accuracy.csv"])[2] == [RUN_1, "not valid: below_chance: too low"]


def test_two_variants_that_would_share_a_file_are_refused() -> None:
    twins = [spider("run a", 0.3, seed=1), spider("run/a", 0.4, seed=2)]
    with pytest.raises(DataError, match="rename"):
        csv_files(summarize(FACTS, twins), sources(twins))
