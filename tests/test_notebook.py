"""The Colab notebook: made of its cells, executed from top to bottom, resumed, and kept with a real run's outputs."""

import base64
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from types import ModuleType, SimpleNamespace

import nbformat
import pytest
from studies import changed, files

from contrapeso import load_study
from tools.notebook import CELLS, NOTEBOOK, ROOT, build, clean, execute, keep_outputs, repository

SMALL = "target.limit=6 target.train_limit=32 target.baseline_shots=0 general.limit_per_subject=1 training.epochs=1"
FIGURES = 3
STUDY_FOLDER = Path("contrapeso-studies", "pocket")


def made():
    return build(CELLS.read_text(encoding="utf-8"), repository())


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def outputs(notebook, kind):
    return [o["data"][kind] for cell in code_cells(notebook) for o in cell.outputs if kind in o.get("data", {})]


def printed(notebook) -> str:
    return "".join(o.text for cell in code_cells(notebook) for o in cell.outputs if o.output_type == "stream")


@pytest.fixture(scope="module")
def kept():
    return nbformat.read(NOTEBOOK, as_version=4)


def test_the_notebook_is_made_of_its_cells(kept):
    assert [(c.id, c.cell_type, c.source) for c in kept.cells] == [(c.id, c.cell_type, c.source) for c in made().cells]
    nbformat.validate(kept)


def test_the_kept_outputs_are_of_one_whole_run_in_order(kept):
    assert [cell.execution_count for cell in code_cells(kept)] == list(range(1, len(code_cells(kept)) + 1))
    assert {o.output_type for cell in code_cells(kept) for o in cell.outputs} <= {"stream", "display_data"}
    assert "target: 352 questions on 8 databases" in printed(kept) and "train Fine-Tuned Run 2:" in printed(kept)


def test_the_kept_outputs_show_tables_and_figures_and_stay_small(kept):
    tables, figures = "".join(outputs(kept, "text/html")), outputs(kept, "image/png")
    assert all(
        words in tables
        for words in ("Baseline Model", "Fine-Tuned Run 2", "Execution Accuracy", "pocket-spider-run1.zip")
    )
    assert len(figures) == FIGURES and "gain" in "".join(outputs(kept, "text/markdown"))
    assert NOTEBOOK.stat().st_size < 1_000_000


def test_the_kept_outputs_name_no_place_of_the_machine_they_were_made_on(kept):
    text = json.dumps([cell.outputs for cell in code_cells(kept)])
    text = re.sub(r'"image/png": "[^"]*"', "", text)
    assert not re.search(r"/(work|root|home|tmp|Users|var)/|\bfile:", text)


def test_the_badge_opens_this_very_file_of_the_projects_repository(kept):
    owner_and_name = repository().removeprefix("https://github.com/")
    (address,) = re.findall(r"\(https://colab\.research\.google\.com/github/(\S+?)\)", kept.cells[0].source)
    assert address == f"{owner_and_name}/blob/main/{NOTEBOOK.relative_to(ROOT).as_posix()}"
    linked = re.findall(rf"{re.escape(repository())}/blob/main/(\S+?)\)", kept.cells[0].source)
    assert linked and all((ROOT / path).is_file() for path in linked)
    assert "{repository}" not in NOTEBOOK.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """The notebook executed twice in one folder: both notebooks, and the study's files after each time."""
    folder = tmp_path_factory.mktemp("notebook")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"):
            patch.setenv(name, str(tmp_path_factory.mktemp(name.lower())))
        patch.setenv("CONTRAPESO_NOTEBOOK_SET", SMALL)
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setenv("CUDA_VISIBLE_DEVICES", "")
        first = execute(made(), folder, timeout_seconds=600)
        after_first = files(folder / STUDY_FOLDER)
        second = execute(made(), folder, timeout_seconds=600)
    return SimpleNamespace(
        folder=folder, first=first, second=second, after_first=after_first, after_second=files(folder / STUDY_FOLDER)
    )


def test_it_runs_from_top_to_bottom_and_shows_tables_and_figures(executed):
    summary = json.loads((executed.folder / STUDY_FOLDER / "summary.json").read_text(encoding="utf-8"))
    assert summary["complete"] is True
    tables = "".join(outputs(executed.first, "text/html"))
    for variant, tasks in summary["variants"].items():
        assert variant in tables and f"{100 * tasks['mmlu']['accuracy']:.1f} %" in tables
    drawn = [
        base64.b64encode(figure.read_bytes()).decode()
        for figure in (executed.folder / STUDY_FOLDER / "figures").glob("*.png")
    ]
    shown = ["".join(figure.split()) for figure in outputs(executed.first, "image/png")]
    assert sorted(shown) == sorted(drawn) and len(shown) >= 2
    assert "measure Baseline Model on mmlu:" in printed(executed.first)
    assert "report.html" in tables and "pocket-spider-run2.zip" in tables
    assert re.search(r"\bSELECT\b", printed(executed.first)[printed(executed.first).index("report:") :])


def test_all_cells_again_find_everything_done_and_show_the_same(executed):
    assert "complete: nothing to do" in printed(executed.second)
    assert "train Fine-Tuned Run 1:" not in printed(executed.second)
    assert changed(executed.after_first, executed.after_second) == set()
    for kind in ("image/png", "text/html"):
        assert outputs(executed.second, kind) == outputs(executed.first, kind)


