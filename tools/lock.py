"""Print requirements.txt: every installed distribution that contrapeso and its extras below need, with its version.

    python -m tools.lock > requirements.txt.new

Only names and versions, so that the file serves on any machine: no local version labels, no platform wheels.
"""

from __future__ import annotations

import importlib.metadata as metadata

from packaging.requirements import Requirement

EXTRAS = ("deepeval", "demo", "dev", "docs", "kaggle", "notebook")
"""Left out: `gpu` and `served` are bound to a platform and to another torch, `lm-eval` is for one benchmark alone."""
HEADER = "# The exact set that is tested; `make lock` refreshes it. The ranges are in pyproject.toml."


def needed(name: str, extras: tuple[str, ...], found: dict[str, str]) -> None:
    """Add a distribution's requirements, and theirs, to `found` (name -> version)."""
    for line in metadata.requires(name) or []:
        requirement = Requirement(line)
        if requirement.marker and not any(requirement.marker.evaluate({"extra": extra}) for extra in (*extras, "")):
            continue
        key = requirement.name.lower().replace("_", "-")
        if key not in found or requirement.extras:  # an extra asks for more of what is there already
            found[key] = metadata.version(requirement.name).partition("+")[0]
            needed(requirement.name, tuple(requirement.extras), found)


def main() -> None:
    """Write the lock to standard output."""
    found: dict[str, str] = {}
    needed("contrapeso", EXTRAS, found)
    print(HEADER)
    for name in sorted(found):
        print(f"{name}=={found[name]}")


if __name__ == "__main__":
    main()
