"""Words that say nothing about what a text is about."""

from __future__ import annotations

_ENGLISH = """
a about am an and are as at be been but by can could did do does for from had has have he
her hers him his how i if in into is it its me my of on or our she so than that the their
them then there they this to was we were what when where which who whom why will with would
you your
"""

STOP_WORDS = {"english": frozenset(_ENGLISH.split())}
"""By language. The others have none: BM25 gives little weight to what most rows hold."""
