"""Archives from elsewhere: whole ones come out byte for byte, hostile ones not at all."""

import io
import os
import stat
import tarfile
import warnings
import zipfile
from pathlib import Path

import pytest

from contrapeso.data.unpack import Limits, copy_folder, unpack
from contrapeso.errors import DataError

FILES = {
    "set/dev.json": b"[1]\n",
    "set/database/zoo/zoo.sqlite": bytes(range(256)) * 40,
    "set/empty": b"",
    "ação.txt": b"\xff",
}


def make_zip(file: Path, entries, *, compression=zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(file, "w", compression) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # names that are there twice are what some tests are about
        for name, content in entries:
            archive.writestr(name, content)
    return file


def make_tar(file: Path, entries, mode="w", **options) -> Path:
    with tarfile.open(file, mode, **options) as archive:
        for name, content in entries:
            member = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return file


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("kind", ["zip", "stored", "w", "w:gz", "w:bz2", "w:xz"])
def test_every_kind_of_archive_comes_out_byte_for_byte(kind, tmp_path):
    file = tmp_path / "archive"
    if kind in ("zip", "stored"):
        make_zip(file, FILES.items(), compression=zipfile.ZIP_DEFLATED if kind == "zip" else zipfile.ZIP_STORED)
    else:
        make_tar(file, FILES.items(), kind)
    unpack(file, tmp_path / "out")
    assert contents(tmp_path / "out") == FILES


def test_folders_of_their_own_and_a_leading_dot_are_fine_and_litter_stays_behind(tmp_path):
    entries = [("./set/", b""), ("./set/dev.json", b"1"), ("__MACOSX/set/._dev.json", b"x"), ("set/.DS_Store", b"x")]
    unpack(make_zip(tmp_path / "a.zip", entries), tmp_path / "out")
    assert contents(tmp_path / "out") == {"set/dev.json": b"1"}
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["set"]


@pytest.mark.parametrize(
    "name",
    [
        "../evil",
        "set/../../evil",
        "/etc/evil",
        "..",
        "C:/evil",
        "set/C:evil",
        "..\\evil",
        "set\\..\\..\\evil",
        "evil\x1b[2J",
        "evil\nfile",
        "x" * 300,
        "set/" + "ç" * 150,
    ],
)
@pytest.mark.parametrize("make", [make_zip, make_tar])
def test_a_name_that_may_lead_out_of_the_folder_is_refused(make, name, tmp_path):
    inside = tmp_path / "deep" / "inside"
    inside.mkdir(parents=True)
    file = make(inside / "archive", [("set/fine", b"1"), (name, b"evil")])
    with pytest.raises(DataError, match="may lead out of its folder"):
        unpack(file, inside / "out")
    assert contents(tmp_path).keys() == {"deep/inside/archive", "deep/inside/out/set/fine"}


def test_a_name_cut_at_a_zero_byte_does_not_pass_for_another(tmp_path):
    file = make_zip(tmp_path / "a.zip", [("set/fine_evil", b"1")])
    file.write_bytes(file.read_bytes().replace(b"set/fine_evil", b"set/fine\0evil"))
    with pytest.raises(DataError):
        unpack(file, tmp_path / "out")


@pytest.mark.parametrize(
    ("kind", "target"),
    [
        (tarfile.SYMTYPE, "/etc/passwd"),
        (tarfile.SYMTYPE, "fine"),
        (tarfile.LNKTYPE, "/etc/passwd"),
        (tarfile.FIFOTYPE, ""),
        (tarfile.CHRTYPE, ""),
        (tarfile.BLKTYPE, ""),
    ],
)
def test_links_and_devices_in_a_tar_are_refused(kind, target, tmp_path):
    file = make_tar(tmp_path / "a.tar", [("fine", b"1"), (special("evil", kind, target), b"")])
    with pytest.raises(DataError, match="'evil', which is a link, a device"):
        unpack(file, tmp_path / "out")
    assert contents(tmp_path / "out") == {"fine": b"1"}


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
def test_links_and_devices_in_a_zip_are_refused(kind, tmp_path):
    member = zipfile.ZipInfo("evil")
    member.external_attr = (kind | 0o777) << 16
    with pytest.raises(DataError, match="'evil', which is a link or a device"):
        unpack(make_zip(tmp_path / "a.zip", [(member, b"/etc/passwd")]), tmp_path / "out")
    assert contents(tmp_path / "out") == {}


def test_nothing_in_an_archive_makes_a_file_executable(tmp_path):
    member = zipfile.ZipInfo("run")
    member.external_attr = (stat.S_IFREG | 0o4777) << 16
    unpack(make_zip(tmp_path / "a.zip", [(member, b"x")]), tmp_path / "out")
    assert (tmp_path / "out" / "run").stat().st_mode & 0o7111 == 0


@pytest.mark.parametrize(
    "names",
    [
        ("set/dev.json", "set/DEV.json"),
        ("set/dev.json", "set/dev.json"),
        ("set", "set/dev.json"),
        ("set/dev.json", "SET"),
        ("caf\u00e9", "cafe\u0301"),
        ("stra\u00dfe", "STRASSE"),
    ],
)
@pytest.mark.parametrize("make", [make_zip, make_tar])
def test_two_names_that_are_one_on_some_disks_are_refused(make, names, tmp_path):
    file = make(tmp_path / "archive", [(name, b"1") for name in names])
    with pytest.raises(DataError, match="two entries called"):
        unpack(file, tmp_path / "out")


def test_the_same_folder_in_two_spellings_is_refused_only_where_it_would_merge_files(tmp_path):
    unpack(make_zip(tmp_path / "a.zip", [("set/", b""), ("set/", b""), ("set/a", b"1")]), tmp_path / "out")
    assert contents(tmp_path / "out") == {"set/a": b"1"}


@pytest.mark.parametrize("kind", ["zip", "w", "w:gz"])
def test_more_bytes_than_allowed_are_refused(kind, tmp_path):
    file, entries = tmp_path / "a", [(str(n), bytes(1000)) for n in range(20)]
    _ = make_zip(file, entries) if kind == "zip" else make_tar(file, entries, kind)
    with pytest.raises(DataError, match="unpacks to more than 5,000 bytes"):
        unpack(file, tmp_path / "out", limits=Limits(total_bytes=5000))
    assert sum(map(len, contents(tmp_path / "out").values())) <= 5000
    unpack(file, tmp_path / "whole", limits=Limits(total_bytes=20_000))


@pytest.mark.parametrize("kind", ["zip", "w:gz", "w:xz"])
def test_a_bomb_is_known_by_what_it_makes_of_its_size(kind, tmp_path):
    file, entries = tmp_path / "bomb", [(str(n), bytes(50_000_000)) for n in range(3)]
    _ = make_zip(file, entries) if kind == "zip" else make_tar(file, entries, kind)
    assert file.stat().st_size < 300_000
    with pytest.raises(DataError, match="looks like a bomb"):
        unpack(file, tmp_path / "out")
    assert sum(path.stat().st_size for path in (tmp_path / "out").rglob("*")) < 70_000_000


def test_too_many_files_are_refused(tmp_path):
    file = make_zip(tmp_path / "a.zip", [(f"f{n}", b"") for n in range(12)])
    with pytest.raises(DataError, match="more than 10 files"):
        unpack(file, tmp_path / "out", limits=Limits(files=10))


def test_a_zip_that_understates_a_size_does_not_get_more_out(tmp_path):
    file = make_zip(tmp_path / "a.zip", [("big", bytes(100_000))])
    true, false = (100_000).to_bytes(4, "little"), (10).to_bytes(4, "little")
    file.write_bytes(file.read_bytes().replace(true, false))
    with pytest.raises(DataError, match="damaged"):
        unpack(file, tmp_path / "out")


def test_a_tar_header_that_would_fill_the_memory_is_refused_before_it_is_read(tmp_path):
    header = special("x", tarfile.XHDTYPE)
    header.size = 2**40
    file = tmp_path / "a.tar"
    file.write_bytes(header.tobuf(tarfile.GNU_FORMAT) + bytes(10_240))
    with pytest.raises(DataError, match="a header of 1,099,511,627,776 bytes"):
        unpack(file, tmp_path / "out")


@pytest.mark.parametrize("make", ["zip", "w", "w:gz", "w:xz"])
def test_an_archive_cut_short_or_changed_is_damaged(make, tmp_path):
    whole = tmp_path / "whole"
    entries = [("set/a", os.urandom(50_000)), ("set/b", os.urandom(50_000))]
    _ = make_zip(whole, entries) if make == "zip" else make_tar(whole, entries, make)
    content = whole.read_bytes()
    (tmp_path / "short").write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match="is damaged or no zip or tar archive"):
        unpack(tmp_path / "short", tmp_path / "out")
    if make != "w":  # a plain tar holds no checksum of its contents; the file's own SHA-256 has to tell
        (tmp_path / "changed").write_bytes(content[:30_000] + bytes([content[30_000] ^ 255]) + content[30_001:])
        with pytest.raises(DataError, match="is damaged or no zip or tar archive"):
            unpack(tmp_path / "changed", tmp_path / "out2")


