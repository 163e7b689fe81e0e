"""Measurements of contrapeso itself. Each script says what it measures; results are written down in `docs/`."""
