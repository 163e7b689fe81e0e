"""The version, alone in a file so that packaging and the command line read it without importing anything."""

__version__ = "0.2.0"