def test_an_encrypted_zip_is_named_as_such(tmp_path):
    file = make_zip(tmp_path / "a.zip", [("a", b"1")])
    content = bytearray(file.read_bytes())
    for magic, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(magic) + offset] |= 1
    file.write_bytes(content)
    with pytest.raises(DataError, match="is encrypted"):
        unpack(file, tmp_path / "out")


@pytest.mark.parametrize("content", [b"no archive", b"PK\x03\x04", bytes(100_000)])
def test_something_else_is_no_archive(content, tmp_path):
    (tmp_path / "page").write_bytes(content)
    with pytest.raises(DataError, match=r"no zip or tar archive|holds no files"):
        unpack(tmp_path / "page", tmp_path / "out")


def test_a_folder_is_copied_through_links_to_files_as_caches_lay_them_out(tmp_path):
    (tmp_path / "blobs").mkdir()
    (tmp_path / "blobs" / "1f").write_bytes(b"content")
    (tmp_path / "snapshot" / "data").mkdir(parents=True)
    (tmp_path / "snapshot" / "data" / "a.zip").symlink_to("../../blobs/1f")
    copy_folder(tmp_path / "snapshot", tmp_path / "out")
    assert contents(tmp_path / "out") == {"data/a.zip": b"content"}
    assert not (tmp_path / "out" / "data" / "a.zip").is_symlink()


