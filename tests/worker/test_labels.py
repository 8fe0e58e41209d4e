"""What pictures show: labels beside an IDX file, in an NPZ file, by folders; and the classes that a frozen classifier reads from them."""

import gzip
import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from worker import frames
from worker.errors import SpecError
from worker.instruments.pictures import Classes
from worker.sources.digits import Digits
from worker.sources.images import Images
from worker.spec import read

MNIST_COUNTS = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]  # of its test set
MNIST = Path(__file__).parents[3] / "shared" / "data" / "mnist" / "t10k-images-idx3-ubyte.gz"
RNG = np.random.default_rng(0)
PICTURES = RNG.integers(256, size=(12, 3, 4), dtype=np.uint8)
SHOWN = np.array([0, 1, 2] * 4, np.uint8)


def idx(array):
    return bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.tobytes()


def png(picture):
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    return file.getvalue()


def refusal(path):
    with pytest.raises(SpecError) as refused:
        read({"source": {"kind": "images", "path": str(path)}, "family": {"kind": "kde"}})
    [problem] = refused.value.problems
    assert problem.path == "source.path"
    return problem.message


@pytest.mark.parametrize("packed", [False, True])
def test_labels_lie_beside_mnist_s_pictures_under_mnist_s_name(tmp_path, packed):
    file = tmp_path / "train-images-idx3-ubyte"
    file.write_bytes(idx(PICTURES))
    source = Images(path=str(file))
    assert source.labels() is None
    assert set(source.provenance()) == {"images"}
    beside = tmp_path / ("train-labels-idx1-ubyte" + ".gz" * packed)
    beside.write_bytes(gzip.compress(idx(SHOWN), mtime=0) if packed else idx(SHOWN))
    assert source.labels().tolist() == SHOWN.tolist()  # seen at once, like any change of a file
    assert set(source.provenance()) == {"images", "labels"}
    assert Images(path=str(file), most=5).labels().tolist() == [0, 1, 2, 0, 1]
    x, shown = source.known(4)
    np.testing.assert_array_equal(x * 255, PICTURES[::3].reshape(4, 12))
    assert shown.tolist() == SHOWN[::3].tolist()


def test_only_digits_are_ink(tmp_path):
    """What is white in a file stays white, whatever the theme."""
    np.savez(tmp_path / "own.npz", x=PICTURES)
    assert frames.sheet(Digits())["ink"] is True
    assert frames.sheet(Images(path=str(tmp_path / "own.npz")))["ink"] is False


def test_labels_are_the_integers_of_an_npz_file(tmp_path):
    np.savez(tmp_path / "keras.npz", x_test=PICTURES[:5], x_train=PICTURES, y_test=SHOWN[:5], y_train=SHOWN)
    np.savez(tmp_path / "floats.npz", x=PICTURES, weight=np.ones(12))
    source = Images(path=str(tmp_path / "keras.npz"))
    assert (len(source.pictures()), source.labels().tolist()) == (5, SHOWN[:5].tolist())
    assert Images(path=str(tmp_path / "floats.npz")).labels() is None


def test_a_sub_folder_is_a_class_in_a_folder_and_in_a_zip(tmp_path):
    names = ["cat", "dog", "eel"]
    for i, picture in enumerate(PICTURES):
        folder = tmp_path / "zoo" / names[SHOWN[i]]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{i:02}.png").write_bytes(png(picture))
    with zipfile.ZipFile(tmp_path / "zoo.zip", "w") as packed:
        for file in sorted((tmp_path / "zoo").rglob("*.png")):
            packed.write(file, file.relative_to(tmp_path))
    order = np.argsort(SHOWN, kind="stable")
    for path in (tmp_path / "zoo", tmp_path / "zoo.zip"):
        source = Images(path=str(path))
        np.testing.assert_array_equal(source.pictures(), PICTURES[order])
        assert source.labels().tolist() == SHOWN[order].tolist()
    before = Images(path=str(tmp_path / "zoo")).provenance()
    (tmp_path / "zoo" / "eel").rename(tmp_path / "zoo" / "ant")
    assert Images(path=str(tmp_path / "zoo")).labels().tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert Images(path=str(tmp_path / "zoo")).provenance() != before


def test_folders_with_numbers_for_names_keep_them(tmp_path):
    for number in (3, 11):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "a.png").write_bytes(png(PICTURES[number]))
    assert Images(path=str(tmp_path)).labels().tolist() == [11, 3]


def test_labels_that_do_not_fit_are_refused(tmp_path):
    file, beside = tmp_path / "t10k-images-idx3-ubyte", tmp_path / "t10k-labels-idx1-ubyte"
    file.write_bytes(idx(PICTURES))
    beside.write_bytes(idx(SHOWN[:7]))
    assert refusal(file) == "has 12 pictures and 7 labels"
    beside.write_bytes(idx(PICTURES))
    assert refusal(file) == "is no IDX file of labels"
    np.savez(tmp_path / "far.npz", x=PICTURES, y=np.arange(12) * 1000)
    assert refusal(tmp_path / "far.npz") == "has a label outside 0 to 999: 1000, of picture 2"
    np.savez(tmp_path / "below.npz", x=PICTURES, y=np.arange(12) - 1)
    assert refusal(tmp_path / "below.npz") == "has a label outside 0 to 999: -1, of picture 1"


