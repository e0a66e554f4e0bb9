"""Play real conversations into a store, session by session, then read it in a new process.

    python examples/demo.py [--db URL] [--all] [--ask QUESTION] [FILE…]

A file holds one conversation of two people over many sessions, as JSON: ``speaker_a``,
``speaker_b``, and for n = 1, 2, … ``session_n`` (a list of turns with ``speaker`` and ``text``)
and ``session_n_date_time``; and ``questions``, a list of texts. This is the format of the LoCoMo
dialogues; examples/conversation.json is a short one. No model is needed: what people say is kept
word for word, and each session is summarised by extraction. Every turn of a person becomes a memory
of that person, with the time of its session. In the end the store is asked questions: a search
finds what answers them.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from buddy.memory import open_memory_db
from buddy.memory.config import redact_url
from buddy.memory.errors import MemoryDbError
from buddy.memory.v2.memory import Memory
from conversations import Conversation, load

HERE = Path(__file__).parent
DEFAULT_DB = "sqlite:///demo.db"
SHOWN = 8
FOUND = 3

# Redirected output has no width; 100 columns fit most pagers.
console = Console(width=None if sys.stdout.isatty() else 100)


def play(conversations: list[Conversation], db: str) -> None:
    """Write every session into the store: memories of each speaker, one summary for the pair."""
    columns = TextColumn("{task.description:<28}"), BarColumn(), MofNCompleteColumn()
    with Memory(db=db) as memory, Progress(*columns, TimeElapsedColumn(), console=console) as bar:
        for conversation in conversations:
            task = bar.add_task(" & ".join(conversation.speakers), total=len(conversation.sessions))
            for session in conversation.sessions:
                memory.extract = session.memories
                for speaker in dict.fromkeys(speaker for speaker, _ in session.turns):
                    words = [text for who, text in session.turns if who == speaker]
                    messages = [{"role": "user", "content": text} for text in words]
                    memory.create_user_memories(
                        messages=messages, user_id=conversation.user(speaker)
                    )
                turns = [
                    {"role": "user", "name": who, "content": text} for who, text in session.turns
                ]
                memory.create_session_summary(session.id, conversation.pair, messages=turns)
                bar.advance(task)


def show(conversations: list[Conversation], db: str, everything: bool) -> None:
    """Print what the store holds of these conversations; reads the store and nothing else."""
    with Memory(db=db) as memory:
        for conversation in conversations:
            for speaker in conversation.speakers:
                console.print(memories_table(memory, conversation.user(speaker), everything))
            console.print(summaries_table(memory, conversation))


def memories_table(memory: Memory, user_id: str, everything: bool) -> Table:
    found = memory.search_user_memories(
        retrieval_method="last_n", user_id=user_id, limit=None if everything else SHOWN
    )
    total = len(memory.get_user_memories(user_id))
    title = f"{user_id}: {total} memories"
    if len(found) < total:
        title += f", the newest {len(found)} (--all shows all)"
    table = Table(title=title, title_justify="left", title_style="bold", expand=True)
    table.add_column("when", style="dim", no_wrap=True)
    table.add_column("what was said", ratio=1)
    for row in found:
        written = row.created_at
        table.add_row(f"{written:%Y-%m-%d %H:%M}" if written else "", _plain(row.memory))
    return table


def summaries_table(memory: Memory, conversation: Conversation) -> Table:
    summaries = memory.get_session_summaries(conversation.pair, sort="asc")
    when = {session.id: session.when for session in conversation.sessions}
    title = f"{conversation.pair}: {len(summaries)} session summaries"
    table = Table(title=title, title_justify="left", title_style="bold", expand=True)
    table.add_column("session", width=20)
    table.add_column("what it was about", ratio=1)
    for row in summaries:
        id = row.session_id or ""
        session = Text(id).append(f"\n{when.get(id, '')}", "dim")
        summary = _plain(row.summary.replace("\n", " · "))
        summary.append(f"\n{', '.join(row.topics or [])}", "cyan")
        table.add_row(session, summary, end_section=True)
    return table


def ask(conversations: list[Conversation], db: str, asked: list[str]) -> None:
    """Print what a search finds for each question among what either of two people said."""
    with open_memory_db(db) as store:
        for conversation in conversations:
            for question in asked or conversation.questions:
                found = [
                    (result, speaker)
                    for speaker in conversation.speakers
                    for result in store.search_memories(
                        question, user_id=conversation.user(speaker), limit=FOUND
                    )
                ]
                # Scores are of one user's words; here they only say what to show first.
                found.sort(key=lambda each: each[0].score or 0, reverse=True)
                table = Table(title=f"“{question}”", title_justify="left", expand=True)
                table.add_column("score", justify="right", width=5)
                table.add_column("said by", no_wrap=True)
                table.add_column("when", style="dim", no_wrap=True)
                table.add_column("what was said", ratio=2)
                table.add_column("words that matched", style="cyan", ratio=1)
                for result, speaker in found[:FOUND]:
                    row, text = result.row, _plain(str(result.row.memory["memory"]))
                    words = _plain(", ".join(result.matched))
                    said_at = f"{row.created_at:%Y-%m-%d}" if row.created_at else ""
                    table.add_row(f"{result.score:.2f}", speaker, said_at, text, words)
                console.print(table)


def _plain(text: str) -> Text:
    """Return stored text for the terminal: data, not markup and not control codes."""
    return Text("".join(c if c.isprintable() else " " for c in text))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="./run demo", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--db", default=DEFAULT_DB, help=f"config string (default {DEFAULT_DB})")
    parser.add_argument("--all", action="store_true", help="print every memory, not the newest 8")
    parser.add_argument("--show", action="store_true", help="only read, write nothing")
    parser.add_argument(
        "--ask", action="append", metavar="QUESTION", help="only ask the store this"
    )
    parser.add_argument("files", nargs="*", type=Path, default=[HERE / "conversation.json"])
    return parser.parse_args()


def what_next(db: str) -> None:
    """Say where the data are, and what to try."""
    file = db.removeprefix("sqlite:///")
    place = str(Path(file).resolve()) if file != db and "?" not in file else redact_url(db)
    console.rule("what next")
    console.print(
        f"The data are in {place}; the same command adds nothing to them.", soft_wrap=True
    )
    for command, what in (
        ("./run demo --ask 'When does Clara return?'", "another question"),
        ("./run demo --show --all", "read it again, in one more process"),
        ("./run demo FILE", "a conversation of your own; --help shows its form"),
        ("./run demo --db 'postgresql://…?table_name=demo'", "the same on another backend"),
        ("README.md", "an agent that remembers, in twelve lines"),
    ):
        console.print(f"  {command:<50} {what}", style="dim", soft_wrap=True)


def second_process(given: argparse.Namespace) -> Iterator[str]:
    yield from (sys.executable, __file__, "--show", "--db", given.db)
    yield from ["--all"] * given.all
    yield from map(str, given.files)


def main() -> None:
    given = arguments()
    conversations = [load(file) for file in given.files]
    try:
        if given.show or given.ask:
            if given.show:
                show(conversations, given.db, given.all)
            console.rule("asking: what was said weeks apart is found by a search")
            ask(conversations, given.db, given.ask or [])
            return
        console.rule("writing: one process plays the conversations into the store")
        play(conversations, given.db)
    except MemoryDbError as error:
        sys.exit(f"{type(error).__name__}: {error}")
    console.rule("reading: a new process opens the same store")
    code = subprocess.call([*second_process(given)])
    if code == 0:
        what_next(given.db)
    sys.exit(code)


if __name__ == "__main__":
    main()
