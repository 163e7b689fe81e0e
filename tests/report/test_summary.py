"""The summary against numbers counted by hand, and its promises about shape, validity and what is set apart."""

import json
from dataclasses import replace

import numpy as np
import pytest
from made_up_study import BASE, FACTS, RUN_1, RUN_2, SHOTS, SUBJECTS, mmlu, spider, study, with_outcomes
from rich.console import Console

from contrapeso.errors import DataError
from contrapeso.report.markdown import to_markdown
from contrapeso.report.measurement import Check
from contrapeso.report.summary import summarize
from contrapeso.report.text import points, rate, summary_table
from contrapeso.report.weighing import pairs_with_baseline
from contrapeso.stats.intervals import accuracy_interval, wilson_interval
from contrapeso.stats.power import smallest_detectable_difference
from contrapeso.tasks.base import Outcome


def row_of(rows: list[dict], variant: str, task: str | None = None) -> dict:
    (row,) = [row for row in rows if row["variant"] == variant and task in (None, row.get("task"))]
    return row


def test_summary_has_the_promised_shape_and_is_json() -> None:
    summary = json.loads(json.dumps(summarize(FACTS, study()), allow_nan=False))
    assert {"study", "complete", "variants", "comparisons", "tradeoff", "audit", "verdict"} <= summary.keys()
    sql, choice = summary["variants"][RUN_1]["spider"], summary["variants"][RUN_1]["mmlu"]
    assert {"n", "correct", "accuracy", "ci", "rules"} <= sql.keys()
    assert list(sql["rules"]) == ["unordered", "spider", "strict"]
    assert {"n", "correct", "accuracy", "ci", "groups", "macro", "categories", "letter_rate"} <= choice.keys()
    promised = {"variant", "against", "task", "n", "delta", "ci", "lost", "gained", "p", "p_holm", "verdict"}
    assert all(promised <= row.keys() for row in summary["comparisons"])
    assert all({"variant", "gain", "loss", "exchange_rate", "ci"} <= row.keys() for row in summary["tradeoff"])


def test_counts_equal_those_counted_from_the_outcomes() -> None:
    measurements = study()
    entry = summarize(FACTS, measurements)["variants"][BASE]["spider"]
    outcomes = measurements[0].outcomes
    assert entry["correct"] == sum(o.correct for o in outcomes)
    assert entry["accuracy"] == entry["correct"] / len(outcomes)
    assert entry["rules"]["strict"] == sum(o.rules["strict"] for o in outcomes)
    assert entry["reasons"]["ok"] == entry["correct"] and sum(entry["reasons"].values()) == len(outcomes)
    assert sum(group["n"] for group in entry["groups"].values()) == len(outcomes)


def test_micro_and_macro_average_differ_when_subjects_are_uneven() -> None:
    whole = mmlu(BASE, 0.6, seed=2)
    kept = replace(whole, outcomes=[o for i, o in enumerate(whole.outcomes) if o.group != "virology" or i % 100 < 5])
    entry = summarize(FACTS, [kept])["variants"][BASE]["mmlu"]
    accuracies = []
    for subject in SUBJECTS:
        of_subject = [o.correct for o in kept.outcomes if o.group == subject]
        accuracies.append(sum(of_subject) / len(of_subject))
    assert entry["macro"] == pytest.approx(sum(accuracies) / len(SUBJECTS))
    assert entry["accuracy"] == pytest.approx(sum(o.correct for o in kept.outcomes) / len(kept.outcomes))
    assert entry["macro"] != entry["accuracy"]


def test_categories_pool_the_questions_of_their_subjects() -> None:
    measurement = mmlu(BASE, 0.6, seed=2)
    categories = summarize(FACTS, [measurement])["variants"][BASE]["mmlu"]["categories"]
    assert list(categories) == ["STEM", "Humanities", "Social Sciences", "Other"]
    humanities = [o.correct for o in measurement.outcomes if o.group in ("philosophy", "world_religions")]
    assert (categories["Humanities"]["n"], categories["Humanities"]["correct"]) == (len(humanities), sum(humanities))


