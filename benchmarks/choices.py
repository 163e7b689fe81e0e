"""MMLU by contrapeso and by lm-evaluation-harness: the same model and questions, answer by answer and second by second.

    pip install lm_eval==0.4.13
    python -m benchmarks.choices [--model pocket] [--mmlu pocket] [--shots 4] [--limit 20] [--rounds 3]

The harness' prompts are those of its own `mmlu` tasks: their files are included, and only the source of the questions
is replaced, so that nothing is fetched. Counted are the seconds from questions in memory to answers: loading the
model, and for the harness reading its task files and data sets, come before.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks import side_by_side
from contrapeso.data import mmlu_folder
from contrapeso.data.mmlu import MMLU, load_mmlu
from contrapeso.models.engine import Variant
from contrapeso.models.local import LocalEngine
from contrapeso.tasks.base import Item
from contrapeso.tasks.multiple_choice import LETTERS, MultipleChoice

WAYS = ("contrapeso", "lm-evaluation-harness")


@dataclass(frozen=True)
class Answer:
    """What one of the two said to one question.

    Attributes:
        prompt: the text the model was shown, without the beginning-of-sequence marker.
        log_probabilities: of " A", " B", " C", " D" as the next token.
    """

    prompt: str
    log_probabilities: tuple[float, ...]

    @property
    def letter(self) -> str:
        """The likeliest letter; of equally likely ones the first, as in both."""
        return LETTERS[self.log_probabilities.index(max(self.log_probabilities))]


@dataclass(frozen=True)
class Answers:
    """What one of the two said to all questions.

    Attributes:
        by_item: answers by item id.
        seconds: they took.
    """

    by_item: dict[str, Answer]
    seconds: float


def ask_ours(model: Any, tokenizer: Any, questions: MMLU, *, shots: int, batch_size: int) -> Answers:
    """Answers of contrapeso's engine.

    Args:
        model: a causal language model.
        tokenizer: its tokenizer.
        questions: what is asked.
        shots: solved questions shown before each.
        batch_size: questions scored together.
    """
    started = time.perf_counter()
    task = MultipleChoice(questions.test, questions.dev, shots=shots)
    engine = LocalEngine(model, tokenizer, batch_size_score=batch_size)
    answers = {}
    for rows, replies in task.ask(engine, Variant("Baseline Model"), skip=frozenset()):
        for row, reply in zip(rows, replies, strict=True):
            item = task.items[row]
            answers[item.id] = Answer(task.prompt(item).text, reply.log_probabilities)
    return Answers(answers, time.perf_counter() - started)


def ask_harness(model: Any, tokenizer: Any, questions: MMLU, *, shots: int, batch_size: int, folder: Path) -> Answers:
    """Answers of lm-evaluation-harness.

    Args:
        model, tokenizer, questions, shots, batch_size: as in `ask_ours`.
        folder: an empty folder for the questions and the task files.
    """
    import lm_eval
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    tasks = write_harness_tasks(questions, folder)
    manager = TaskManager(include_path=str(folder), include_defaults=False)
    loaded = manager.load(list(tasks))["tasks"]
    harness = HFLM(pretrained=model, tokenizer=tokenizer, batch_size=batch_size)
    started = time.perf_counter()
    result = lm_eval.simple_evaluate(
        harness,
        tasks=[loaded[task] for task in tasks],
        num_fewshot=shots,
        bootstrap_iters=0,
        log_samples=True,
        task_manager=manager,
    )
    seconds = time.perf_counter() - started
    answers = {}
    for task, items in tasks.items():
        for sample in result["samples"][task]:
            requests = sample["arguments"]
            context, *more = dict.fromkeys(request[0] for request in requests)
            if more or [request[1] for request in requests] != [f" {letter}" for letter in LETTERS]:
                raise ValueError(f"{task}: the harness asked something else than four letters: {requests}")
            values = tuple(float(response[0][0]) for response in sample["resps"])
            answers[items[sample["doc_id"]].id] = Answer(context, values)
    return Answers(answers, seconds)


def write_harness_tasks(questions: MMLU, folder: Path) -> dict[str, list[Item]]:
    """Write one task file a subject, each on top of the harness' own, with the questions beside it.

    Args:
        questions: what is asked; its subjects are MMLU's.
        folder: where to.

    Returns:
        The questions of each task, in the order of the harness' document numbers.
    """
    import lm_eval.tasks

    own = Path(lm_eval.tasks.__file__).parent / "mmlu" / "default"
    tasks: dict[str, list[Item]] = {}
    for subject, shots in questions.dev.items():
        items = [item for item in questions.test if item.group == subject]
        files = {"test": _write_rows(folder / f"{subject}_test.jsonl", items)}
        files["dev"] = _write_rows(folder / f"{subject}_dev.jsonl", shots)
        settings = {
            "include": str(own / f"mmlu_{subject}.yaml"),
            "task": f"mmlu_{subject}",
            "dataset_path": "json",
            "dataset_name": None,
            "dataset_kwargs": {"data_files": files, "cache_dir": str(folder / "cache")},
        }
        # JSON is YAML.
        (folder / f"{subject}.yaml").write_text(json.dumps(settings), encoding="utf-8")
        tasks[f"mmlu_{subject}"] = items
    return tasks


def differences(ours: dict[str, Answer], harness: dict[str, Answer]) -> dict[str, Any]:
    """Where the two differ: questions in prompt and in letter, the largest gap between log-probabilities, and the
    closest calls (by how much the first letter beat the second), at which float noise could turn an answer.

    Raises:
        ValueError: they did not answer the same questions.
    """
    if ours.keys() != harness.keys():
        raise ValueError(f"not asked by both: {sorted(ours.keys() ^ harness.keys())[:5]}")
    margins = {}
    for name, answer in harness.items():
        first, second, *_ = sorted(answer.log_probabilities, reverse=True)
        margins[name] = first - second
    return {
        "questions": len(ours),
        "prompts": [name for name in ours if ours[name].prompt != harness[name].prompt],
        "letters": [name for name in ours if ours[name].letter != harness[name].letter],
        "largest_gap": max(
            abs(one - other)
            for name in ours
            for one, other in zip(ours[name].log_probabilities, harness[name].log_probabilities, strict=True)
        ),
        "closest_calls": dict(sorted(margins.items(), key=lambda entry: entry[1])[:5]),
    }


def accuracy(answers: dict[str, Answer], questions: MMLU) -> float:
    """Share of right letters."""
    return sum(answers[item.id].letter == item.gold for item in questions.test) / len(questions.test)


def _write_rows(file: Path, items: Sequence[Item]) -> str:
    # The fields of the set that the harness would fetch.
    rows = [
        {"question": item.question, "choices": list(item.choices), "answer": LETTERS.index(item.gold)} for item in items
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(file.absolute())


def ask_one(arguments: argparse.Namespace) -> None:
    """Ask one of the two; the last line printed is what it said, in JSON."""
    from contrapeso.models.loading import load_model

    loaded = load_model(arguments.model)
    questions = read_questions(arguments)
    options = {"shots": arguments.shots, "batch_size": arguments.batch}
    with tempfile.TemporaryDirectory() as folder:
        if arguments.only == WAYS[0]:
            answers = ask_ours(loaded.model, loaded.tokenizer, questions, **options)
        else:
            answers = ask_harness(loaded.model, loaded.tokenizer, questions, folder=Path(folder), **options)
    print(json.dumps(asdict(answers)))


def read_questions(arguments: argparse.Namespace) -> MMLU:
    """The questions the command line asks for."""
    return load_mmlu(mmlu_folder(arguments.mmlu), limit_per_subject=arguments.limit)


def main() -> None:
    """Ask both in turns; print a table and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="pocket", help="`pocket` or a folder")
    parser.add_argument("--mmlu", default="pocket", help="`pocket` or a folder in MMLU's layout")
    parser.add_argument("--shots", type=int, default=4, help="the pocket set has four a subject, MMLU five")
    parser.add_argument("--limit", type=int, default=None, help="questions of each subject; all by default")
    parser.add_argument("--batch", type=int, default=64, help="questions at a time, for both")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("results/choices.json"))
    parser.add_argument("--only", choices=WAYS, help="ask one of the two, once, and print its answers")
    arguments = parser.parse_args()
    if arguments.only:
        ask_one(arguments)
        return
    words = [f"--{name}={getattr(arguments, name)}" for name in ("model", "mmlu", "shots", "batch")]
    words += [f"--limit={arguments.limit}"] if arguments.limit else []
    found = side_by_side.in_turns("benchmarks.choices", WAYS, words, rounds=arguments.rounds)
    ours, harness = (_answers(found[way][0]) for way in WAYS)
    questions = read_questions(arguments)
    result = {
        **side_by_side.compared(found, WAYS[0]),
        "differences": differences(ours, harness),
        "accuracy": {way: accuracy(by_item, questions) for way, by_item in zip(WAYS, (ours, harness), strict=True)},
    }
    side_by_side.write(arguments.out, result)
    print(side_by_side.table(result, len(ours)))
    print(json.dumps({key: result[key] for key in ("differences", "accuracy", "load")}, indent=1))


def _answers(row: dict[str, Any]) -> dict[str, Answer]:
    return {
        name: Answer(answer["prompt"], tuple(answer["log_probabilities"])) for name, answer in row["by_item"].items()
    }


if __name__ == "__main__":
    main()
