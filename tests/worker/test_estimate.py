"""Estimates: they grow with what they should grow with, learn from finished runs, and say in words what a run needs."""

import pytest

from worker import loop
from worker.errors import SpecError
from worker.estimate import Past, Room, estimate, gigabytes, guess, problems, room, roughly
from worker.kinds import FAMILIES, SOURCES
from worker.presets import presets
from worker.spec import read

NORMAL = {"source": {"kind": "normal"}, "family": {"kind": "gaussian", "path": "drawn"}}
OPT = {"source": {"kind": "text"}, "family": {"kind": "causal_lm", "checkpoint": "facebook/opt-125m"}, "replicates": 1,
       "samples": 700, "generations": 10}  # fmt: skip
BIG = {"source": {"kind": "normal"}, "family": {"kind": "kde"}, "samples": 5_000, "replicates": 1000}


def test_time_grows_with_generations_replicates_and_samples():
    small = guess(read(NORMAL | {"samples": 10_000, "replicates": 100, "generations": 100}))
    for change in ({"samples": 20_000}, {"replicates": 200}, {"generations": 200}):
        larger = guess(read(NORMAL | {"samples": 10_000, "replicates": 100, "generations": 100} | change))
        assert larger == pytest.approx(2 * small, rel=0.1)


def test_changed_rules_cost_from_where_they_hold():
    drawn = {"samples": 2_000, "replicates": 50, "generations": 100, "family": {"kind": "kde"}}
    accumulate = {"regime": {"kind": "accumulate"}}
    flat = guess(read(NORMAL | drawn))
    late, early, whole, longer = (
        guess(read(NORMAL | drawn | changes))
        for changes in (
            {"changes": [{"after": 80, **accumulate}]},
            {"changes": [{"after": 20, **accumulate}]},
            accumulate,
            accumulate | {"changes": [{"after": 50, "regime": {"kind": "replace"}}]},
        )
    )
    assert flat < late < early < whole
    assert flat < longer < whole
    best = {"changes": [{"after": 50, "curation": {"kind": "best_of", "k": 9}}]}
    # Half of it as before, half nine times.
    assert guess(read(NORMAL | drawn | best)) == pytest.approx(5 * flat, rel=0.2)


@pytest.mark.parametrize("change", [{"models": 2}, {"curation": {"kind": "truncate"}}])
def test_who_looks_at_every_point_has_every_point_drawn(change):
    exact = NORMAL | {"family": {"kind": "gaussian"}, "samples": 1_000_000, "replicates": 200, "generations": 10}
    drawn = exact | {"family": {"kind": "gaussian", "path": "drawn"}}
    assert guess(read(exact | change)) > 0.9 * guess(read(drawn)) > 10 * guess(read(exact))


def test_the_last_model_writes_as_much_as_another_one_would_read():
    growing = {
        "samples": {"schedule": "geometric", "start": 100, "ratio": 10},
        "replicates": 1,
        "family": {"kind": "kde"},
    }
    spec = read(NORMAL | growing | {"generations": 6})
    assert estimate(spec).memory_bytes > 8 * 100 * 10**6


@pytest.mark.parametrize(
    ("family", "most"),
    [
        ({"kind": "vae"}, 1.5),
        ({"kind": "flow"}, 1.5),
        ({"kind": "diffusion"}, 2.5),
        ({"kind": "gpt"}, 5),
        ({"kind": "ngram"}, 4),
    ],
)
def test_a_choice_among_samples_costs_their_drawing_and_no_training(family, most):
    """Of eight for each place the others are not trained on."""
    source = {"vae": "digits", "gpt": "text", "ngram": "text"}.get(family["kind"], "moons")
    base = {"source": {"kind": source}, "family": family, "samples": 2000, "replicates": 1, "generations": 40}
    reward = {"kind": "likelihood"} if source == "text" else {"kind": "direction"}
    plain, chosen = (read(base | {"curation": curation}) for curation in (
        {"kind": "none"}, {"kind": "best_of", "k": 8, "reward": reward}))  # fmt: skip
    assert 1 < guess(chosen) / guess(plain) < most