def test_items_left_out_are_counted_apart() -> None:
    def leave_out(index: int, outcome):  # type: ignore[no-untyped-def]
        return replace(outcome, left_out="gold times out", correct=True) if index < 4 else outcome

    whole = spider(BASE, 0.3, seed=1)
    entry = summarize(FACTS, [with_outcomes(whole, leave_out)])["variants"][BASE]["spider"]
    assert entry["n"] == len(whole.outcomes) - 4
    assert entry["correct"] == sum(o.correct for o in whole.outcomes[4:])
    assert entry["left_out"] == {"n": 4, "correct": 4, "reason": "gold times out"}


def test_the_planted_truth_is_found() -> None:
    summary = summarize(FACTS, study())
    assert row_of(summary["comparisons"], RUN_1, "spider")["verdict"] == "gain"
    assert row_of(summary["comparisons"], RUN_2, "mmlu")["verdict"] == "loss"
    assert row_of(summary["comparisons"], RUN_1, "mmlu")["verdict"].startswith(("no difference", "not dist"))
    dear, cheap = row_of(summary["tradeoff"], RUN_2), row_of(summary["tradeoff"], RUN_1)
    assert dear["exchange_rate"] == pytest.approx(dear["loss"] / dear["gain"])
    assert dear["ci"][0] > 0.2 > cheap["ci"][1]
    assert "0.46" in summary["verdict"]


def test_same_study_gives_the_same_bytes() -> None:
    assert json.dumps(summarize(FACTS, study())) == json.dumps(summarize(FACTS, study()))


def test_comparisons_do_not_depend_on_the_order_of_items() -> None:
    shuffled = [m if m.variant != RUN_1 else replace(m, outcomes=list(reversed(m.outcomes))) for m in study()]
    rows, others = summarize(FACTS, study())["comparisons"], summarize(FACTS, shuffled)["comparisons"]
    for task in ("spider", "mmlu"):
        row, other = row_of(rows, RUN_1, task), row_of(others, RUN_1, task)
        assert (row["lost"], row["gained"], row["delta"]) == (other["lost"], other["gained"], other["delta"])


def test_holm_adjusts_for_the_runs_of_a_task_and_not_for_other_prompting() -> None:
    rows = summarize(FACTS, study())["comparisons"]
    for task in ("spider", "mmlu"):
        runs = [row for row in rows if row["task"] == task and row["variant"] != SHOTS]
        smaller, larger = sorted(runs, key=lambda row: row["p_verdict"])
        assert smaller["p_holm"] == pytest.approx(min(1, 2 * smaller["p_verdict"]))
        assert larger["p_holm"] == pytest.approx(max(larger["p_verdict"], smaller["p_holm"]))
        assert (smaller["p_verdict"] == smaller["p"]) == (task == "mmlu")
    shots = row_of(rows, SHOTS)
    assert shots["p_holm"] == shots["p_verdict"]


def test_a_text_to_sql_accuracy_has_an_interval_for_new_databases_and_its_parts_have_wilsons() -> None:
    entry = summarize(FACTS, study())["variants"][RUN_1]
    outcomes = next(m.counted for m in study() if (m.variant, m.task) == (RUN_1, "spider"))
    interval = accuracy_interval([o.correct for o in outcomes], [o.group for o in outcomes])
    assert entry["spider"]["ci"] == [interval.low, interval.high] and entry["spider"]["ci_method"] == "cluster"
    mmlu = entry["mmlu"]
    assert mmlu["ci_method"] == "wilson" and mmlu["ci"] == list(wilson_interval(mmlu["correct"], mmlu["n"]))
    group = entry["spider"]["groups"]["db_03"]
    assert group["ci"] == list(wilson_interval(group["correct"], group["n"]))


def test_two_tasks_are_resampled_independently_of_each_other() -> None:
    facts, general = FACTS, [mmlu(BASE, 0.6, seed=2), mmlu(RUN_1, 0.55, seed=4)]
    target = [replace(measurement, task=facts.target) for measurement in general]  # the same answers on both tasks
    measured = {(one.variant, one.task): one for one in [*target, *general]}
    first, second = (pair.comparison for pair in pairs_with_baseline(facts, measured, resamples=2000))
    assert first == second
    assert abs(np.corrcoef(first.draws.difference, second.draws.difference)[0, 1]) < 0.1


