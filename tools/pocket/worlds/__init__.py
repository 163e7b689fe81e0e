"""The pocket databases: what they are made of and the two disjoint splits."""

from tools.pocket.worlds.dev import DEV
from tools.pocket.worlds.model import Column, Link, Table, World
from tools.pocket.worlds.train import TRAIN_A
from tools.pocket.worlds.train_more import TRAIN_B

TRAIN: tuple[World, ...] = TRAIN_A + TRAIN_B

__all__ = ["DEV", "TRAIN", "Column", "Link", "Table", "World"]
