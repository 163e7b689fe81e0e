"""The cells of the Colab notebook; `python -m tools.notebook` makes `contrapeso.ipynb` of them (docs/notebook.md)."""
# ruff: noqa: E402

# %% [markdown]
# # contrapeso: what fine-tuning gives, and what it takes away
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]({colab})
#
# This notebook fine-tunes Mistral-7B-Instruct-v0.2 with LoRA on text-to-SQL, in two configurations, and measures base
# and tuned models twice: execution accuracy on Spider, which is what they were tuned for, and MMLU, which is what the
# base knew before. It ends with tables, figures, a report page and the adapters packed to take away.
#
# - **In Colab**: *Runtime → Change runtime type → T4 GPU*, then *Runtime → Run all*. The study lies in your Google
#   Drive. **When the session ends or breaks off, open the notebook again and run all cells again**: finished steps are
#   not repeated, and a run goes on from its last checkpoint.
# - **Without a GPU** the same study runs in small, in minutes: a pocket model and data come with contrapeso. What
#   you see below was made so, on two CPU cores.
#
# [The project]({repository}) · [How to read a verdict]({repository}/blob/main/docs/reading-a-verdict.md) ·
# [Memory and time of the 7B study]({repository}/blob/main/docs/gpu-7b.md)

# %% [markdown]
# ## 1. Install
#
# Only where it is not installed yet. PyTorch stays the one that is here: Colab's fits its GPU.

# %%
import importlib.util
import os
import shutil
import subprocess
import sys
from contextlib import suppress
from importlib import metadata
from pathlib import Path

REPOSITORY = "{repository}"

if importlib.util.find_spec("contrapeso") is None:
    extras = "[gpu]" if shutil.which("nvidia-smi") else ""  # the GPU's 4-bit weights and 8-bit optimizer
    keep = Path("keep-torch.txt")
    keep.write_text(f"torch=={metadata.version('torch')}\n" if importlib.util.find_spec("torch") else "")
    wanted = f"contrapeso{extras} @ git+{REPOSITORY}"
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--constraint", str(keep), wanted], check=True)


def contrapeso(*arguments, fine=(0,)):
    """Run a command of contrapeso and show what it says."""
    command = [sys.executable, "-m", "contrapeso", *map(str, arguments)]
    said = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    with subprocess.Popen(command, env={**os.environ, "FORCE_COLOR": ""}, **said) as running:
        for line in running.stdout:
            print(line, end="")
    if running.returncode not in fine:
        raise RuntimeError(f"contrapeso {arguments[0]} ended with code {running.returncode}; it says why above")


contrapeso("--version")

# %% [markdown]
# ## 2. Where the study lies
#
# In Colab in your Drive, which outlives the session; elsewhere beside this notebook.

# %%
try:
    from google.colab import drive, userdata
except ImportError:
    IN_COLAB, ROOT = False, Path("contrapeso-studies")
else:
    drive.mount("/content/drive")
    IN_COLAB, ROOT = True, Path("/content/drive/MyDrive/contrapeso-studies")
ROOT.mkdir(parents=True, exist_ok=True)
print(f"Studies lie in {ROOT}")

# %% [markdown]
# ## 3. Tokens
#
# For Mistral-7B you need a token of Hugging Face, after accepting the model's terms on its page; for Spider from Kaggle
# a Kaggle key. In Colab put them under the key symbol on the left (`HF_TOKEN`, `KAGGLE_USERNAME`, `KAGGLE_KEY`) and
# allow this notebook to read them; elsewhere set them in the environment. The pocket study needs none.

# %%
for name in ("HF_TOKEN", "KAGGLE_USERNAME", "KAGGLE_KEY"):
    if IN_COLAB and name not in os.environ:
        with suppress(userdata.SecretNotFoundError, userdata.NotebookAccessError):
            os.environ[name] = userdata.get(name)
    print(f"{name}: {'there' if os.environ.get(name) else 'none'}")

# %% [markdown]
# ## 4. Which study
#
# | study | what it measures |
# | --- | --- |
# | `mistral-7b-original` | the original study's settings and its few questions: 100 of Spider dev, 150 of MMLU |
# | `mistral-7b` | the same two runs, on all of Spider dev and all of MMLU: small effects show; takes far longer |
# | `pocket` | a whole study in small, in minutes, without a GPU |
#
# Both 7B studies train two runs on the 7,000 questions of Spider's train set: on a T4 that is many hours, more than one
# session, which is why everything is kept in Drive. `auto` takes `mistral-7b-original` where there is a GPU.

