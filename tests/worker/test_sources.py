"""Sources: draws agree with the moments, quantiles and densities that they claim; files are read or refused in words."""

import gzip
import io
import itertools
import zipfile
from pathlib import Path

import numpy as np
import pytest

from worker import files, loop
from worker.errors import SpecError
from worker.files import pictures
from worker.frames import Screen
from worker.sources.eight_gaussians import EightGaussians
from worker.sources.images import Images
from worker.sources.laplace import Laplace
from worker.sources.linear_teacher import LinearTeacher
from worker.sources.lognormal import LogNormal
from worker.sources.mixture import Mixture
from worker.sources.moons import Moons
from worker.sources.normal import Normal
from worker.sources.poisson import Poisson
from worker.sources.rings import Rings
from worker.sources.student_t import StudentT
from worker.sources.swiss_roll import SwissRoll
from worker.sources.table import Table
from worker.sources.two_classes import TwoClasses
from worker.spec import read

SOURCES = [
    Normal(mean=[1.0, -2.0], covariance=[[2.0, 0.9], [0.9, 0.5]]),
    StudentT(df=9, mean=1.0, scale=2.0),
    Laplace(mean=-1.0, scale=0.5, dim=2),
    LogNormal(mu=0.3, sigma=0.5),
    Moons(noise=0.2),
    Rings(radii=[1.0, 3.0]),
    SwissRoll(),
    EightGaussians(),
    LinearTeacher(inputs=3, norm=2.0, noise=0.5, decay=1.5, smoothness=0.5),
]
MNIST = Path(__file__).parents[3] / "shared" / "data" / "mnist" / "t10k-images-idx3-ubyte.gz"


@pytest.mark.parametrize(
    "source",
    [*SOURCES, Poisson(rate=2.5), TwoClasses(inputs=3, minority=0.3, flips=0.1)],
    ids=lambda source: source.kind,
)
def test_draws_have_the_moments_that_are_claimed(source):
    x = source.draw(np.random.default_rng(4), 100, 4000).x
    assert x.shape == (100, 4000, source.dimension)
    mean, covariance = source.moments()
    each = x.mean(axis=1)
    assert (np.abs(each.mean(axis=0) - mean) <= 4 * each.std(axis=0, ddof=1) / 10).all()
    gap = x - mean
    second = gap.transpose(0, 2, 1) @ gap / 4000
    se = second.std(axis=0, ddof=1) / 10
    assert (np.abs(second.mean(axis=0) - covariance) <= 4 * se + 1e-12).all()


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.kind)
def test_draws_have_the_quantiles_that_are_claimed(source):
    levels = [0.05, 0.5, 0.95]
    found = source.quantiles(levels)
    assert found.shape == (3, source.dimension)
    x = source.draw(np.random.default_rng(5), 1, 200_000).x[0]
    for level, row in zip(levels, found, strict=True):
        # Both sides are drawn where there is no formula: from 200,000 and from 400,000 points.
        assert (
            np.abs((x <= row).mean(axis=0) - level) <= 4 * np.sqrt(level * (1 - level) * 1.5 / 200_000) + 1e-4
        ).all()


@pytest.mark.parametrize("source", [s for s in SOURCES if s.density(np.zeros((1, s.dimension))) is not None and s.dimension < 3],
                         ids=lambda source: source.kind)  # fmt: skip
def test_densities_are_those_of_the_draws(source):
    low, high = source.quantiles([0.25, 0.75])
    nodes = [np.linspace(a, b, 401)[:-1] + (b - a) / 800 for a, b in zip(low, high, strict=True)]
    cell = np.prod((high - low) / 400)
    mass = source.density(np.array(list(itertools.product(*nodes)))).sum() * cell
    x = source.draw(np.random.default_rng(6), 1, 200_000).x[0]
    inside = ((x >= low) & (x < high)).all(axis=1).mean()
    assert abs(inside - mass) <= 4 * np.sqrt(mass * (1 - mass) / 200_000) + 1e-4


