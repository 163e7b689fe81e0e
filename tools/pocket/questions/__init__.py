"""The question grammar: intents, their two sets of wordings, and how a world fills them."""

from tools.pocket.questions.grammar import Question, ask
from tools.pocket.questions.intent import INTENTS, Intent

__all__ = ["INTENTS", "Intent", "Question", "ask"]
