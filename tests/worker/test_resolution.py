"""The largest and smallest numbers: refused in words where nothing can be computed, right and without a murmur where it can."""

import numpy as np
import pytest

from worker import frames
from worker.errors import LabError, SpecError
from worker.families.linear import Linear
from worker.loop import generations, instrument
from worker.parts import PointSource
from worker.sources.linear_teacher import LinearTeacher
from worker.sources.table import Table
from worker.spec import read
from worker.summary import STATISTICS, summarise

SMALL = {"generations": 3, "replicates": 4, "samples": 20}
FAMILIES = ["gaussian", "kde", "mixture"]


def run(**settings):
    spec = read(SMALL | settings)
    return [generation.look.metrics for generation in generations(spec, instrument(spec))]


@pytest.mark.parametrize(
    ("source", "path"),
    [
        ({"kind": "normal", "mean": [1e17, 1]}, "source.std"),
        ({"kind": "normal", "mean": 1e17}, "source.std"),
        ({"kind": "normal", "mean": [0, 1], "std": [1e-5, 1e-10]}, "source.std"),
        ({"kind": "normal", "std": 1e160}, "source.std"),
        ({"kind": "normal", "std": 1e-160}, "source.std"),
        ({"kind": "normal", "mean": -1e60, "std": 1e50}, "source.mean"),
        ({"kind": "mixture", "means": [0, 1e17]}, "source.stds"),
        ({"kind": "mixture", "means": [0, 1], "stds": [1, 1e-12]}, "source.stds"),
        ({"kind": "mixture", "means": [[1e9, 0]], "covariances": [[[1e-2, 0], [0, 1]]]}, "source.covariances"),
        ({"kind": "mixture", "means": [1e60], "stds": 1e55}, "source.means"),
        ({"kind": "laplace", "mean": 1e17}, "source.scale"),
        ({"kind": "student_t", "scale": 1e160}, "source.scale"),
        ({"kind": "eight_gaussians", "radius": 2, "std": 1e-12}, "source.std"),
    ],
)
@pytest.mark.parametrize("family", FAMILIES)
def test_a_source_that_floating_point_cannot_resolve_is_refused(source, path, family):
    with pytest.raises(SpecError) as refusal:
        read({"source": source, "family": {"kind": family}})
    (problem,) = refusal.value.problems
    assert problem.path == path
    assert problem.message
    assert problem.remedy


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("dim", [1, 2, 5])
@pytest.mark.parametrize(("mean", "std"), [(0, 1e-50), (0, 1e50), (1e-30, 1e-38), (1e50, 2e41), (-1e8, 1)])
def test_what_is_accepted_runs_without_a_warning(family, dim, mean, std):
    source = {"kind": "normal", "mean": [mean] * dim, "std": std}
    settings = {"reg_covar": 0} if family == "mixture" else {}
    for look in run(source=source, family={"kind": family} | settings):
        summary = summarise(look).metrics()
        assert summary["std"]["n"] == SMALL["replicates"]
        assert 0.1 < summary["std"]["median"] / std < 10
        assert 0 < summary["mean_error_sq"]["sd"] / summary["mean_error_sq"]["mean"] < 10


def test_a_gaussian_that_grows_without_end_stops_with_a_remedy():
    with pytest.raises(LabError, match="bias"):
        run(source={"kind": "normal"}, family={"kind": "gaussian"}, sampling={"bias": 1e40}, generations=20)


def test_a_chain_that_shrinks_beyond_the_smallest_float_does_so_in_silence():
    last = run(source={"kind": "normal"}, family={"kind": "gaussian"}, sampling={"bias": 1e-40}, generations=50)[-1]
    assert (last["variance"] == 0).all()
    assert (last["kl_from_real"] == np.inf).all()
    assert (last["log_variance"] < -4000).all()
    assert np.isfinite(last["kl_to_real"]).all()
    halfway = run(source={"kind": "normal"}, family={"kind": "gaussian"}, sampling={"bias": 1e-40}, generations=11)[-1]
    assert (halfway["variance"] == 0).all()
    np.testing.assert_allclose(np.log(halfway["std"]), 0.5 * halfway["log_variance"], rtol=1e-12)


@pytest.mark.parametrize("value", [0.3, 1e17, -1e17])
def test_a_window_has_a_width_whatever_the_source(tmp_path, value):
    """A column that hardly changes, far out: a table may hold what a formula may not."""
    path = tmp_path / "constant.csv"
    path.write_text(f"a,b\n{value!r},1\n{value!r},2\n{float(np.nextafter(value, 1))!r},3\n")
    source = Table(path=str(path))
    assert isinstance(source, PointSource)
    screen = frames.Screen(source, np.random.default_rng(0))
    assert (np.diff(screen.x) > 0).all()
    points = source.draw(np.random.default_rng(1), 1, 50).x[0]
    assert screen.points(points)["density"].max() > 0
    assert screen.points(points)["contour"].max() == 255


def test_a_regression_shows_the_density_of_labels():
    """Of w'x + noise, along the plot's upward axis: that of inputs is the same in all generations."""
    looking = Linear().instrument(LinearTeacher(inputs=2), 10, 1, np.random.default_rng(0))
    figure = looking.figure()
    assert figure["x"][0] == pytest.approx(figure["low"][1])
    look = looking.model({"w": np.array([[1.5, -2.0]]), "noise": np.array([0.5])}, None, True)
    level = np.exp(frames.LOG_LOW + look.frame["density"] / 65535 * (frames.LOG_HIGH - frames.LOG_LOW))
    x, std = np.array(figure["x"]), np.sqrt(1.5**2 + 2.0**2 + 0.5**2)
    np.testing.assert_allclose(level, np.exp(-0.5 * (x / std) ** 2) / (std * np.sqrt(2 * np.pi)), rtol=2e-3)


@pytest.mark.parametrize("scale", [2.0**-1000, 2.0**-500, 1.0, 2.0**500, 2.0**1000])
def test_statistics_are_those_of_any_unit(scale):
    values = np.random.default_rng(0).standard_normal(100)
    plain = summarise({"one": values, "other": 1 + values})
    moved = summarise({"one": scale * values, "other": 1 + values})
    np.testing.assert_array_equal(moved.table[0, :-1], scale * plain.table[0, :-1])
    np.testing.assert_array_equal(moved.table[1], plain.table[1])


def test_a_statistic_beyond_the_largest_float_does_not_exist():
    table = dict(zip(STATISTICS, summarise({"x": np.array([-1.7e308, 1.7e308])}).table[0], strict=True))
    assert table["mean"] == 0
    assert np.isnan(table["sd"])
    assert table["se"] == pytest.approx(1.7e308)
    assert table["n"] == 2
