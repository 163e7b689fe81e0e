"""The pocket assets: the world facts, the training text and the small base model made of them."""