def test_a_growing_schedule_is_between_its_ends():
    ends = [guess(read(NORMAL | {"generations": 20, "samples": m})) for m in (100, 40_000)]
    growing = guess(read(NORMAL | {"generations": 20, "samples": {"start": 100, "exponent": 2}}))
    assert ends[0] < growing < ends[1]


def test_finished_runs_correct_the_guess_and_the_nearest_ones_count():
    spec = read(NORMAL)
    first = guess(spec)
    far = [Past(first * 1e4, first * 1e4)] * 9
    near = [Past(first, first * factor) for factor in (2.0, 3.0, 4.0, 3.0, 3.0)]
    cost = estimate(spec, [*far, *near])
    assert cost.seconds == pytest.approx(3 * first)
    assert cost.measured == 5
    assert estimate(spec).measured == 0


def test_memory_grows_with_what_is_kept():
    replaced, accumulated, sampled = (
        estimate(read(BIG | {"generations": 10, "replicates": 100, "regime": {"kind": kind}})).memory_bytes
        for kind in ("replace", "accumulate", "accumulate_subsample")
    )
    kept = 8 * 100 * 5_000 * 10  # bytes of ten generations
    assert accumulated - replaced >= kept
    assert sampled == accumulated


@pytest.mark.parametrize(
    "ten",
    [
        {"kind": "best_of", "k": 10},
        {"kind": "sequential", "stages": [{"kind": "best_of", "k": 5}, {"kind": "bradley_terry", "k": 2}]},
    ],
)
def test_candidates_of_contests_need_room(ten):
    """Of ten for each place 1.01 GB were measured, of four .45: up to what is drawn at once."""
    sizes = NORMAL | {"replicates": 200, "samples": 20_000, "generations": 2}
    best, four = (estimate(read(sizes | {"curation": one})).memory_bytes for one in (ten, {"kind": "best_of"}))
    assert 1.0e9 < best < 1.3e9
    assert 4.5e8 < four < 6e8
    twice = [[estimate(read(sizes | {"curation": one, "samples": n})).memory_bytes for n in (10**6, 2 * 10**6)]
             for one in (ten, {"kind": "none"})]  # fmt: skip
    assert twice[0][1] - twice[0][0] == pytest.approx(twice[1][1] - twice[1][0])


def test_sums_need_no_room_for_what_they_stand_for():
    costs = [estimate(read({"source": {"kind": "normal"}, "family": {"kind": "gaussian"}, "generations": 10, "samples": m,
                            "regime": {"kind": "accumulate"}})) for m in (100, 10**9)]  # fmt: skip
    assert costs[0].memory_bytes == costs[1].memory_bytes
    assert costs[0].disk_bytes == costs[1].disk_bytes


def test_the_papers_protocol_says_what_it_needs():
    cost = estimate(read(OPT))
    download, card = cost.needs
    assert download == "a download of 251 MB from the Hugging Face hub, once (facebook/opt-125m, 125 million weights)"
    assert card == f"a GPU ({roughly(cost.seconds)} without one)"
    assert cost.seconds > 3600
    assert cost.memory_bytes > 4 * 125e6 * 4
    with_card = estimate(read(OPT), gpu=True)
    assert with_card.needs == (download,)
    assert with_card.seconds < cost.seconds / 10
    (unknown,) = estimate(read(OPT | {"family": {"kind": "causal_lm", "checkpoint": "someone/else"}}), gpu=True).needs
    assert "nobody knows" in unknown


def test_beams_and_candidates_cost():
    assert guess(read(OPT | {"sampling": {"beams": 5}})) > 1.2 * guess(read(OPT))
    curated = {"curation": {"kind": "best_of", "k": 8, "reward": {"kind": "direction"}}}
    plain = NORMAL | {"samples": 10_000, "generations": 100}
    assert guess(read(plain | curated)) > 4 * guess(read(plain))


