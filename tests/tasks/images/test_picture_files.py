import os
import random
import socket

import pytest

from dropsmith.errors import DataError
from dropsmith.tasks.images import folders
from dropsmith.tasks.images.picture_files import check_filled, find_pictures


@pytest.fixture
def folder(tmp_path):
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.png").write_bytes(b"picture")
    return tmp_path


def names(folder):
    return {name: [path.name for path in files] for name, files in find_pictures(folder).items()}


def test_hidden_files_and_folders_are_no_pictures_and_no_classes(folder):
    for name in (".git", ".ipynb_checkpoints", "__MACOSX", "$RECYCLE.BIN", "lost+found", "@eaDir"):
        for place in (folder, folder / "cat"):
            (place / name).mkdir()
            (place / name / "2.png").write_bytes(b"picture")
    for name in ("._1.png", ".2.png", "Thumbs.db", ".DS_Store", "desktop.ini", "notes.txt"):
        (folder / "cat" / name).write_bytes(b"other")
        (folder / name).write_bytes(b"other")
    assert names(folder) == {"cat": ["1.png"], "dog": ["1.png"]}


def test_any_name_that_a_file_may_have_is_read(folder):
    strange = [
        "ü.PNG",
        "[a].png",
        "a b.jpeg",
        "a\nb.tif",
        "-x.bmp",
        "é.webp",
        "💧.gif",
        "A.png",
        "a.png",
    ]
    for name in strange:
        (folder / "cat" / name).write_bytes(b"picture")
    os.rename(folder / "dog" / "1.png", os.fsencode(folder / "dog") + b"/\xff.png")
    found = names(folder)
    assert found["cat"] == sorted([*strange, "1.png"])
    assert [os.fsencode(name) for name in found["dog"]] == [b"\xff.png"]


@pytest.mark.parametrize("seed", range(3))
def test_the_order_is_that_of_the_names_and_not_of_the_file_system(folder, seed, monkeypatch):
    for number in range(20):
        (folder / "cat" / f"{number}.png").write_bytes(b"picture")
    expected, scan = names(folder), os.scandir
    order = random.Random(seed)

    class Shuffled:
        def __init__(self, path):
            with scan(path) as entries:
                self.entries = list(entries)
            order.shuffle(self.entries)

        def __enter__(self):
            return self.entries

        def __exit__(self, *error):
            pass

    monkeypatch.setattr(folders.os, "scandir", Shuffled)
    found = names(folder)
    assert (list(found), found) == (["cat", "dog"], expected)
    assert found["cat"] == sorted(found["cat"])


def pipe(path):
    os.mkfifo(path)


def listening(path):
    # A name of a socket may not be long.
    here = os.getcwd()
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as end:
            end.bind(path.name)
    finally:
        os.chdir(here)


STRANGE = {
    "pipe": (pipe, "is a pipe, a socket or a device"),
    "socket": (listening, "is a pipe, a socket or a device"),
    "device": (lambda path: path.symlink_to("/dev/zero"), "is a pipe, a socket or a device"),
    "folder": (lambda path: path.mkdir(), "is a folder, and no picture"),
    "link to a folder": (lambda path: path.symlink_to(path.parent), "is a folder, and no picture"),
    "link to nothing": (
        lambda path: path.symlink_to("gone"),
        "is a link that leads nowhere: No such",
    ),
    "loop": (lambda path: path.symlink_to(path.name), "is a link that leads nowhere: Too many"),
}


@pytest.mark.skipif(os.name != "posix", reason="has no such files")
@pytest.mark.timeout(20)
@pytest.mark.parametrize("kind", STRANGE)
def test_what_is_called_a_picture_and_is_no_file_is_refused_at_once(folder, kind):
    make, sentence = STRANGE[kind]
    make(folder / "dog" / "2.png")
    with pytest.raises(DataError, match=rf"dog/2\.png {sentence}.*\n  remove it"):
        find_pictures(folder)


