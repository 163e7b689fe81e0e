from pathlib import Path

import pytest
from studies import repeated_questions

import contrapeso
from contrapeso.data import load_mmlu, load_spider, mmlu_folder, spider_folder


def test_pocket_names_the_sets_inside_the_package() -> None:
    package = Path(contrapeso.__file__).parent
    assert package in spider_folder("pocket").parents and package in mmlu_folder("pocket").parents


def test_the_pocket_sets_load_and_their_train_questions_and_databases_are_not_evaluated() -> None:
    train, dev = load_spider(spider_folder("pocket"), "train"), load_spider(spider_folder("pocket"), "dev")
    assert repeated_questions(train, dev) == []
    assert not {item.group for item in train} & {item.group for item in dev}
    mmlu = load_mmlu(mmlu_folder("pocket"))
    assert mmlu.test and all(len(shots) >= 5 for shots in mmlu.dev.values())


def test_any_folder_may_be_named_by_text_or_path_and_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_spider").mkdir()
    assert spider_folder(str(tmp_path / "my_spider")) == spider_folder(tmp_path / "my_spider") == tmp_path / "my_spider"
    monkeypatch.setenv("HOME", str(tmp_path))
    assert mmlu_folder("~/my_spider") == tmp_path / "my_spider"
    monkeypatch.chdir(tmp_path)
    assert mmlu_folder("my_spider") == tmp_path / "my_spider"
