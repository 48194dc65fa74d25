"""Keys stay at home, files arrive whole or not at all."""

import hashlib
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from native_api.core import blobs
from native_api.core import folder as folders
from native_api.core.blobs import Entry, Stored, safe_key
from native_api.core.errors import Conflict, Invalid, NotFound, Problem
from native_api.core.folder import Folder

# Keys


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("0/run/artifacts/model.pkl", "0/run/artifacts/model.pkl"),
        ("0/a+b c.txt", "0/a+b c.txt"),
        ("0/100%.txt", "0/100%.txt"),
        ("0/100%25.txt", "0/100%25.txt"),  # which MLflow would decode once more
        ("0/ünï/日本.txt", "0/ünï/日本.txt"),
        ("0/dogs%step%17%timestamp%1795847101620%g154e830-817e.png",) * 2,  # images of 2.x clients
        ("0/dogs%step%23%timestamp%1795847101620%g154e830-817e.png",) * 2,
        ("0/a?b;c=d&e:f~'\"*|<>", "0/a?b;c=d&e:f~'\"*|<>"),
        ("0/a//b/./c", "0/a/b/c"),
        ("./a", "a"),
        ("a..b/...", "a..b/..."),
        ("images/x+step+1+timestamp+2.png", "images/x+step+1+timestamp+2.png"),
        ("c:x", "c:x"),
        ("n" * 255, "n" * 255),
    ],
)
def test_a_key_is_what_the_path_means(text: str, key: str) -> None:
    assert safe_key(text) == key


ESCAPES = [
    *("..", "../x", "a/..", "a/../../x", "%2e%2e/x", "%252e%252e/x", "..%2fx", "a/%2E%2E%2Fx"),
    *("/etc/passwd", "//etc", "%2fetc", "C:/x", "c:", "C%3A/x", "\\\\host\\share", "a\\..\\b", "a%5Cb"),
    *("a\0b", "a%00b", "a#b", "a\nb", "a\x7f", "a\ufffd", "a\ud800"),
    "a%" + "25" * 12 + "41",  # encoded more often than anybody means
    *("n" * 256, "ü" * 128, "a/" * 1025 + "b"),
]


@pytest.mark.parametrize("folder", [False, True])
@pytest.mark.parametrize("text", ESCAPES)
def test_what_could_lead_elsewhere_is_refused(text: str, folder: bool) -> None:
    with pytest.raises(Invalid, match=r"^Invalid path$"):
        safe_key(text, folder=folder)


@pytest.mark.parametrize(
    ("text", "key"), [("", ""), (".", ""), ("./", ""), ("a/", "a"), ("a/b/.", "a/b"), ("a//", "a")]
)
def test_only_a_folder_may_end_in_a_slash_or_be_empty(text: str, key: str) -> None:
    assert safe_key(text, folder=True) == key
    with pytest.raises(Invalid):
        safe_key(text)


nasty = st.lists(
    st.sampled_from(
        ["..", ".", "/", "%2e", "%2F", "%25", "%00", "\\", "C:", "link", "out", "in", "a", " ", "ü", "#", "~"]
    )
    | st.text(max_size=3),
    max_size=8,
).map("".join)


@given(nasty)
def test_a_key_means_itself(text: str) -> None:
    try:
        key = safe_key(text)
    except Invalid:
        return
    assert safe_key(key) == key
    assert not key.startswith("/")
    assert not {"", ".", ".."} & set(key.split("/"))


# Files


@pytest.fixture
def store(folder: Path) -> Folder:
    """A store with a secret beside it, and links to that from inside."""
    return make_store(folder)


def make_store(folder: Path) -> Folder:
    (folder / "outside").mkdir()
    (folder / "outside" / "secret").write_text("secret")
    store = Folder(folder / "root")
    put(store, "in/a", b"a")
    (folder / "root" / "link").symlink_to(folder / "outside")
    (folder / "root" / "in" / "out").symlink_to(folder / "outside" / "secret")
    (folder / "root" / "in" / "self").symlink_to(".")
    return store


def put(store: Folder, key: str, *chunks: bytes) -> Stored:
    upload = store.open_upload(key)
    try:
        for chunk in chunks:
            upload.write([chunk])
        return upload.finish()
    finally:
        upload.abort()


def read(store: Folder, key: str) -> bytes:
    with store.file(key).open() as file:
        return file.read()


def waiting(store: Folder) -> list[str]:
    return os.listdir(Path(store._root) / folders.UPLOADS)


