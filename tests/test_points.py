"""Which variants a study measures, and on which items."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contrapeso.errors import StudyError
from contrapeso.points import points_of, probe_items
from contrapeso.settings import EvaluateSettings, RunSettings
from contrapeso.study import Study, load_study
from contrapeso.tasks.base import Item

RUN = RunSettings(name="A", batch_size=10, checkpoint_steps=3)


def items(*sizes: int, left_out: tuple[int, ...] = ()) -> list[Item]:
    groups = [group for group, size in enumerate(sizes) for _ in range(size)]
    return [
        Item(f"i{place}", f"g{group}", "?", "A", left_out="bad" if place in left_out else "")
        for place, group in enumerate(groups)
    ]


def names(**settings: object) -> list[str]:
    return [point.name for point in points_of([(RUN, 95)], ["B"], EvaluateSettings(**settings))]  # type: ignore[arg-type]


def test_a_study_measures_ends_first_then_checkpoints_then_scales() -> None:
    assert names() == ["A", "B"]
    # 95 examples at 10 a step are 10 steps; the last is the run itself.
    assert names(checkpoints="all") == ["A", "B", "A @3", "A @6", "A @9"]
    assert names(checkpoints=[7, 2, 10, 2]) == ["A", "B", "A @2", "A @7"]
    assert names(scales=[0.5, 1.0, 0.25]) == ["A", "B", "A x0.5", "A x0.25", "B x0.5", "B x0.25"]


def test_probe_items_are_for_what_lies_on_the_way_alone() -> None:
    points = points_of([(RUN, 95)], ["B"], EvaluateSettings(checkpoints=(4,), scales=(0.5,), probe_items=7))
    assert [(point.name, point.probe) for point in points] == [
        ("A", False),
        ("B", False),
        ("A @4", True),
        ("A x0.5", True),
        ("B x0.5", True),
    ]
    assert [point.imported for point in points] == [False, True, False, False, True]


def test_a_step_that_a_run_does_not_have_is_refused_with_the_steps_it_has() -> None:
    with pytest.raises(StudyError, match="step 11, but A has 10 steps"):
        names(checkpoints=[11])


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("evaluate.scales=[0.0]", "greater than 0"),
        ("evaluate.scales=[-1.0]", "greater than 0"),
        ("evaluate.scales=[0.5, 0.50]", "twice"),
        ("evaluate.checkpoints=[0]", "checkpoints"),
        ("evaluate.checkpoints='first'", "checkpoints"),
        ("evaluate.probe_items=0", "probe_items"),
        ("evaluate.probe_items=9", "means nothing without evaluate.checkpoints or evaluate.scales"),
        ("runs=[]", "at least one run"),
        ('adapters=[{name="fine-tuned_run 1", path="x"}]', "differ"),
        ('adapters=[{name="Fine-Tuned Run 1 @40", path="x"}]', "checkpoint or scaled"),
        ('adapters=[{name="Fine-Tuned Run 1 x0.5", path="x"}]', "checkpoint or scaled"),
        ('adapters=[{name="Baseline Model", path="x"}]', "not start like"),
        ('adapters=[{name="A", paht="x"}]', "did you mean 'path'"),
    ],
)
def test_settings_that_make_no_sense_are_refused(setting: str, words: str) -> None:
    with pytest.raises(StudyError, match=words):
        load_study("pocket", [setting])


def test_a_study_may_have_adapters_and_no_runs_and_reads_back_from_its_own_file(tmp_path: object) -> None:
    study = load_study("pocket", ["runs=[]", 'adapters=[{name="A", path="/a"}]'])
    assert not study.runs and study.adapters[0].path == "/a"
    assert study.filed().adapters[0].path == "adapters/A"
    assert Study.model_validate(study.filed().model_dump()) == study.filed()


def test_new_settings_at_their_defaults_change_no_hash_of_a_study() -> None:
    study = load_study("pocket")
    essence = study.essence()
    assert "adapters" not in essence
    assert {"checkpoints", "scales", "probe_items"}.isdisjoint(essence["evaluate"])
    changed = load_study("pocket", ["evaluate.scales=[0.5]"]).essence()
    assert changed["evaluate"].pop("scales") == [0.5] and changed == essence


def test_where_an_adapter_lies_does_not_count_and_what_it_is_called_does() -> None:
    first, moved, renamed = (
        load_study("pocket", [f'adapters=[{{name="{name}", path="{path}"}}]']).essence()
        for name, path in (("A", "/a"), ("A", "/b"), ("B", "/a"))
    )
    assert first == moved != renamed


@given(sizes=st.lists(st.integers(1, 40), min_size=1, max_size=6), count=st.integers(1, 150), seed=st.integers(0, 99))
def test_a_probe_has_every_group_in_proportion_and_is_the_same_for_the_same_seed(
    sizes: list[int], count: int, seed: int
) -> None:
    everything = items(*sizes)
    chosen = probe_items(everything, count, seed)
    assert chosen == probe_items(everything, count, seed)
    assert len(chosen) == min(count, sum(sizes))
    assert [item for item in everything if item in chosen] == list(chosen)  # in data-set order, none twice
    of_group = Counter(item.group for item in chosen)
    for group, size in enumerate(sizes):
        share = len(chosen) * size / sum(sizes)
        assert abs(of_group[f"g{group}"] - share) < 1


def test_another_seed_draws_others_and_items_left_out_are_never_drawn() -> None:
    everything = items(30, 30, left_out=tuple(range(10)))
    assert probe_items(everything, 20, 1) != probe_items(everything, 20, 2)
    assert len(probe_items(everything, 100, 1)) == 50
    assert not any(item.left_out for item in probe_items(everything, 50, 3))