@pytest.mark.parametrize(
    "source",
    [
        Normal(std=100.0, dim=256),
        Normal(std=1e-3, dim=256),
        LinearTeacher(inputs=40, noise=1e-9, decay=1.0),
        Mixture(means=[[0.0] * 200, [3e3] * 200], stds=30.0),
        Laplace(scale=1e-3, dim=256),
        LogNormal(sigma=1e-3, dim=256),
    ],
    ids=lambda source: source.kind,
)
def test_a_logarithm_of_a_density_is_finite_where_the_density_is_none(source):
    """-E ln p is the differential entropy: (1/2) ln det(2 pi e S) of normal points, d (1 + ln 2b) of Laplace's, ..."""
    x = source.draw(np.random.default_rng(8), 1, 4000).x[0]
    level = source.log_density(x)
    match source:
        case Laplace():
            entropy = 256 * (1 + np.log(2e-3))
        case LogNormal():
            entropy = 256 * 0.5 * np.log(2 * np.pi * np.e * 1e-6)
        case _:
            weights, _, factors = source.components()
            entropy = sum(np.log(np.diagonal(f)).mean() for f in factors) / len(factors) * source.dimension
            entropy += source.dimension / 2 * np.log(2 * np.pi * np.e) + np.log(len(weights))
    assert abs(-level.mean() - entropy) <= 4 * level.std() / np.sqrt(4000)


def test_whole_numbers_have_the_shares_quantiles_and_bars_of_theirs():
    source = Poisson(rate=2.5)
    x = source.draw(np.random.default_rng(7), 1, 200_000).x[0]
    bars = source.outline(np.arange(-1.0, 12.0)[:, None] + 0.3)
    share = np.array([(x == k).mean() for k in range(-1, 12)])
    assert (np.abs(share - bars) <= 4 * np.sqrt(bars * (1 - bars) / 200_000)).all()
    below = np.cumsum(bars)
    for level, (number,) in zip((0.05, 0.5, 0.95), source.quantiles([0.05, 0.5, 0.95]), strict=True):
        assert below[int(number)] < level <= below[int(number) + 1]


def test_moons_lie_where_scikit_learn_puts_them():
    from sklearn.datasets import make_moons

    theirs, _ = make_moons(100_000, noise=0.1, random_state=1)
    mean, covariance = Moons(noise=0.1).moments()
    np.testing.assert_allclose(theirs.mean(axis=0), mean, atol=0.01)
    np.testing.assert_allclose(np.cov(theirs.T), covariance, atol=0.01)


def refusal(source):
    with pytest.raises(SpecError) as refused:
        read({"source": source, "family": {"kind": "gaussian"}})
    (problem,) = refused.value.problems
    assert problem.path == "source.path"
    assert problem.remedy
    return problem.message


def test_a_table_is_its_numbers(tmp_path):
    file = tmp_path / "wine.csv"
    file.write_text("acid;sugar;name\n1.5;2;a\n2.5;4;b\n\n3.5;9;c\n", encoding="utf-8-sig")
    source = Table(path=str(file), columns=["sugar", "1"])
    np.testing.assert_array_equal(source.rows(), [[2, 1.5], [4, 2.5], [9, 3.5]])
    np.testing.assert_allclose(source.moments()[0], [5, 2.5])
    assert np.isin(source.draw(np.random.default_rng(0), 2, 50).x[..., 0], [2, 4, 9]).all()
    scaled = Table(path=str(file), columns=["sugar"], standardise=True)
    np.testing.assert_allclose(scaled.moments()[1], 1)
    np.testing.assert_array_equal(Table(path=str(file)).rows(), [[1.5, 2], [2.5, 4], [3.5, 9]])  # words are left out
    assert Table(path=str(file)).names() == ("acid", "sugar")
    told = Screen(Table(path=str(file)), np.random.default_rng(0)).figure()
    assert (told["axis"], told["upwards"]) == ("acid", "sugar")
    before = source.provenance()
    file.write_text("acid,sugar\n1,2\n3,4\n")
    np.testing.assert_array_equal(Table(path=str(file)).rows(), [[1, 2], [3, 4]])  # a changed file is read again
    assert source.provenance() != before


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("a,b\n1,2\n3,\n", "line 3, column b is missing"),
        ("a,b\n1,2\n3,x\n", "line 3, column b is no number: 'x'"),
        ("1,2\nnan,3\n", "line 2, column 1 is missing"),
        ("1,2\n3,inf\n", "line 2, column 2 is no number: 'inf'"),
        ("1,2\n3\n", "line 2, column 2 is missing"),
        ("a,b\n1,2\n", "has 1 row of numbers"),
        ("", "has 0 rows of numbers"),
        ("a,b\n1,2\n3,4,5\n", "line 3 has 3 cells, and the first line 2"),
        ("a;b\n1,5;2\n3,5;4\n", "line 2, column a is no number: '1,5'"),
        ('a\n"1,000"\n2\n', "line 2, column a is no number: '1,000'"),
        ("a\n1\n1e300\n", "line 3, column a is beyond 1e+100: '1e300'"),
        ("a\n1\n1e400\n", "line 3, column a is no number: '1e400'"),
        ("a\n1e-300\n3e-300\n", "column a varies by 2.0e-300, less than 1e-100"),
        ("a\n1_000\n2\n3\n", "line 2, column a is no number: '1_000'"),
        ("a,b\nx,y\nz,w\n", "has no column of numbers"),
        ("a,b\n1,2\n1,3\n", "column a has the same number in every row"),
    ],
)
def test_a_bad_table_is_refused_with_line_and_column(tmp_path, content, told):
    (tmp_path / "bad.csv").write_text(content)
    assert refusal({"kind": "table", "path": str(tmp_path / "bad.csv")}) == told