@pytest.mark.parametrize("make", ["folder link", "broken link", "loop", "pipe"])
def test_a_folder_with_other_links_or_devices_is_refused_by_name(make, tmp_path):
    (tmp_path / "set").mkdir()
    odd = tmp_path / "set" / "odd"
    if make == "pipe":
        os.mkfifo(odd)
    else:
        odd.symlink_to({"folder link": "/etc", "broken link": "nowhere", "loop": "odd"}[make])
    with pytest.raises(DataError, match="odd is a broken link, a link to a folder or a device"):
        copy_folder(tmp_path / "set", tmp_path / "out")


@pytest.mark.parametrize(
    ("beginning", "words"),
    [
        (b"7z\xbc\xaf\x27\x1c", "a 7z archive: unpack it yourself"),
        (b"Rar!\x1a\x07\x01\x00", "a RAR archive: unpack it yourself"),
        (b"\x28\xb5\x2f\xfd", "compressed with Zstandard: unpack it yourself"),
        (b"\n<!DOCTYPE HTML>\n<title>Sign in</title>", "a web page, not the file"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:", "Git LFS's note of a file"),
        (b"", "empty"),
    ],
)
def test_what_is_often_given_by_mistake_is_called_by_its_name(beginning, words, tmp_path):
    (tmp_path / "set.zip").write_bytes(beginning + b"x" * 2000 * bool(beginning))
    with pytest.raises(DataError, match=f"set.zip is {words}"):
        unpack(tmp_path / "set.zip", tmp_path / "out")


def test_folders_within_folders_without_end_are_refused(tmp_path):
    file = make_zip(tmp_path / "deep.zip", [("/".join("a" * 1000), b"")])
    with pytest.raises(DataError, match="more than 40 folders deep"):
        unpack(file, tmp_path / "out")
