"""The archive of an adapter: the same bytes for the same content, checked, and a folder that loads when unpacked."""

import hashlib
import json
import shutil
import subprocess
import zipfile

import pytest
from studies import changed, files, outcome_lines, write_tiny_study

from contrapeso import load_study, run
from contrapeso.errors import ResourceError
from contrapeso.importing import import_adapter
from contrapeso.models.adapters import adapter_identity
from contrapeso.rebuild import rebuild_report
from contrapeso.report.archive import archive_names, checksum_file, remove_stale, write_archive

CONTENT = {"README.md": b"# card\n", "adapter_config.json": b"{}", "adapter_model.safetensors": bytes(range(256)) * 400}


def adapter(folder):
    folder.mkdir(parents=True)
    for name, content in CONTENT.items():
        (folder / name).write_bytes(content)
    (folder / "key.json").write_text("{}", encoding="utf-8")
    (folder / "training.json").write_text('{"seconds": 12}', encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("runs", "expected"),
    [
        (("Fine-Tuned Run 1", "Fine-Tuned Run 2"), ("run1", "run2")),
        (("Fine-Tuned Run 12", "Low rate, r=8"), ("run12", "low_rate__r_8")),
        (("Fine-Tuned Run 1", "run1"), ("fine-tuned_run_1", "run1")),
        (("../up", "Fine-Tuned Run one"), ("_up", "fine-tuned_run_one")),
    ],
)
def test_archives_are_named_after_study_task_and_run_and_never_alike(runs, expected):
    names = archive_names("mistral-7b", "spider", runs)
    assert tuple(names[run] for run in runs) == tuple(f"mistral-7b-spider-{name}.zip" for name in expected)


def test_the_same_content_gives_the_same_bytes_wherever_and_whenever(tmp_path):
    first, second = adapter(tmp_path / "one"), adapter(tmp_path / "two")
    for number, name in enumerate(reversed(CONTENT)):
        file = second / name
        file.chmod(0o600)
        subprocess.run(["touch", "-d", f"200{number}-05-05", file], check=True)
    (second / "training.json").write_text('{"seconds": 99}', encoding="utf-8")
    for folder in (first, second):
        write_archive(folder, folder / "a-spider-run1.zip")
    assert (first / "a-spider-run1.zip").read_bytes() == (second / "a-spider-run1.zip").read_bytes()