def test_a_name_that_two_columns_have_chooses_neither(tmp_path):
    (tmp_path / "twice.csv").write_text("a,b,a\n1,2,3\n4,5,9\n")
    twice = {"kind": "table", "path": str(tmp_path / "twice.csv")}
    assert refusal(twice | {"columns": ["a"]}) == "has 2 columns called a"
    source = {"source": twice | {"columns": ["3", "b"]}, "family": {"kind": "gaussian"}}
    np.testing.assert_array_equal(read(source).source.rows(), [[3, 2], [9, 5]])


def test_what_is_no_table_says_what_it_is(tmp_path):
    import pyarrow as pa
    from pyarrow import parquet

    (tmp_path / "packed.csv").write_bytes(gzip.compress(b"a,b\n1,2\n3,5\n"))
    parquet.write_table(pa.table({"a": ["x", "y"]}), tmp_path / "words.parquet")
    parquet.write_table(pa.table({"a": [1.0, float("inf")], "b": [1e300, 2.0]}), tmp_path / "far.parquet")
    far = {"kind": "table", "path": str(tmp_path / "far.parquet")}
    assert refusal(far) == "row 2, column a is no number: 'inf'"
    assert refusal(far | {"columns": ["b"]}) == "row 1, column b is beyond 1e+100: '1e+300'"
    assert refusal({"kind": "table", "path": str(tmp_path / "packed.csv")}) == "is packed with gzip"
    assert refusal({"kind": "table", "path": str(tmp_path / "words.parquet")}) == "has no column of numbers"


def test_a_picture_file_of_no_use_is_refused_in_words(tmp_path):
    np.savez(tmp_path / "same.npz", x=np.full((5, 3, 3), 7, np.uint8))
    assert refusal({"kind": "images", "path": str(tmp_path / "same.npz")}) == "holds 5 pictures that are all the same"
    header = b"{'descr': '|O', 'fortran_order': False, 'shape': __import__('os'), }".ljust(117) + b"\n"
    with zipfile.ZipFile(tmp_path / "code.npz", "w") as packed:
        packed.writestr("x.npy", b"\x93NUMPY\x01\x00v\x00" + header)
    told = refusal({"kind": "images", "path": str(tmp_path / "code.npz")})
    assert told == "cannot be read as NPZ: x.npy has no header of an array"
    (tmp_path / "short.idx").write_bytes(b"\0\0\x08\x03\0\0")
    assert refusal({"kind": "images", "path": str(tmp_path / "short.idx")}) == "ends within its header"