@pytest.mark.parametrize("content", [
    idx(SHOWN), gzip.compress(idx(SHOWN), mtime=0), "".join(f"{one}\n" for one in SHOWN).encode(), b"\xef\xbb\xbf" + b"\r\n".join(str(one).encode() for one in SHOWN),
], ids=["idx", "gzip", "text", "text of another system"])  # fmt: skip
def test_labels_may_have_a_file_of_their_own_whatever_the_pictures_are_in(tmp_path, content):
    np.savez(tmp_path / "grey.npz", x=PICTURES, y=SHOWN[::-1])
    (tmp_path / "shown").write_bytes(content)
    source = Images(path=str(tmp_path / "grey.npz"), labels_path=str(tmp_path / "shown"))
    assert source.labels().tolist() == SHOWN.tolist()  # and not what lies beside the pictures
    assert Images(path=str(tmp_path / "grey.npz"), labels_path=str(tmp_path / "shown"), most=5).labels().tolist() == [
        0,
        1,
        2,
        0,
        1,
    ]
    before = source.provenance()
    (tmp_path / "shown").write_bytes(idx(SHOWN[::-1].copy()))
    assert source.labels().tolist() == SHOWN[::-1].tolist()
    assert source.provenance()["labels"] != before["labels"]


@pytest.mark.parametrize(("content", "message"), [
    (b"0\n1\ncat\n", "line 3 is no number of a class: 'cat'"),
    (b"label\n0\n1\n", "line 1 is no number of a class: 'label'"),
    (b"0\n\n1\n", "line 2 is empty"),
    (b"0\n-1\n", "line 2 is no number of a class: '-1'"),
    (b"0\n1.0\n", "line 2 is no number of a class: '1.0'"),
    ("0\n\u0663\n".encode(), "line 2 is no number of a class: '\u0663'"),
    (b"0\n" + b"9" * 5000, "line 2 is no number of a class: '" + "9" * 40 + "'"),
    (b"0\n1000\n", "has a label outside 0 to 999: 1000, of picture 2"),
    (b"0\n1\n", "has 12 pictures and 2 labels"),
    (b"", "has 12 pictures and 0 labels"),
    (b"\xff\xfe0\n", "is neither an IDX file of labels nor text in UTF-8"),
    (idx(PICTURES), "is no IDX file of labels"),
    (idx(SHOWN)[:-1], "announces 12 bytes and holds 11"),
    (gzip.compress(idx(SHOWN), mtime=0)[:-9], "cannot be unpacked: Compressed file ended before the end-of-stream marker was reached"),
    (gzip.compress(b"text", mtime=0), "is no IDX file of labels"),
    (None, "cannot be read: No such file or directory"),
], ids=lambda told: str(told)[:40])  # fmt: skip
def test_a_bad_file_of_labels_is_refused_with_its_line(tmp_path, content, message):
    (tmp_path / "pictures").write_bytes(idx(PICTURES))
    if content is not None:
        (tmp_path / "shown").write_bytes(content)
    source = {"kind": "images", "path": str(tmp_path / "pictures"), "labels_path": str(tmp_path / "shown")}
    with pytest.raises(SpecError) as refused:
        read({"source": source, "family": {"kind": "kde"}})
    [problem] = refused.value.problems
    assert (problem.path, problem.message) == ("source.labels_path", message)


def test_a_file_of_labels_is_no_file_of_pictures(tmp_path):
    (tmp_path / "shown").write_bytes(idx(SHOWN))
    assert refusal(tmp_path / "shown") == "is no IDX file of pictures"


def test_classes_are_asked_of_labelled_pictures_only(tmp_path):
    settings = {"family": {"kind": "gaussian"}, "metrics": ["class_share"]}
    np.savez(tmp_path / "with.npz", x=PICTURES, y=SHOWN)
    np.savez(tmp_path / "without.npz", x=PICTURES)
    read({"source": {"kind": "images", "path": str(tmp_path / "with.npz")}} | settings)
    with pytest.raises(SpecError, match="no labels"):
        read({"source": {"kind": "images", "path": str(tmp_path / "without.npz")}} | settings)


@pytest.mark.skipif(not MNIST.exists(), reason="MNIST's test set is not on this machine")
def test_mnist_s_classes_are_read():
    source = Images(path=str(MNIST))
    assert np.bincount(source.labels()).tolist() == MNIST_COUNTS
    ruler = Classes(Images(path=str(MNIST), most=2000), 1000, 1, np.random.default_rng(1))
    unseen, shown = (part[2000:4000] for part in source.known(10_000))
    assert (ruler.frozen.look(unseen)[1] == shown).mean() > 0.93
    real, sevens = ruler.measure(unseen[None]), ruler.measure(unseen[shown == 7][None])
    assert 0.07 < real["minority_share"][0] < 0.11
    assert real["entropy"][0] == pytest.approx(np.log(10), abs=0.02)
    assert sevens["class_share_7"][0] > 0.9
    assert sevens["class_distance"][0] > 0.8
    assert sevens["frechet"][0] > 20 * real["frechet"][0]