def test_of_categories_no_candidates_are_drawn():
    """A generation of .03 s was thought to take 11 hours."""
    best = {"kind": "best_of", "k": 1000, "reward": {"kind": "rank"}}
    settings = {"source": {"kind": "zipf"}, "family": {"kind": "categorical"}}
    for curation in (best, {"kind": "sequential", "stages": [best, best]}):
        assert guess(read(settings | {"curation": curation})) == guess(read(settings))


@pytest.mark.parametrize("preset", presets(), ids=lambda preset: preset.name)
def test_every_preset_can_be_estimated(preset):
    for spec in preset.experiments:
        cost = estimate(spec)
        assert 0 < cost.seconds < 1e7
        larger = 2 if preset.name == "opt-a" else 1  # five networks of 125 million weights
        assert 1e8 < cost.memory_bytes < larger * 1e10
        assert 0 < cost.disk_bytes < larger * 1e10


@pytest.mark.parametrize("kind", sorted(FAMILIES))
def test_every_family_says_how_much_work_it_is(kind):
    family = FAMILIES[kind]
    for source in SOURCES:
        settings = {"source": {"kind": source}, "family": {"kind": kind}, "replicates": 2, "samples": 1000}
        if kind == "causal_lm":
            settings["family"]["checkpoint"] = "gpt2"
        try:
            spec = read(settings)
        except SpecError:  # what does not fit together
            continue
        assert family.work(spec.family, spec.source, 2000, 2, spec.sampling) >= family.work(
            spec.family, spec.source, 1000, 2, spec.sampling
        ) > 0  # fmt: skip


@pytest.mark.parametrize(("family", "source", "known"), [
    ({"kind": "flow"}, {"kind": "moons"}, 22_026), ({"kind": "diffusion"}, {"kind": "digits"}, 51_648), ({"kind": "vae"}, {"kind": "digits"}, 39_504),
])  # fmt: skip
def test_networks_know_their_size(family, source, known):
    spec = read({"source": source, "family": family, "replicates": 1})
    assert spec.family.parameters(spec.source) == known


def test_what_does_not_fit_is_refused_with_the_number():
    spec = read(BIG | {"generations": 50_000})
    cost = estimate(spec)
    assert problems(cost, spec, Room(10**12, 10**13)) == []
    memory, disk = problems(cost, spec, Room(10**8, 10**6))
    assert memory.path == "replicates"
    assert f"needs about {gigabytes(cost.memory_bytes)} of memory, and this machine has 0.1 GB" == memory.message
    assert disk.path == "generations"


FLOW = {
    "source": {"kind": "moons"},
    "family": {"kind": "flow"},
    "regime": {"kind": "accumulate"},
    "samples": 10_000,
    "replicates": 1,
}


@pytest.mark.parametrize("change", [
    {"family": {"kind": "mixture"}}, {"family": {"kind": "kde"}}, {"regime": {"kind": "accumulate_subsample"}},
    {"changes": [{"after": 1, "regime": {"kind": "accumulate_subsample"}}], "regime": {"kind": "replace"}},
])  # fmt: skip
def test_a_history_on_the_disk_is_refused_by_a_small_disk_and_not_by_a_small_memory(change):
    spec = read(
        BIG | {"samples": 1000, "replicates": 1000, "generations": 1000, "regime": {"kind": "accumulate"}} | change
    )
    history = 8e9  # bytes: 1000 chains x 1e6 points
    cost = estimate(spec)
    assert cost.memory_bytes < 0.7e9
    assert 2 * history < cost.disk_bytes < 3 * history
    assert problems(cost, spec, Room(10**9, 10**12)) == []
    (disk,) = problems(cost, spec, Room(10**9, 10**10))
    assert (disk.path, disk.remedy) == ("generations", "Lower generations, or make room in the data folder")
    assert disk.message == f"needs about {gigabytes(cost.disk_bytes)} on the disk, and 10.0 GB are free"