# %%
import shlex

import torch

STUDY = "auto"  # @param ["auto", "pocket", "mistral-7b-original", "mistral-7b"]
SOURCE = "huggingface"  # @param ["huggingface", "kaggle"]

gpu = torch.cuda.is_available()
if STUDY == "auto":
    STUDY = "mistral-7b-original" if gpu else "pocket"
settings = shlex.split(os.environ.get("CONTRAPESO_NOTEBOOK_SET", ""))
if STUDY != "pocket" and gpu and torch.cuda.get_device_properties(0).total_memory < 20 * 2**30:
    settings += [  # a card of 16 GB: the presets load the model in 4 bits (NF4) and train example by example
        "model.dtype=float16",  # a T4 computes in no bfloat16
        "evaluate.generate_batch=8",  # 14 of the longest prompts at once took 14.3 GiB; a T4 has 15
        "evaluate.score_batch=8",
        "training.checkpoint_steps=25",  # 200 examples: the most that a broken session loses
    ]
print(f"{STUDY} on {torch.cuda.get_device_name(0) if gpu else 'the CPU'}", *settings, sep="\n  ")

# %% [markdown]
# ## 5. Data
#
# Spider and MMLU at pinned revisions, checked by their hashes. They go to the machine's own disk: reading hundreds of
# databases from Drive is slow, and they are fetched again in a minute.

# %%
if STUDY != "pocket":
    if IN_COLAB:
        os.environ["CONTRAPESO_DATA"] = "/content/contrapeso-data"
    contrapeso("fetch", "spider", "--from", SOURCE)
    contrapeso("fetch", "mmlu")

# %% [markdown]
# ## 6. Is everything there?
#
# Data, model, disk and memory, and the smallest effect that so many questions can show.

# %%
FOLDER = ROOT / STUDY
contrapeso("check", STUDY, "--out", FOLDER, *(word for setting in settings for word in ("--set", setting)))

# %% [markdown]
# ## 7. Run it
#
# Base, both runs, report. Interrupt it or lose the session whenever you like: the same cell goes on from there, and
# does nothing when all is done.

# %%
from contrapeso import load_study
from contrapeso.integrations.notebook import run_in_cell, show_study, show_table

summary = run_in_cell(load_study(STUDY, settings), FOLDER)

# %% [markdown]
# ## 8. What came out
#
# Accuracies with 95 % intervals, differences against the base on the same questions, and what a point gained cost.
# A number that the audit withholds is not shown as one.

# %%
show_study(FOLDER, summary)

# %% [markdown]
# The tables as the original study named them:

# %%
import pandas as pd
from IPython.display import HTML, FileLink, display

for name in ("summary_fase3_accuracy.csv", "avaliacao_mmlu_resultados.csv"):
    print(name)
    display(pd.read_csv(FOLDER / "csv" / name, index_col=0).round(4))

# %% [markdown]
# ## 9. The report
#
# One page, with every question of every variant to look at, and the same as a paper (PDF). In Colab the page opens
# below; elsewhere follow the links.

# %%
if IN_COLAB:
    display(HTML(filename=FOLDER / "report.html"))
display(FileLink(FOLDER / "report.html"), FileLink(FOLDER / "report.pdf"))

# %% [markdown]
# ## 10. The adapters
#
# Each run's adapter is a folder that plain PEFT loads, with a model card (`README.md`) that a hub reads and that says
# how to ask it, and the same as an archive.

# %%
archives = sorted((FOLDER / "adapters").glob("*.zip"))
rows = [
    (archive.name, f"{archive.stat().st_size / 2**20:.1f} MiB", Path(f"{archive}.sha256").read_text().split()[0])
    for archive in archives
]
show_table(("Archive", "Size", "SHA-256"), rows)

# %% [markdown]
# ## 11. Ask it
#
# The second run's adapter, asked about a database it never learnt from. Put in a question of your own, or a SQLite
# file; it is only read. The answer may be wrong: how often it is, the tables above say.

# %%
from contrapeso.data import spider_folder

if STUDY == "pocket":
    data, name, question = "pocket", "zoo", "For every skill, find the maximum age of the keepers."
else:
    data, name, question = "spider", "concert_singer", "How many singers do we have?"
database = spider_folder(data) / "database" / name / f"{name}.sqlite"
asked = ("ask", question, "--database", database, "--study", FOLDER, "--variant", "Fine-Tuned Run 2")
contrapeso(*asked, fine=(0, 1))  # 1: the query it wrote fails
