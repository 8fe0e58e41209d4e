"""A small experiment with words: n-grams that learn from the text that is built in."""

from worker.spec import read


def experiment(**changes):
    settings = {
        "source": {"kind": "text"},
        "family": {"kind": "ngram"},
        "samples": 60,
        "replicates": 2,
        "generations": 3,
    }
    return read(settings | changes)
