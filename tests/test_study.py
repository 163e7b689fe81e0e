"""Study files: what is read, what is refused, and how the refusal reads."""

import tomllib

import pytest

from contrapeso.errors import StudyError
from contrapeso.settings import LoraSettings
from contrapeso.study import load_study, presets, slug
from contrapeso.study_file import commented, write_commented


def refusal(overrides):
    with pytest.raises(StudyError) as caught:
        load_study("pocket", overrides)
    return str(caught.value)


@pytest.mark.parametrize("name", presets())
def test_every_preset_loads_and_survives_a_round_trip_through_toml(name, tmp_path):
    study = load_study(name)
    (tmp_path / "study.toml").write_text(study.to_toml(), encoding="utf-8")
    assert load_study(tmp_path / "study.toml") == study


def test_the_original_preset_has_the_original_settings():
    study = load_study("mistral-7b-original")
    for run, rate in zip(study.runs, (2e-4, 5e-5), strict=True):
        assert (run.rank, run.alpha, run.dropout, run.learning_rate, run.epochs) == (8, 16, 0.05, rate, 1)
        assert run.target_modules == ("q_proj", "k_proj", "v_proj", "o_proj")
        assert run.batch_size * run.gradient_accumulation == 8
        assert run.optimizer == "paged_adamw_8bit"
    assert study.model.id == "mistralai/Mistral-7B-Instruct-v0.2" and study.model.quantization == "nf4"
    assert study.target.limit == 100 and study.seed == 42
    assert study.general.subjects == ("high_school_computer_science", "philosophy", "high_school_macroeconomics")
    assert (study.general.limit_per_subject, study.general.shots) == (50, 4)


def test_mistral_7b_differs_from_the_original_only_in_what_is_measured():
    original, proper = load_study("mistral-7b-original"), load_study("mistral-7b")
    assert original.runs == proper.runs and original.model == proper.model
    assert proper.target.limit is None and proper.general.subjects == () and proper.general.shots == 5


def test_shared_training_values_reach_every_run_and_a_run_may_override_them(tmp_path):
    file = tmp_path / "s.toml"
    file.write_text('name = "s"\n[training]\nrank = 4\nepochs = 3\n[[runs]]\n[[runs]]\nrank = 2\n', encoding="utf-8")
    first, second = load_study(file).runs
    assert (first.name, first.rank, first.epochs) == ("Fine-Tuned Run 1", 4, 3)
    assert (second.name, second.rank, second.epochs) == ("Fine-Tuned Run 2", 2, 3)


def test_overrides_are_toml_values_and_bare_words_are_strings():
    study = load_study("pocket", ["runs.0.epochs=0.5", "model.id=my-org/my-model", 'general.subjects=["astronomy"]'])
    assert study.runs[0].epochs == 0.5
    assert study.model.id == "my-org/my-model"
    assert study.general.subjects == ("astronomy",)


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("modle.id=x", "unknown setting modle (did you mean 'model'?)"),
        ("model.dtypo=x", "unknown setting model.dtypo (did you mean 'dtype'?)"),
        ("training.learning_rat=1", "unknown setting training.learning_rat (did you mean 'learning_rate'?)"),
        ("runs.0.epoch=1", "unknown setting runs.0.epoch (did you mean 'epochs'?)"),
        ("runs.7.epochs=1", "'7' is not an index below 2"),
        ("target.limit=0", "target.limit = 0"),
        ("model.quantization=int3", "model.quantization = 'int3'"),
        ("no-equals-sign", "--set wants key=value"),
        ("runs.1.name=Fine-Tuned Run 1", "run names must differ"),
        ('runs.0.name="a\\u001bb"', "run names are printable"),
        (f"runs.0.name={80 * '日'}", "at most 120 bytes"),
        ("runs.0.alpha=inf", "runs.0.alpha = inf"),
        ("runs.0.name=Baseline Model (3-shot)", "run names must differ"),
        ("target.shots=3", "target.baseline_shots equals target.shots"),
    ],
)
def test_a_wrong_setting_is_refused_by_name_with_the_nearest_known_one(override, expected):
    assert expected in refusal([override])


def test_an_unknown_study_names_the_nearest_preset():
    with pytest.raises(StudyError, match="did you mean 'pocket'"):
        load_study("pockt")


def test_broken_toml_names_the_file_and_the_line(tmp_path):
    file = tmp_path / "broken.toml"
    file.write_text("name = \n", encoding="utf-8")
    with pytest.raises(StudyError, match=r"broken\.toml is not valid TOML: .*line 1"):
        load_study(file)


def test_a_study_without_runs_is_refused(tmp_path):
    file = tmp_path / "s.toml"
    file.write_text('name = "s"\nruns = []\n', encoding="utf-8")
    with pytest.raises(StudyError, match="runs"):
        load_study(file)


def test_paths_are_relative_to_the_study_file(tmp_path):
    (tmp_path / "my_spider").mkdir()
    file = tmp_path / "s.toml"
    file.write_text('name = "s"\n[target]\ndata = "my_spider"\n[[runs]]\n', encoding="utf-8")
    assert load_study(file).target.data == str(tmp_path / "my_spider")


@pytest.mark.parametrize("name", presets())
def test_the_commented_file_means_the_same_as_its_preset(name, tmp_path):
    write_commented(tmp_path / "s.toml", name)
    assert load_study(tmp_path / "s.toml") == load_study(name)
    text = (tmp_path / "s.toml").read_text(encoding="utf-8")
    assert LoraSettings.model_fields["rank"].description in text


def test_the_commented_file_shows_every_setting():
    text = commented("pocket")
    uncommented = "\n".join(line.removeprefix("# ") if " = " in line else line for line in text.splitlines())
    assert "revision =" in uncommented and tomllib.loads(text)


def test_init_never_overwrites(tmp_path):
    (tmp_path / "s.toml").write_text("mine", encoding="utf-8")
    with pytest.raises(StudyError, match="exists"):
        write_commented(tmp_path / "s.toml", "pocket")
    assert (tmp_path / "s.toml").read_text(encoding="utf-8") == "mine"


def test_slug_keeps_the_original_file_names():
    assert slug("Fine-Tuned Run 1") == "Fine-Tuned_Run_1"


def test_slug_never_leaves_its_folder():
    assert [slug(name) for name in ("../x y/z", "..", ".", ".hidden")] == ["_x_y_z", "_", "_", "hidden"]
