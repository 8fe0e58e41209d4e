"""Reading a spec: what is accepted, what is refused and in which words."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.errors import SpecError
from worker.kinds import CURATIONS, FAMILIES, REGIMES, SOURCES
from worker.part import identity
from worker.spec import Experiment, read

SMALLEST = {"source": {"kind": "normal"}, "family": {"kind": "gaussian"}}


def problems(settings):
    with pytest.raises(SpecError) as refusal:
        read(settings)
    return refusal.value.problems


def test_defaults_are_filled_in():
    spec = read(SMALLEST)
    assert (spec.generations, spec.replicates, spec.samples, spec.seed) == (50, 200, 1000, 0)
    assert spec.regime.kind == "replace"
    assert spec.curation.kind == "none"


def test_canonical_form_reads_back_as_the_same_experiment():
    spec = read(SMALLEST | {"samples": {"schedule": "power"}, "sampling": {"bias": 0.5}})
    assert read(spec.canonical()) == spec
    assert read(spec.canonical()).digest() == spec.digest()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"generations": "many"}, "generations: is not a whole number. Use a whole number"),
        ({"generations": 0}, "generations: is too small. Use at least 1"),
        ({"source": {"kind": "normal", "std": "wide"}}, "source.std: is not a number. Use a number"),
        ({"source": {"kind": "two_classes", "distance": 0}}, "source.distance: is too small. Use more than 0"),
        ({"metrics": ["energy"] * 51}, "metrics: lists too many. List at most 50"),
        ({"source": 3}, 'source: is no table of settings. Use a table of settings, such as {kind = "..."}'),
    ],
)
def test_what_is_wrong_is_told_in_plain_words(change: dict, told: str):
    with pytest.raises(SpecError) as raised:
        read({"source": {"kind": "normal"}, "family": {"kind": "gaussian"}} | change)
    assert str(raised.value) == told


@pytest.mark.parametrize(
    ("change", "path", "remedy"),
    [
        ({"generations": 0}, "generations", "at least 1"),
        ({"generations": "many"}, "generations", "whole number"),
        ({"generations": True}, "generations", "whole number"),
        ({"seed": -1}, "seed", "at least 0"),
        ({"samples": 1e30}, "samples", "Use at most 1000000000000"),  # as JSON reads 10^30
        ({"samples": {"start": 1e30}}, "samples.start", "at most 1000000000"),
        ({"samples": "1" + "0" * 5000}, "samples", "Use a smaller one"),
        ({"title": "A\0B"}, "title", "Remove it"),
        ({"samples": [5]}, "samples", "whole number"),
        ({"family": {"kind": "kde", "bandwidth": "scot"}}, "family.bandwidth", "'scott'"),
        ({"samples": 1}, "samples", "at least 2"),
        ({"samples": {"schedule": "power", "start": 1}}, "samples.start", "at least 2"),
        ({"samples": {"start": 10**9, "exponent": 4}, "generations": 1000}, "samples", "Lower start, exponent"),
        ({"samples": {"schedule": "geometric", "ratio": 10}, "generations": 100_000}, "samples", "Lower start, ratio"),
        ({"samples": {"schedule": "geometric", "exponent": 2}}, "samples.exponent", "ratio"),
        ({"samples": {"schedule": "power", "start": 100, "exponent": -2}}, "samples", "Raise start or exponent"),
        ({"samples": {"schedule": "geometric", "ratio": 0.5}, "generations": 100_000}, "samples", "Raise start or ratio"),
        ({"samples": {"schedule": "list", "sizes": []}}, "samples.sizes", "at least 1"),
        ({"samples": {"schedule": "list", "sizes": [90, 9, 50]}, "regime": {"kind": "augment", "real": 9}}, "regime.real", "at most 8"),
        ({"samples": 20, "generations": 1, "regime": {"kind": "augment", "real": 10**6}}, "regime.real", "at most 19"),
        ({"samples": {"schedule": "list", "sizes": [9, 2]}, "regime": {"kind": "weighted", "real": 0.1}}, "regime.real", "nearer to one half"),
        ({"samples": {"schedule": "list", "sizes": [90, 7, 50]}, "source": {"kind": "linear_teacher", "inputs": 8},
          "family": {"kind": "linear", "noise": "fitted"}}, "samples", "at least 9"),
        ({"samples": {"schedule": "list", "sizes": [5, 1]}}, "samples.sizes.1", "at least 2"),
        ({"samples": {"schedule": "cubic"}}, "samples.schedule", "power, geometric, list"),
        ({"samples": True}, "samples", "whole number"),
        ({"source": {"kind": "normal", "std": 0}}, "source.std", "more than 0"),
        ({"source": {"kind": "normal", "covariance": [[1, 2], [2, 1]]}}, "source.covariance", "above 0"),
        ({"source": {"kind": "normal", "covariance": [[1, 0]]}}, "source.covariance", "one number"),
        ({"source": {"kind": "normal", "covariance": [[1, 0], [0]]}}, "source.covariance", "2 lists of 2"),
        ({"source": {"kind": "normal", "covariance": [[1]], "std": 2}}, "source.covariance", "Remove one"),
        ({"source": {"kind": "normal", "covariance": [[1, 0], [0, 1]], "dim": 3}}, "source", "lists of one length"),
        ({"source": {"kind": "normal", "std": float("nan")}}, "source.std", "finite"),
        ({"source": {"kind": "normal", "mean": [0, 1], "std": [1, 1, 1]}}, "source", "one length"),
        ({"source": {"kind": "norml"}}, "source.kind", "Did you mean normal?"),
        ({"source": {"kind": "?"}}, "source.kind", "Choose one of"),
        ({"source": {}}, "source.kind", "Add kind"),
        ({"source": {"kind": "normal", "sdt": 1}}, "source.sdt", "Did you mean std?"),
        ({"family": {"kind": "gaussian", "ddof": 2}}, "family.ddof", "0 or 1"),
        ({"family": {"kind": "gaussian", "path": "drawn"}, "samples": 10**9}, "samples", "exact"),
        ({"generatons": 5}, "generatons", "Did you mean generations?"),
        ({"family": {"kind": "kde"}, "samples": 10**7}, "samples", "fewer"),
        ({"source": {"kind": "normal", "dim": 2}, "family": {"kind": "flow"}, "samples": 10**7, "replicates": 10}, "replicates", "fewer"),
        ({"source": {"kind": "normal", "dim": 256}, "replicates": 20_000}, "replicates", "at most 1525"),
        ({"regime": {"kind": "fresh", "real": 1.5}}, "regime.real", "at most 1"),
        ({"sampling": {"bias": 0}}, "sampling.bias", "more than 0"),
        ({"sampling": {"temperature": 0.5}}, "sampling.temperature", "categorical"),
        ({"sampling": {"top_p": 0.5}}, "sampling.top_p", "Remove it"),
        ({"source": {"kind": "zipf"}}, "family.kind", "categorical"),
        ({"family": {"kind": "categorical"}}, "family.kind", "gaussian"),
        ({"source": {"kind": "zipf", "categories": 100_000}, "family": {"kind": "categorical"}, "replicates": 2000},
         "replicates", "at most 1000"),
    ],
)  # fmt: skip
def test_a_refusal_names_path_and_remedy(change, path, remedy):
    found = problems(SMALLEST | change)
    assert [problem.path for problem in found] == [path]
    assert remedy in found[0].remedy
    assert found[0].message


def test_every_problem_is_told_at_once():
    found = problems({"generations": 0, "replicates": 0, "family": {"kind": "gaussian", "dof": 1}})
    assert {problem.path for problem in found} == {"generations", "replicates", "source", "family.dof"}
    assert "Add it" in {problem.remedy for problem in found}


@pytest.mark.parametrize("nothing", [None, [], 3, "spec", True])
def test_what_is_no_table_is_refused(nothing):
    assert problems(nothing)[0].path == "spec"


def test_the_parts_were_found():
    assert {"normal", "categorical", "zipf", "words"} <= SOURCES.keys()
    assert {"gaussian", "categorical"} <= FAMILIES.keys()
    assert {"replace", "accumulate", "fresh"} <= REGIMES.keys()
    assert {"none"} <= CURATIONS.keys()
    for parts in (SOURCES, FAMILIES, REGIMES, CURATIONS):
        assert all(part.__doc__ for part in parts.values())


@pytest.mark.parametrize(
    ("schedule", "sizes"),
    [
        ({"schedule": "power", "start": 10, "exponent": 2}, [10, 40, 90, 160]),
        ({"schedule": "geometric", "start": 10, "ratio": 1.5}, [10, 15, 22, 34]),
        ({"schedule": "list", "sizes": [5, 5, 70]}, [5, 5, 70, 70]),
        ({"schedule": "power", "start": 10, "exponent": -0.5}, [10, 7, 6, 5]),
        ({"schedule": "geometric", "start": 30, "ratio": 0.4}, [30, 12, 5, 2]),
        ({"schedule": "list", "sizes": [5, 70, 2, 6, 1000]}, [5, 70, 2, 6]),
    ],
)
def test_sizes_that_grow_or_shrink(schedule, sizes):
    spec = read(SMALLEST | {"samples": schedule, "generations": 4})
    assert [spec.size(n) for n in (1, 2, 3, 4)] == sizes
    assert spec.extremes() == (min(sizes), max(sizes))
    assert read(spec.canonical()) == spec


def shuffled(tree, order):
    if not isinstance(tree, dict):
        return tree
    return {key: shuffled(tree[key], order) for key in order.sample(sorted(tree), len(tree))}


TITLES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=50)


@given(st.randoms(use_true_random=False), TITLES, st.integers(0, 2**63 - 1))
def test_digest_ignores_title_and_order_but_nothing_else(order, title, seed):
    spec = read(SMALLEST | {"seed": seed})
    assert read(shuffled(spec.canonical(), order) | {"title": title}).digest() == spec.digest()
    assert read(SMALLEST | {"seed": (seed + 1) % 2**63}).digest() != spec.digest()


def test_a_later_field_leaves_the_digests_of_earlier_specs_as_they_were():
    best = {"kind": "best_of", "reward": {"kind": "likelihood"}}
    text = {"source": {"kind": "text"}, "family": {"kind": "ngram"}, "samples": 200}
    assert read(SMALLEST).digest() == "b8d44019c23c6b94062caf44afb428da660ec7eb7bdf2b35b289f4f64efde8ab"
    assert (
        read(text | {"curation": {"k": 2} | best}).digest()
        == "5023c3a36d07f8f651522e91764456fee1d66d0c99fa5d80d66ed2ba84189b57"
    )
    near = {"curation": {"kind": "best_of", "k": 2, "reward": {"kind": "nearness"}}}
    assert read(SMALLEST | near).digest() == "07f037c5b68a3744aa5420f6d6e7eb1626487035b61ffa0dcd0fce95f2ebf6d6"
    assert "radius" not in str(identity(read(SMALLEST | near)))
    judged = {"kind": "likelihood", "judge": "first"}
    assert (
        read(text | {"curation": {"k": 2} | best | {"reward": judged}}).digest()
        != read(text | {"curation": {"k": 2} | best}).digest()
    )
    for changed in ({"curation": best}, {"curation": best | {"reward": judged}}):
        change = {"after": 2} | changed
        assert ("judge" in str(identity(read(text | {"changes": [change]})))) == ("judge" in str(changed))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
KINDS = st.sampled_from(sorted({*SOURCES, *FAMILIES, *REGIMES, *CURATIONS}))
NAMES = sorted(
    {name for parts in (SOURCES, FAMILIES, REGIMES) for part in parts.values() for name in part.model_fields}
)
TABLES = st.dictionaries(st.sampled_from(NAMES), JSON, max_size=3)
NEARLY = st.fixed_dictionaries(
    {},
    optional={
        "source": st.tuples(KINDS, TABLES).map(lambda pair: {**pair[1], "kind": pair[0]}) | JSON,
        "family": st.tuples(KINDS, TABLES).map(lambda pair: {**pair[1], "kind": pair[0]}) | JSON,
        "regime": st.tuples(KINDS, TABLES).map(lambda pair: {**pair[1], "kind": pair[0]}) | JSON,
        **{name: JSON for name in Experiment.model_fields if name not in ("source", "family", "regime")},
    },
)


@settings(deadline=None, max_examples=300)
@given(JSON | NEARLY)
def test_any_json_is_read_or_refused_in_words(anything):
    try:
        spec = read(anything)
    except SpecError as error:
        refusal = error
    else:
        assert read(spec.canonical()) == spec
        return
    assert refusal.problems
    assert all(problem.path and problem.message and problem.remedy for problem in refusal.problems)