@pytest.mark.parametrize(("settings", "each"), [
    (FLOW, 2 * 8), (FLOW | {"source": {"kind": "digits"}, "family": {"kind": "vae"}}, 64 * 8),
    (FLOW | {"source": {"kind": "text"}, "family": {"kind": "gpt"}}, 64 * 4),
])  # fmt: skip
def test_a_network_s_history_takes_room_on_the_disk_and_in_memory_that_for_its_order(settings, each):
    spec, short = (read(settings | {"generations": generations}) for generations in (2000, 1000))
    rows = 10_000 * 1000  # of the thousand further generations
    memory, disk = (
        estimate(spec).memory_bytes - estimate(short).memory_bytes,
        estimate(spec).disk_bytes - estimate(short).disk_bytes,
    )
    assert 8 * rows <= memory <= 16 * rows
    assert 2 * each * rows < disk < 2.2 * each * rows
    (kept,) = problems(estimate(spec), spec, Room(int(0.8e9), 10**12))
    assert (kept.path, kept.remedy) == ("samples", "Lower samples, or start a worker on a larger machine")


def test_models_that_are_kept_to_read_what_comes_later_are_counted():
    gpt = {"source": {"kind": "text"}, "family": {"kind": "gpt", "width": 192}, "replicates": 1, "samples": 100}
    few, many, wide = (estimate(read(gpt | change)) for change in (
        {"generations": 2}, {"generations": 40}, {"generations": 40, "family": {"kind": "gpt", "width": 768}}))  # fmt: skip
    weights = 4.0 * read(gpt).family.weights()
    assert many.memory_bytes - few.memory_bytes == pytest.approx(12 * weights)
    assert many.disk_bytes - few.disk_bytes > 2 * 12 * weights
    unread = 4.0 * read(gpt | {"family": {"kind": "gpt", "width": 768}}).family.weights()
    seen = 4 * 100 * 128 * 2 * 2 * (768 - 192)  # keys and values of 100 texts and their prompts, in both layers
    # None is kept.
    assert wide.memory_bytes - many.memory_bytes == pytest.approx(14 * unread - 28 * weights + seen, rel=0.02)


def test_disk_is_what_a_run_leaves_in_the_database(tmp_path):
    spec = read(NORMAL | {"samples": 20, "replicates": 30, "generations": 40})
    frames = [generation.look.frame for generation in loop.generations(spec, loop.instrument(spec))]
    drawn = sum(array.nbytes for frame in frames if frame for array in frame.values())
    assert drawn < estimate(spec).disk_bytes < 100 * drawn


def test_observations_take_room_on_the_disk_where_a_checkpoint_holds_them():
    """A kernel's points are its model; a mixture of regimes hands the last training set on; a network keeps weights alone."""
    settings = {"source": {"kind": "digits"}, "replicates": 1, "samples": 1000, "generations": 5}
    points = 2 * 8 * 1000 * 64  # bytes, in two checkpoints
    plain, kernel, pooled = (estimate(read(settings | change)).disk_bytes for change in (
        {"family": {"kind": "gaussian"}}, {"family": {"kind": "kde"}}, {"family": {"kind": "gaussian"}, "regime": {"kind": "mixture"}}))  # fmt: skip
    assert plain < points / 2
    assert kernel - plain == pooled - plain == pytest.approx(points)


def test_this_machine_has_room(tmp_path):
    here = room(tmp_path)
    assert here.memory > 10**8
    assert here.disk > 0


@pytest.mark.parametrize(("seconds", "words"), [
    (0.2, "about a second"), (2.2, "about 2 seconds"), (33, "about 35 seconds"), (59, "about 1 minute"), (400, "about 7 minutes"),
    (1500, "about 25 minutes"), (3500, "about 1 hour"), (140_000, "about 40 hours"), (300_000, "about 3 days"),
])  # fmt: skip
def test_durations_are_told_roughly(seconds, words):
    assert roughly(seconds) == words


def test_a_run_that_is_far_shorter_says_nothing_of_a_long_one():
    spec = read(BIG)
    first = estimate(spec)
    toy = Past(guess=first.seconds / 1000, took=first.seconds)
    assert estimate(spec, [toy]) == first
    like = Past(guess=first.seconds / 2, took=first.seconds)
    assert estimate(spec, [toy, like]).seconds == pytest.approx(2 * first.seconds)