def test_links_to_pictures_and_to_classes_are_followed(folder, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "bird").mkdir()
    (elsewhere / "bird" / "1.png").write_bytes(b"picture")
    (folder / "bird").symlink_to(elsewhere / "bird")
    (folder / "cat" / "2.png").symlink_to(elsewhere / "bird" / "1.png")
    assert names(folder) == {"bird": ["1.png"], "cat": ["1.png", "2.png"], "dog": ["1.png"]}


def test_a_class_that_is_a_link_to_nothing_is_no_missing_class(folder):
    (folder / "bird").symlink_to("gone")
    with pytest.raises(DataError, match=r"bird is a link that leads nowhere"):
        find_pictures(folder)


def test_pictures_that_lie_deeper_are_not_left_out_in_silence(folder):
    (folder / "cat" / "more" / "still").mkdir(parents=True)
    (folder / "cat" / "notes").mkdir()
    assert names(folder) == {"cat": ["1.png"], "dog": ["1.png"]}
    (folder / "cat" / "more" / "still" / "2.png").write_bytes(b"picture")
    with pytest.raises(DataError, match=r"cat/more/still/2.png lies too deep[\s\S]*<class>/<pict"):
        find_pictures(folder)


def test_a_link_to_a_folder_above_is_walked_once(folder):
    (folder / "cat" / "up").symlink_to(folder)
    with pytest.raises(DataError, match=r"cat/up/cat/1\.png lies too deep"):
        find_pictures(folder)


@pytest.mark.parametrize("pair", [("Cat", "cat"), ("caf\u00e9", "cafe\u0301")])
def test_classes_that_some_file_systems_hold_for_one_are_refused(tmp_path, pair):
    for name in pair:
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.png").write_bytes(b"picture")
    if len(os.listdir(tmp_path)) == 1:
        pytest.skip("this file system holds them for one")
    with pytest.raises(DataError, match="have the same letters"):
        find_pictures(tmp_path)


@pytest.mark.skipif(os.name != "posix", reason="has no such names")
@pytest.mark.parametrize("name", [b"a\nb", b"\xff", b"a\x1b[31m"])
def test_a_class_that_cannot_be_printed_is_refused(folder, name):
    os.mkdir(os.fsencode(folder) + b"/" + name)
    with pytest.raises(DataError, match="rename its folder") as refused:
        find_pictures(folder)
    assert str(refused.value).replace("\n", "").isprintable()


def test_a_class_without_a_picture_in_any_part_is_refused(folder):
    (folder / "bird").mkdir()
    (folder / "bird" / "1.heic").write_bytes(b"picture")
    found = find_pictures(folder)
    assert found["bird"] == []
    with pytest.raises(DataError, match=r"the class 'bird' holds no pictures\n  add some"):
        check_filled(found)
    check_filled(found, {"bird": [folder / "1.png"]})


def test_pictures_of_kinds_that_are_not_read_are_counted_in_one_line(folder, capsys):
    names(folder)
    assert capsys.readouterr().err == ""
    for number in range(3):
        (folder / "cat" / f"{number}.HEIC").write_bytes(b"picture")
    names(folder)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("dropsmith: 3 files such as ")
    assert "cat/0.HEIC are not read" in line


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read anything")
def test_a_class_that_may_not_be_read_is_no_missing_class(folder):
    (folder / "cat").chmod(0)
    with pytest.raises(DataError, match=r"cannot read the folder .*cat\n  Permission denied"):
        find_pictures(folder)


def test_a_folder_that_cannot_be_listed_is_no_missing_class(folder, monkeypatch):
    scan = os.scandir

    def refuse(path):
        if path == folder / "cat":
            raise PermissionError(13, "Permission denied")
        return scan(path)

    monkeypatch.setattr(folders.os, "scandir", refuse)
    with pytest.raises(DataError, match=r"cannot read the folder .*cat\n  Permission denied"):
        find_pictures(folder)