def test_it_unpacks_to_one_folder_with_the_adapter_and_its_card_alone(tmp_path):
    archive = tmp_path / "a-spider-run1.zip"
    write_archive(adapter(tmp_path / "one"), archive)
    shutil.unpack_archive(archive, tmp_path / "unpacked")
    assert [path.name for path in (tmp_path / "unpacked").iterdir()] == ["a-spider-run1"]
    unpacked = {p.name: p.read_bytes() for p in (tmp_path / "unpacked" / "a-spider-run1").iterdir()}
    assert unpacked == CONTENT
    with zipfile.ZipFile(archive) as packed:
        assert packed.testzip() is None
        assert {entry.date_time for entry in packed.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_the_checksum_is_one_that_sha256sum_checks(tmp_path):
    archive = tmp_path / "a-spider-run1.zip"
    digest = write_archive(adapter(tmp_path / "one"), archive)
    assert digest == hashlib.sha256(archive.read_bytes()).hexdigest()
    check = ["sha256sum", "--check", checksum_file(archive).name]
    assert subprocess.run(check, cwd=tmp_path, capture_output=True).returncode == 0
    archive.write_bytes(archive.read_bytes()[:-1] + b"?")
    assert subprocess.run(check, cwd=tmp_path, capture_output=True).returncode == 1


def test_an_archive_is_written_again_only_when_its_content_changed(tmp_path):
    folder, archive = adapter(tmp_path / "one"), tmp_path / "a-spider-run1.zip"
    first = write_archive(folder, archive)
    stamps = [path.stat().st_ino for path in (archive, checksum_file(archive))]
    assert write_archive(folder, archive) == first
    assert [path.stat().st_ino for path in (archive, checksum_file(archive))] == stamps
    archive.write_bytes(b"damaged")
    assert write_archive(folder, archive) == first and zipfile.is_zipfile(archive)
    (folder / "README.md").write_text("# another\n", encoding="utf-8")
    assert write_archive(folder, archive) != first


def test_a_missing_file_is_named_and_leaves_the_older_archive(tmp_path):
    folder, archive = adapter(tmp_path / "one"), tmp_path / "a-spider-run1.zip"
    write_archive(folder, archive)
    before = archive.read_bytes()
    (folder / "README.md").unlink()
    with pytest.raises(ResourceError, match=r"a-spider-run1\.zip"):
        write_archive(folder, archive)
    assert archive.read_bytes() == before and not list(tmp_path.glob(".*.tmp"))


def test_only_archives_with_a_checksum_of_ours_are_cleared_away(tmp_path):
    for name in ("old.zip", "kept.zip", "mine.zip"):
        (tmp_path / name).write_bytes(b"x")
    for name in ("old.zip", "kept.zip"):
        checksum_file(tmp_path / name).write_text("x", encoding="utf-8")
    remove_stale(tmp_path, ["kept.zip"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kept.zip", "kept.zip.sha256", "mine.zip"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    root = tmp_path_factory.mktemp("archives")
    run(load_study(write_tiny_study(root)), root / "out")
    return root / "out"


def test_a_run_leaves_an_archive_of_every_adapter_and_the_manifest_seals_it(finished, tmp_path):
    sealed = json.loads((finished / "manifest.json").read_text(encoding="utf-8"))["files"]
    for number in (1, 2):
        archive = finished / "adapters" / f"tiny-spider-run{number}.zip"
        assert sealed[f"adapters/{archive.name}"] == hashlib.sha256(archive.read_bytes()).hexdigest()
        shutil.unpack_archive(archive, tmp_path)
        unpacked, original = tmp_path / archive.stem, finished / "adapters" / f"Fine-Tuned_Run_{number}"
        assert adapter_identity(unpacked) == adapter_identity(original)
        assert (unpacked / "README.md").read_bytes() == (original / "README.md").read_bytes()


def test_a_report_written_again_leaves_the_same_archives_and_restores_a_lost_one(finished, tmp_path):
    copy = shutil.copytree(finished, tmp_path / "copy")
    before = files(copy, "adapters")
    (copy / "adapters" / "tiny-spider-run2.zip").unlink()
    (copy / "adapters" / "tiny-spider-run9.zip").write_bytes(b"of a run that is no more")
    (copy / "adapters" / "tiny-spider-run9.zip.sha256").write_text("x", encoding="utf-8")
    rebuild_report(copy)
    assert changed(before, files(copy, "adapters")) == set()


def test_a_damaged_archive_makes_the_study_write_its_report_again(finished, tmp_path):
    copy = shutil.copytree(finished, tmp_path / "copy")
    archive = copy / "adapters" / "tiny-spider-run1.zip"
    whole = archive.read_bytes()
    archive.write_bytes(whole[:100])
    run(load_study(copy / "study.toml"), copy)
    assert archive.read_bytes() == whole


def test_an_archive_comes_back_by_import_and_measures_as_its_run_did(finished, tmp_path):
    copy = shutil.copytree(finished, tmp_path / "copy")
    summary = import_adapter(copy / "adapters" / "tiny-spider-run2.zip", copy, name="Come back")
    back, before = (summary["variants"][name] for name in ("Come back", "Fine-Tuned Run 2"))
    for task in ("spider", "mmlu"):
        assert (back[task]["correct"], back[task]["n"]) == (before[task]["correct"], before[task]["n"])
        come, gone = (outcome_lines(copy, name, task) for name in ("Come_back", "Fine-Tuned_Run_2"))
        assert [row["answer"] for row in come] == [row["answer"] for row in gone]
