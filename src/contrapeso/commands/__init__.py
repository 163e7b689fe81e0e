"""The verbs of the command line that need no study: each parses, calls one function, prints."""
