"""Base models, adapters and the engines that answer prompts with them.

Nothing is imported here, so that reading a study file loads no torch: take `loading`, `adapters` and `local` by name.
"""