def test_databases_that_differ_make_the_detectable_difference_larger_and_those_alike_do_not_make_it_smaller() -> None:
    def in_half_of_the_databases(index: int, outcome: Outcome) -> Outcome:
        return replace(outcome, correct=outcome.group < "db_06" and index % 2 == 0)

    def alike(index: int, outcome: Outcome) -> Outcome:
        return replace(outcome, correct=index % 7 == 0)  # 5 or 6 of 40 in each database

    base = with_outcomes(spider(BASE, 0.3, seed=1), lambda index, outcome: replace(outcome, correct=False))
    for change, large in ((in_half_of_the_databases, True), (alike, False)):
        (row,) = summarize(FACTS, [base, with_outcomes(spider(RUN_1, 0.3, seed=1), change)])["comparisons"]
        assert row["scheme"] == "cluster" and (row["design_effect"] > 1) == large
        expected = smallest_detectable_difference(
            row["n"],
            (row["lost"] + row["gained"]) / row["n"],
            design_effect=row["design_effect"] if large else 1.0,
            degrees=row["groups"] - 1,  # equal databases
        )
        assert row["detectable"] == pytest.approx(expected)


def test_a_variant_prompted_otherwise_stands_in_no_front_even_when_measured_on_both_tasks() -> None:
    with_both = [*study(), replace(mmlu(BASE, 0.6, seed=9), variant=SHOTS)]
    assert set(summarize(FACTS, with_both)["pareto"]) == {BASE, RUN_1, RUN_2}


def test_hardness_and_flags_are_counted() -> None:
    def flag(index: int, outcome: Outcome) -> Outcome:
        return replace(outcome, flags=("gold_empty",)) if index % 10 == 0 else outcome

    measurements = [with_outcomes(m, flag) if m.task == "spider" else m for m in study()]
    entry = summarize(FACTS, measurements)["variants"][RUN_1]["spider"]
    assert sum(level["n"] for level in entry["hardness"].values()) == entry["n"]
    assert entry["flags"]["gold_empty"]["n"] == entry["n"] // 10


def test_standings_name_who_is_dominated_and_leave_out_worthless_numbers() -> None:
    summary = summarize(FACTS, study())
    assert set(summary["pareto"]) == {BASE, RUN_1, RUN_2}
    assert summary["pareto"][RUN_2]["dominated"].keys() == {BASE, RUN_1}
    assert row_of(summary["tradeoff"], RUN_2)["pareto"] == summary["pareto"][RUN_2]["standing"]
    checks = [Check("below_chance", "fail", "why", ((RUN_1, "mmlu"),))]
    assert set(summarize(FACTS, study(), checks=checks)["pareto"]) == {BASE, RUN_2}


def test_no_harm_is_a_finding_when_the_margin_holds_the_whole_ninety_percent_interval() -> None:
    wide = summarize(replace(FACTS, margin=0.5), study())
    row = row_of(wide["comparisons"], RUN_1, "mmlu")
    assert row["equivalence"]["margin"] == 0.5 and row["equivalence"]["p"] < 0.05


def test_the_few_shot_baseline_is_compared_and_flagged_but_not_weighed() -> None:
    summary = summarize(FACTS, study())
    shots = row_of(summary["comparisons"], SHOTS)
    assert (shots["task"], shots["same_prompts"], shots["prompt_note"]) == ("spider", False, "3-shot")
    assert row_of(summary["comparisons"], RUN_1, "spider")["same_prompts"] is True
    assert {row["variant"] for row in summary["tradeoff"]} == {RUN_1, RUN_2}
    assert "prompted differently (3-shot)" in to_markdown(summary).replace("\\", "")


def test_a_failed_check_withholds_the_numbers_it_affects_and_no_others() -> None:
    failed = Check("below_chance", "fail", "0.7 % where guessing gives 25 %", ((RUN_2, "mmlu"),))
    summary = summarize(FACTS, study(), checks=[failed])
    assert summary["variants"][RUN_2]["mmlu"]["valid"] is False
    assert summary["variants"][RUN_2]["mmlu"]["invalid_reason"] == "below_chance: 0.7 % where guessing gives 25 %"
    assert summary["variants"][RUN_2]["spider"]["valid"] and summary["variants"][BASE]["mmlu"]["valid"]
    assert row_of(summary["comparisons"], RUN_2, "mmlu")["verdict"].startswith(
        f"not valid: {RUN_2} on mmlu: below_chance"
    )
    assert row_of(summary["tradeoff"], RUN_2)["valid"] is False and row_of(summary["tradeoff"], RUN_1)["valid"]
    accuracy = f"{100 * summary['variants'][RUN_2]['mmlu']['accuracy']:.1f}"
    rows = [line for line in to_markdown(summary).splitlines() if line.startswith(f"| {RUN_2} | MMLU")]
    assert len(rows) == 2 and all("not valid" in row and accuracy not in row for row in rows)
    assert f"{RUN_2} cannot be weighed" in summary["verdict"]


