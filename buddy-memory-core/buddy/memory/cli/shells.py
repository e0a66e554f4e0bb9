"""Completion in bash, where a colon ends a word: a URL is several of them there."""

from __future__ import annotations

import os

from click.shell_completion import (
    BashComplete,
    CompletionItem,
    add_completion_class,
    split_arg_string,
)

VARIABLE = "_BUDDY_MEMORY_COMPLETE"
"""Set by a shell that asks for completions."""

_GIVEN = 'COMP_WORDS="${COMP_WORDS[*]}"'
_ANSWER = "COMPREPLY+=($value)"
_LINE = 'COMP_WORDBREAKS="$COMP_WORDBREAKS" COMP_WORDS="${COMP_LINE:0:$COMP_POINT}"'


@add_completion_class
class Bash(BashComplete):
    """Takes the line as it is typed, and leaves out of an answer what bash does not replace."""

    source_template = BashComplete.source_template.replace(_GIVEN, _LINE).replace(
        _ANSWER, f"{_ANSWER}; [[ $value == *:// || $value == // ]] && compopt -o nospace"
    )

    def get_completion_args(self) -> tuple[list[str], str]:
        """Return the words before the one to complete, and that one."""
        line = os.environ["COMP_WORDS"]
        words = split_arg_string(line)[1:]
        return (words, "") if not words or line[-1].isspace() else (words[:-1], words[-1])

    def format_completion(self, item: CompletionItem) -> str:
        """Return an answer, without what stands before a colon that ended a word."""
        before, colon, _ = self.get_completion_args()[1].rpartition(":")
        if ":" in os.environ.get("COMP_WORDBREAKS", ""):
            item.value = item.value.removeprefix(before + colon)
        return super().format_completion(item)
