"""What `contrapeso check` says about memory."""

import pytest
import torch

from contrapeso import check, load_study
from contrapeso.errors import ResourceError


@pytest.mark.parametrize(("sharding", "gpus", "fits"), [("none", 2, False), ("fsdp", 2, True), ("fsdp", 1, False)])
def test_weights_divided_among_gpus_need_a_part_of_the_memory_on_each(
    monkeypatch: pytest.MonkeyPatch, sharding: str, gpus: int, fits: bool
) -> None:
    monkeypatch.setattr(check, "weights_memory_gib", lambda *_, **__: 40.0)
    monkeypatch.setattr(check, "free_memory_gib", lambda _: 30.0)
    monkeypatch.setattr(check, "resolve_device", lambda _: "cuda")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    study = load_study("pocket", [f"model.sharding={sharding}", "model.dtype=bfloat16"])
    if fits:
        assert "(20.0 GiB of weights), 30.0 GiB free" in check._memory(study).detail
    else:
        with pytest.raises(ResourceError, match=r"40\.0 GiB of weights"):
            check._memory(study)