def test_a_file_comes_back_as_it_went_in(store: Folder) -> None:
    assert put(store, "0/run/artifacts/a+b c.txt", b"one ", b"", b"two")[:2] == (
        7,
        hashlib.sha256(b"one two").hexdigest(),
    )
    assert read(store, "0/run/artifacts/a+b c.txt") == b"one two"
    assert store.file("0/run/artifacts/a+b c.txt").stat.st_size == 7
    assert put(store, "empty")[0] == 0
    assert waiting(store) == []


def test_a_file_is_seen_only_when_it_is_finished(store: Folder) -> None:
    put(store, "a/b", b"old")
    upload = store.open_upload("a/b")
    upload.write([b"new"])
    assert read(store, "a/b") == b"old"
    assert store.entries("a") == [Entry("b", False, 3)]
    upload.finish()
    assert read(store, "a/b") == b"new"


def test_a_file_may_be_put_in_one_go(store: Folder) -> None:
    assert store.put("a/b", [b"1", b"", b"23"])[:2] == (3, hashlib.sha256(b"123").hexdigest())
    assert read(store, "a/b") == b"123"
    with pytest.raises(Conflict):
        store.put("a", [b"1"])
    assert waiting(store) == []


def test_more_than_the_disk_is_told_to_begin_with_comes_back_too(store: Folder) -> None:
    pieces = [bytes([number]) * (folders.FLUSH_BYTES // 3) for number in range(8)]
    put(store, "a", *pieces)
    assert read(store, "a") == b"".join(pieces)


def test_only_a_short_file_is_read_at_once(store: Folder) -> None:
    put(store, "a", b"12345")
    for at_most, content in ((4, None), (5, b"12345"), (6, b"12345")):
        found = store.read("a", at_most)
        assert (found.size, found.content) == (5, content)
    with pytest.raises(NotFound):
        store.read("link/secret", 100)


def test_a_file_that_goes_as_it_is_opened_is_not_found(store: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    put(store, "a", b"1")
    found = store.file("a")
    store.delete("a")
    monkeypatch.setattr(store, "file", lambda key: found)
    with pytest.raises(NotFound):
        store.read("a", 100)


def test_an_upload_given_up_leaves_nothing(store: Folder) -> None:
    upload = store.open_upload("a/b")
    upload.write([b"x" * 100_000])
    upload.abort()
    upload.abort()
    assert waiting(store) == []
    assert store.entries("a") == []


def test_two_uploads_of_one_file_leave_one_of_them_whole(store: Folder) -> None:
    first, second = store.open_upload("a"), store.open_upload("a")
    for _ in range(10):
        first.write([b"1" * 10_000])
        second.write([b"2" * 10_000])
    first.finish()
    second.finish()
    assert read(store, "a") == b"2" * 100_000


def test_a_file_needs_its_name_and_its_directories_to_itself(store: Folder) -> None:
    put(store, "a/b", b"x")
    for key in ("a", "a/b/c", "a/b/c/d"):
        with pytest.raises(Conflict):
            store.open_upload(key)
    assert waiting(store) == []


def test_a_conflict_that_arises_during_the_upload_is_one_too(store: Folder) -> None:
    under, over = store.open_upload("a/b/c"), store.open_upload("d")
    put(store, "a/b", b"x")
    put(store, "d/e", b"x")
    for upload in (under, over):
        with pytest.raises(Conflict):
            upload.finish()
        upload.abort()
    assert waiting(store) == []
    assert read(store, "a/b") == b"x"


def test_what_is_not_a_file_is_not_read(store: Folder) -> None:
    put(store, "a/b", b"x")
    os.mkfifo(Path(store._root) / "pipe")
    with pytest.raises(Invalid, match="'a' is a directory"):
        store.file("a")
    for key in ("none", "none/none", "a/b/c", "pipe"):
        with pytest.raises(NotFound):
            store.file(key)


def test_a_listing_is_sorted_and_knows_sizes(store: Folder) -> None:
    for key in ("d/b", "d/ü", "d/a/x", "d/B", "d/c d%"):
        put(store, key, b"12345")
    assert store.entries("d") == [
        Entry("B", False, 5),
        Entry("a", True, 0),
        Entry("b", False, 5),
        Entry("c d%", False, 5),
        Entry("ü", False, 5),
    ]
    assert store.entries("d/b") == store.entries("d/b/c") == store.entries("none") == []


def test_a_listing_shows_only_what_can_be_asked_for(store: Folder) -> None:
    for name in ("a#b", "a\\b", "fine%41"):
        (Path(store._root) / name).write_text("x")
    os.mkfifo(Path(store._root) / "pipe")
    assert [entry.name for entry in store.entries("")] == ["fine%41", "in"]


def test_deleting_takes_all_that_is_below(store: Folder, folder: Path) -> None:
    put(store, "a/b/c", b"x")
    put(store, "a/bb", b"x")
    store.delete("a/b")
    assert [entry.name for entry in store.entries("a")] == ["bb"]
    store.delete("a/bb")
    for missing in ("a/bb", "a/bb/x", "none/none"):
        store.delete(missing)
    assert store.entries("a") == []
    store.delete("in")
    assert [entry.name for entry in store.entries("")] == ["a"]
    assert (folder / "outside" / "secret").read_text() == "secret"
    assert waiting(store) == []


def test_what_cannot_be_removed_is_told_and_is_where_it_was(store: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    for key in ("a/b/locked/c", "a/b/d", "a/e"):
        put(store, key, b"x")
    unlink = os.unlink

    def refuse(path: Any, **more: Any) -> None:
        if os.path.basename(path) == "c":
            raise PermissionError(13, "Permission denied", path)
        unlink(path, **more)

    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", refuse)
        with pytest.raises(PermissionError, match="'c'"):
            store.delete("a/b")
    assert [blob.key for blob in blobs.walk(store, "a")] == ["a/b/locked/c", "a/e"]
    assert waiting(store) == []
    store.delete("a/b")
    assert [blob.key for blob in blobs.walk(store, "a")] == ["a/e"]
    assert waiting(store) == []


def test_what_came_meanwhile_stays_when_something_cannot_be_removed(
    store: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(store, "a/locked", b"old")

    def refuse(path: str) -> None:
        put(store, "a/new", b"new")
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(folders, "_remove", refuse)
    with pytest.raises(PermissionError):
        store.delete("a")
    assert [blob.key for blob in blobs.walk(store, "a")] == ["a/new"]


def test_what_replaces_a_file_while_it_is_taken_back_stays(store: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = put(store, "a", b"old")

    def replaced_first(name: str, target: str) -> None:
        monkeypatch.undo()
        put(store, "a", b"new")
        os.replace(name, target)

    monkeypatch.setattr(os, "replace", replaced_first)
    store.take_back("a", stored)
    assert read(store, "a") == b"new"
    assert waiting(store) == []


def test_not_everything_can_be_deleted_at_once(store: Folder) -> None:
    with pytest.raises(Invalid):
        store.delete("")
    assert read(store, "in/a") == b"a"


def test_the_place_of_unfinished_files_comes_back_when_it_was_taken_away(store: Folder) -> None:
    os.rmdir(Path(store._root) / folders.UPLOADS)
    store.delete("in")
    assert store.entries("") == []
    os.rmdir(Path(store._root) / folders.UPLOADS)
    put(store, "a", b"x")
    assert read(store, "a") == b"x"


@pytest.mark.parametrize("key", [".uploads", ".uploads/x", ".UPLOADS/x"])
def test_the_place_of_unfinished_files_is_out_of_reach(store: Folder, key: str) -> None:
    upload = store.open_upload("a")
    for attempt in (store.open_upload, store.file, store.entries, store.delete):
        with pytest.raises(Invalid):
            attempt(key)
    assert len(waiting(store)) == 1
    upload.abort()


def test_a_path_longer_than_the_system_takes_is_refused(store: Folder) -> None:
    store._longest = len(os.fsencode(store._root)) + 10
    put(store, "a" * 8, b"x")
    with pytest.raises(Invalid):
        store.open_upload("a" * 9)


@pytest.mark.parametrize("key", ["link/secret", "link", "in/out", "in/self/a", "link/new", "in/self/new"])
def test_links_lead_nowhere(store: Folder, folder: Path, key: str) -> None:
    with pytest.raises(NotFound):
        store.file(key)
    with pytest.raises(NotFound):
        store.open_upload(key)
    assert store.entries(key) == []
    store.delete(key)
    assert os.listdir(folder / "outside") == ["secret"]
    assert read(store, "in/a") == b"a"


def test_the_root_itself_may_be_a_link(folder: Path) -> None:
    (folder / "real").mkdir()
    (folder / "root").symlink_to("real")
    store = Folder(folder / "root")
    put(store, "a", b"x")
    assert read(store, "a") == b"x"


def test_no_path_leads_out_of_the_root(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("nasty")
    store = make_store(folder)

    @given(nasty)
    def hold(text: str) -> None:
        for call in (store.entries, store.file, lambda key: put(store, key, b"new"), store.delete):
            try:
                key = safe_key(text)
                found = call(key)
            except Problem:
                continue
            if isinstance(found, folders.File):
                with found.open() as file:
                    assert file.read() in (b"a", b"new")
        assert sorted(os.listdir(folder)) == ["outside", "root"]
        assert os.listdir(folder / "outside") == ["secret"]
        assert (folder / "outside" / "secret").read_text() == "secret"

    hold()
    assert waiting(store) == []


def test_a_start_clears_only_what_ended_long_ago(folder: Path) -> None:
    store = Folder(folder)
    running, old_file, old_folder = store.open_upload("a"), folder / ".uploads/file", folder / ".uploads/folder"
    old_file.write_text("x")
    (old_folder / "below").mkdir(parents=True)
    long_ago = time.time() - folders.ABANDONED_SECONDS - 60
    for path in (old_file, old_folder):
        os.utime(path, (long_ago, long_ago))
    Folder(folder)
    assert len(waiting(store)) == 1
    running.write([b"x"])
    running.finish()
    assert read(store, "a") == b"x"


def test_a_start_removes_what_a_killed_delete_has_left(store: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(path: str) -> None:
        raise KeyboardInterrupt

    put(store, "a/b", b"x")
    running = store.open_upload("c")
    with monkeypatch.context() as patch:
        patch.setattr(folders, "_remove", killed)
        with pytest.raises(KeyboardInterrupt):
            store.delete("a")
    assert store.entries("a") == []
    assert len(waiting(store)) == 2
    Folder(Path(store._root))
    assert len(waiting(store)) == 1
    running.abort()


def test_files_have_the_permissions_of_others_made_here(store: Folder, folder: Path) -> None:
    put(store, "a", b"x")
    (folder / "other").write_text("x")
    assert store.file("a").stat.st_mode == (folder / "other").stat().st_mode


def test_uploads_and_deletes_of_one_directory_get_along(folder: Path) -> None:
    code = """if True:
        import sys
        from pathlib import Path
        from native_api.core.folder import Folder
        store = Folder(Path(sys.argv[1]))
        for _ in range(150):
            store.delete("a/b")
    """
    deleting = subprocess.Popen([sys.executable, "-c", code, str(folder)], cwd=Path(folders.__file__).parents[2])
    store = Folder(folder)
    while deleting.poll() is None:
        put(store, "a/b/c/d", b"x")
    assert deleting.wait() == 0
    put(store, "a/b/c/d", b"x")
    assert read(store, "a/b/c/d") == b"x"
    assert waiting(store) == []


def test_who_waits_for_the_same_directory_shares_a_trip_that_begins_after(monkeypatch: pytest.MonkeyPatch) -> None:
    """While the first trip is held up, all that come later share the second, and none joins one under way."""
    begun: list[str] = []
    go_on, syncs = threading.Event(), folders.Syncs()

    def hold(directory: str) -> None:
        begun.append(directory)
        assert go_on.wait(10)

    monkeypatch.setattr(folders, "_sync", hold)
    with ThreadPoolExecutor(9) as pool:
        first = pool.submit(syncs.sync, "a")
        while not begun:
            time.sleep(0.001)
        later = [pool.submit(syncs.sync, directory) for directory in "aaaaaab"]
        while "b" not in begun:
            time.sleep(0.001)
        time.sleep(0.05)
        assert begun == ["a", "b"]
        assert not any(waiting.done() for waiting in (first, *later))
        go_on.set()
        for waiting in (first, *later):
            waiting.result(10)
    assert begun == ["a", "b", "a"]
    syncs.sync("a")
    assert begun == ["a", "b", "a", "a"]


def test_a_trip_that_fails_fails_for_all_who_share_it(monkeypatch: pytest.MonkeyPatch) -> None:
    syncs = folders.Syncs()
    for _ in range(2):
        with pytest.raises(FileNotFoundError):
            syncs.sync("/none/none")
    monkeypatch.setattr(folders, "_sync", lambda directory: None)
    syncs.sync("/none/none")


def test_many_files_at_once_are_all_there(store: Folder) -> None:
    with ThreadPoolExecutor(8) as pool:
        sizes = list(pool.map(lambda number: put(store, f"d/{number % 3}/{number}", bytes(number)).size, range(200)))
    assert sizes == list(range(200))
    assert sum(len(store.entries(f"d/{number}")) for number in range(3)) == 200
