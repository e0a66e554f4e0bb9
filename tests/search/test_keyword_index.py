"""BM25, held against the formula of the literature over all rows."""

from __future__ import annotations

from math import isclose, log
from random import Random

from buddy.memory.search.keyword_index import K1, B, KeywordIndex
from buddy.memory.search.words import Terms, analyzer

WORDS = [f"w{n}" for n in range(30)]


def formula(rows: dict[int, Terms], query: list[str]) -> dict[int, float]:
    """Return the scores by the formula, computed anew."""
    average = sum(row.length for row in rows.values()) / len(rows)
    scores, reachable = dict.fromkeys(rows, 0.0), 0.0
    for term in query:
        holders = sum(term in row.counts for row in rows.values())
        rarity = log(1 + (len(rows) - holders + 0.5) / (holders + 0.5))
        reachable += rarity * (K1 + 1)
        for number, row in rows.items():
            count = row.counts.get(term, 0)
            norm = K1 * (1 - B + B * row.length / average)
            scores[number] += rarity * count * (K1 + 1) / (count + norm)
    # The share of the weight that the query could reach at most, by endless repetition.
    return {n: score / reachable for n, score in scores.items() if score}


def test_scores_are_those_of_the_formula() -> None:
    """After random additions and removals scores are those of the formula over the rows left."""
    random, index, rows = Random(1), KeywordIndex(), dict[int, Terms]()  # noqa: S311
    words = analyzer("none")
    for number in range(1500):
        if rows and random.random() < 0.45:
            gone = random.choice(list(rows))
            del rows[gone]
            index.remove(gone)
        rows[number] = words.terms([" ".join(random.choices(WORDS, k=random.randint(0, 9)))])
        index.add(number, rows[number])
        if number % 50 == 0:
            query = sorted(set(random.choices([*WORDS, "unknown"], k=3)))
            expected, found = formula(rows, query), index.scores(query)
            assert found.keys() == expected.keys()
            assert all(isclose(found[n], expected[n], rel_tol=1e-9) for n in found)


def test_an_index_without_rows() -> None:
    """Nothing is found in nothing."""
    assert KeywordIndex().scores(["w1"]) == {}


def test_removed_rows_take_no_room() -> None:
    """An index through which many rows went is as large as one with the rows that are left."""
    index, words = KeywordIndex(), analyzer("none")
    for number in range(3000):
        index.add(number, words.terms([f"one two unique{number}"]))
        if number >= 10:
            index.remove(number - 10)
    assert index.size < 60_000
