"""Starts two processes on this machine's CPU."""

import os
import subprocess
import sys
from pathlib import Path

PATIENCE_SECONDS = 240


def torchrun(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run two processes with `torchrun`; a deadlock fails the test."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", *arguments]
    environment = {name: value for name, value in os.environ.items() if name not in ("RANK", "WORLD_SIZE")}
    environment |= {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""}
    environment["PYTHONPATH"] = str(Path(__file__).parent)
    return subprocess.run(
        list(map(str, command)), capture_output=True, text=True, env=environment, timeout=PATIENCE_SECONDS
    )