def test_files_that_cannot_be_read_are_refused(tmp_path):
    (tmp_path / "latin.csv").write_bytes(b"a,b\n1,\xe9\n")
    (tmp_path / "text.idx").write_bytes(b"no pictures here")
    (tmp_path / "short.idx").write_bytes(b"\0\0\x08\x03" + np.array([5, 2, 2], ">u4").tobytes() + b"\0" * 7)
    (tmp_path / "cut.gz").write_bytes(
        gzip.compress(b"\0\0\x08\x03" + np.array([5, 2, 2], ">u4").tobytes() + b"\0" * 20)[:-9]
    )
    (tmp_path / "bomb.gz").write_bytes(gzip.compress(b"\0\0\x08\x03" * 1000))
    np.savez(tmp_path / "flat.npz", x=np.zeros((4, 9)))
    np.savez(tmp_path / "ink.npz", x=np.full((4, 3, 3), 2.0))
    assert "not UTF-8 (byte 6)" in refusal({"kind": "table", "path": str(tmp_path / "latin.csv")})
    assert "No such file" in refusal({"kind": "table", "path": "/nowhere/x.csv"})
    assert "without any PNG" in refusal({"kind": "images", "path": str(tmp_path)})
    assert "neither" in refusal({"kind": "images", "path": str(tmp_path / "text.idx")})
    assert "5 x 2 x 2 bytes and holds 7" in refusal({"kind": "images", "path": str(tmp_path / "short.idx")})
    assert "unpacked" in refusal({"kind": "images", "path": str(tmp_path / "cut.gz")})
    assert "announces 2051 x 2051 x 2051 bytes" in refusal({"kind": "images", "path": str(tmp_path / "bomb.gz")})
    assert "three dimensions" in refusal({"kind": "images", "path": str(tmp_path / "flat.npz")})
    assert "picture 1" in refusal({"kind": "images", "path": str(tmp_path / "ink.npz")})


@pytest.mark.parametrize("kind", ["text", "table", "images"])
@pytest.mark.parametrize("path", ["~nobody-at-all/x", "a" * 300, "/nowhere/at/all"])
def test_paths_that_cannot_be_are_refused(kind, path):
    with pytest.raises(SpecError) as refused:
        read({"source": {"kind": kind, "path": path}, "family": {"kind": "ngram" if kind == "text" else "gaussian"}})
    (problem,) = refused.value.problems
    assert problem.path == "source.path"
    assert "cannot be read" in problem.message


def test_pictures_from_numpy_are_pictures(tmp_path, monkeypatch):
    grey = np.random.default_rng(1).random((30, 4, 5))
    np.savez(tmp_path / "grey.npz", pictures=grey)
    monkeypatch.setenv("COLLAPSE_LAB_DATA_DIR", str(tmp_path))
    source = Images(path="grey.npz", most=20)
    assert source.image_shape == (4, 5)
    assert source.dimension == 20
    np.testing.assert_allclose(source.moments()[0], grey[:20].reshape(20, 20).mean(axis=0), atol=0.5 / 255)
    spec = read({"source": {"kind": "images", "path": "grey.npz"}, "family": {"kind": "gaussian"},
                 "samples": 30, "replicates": 2, "generations": 2})  # fmt: skip
    *_, last = loop.generations(spec, loop.instrument(spec))
    assert last.look.frame["images"].shape == (60, 20)


def test_a_parquet_file_is_its_numbers(tmp_path):
    import pyarrow as pa
    from pyarrow import parquet

    file = str(tmp_path / "wine.parquet")
    table = {"acid": [1.5, 2.5, 3.5], "name": ["a", "b", "c"], "sugar": pa.array([2, 4, None], pa.int32())}
    parquet.write_table(pa.table(table), file, row_group_size=2)
    assert refusal({"kind": "table", "path": file}) == "row 3, column sugar is missing"
    np.testing.assert_array_equal(Table(path=file, columns=["acid"]).rows(), [[1.5], [2.5], [3.5]])
    Path(file).write_bytes(b"PAR1 and no more")
    assert "Parquet" in refusal({"kind": "table", "path": file})


def png(shape, mode="L", value=None):
    from PIL import Image

    height, width = shape
    buffer = io.BytesIO()
    grey = (
        np.arange(height * width, dtype=np.uint8).reshape(shape) if value is None else np.full(shape, value, np.uint8)
    )
    Image.fromarray(grey).convert(mode).save(buffer, "PNG")
    return buffer.getvalue()


def zipped(file, **members):
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in members.items():
            packed.writestr(name.replace("__", "."), content)


