"""Contrapeso's judges as parts of other evaluation frameworks; each module needs the extra of its name."""
