"""Questions to a model before it is attacked: what would make a table wrong without any error.

Each module asks one question or a few of a kind, `ask.ask` puts all of them to a model, `ask.before` does so on behalf
of an attack. What they find, and what to do about it: docs/probe.md.
"""