def test_a_warning_stands_beside_the_number_it_speaks_of_and_nowhere_else() -> None:
    checks = [Check("letter_rate", "warn", "12 % without a letter", ((RUN_1, "mmlu"),))]
    summary = summarize(FACTS, study(), checks=checks)
    assert summary["variants"][RUN_1]["mmlu"]["warnings"] == ["letter_rate"]
    assert summary["variants"][RUN_1]["mmlu"]["valid"] and not summary["variants"][RUN_2]["mmlu"]["warnings"]
    lines = [line for line in to_markdown(summary).splitlines() if "warning: letter" in line]
    assert len(lines) == 1 and RUN_1 in lines[0] and "MMLU" in lines[0]


def test_a_worthless_baseline_withholds_every_comparison_on_its_task() -> None:
    failed = Check("schema_in_prompts", "fail", "no schema", ((BASE, "spider"),))
    summary = summarize(FACTS, study(), checks=[failed])
    assert all(row["valid"] == (row["task"] == "mmlu") for row in summary["comparisons"])
    assert not any(row["valid"] for row in summary["tradeoff"])


def test_a_tolerated_check_is_shown_and_withholds_nothing() -> None:
    failed = Check("below_chance", "fail", "low", ((RUN_2, "mmlu"),))
    summary = summarize(FACTS, study(), checks=[failed], tolerated=["below_chance"])
    assert summary["variants"][RUN_2]["mmlu"]["valid"] and summary["audit"][0]["status"] == "fail"
    assert summary["variants"][RUN_2]["mmlu"]["warnings"] == ["below_chance failed, allowed"]
    assert "below\\_chance failed, allowed" in to_markdown(summary)


def test_without_a_certain_gain_there_is_no_exchange_rate_but_a_reason() -> None:
    flat = [spider(BASE, 0.3, seed=1), mmlu(BASE, 0.6, seed=2), spider(RUN_1, 0.3, seed=3), mmlu(RUN_1, 0.4, seed=4)]
    (row,) = summarize(FACTS, flat)["tradeoff"]
    assert row["exchange_rate"] is None and row["ci"] is None and "gain" in row["reason"]


def test_a_study_of_the_baseline_alone_has_nothing_to_weigh() -> None:
    summary = summarize(FACTS, study()[:2], complete=False)
    assert summary["comparisons"] == summary["tradeoff"] == []
    assert summary["verdict"].startswith("Incomplete study.") and "no trade-off" in summary["verdict"]


def test_measuring_twice_and_measuring_nothing_are_refused() -> None:
    with pytest.raises(DataError, match="measured twice"):
        summarize(FACTS, [*study(), study()[0]])
    with pytest.raises(DataError, match="no item that counts"):
        summarize(FACTS, [replace(study()[0], outcomes=[])])
    with pytest.raises(DataError, match="share no item"):
        other = with_outcomes(spider(RUN_1, 0.5, seed=1), lambda i, o: replace(o, item=f"other/{i}"))
        summarize(FACTS, [study()[0], other])


def test_console_table_shows_names_with_brackets_as_they_are() -> None:
    renamed = [replace(m, variant="run [bold]x[/bold]") if m.variant == RUN_1 else m for m in study()]
    console = Console(width=200, record=True, file=None, quiet=False, force_terminal=False)
    with console.capture() as captured:
        console.print(summary_table(summarize(FACTS, renamed)))
    assert "run [bold]x[/bold]" in captured.get()
    assert "0.46 [0.35, 0.62]" in captured.get()


def test_numbers_read_as_a_person_would_write_them() -> None:
    assert [points(x) for x in (0.1234, -0.1234, -0.0001, 0.0001)] == ["+12.3", "−12.3", "0.0", "0.0"]
    assert rate(-0.08) == "−0.08"