def test_cleaning_takes_paths_times_and_warnings_away(executed):
    notebook = clean(executed.second, executed.folder)
    code_cells(notebook)[0].outputs.append(nbformat.v4.new_output("stream", name="stderr", text="a warning"))
    text = nbformat.writes(clean(notebook, executed.folder))
    assert str(executed.folder) not in text and "a warning" not in text and "iopub" not in text
    assert "…" in text


def test_outputs_stay_with_the_very_same_code_alone():
    earlier = made()
    code_cells(earlier)[0].outputs = [nbformat.v4.new_output("stream", text="kept")]
    assert code_cells(keep_outputs(made(), earlier))[0].outputs == code_cells(earlier)[0].outputs
    code_cells(earlier)[1].source += "\nprint()"
    assert code_cells(keep_outputs(made(), earlier))[0].outputs == []


def cell_with(words: str) -> str:
    (source,) = (cell.source for cell in code_cells(made()) if words in cell.source)
    return source


def test_it_installs_from_the_repository_and_pytorch_stays(monkeypatch, tmp_path, capfd):
    found, commands = importlib.util.find_spec, []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "contrapeso" else found(name))
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(subprocess, "run", lambda command, check: commands.append(command))
    namespace: dict = {}
    exec(cell_with("def contrapeso"), namespace)
    (command,) = commands
    assert command[-1] == f"contrapeso[gpu] @ git+{repository()}"
    constraint = Path(command[command.index("--constraint") + 1]).read_text(encoding="utf-8")
    assert constraint == f"torch=={metadata.version('torch')}\n"
    with pytest.raises(RuntimeError, match="nonsense ended with code 2"):
        namespace["contrapeso"]("nonsense")


def colab(monkeypatch, secrets=()):
    """Modules as Colab has them; returns what was mounted."""
    mounted: list[str] = []
    missing, refused = type("SecretNotFoundError", (Exception,), {}), type("NotebookAccessError", (Exception,), {})

    def get(name):
        if name not in dict(secrets):
            raise missing(name)
        return dict(secrets)[name]

    package = ModuleType("google.colab")
    package.drive = SimpleNamespace(mount=mounted.append)
    package.userdata = SimpleNamespace(get=get, SecretNotFoundError=missing, NotebookAccessError=refused)
    monkeypatch.setitem(sys.modules, "google", ModuleType("google"))
    monkeypatch.setitem(sys.modules, "google.colab", package)
    return mounted


def test_in_colab_the_study_lies_in_the_mounted_drive(monkeypatch):
    mounted, made_folders = colab(monkeypatch), []
    monkeypatch.setattr(Path, "mkdir", lambda self, **options: made_folders.append(self))
    namespace = {"Path": Path}
    exec(cell_with("drive.mount"), namespace)
    assert mounted == ["/content/drive"]
    assert namespace["ROOT"] == Path("/content/drive/MyDrive/contrapeso-studies") == made_folders[0]


def test_in_colab_tokens_come_from_its_keys_and_are_not_printed(monkeypatch, tmp_path, capsys):
    colab(monkeypatch, {"HF_TOKEN": "hf_secret"}.items())
    for name in ("HF_TOKEN", "KAGGLE_USERNAME", "KAGGLE_KEY"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    namespace: dict = {"os": os}
    monkeypatch.setattr(Path, "mkdir", lambda self, **options: None)
    namespace |= {"Path": Path}
    exec("from contextlib import suppress\n" + cell_with("drive.mount") + "\n" + cell_with("HF_TOKEN"), namespace)
    said = capsys.readouterr().out
    assert "HF_TOKEN: there\nKAGGLE_USERNAME: none\n" in said and "hf_secret" not in said
    assert os.environ["HF_TOKEN"] == "hf_secret"


@pytest.mark.parametrize(("name", "gib", "small"), [("Tesla T4", 14.6, True), ("NVIDIA A100-SXM4-40GB", 39.6, False)])
def test_on_a_gpu_the_original_study_runs_with_what_its_memory_asks_for(monkeypatch, name, gib, small):
    import torch

    properties = SimpleNamespace(total_memory=int(gib * 2**30))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: name)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: properties)
    monkeypatch.delenv("CONTRAPESO_NOTEBOOK_SET", raising=False)
    namespace: dict = {"os": os}
    exec(cell_with('STUDY = "auto"'), namespace)
    study = load_study(namespace["STUDY"], namespace["settings"])
    assert study.name == "mistral-7b-original" and study.model.quantization == "nf4"
    assert study.runs[0].gradient_checkpointing and study.runs[0].optimizer == "paged_adamw_8bit"
    assert (study.model.dtype == "float16") is small and (study.evaluate.generate_batch == 8) is small


def test_data_are_fetched_for_a_7b_study_alone():
    called: list = []
    for study in ("pocket", "mistral-7b"):
        namespace = {"STUDY": study, "SOURCE": "kaggle", "IN_COLAB": False, "contrapeso": lambda *a: called.append(a)}
        exec(cell_with('"fetch"'), namespace)
    assert called == [("fetch", "spider", "--from", "kaggle"), ("fetch", "mmlu")]
