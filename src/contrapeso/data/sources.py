"""Where the benchmark sets come from: repositories, pinned revisions, checksums, licences, and how many there must be.

Nothing enters; `SETS` leaves. Every revision and SHA-256 here is published by its host or by several projects that
fetched the file independently of each other. Where none is known the field is None: then the first fetch records what
arrived, and every later one is held to it (`hub`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

Kind = Literal["spider", "mmlu"]
"""Which task reads a set: text-to-SQL in the layout of Spider or BIRD, or multiple choice in that of MMLU."""


@dataclass(frozen=True)
class HubSource:
    """Files of a data set on the Hugging Face hub.

    Attributes:
        repository: `<owner>/<name>`.
        revision: a commit, or a branch where the checksums alone pin the content.
        files: path in the repository -> SHA-256 (hex), None where it is not known.
    """

    repository: str
    revision: str
    files: Mapping[str, str | None]


@dataclass(frozen=True)
class KaggleSource:
    """A data set on Kaggle; its versions never change."""

    handle: str
    version: int


@dataclass(frozen=True)
class DataSet:
    """A benchmark set.

    Attributes:
        name: what a study calls it.
        kind: which task reads it.
        licence: licence, authors and home page; said at every fetch.
        origin: where it comes from when nobody says otherwise: `huggingface`, `kaggle` or an address.
        hub: on the Hugging Face hub.
        kaggle: on Kaggle; None where the set is not there.
        archives: known archives elsewhere, address -> SHA-256 (hex).
        counts: what a whole copy holds: questions of each split, databases asked about, or subjects.
    """

    name: str
    kind: Kind
    licence: str
    origin: str
    hub: HubSource
    kaggle: KaggleSource | None = None
    archives: Mapping[str, str] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)


_BIRD_ARCHIVE = "https://bird-bench.oss-cn-beijing.aliyuncs.com/dev.zip"
_BIRD_SHA256 = "cdd6d19faeb45a23970b98d3ef6c40a87987c95459c2cf12076897a60cf5a630"

SETS: Mapping[str, DataSet] = MappingProxyType(
    {
        "spider": DataSet(
            name="spider",
            kind="spider",
            licence="Spider 1.0, Yu et al. 2018, https://yale-lily.github.io/spider: CC BY-SA 4.0",
            origin="huggingface",
            # Later revisions of this repository hold the questions alone, as parquet; this commit added the authors'
            # archive with the databases (99,736,136 bytes).
            hub=HubSource(
                "xlangai/spider",
                "33bb2d632e7e53f1f8150777ee7bfeda5c0853ab",
                {"data/spider.zip": "5ddff97bb1d421282c593e8d30ce0ce107270f4dd4a21d60eba4bf287d5956b1"},
            ),
            kaggle=KaggleSource("jeromeblanchet/yale-universitys-spider-10-nlp-dataset", 1),
            counts={"train": 7000, "dev": 1034, "databases": 160},
        ),
        "mmlu": DataSet(
            name="mmlu",
            kind="mmlu",
            licence="MMLU, Hendrycks et al. 2021, https://github.com/hendrycks/test: MIT",
            origin="huggingface",
            hub=HubSource(
                "cais/mmlu",
                "c30699e8356da336a370243923dbaf21066bb9fe",
                {
                    "all/dev-00000-of-00001.parquet": None,
                    "all/test-00000-of-00001.parquet": (
                        "74a41822ce7d3def56e1682f958469c04642a5336a5ce912fa375fdb90fb25d7"
                    ),
                },
            ),
            archives={
                "https://people.eecs.berkeley.edu/~hendrycks/data.tar": (
                    "bec563ba4bac1d6aaf04141cd7d1605d7a5ca833e38f994051e818489592989b"
                )
            },
            counts={"test": 14042, "dev": 285, "subjects": 57},
        ),
        "bird": DataSet(
            name="bird",
            kind="spider",
            licence="BIRD dev (2024-06-27), Li et al. 2023, https://bird-bench.github.io: CC BY-SA 4.0",
            origin=_BIRD_ARCHIVE,
            hub=HubSource("HAL-9001/bird-dev", "main", {"dev.zip": _BIRD_SHA256}),  # a mirror, pinned by its checksum
            archives={_BIRD_ARCHIVE: _BIRD_SHA256},
            counts={"dev": 1534, "databases": 11},
        ),
    }
)