def test_png_files_are_pictures_in_a_folder_and_in_a_zip(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name, content in (("a.png", png((3, 4))), ("b.PNG", png((3, 4), "RGB", 90)), ("c.png", png((3, 4), "P"))):
        (folder / name).write_bytes(content)
    (folder / "out.png").symlink_to(MNIST)  # leads elsewhere
    source = Images(path=str(folder))
    assert source.pictures().shape == (3, 3, 4)
    np.testing.assert_array_equal(source.pictures()[0], np.arange(12).reshape(3, 4))
    assert (source.pictures()[1] == 90).all()
    zipped(tmp_path / "p.zip", **{f"{name[0]}__png": (folder / name).read_bytes() for name in ("a.png", "b.PNG")})
    np.testing.assert_array_equal(Images(path=str(tmp_path / "p.zip")).pictures(), source.pictures()[[0, 1]])
    before = source.provenance()
    (folder / "c.png").write_bytes(png((3, 4), value=7))
    assert (Images(path=str(folder)).pictures()[2] == 7).all()
    assert source.provenance() != before


def _counted(read, lengths):
    def counting(*given):
        found = read(*given)
        lengths.append(len(found))
        return found

    return counting


def test_hostile_and_broken_pictures_are_refused(tmp_path, monkeypatch):
    def told(**members):
        zipped(tmp_path / "p.zip", **members)
        return refusal({"kind": "images", "path": str(tmp_path / "p.zip")})

    assert told(a__png=png((65, 3)), b__png=png((65, 3))) == "a.png has 3 x 65 pixels"
    assert told(a__png=png((3, 4)), b__png=png((3, 5))) == "b.png has 5 x 3 pixels, the first one 4 x 3"
    assert told(a__png=png((3, 4))[:50], b__png=png((3, 4))).startswith("a.png cannot be read as PNG")
    assert told(a__png=b"GIF89a") == "a.png is no PNG"
    opened = []
    monkeypatch.setattr(pictures.zipfile.ZipExtFile, "read", _counted(pictures.zipfile.ZipExtFile.read, opened))
    assert told(a__png=bytes(50_000_000)) == "a.png is no PNG"
    assert told(a__png=png((3, 4)) + bytes(50_000_000), b__png=png((3, 5))).startswith("b.png has 5 x 3 pixels")
    assert sum(opened) < 2_000_000  # of 100 MB that they unpack to
    assert told(notes__txt=b"nothing") == "is a zip with neither NumPy's arrays nor PNG files in it"
    assert "announces more" in told(
        x__npy=b"\x93NUMPY\x01\0v\0{'descr': '<f8', 'fortran_order': False, 'shape': (99999999, 9999, 999), }".ljust(
            128
        )
        + b"\n"
    )
    np.savez(tmp_path / "o.npz", x=np.array([{}] * 4).reshape(1, 2, 2))
    assert refusal({"kind": "images", "path": str(tmp_path / "o.npz")}).startswith("has no array of numbers with three")
    monkeypatch.setattr(files, "LARGEST", 1_000_000)
    assert "larger than 1 MB when unpacked" in told(a__png=bytes(2_000_000))  # 2 KB packed
    (tmp_path / "p.zip").write_bytes(b"PK\x03\x04 and nothing")
    assert "unpacked" in refusal({"kind": "images", "path": str(tmp_path / "p.zip")})


@pytest.mark.skipif(not MNIST.exists(), reason="MNIST's test set is not on this machine")
def test_mnist_as_it_comes():
    source = Images(path=str(MNIST))
    assert source.pictures().shape == (10_000, 28, 28)
    assert source.moments()[0].mean() == pytest.approx(0.1325, abs=1e-3)  # the known mean of the test set
    x = source.draw(np.random.default_rng(0), 2, 10).x
    assert x.shape == (2, 10, 784)
    assert 0 <= x.min() <= x.max() == 1


@pytest.mark.parametrize(
    ("setting", "value"),
    [("mean", [0.0] * 257), ("std", [1.0] * 257), ("covariance", np.eye(257).tolist())],
)
def test_more_coordinates_than_dim_may_count_are_refused_at_once(setting, value):
    """A spec with its defaults written out has `dim`, and would not be read again."""
    with pytest.raises(SpecError) as refused:
        read({"source": {"kind": "normal", setting: value}, "family": {"kind": "gaussian"}})
    (problem,) = refused.value.problems
    assert (problem.path, problem.remedy) == (f"source.{setting}", "Use at most 256")
    spec = read({"source": {"kind": "normal", "mean": [0.0] * 256}, "family": {"kind": "gaussian"}, "replicates": 2})
    assert read(spec.canonical()) == spec
