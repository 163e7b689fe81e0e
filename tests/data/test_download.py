"""One file over HTTP, from a real server on this machine that breaks off, stalls, corrupts, changes and refuses."""

import hashlib
import http.client
import random
import socket
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest
from loopback import answers, answers_with, breaks_off, corrupts, etag_of, sends_chunked, serving, stalls

from contrapeso.data.download import Patience, download
from contrapeso.data.web import _WebOnly
from contrapeso.errors import DataError, ResourceError

CONTENT = random.Random(1).randbytes(3_000_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
HASTE = Patience(timeout_seconds=0.5, failures=3, wait_seconds=0.01, longest_wait_seconds=0.05)
AT_ONCE = Patience(timeout_seconds=0.5, failures=0)


class Heard:
    """A reporter that remembers."""

    def __init__(self):
        self.lines, self.bars = [], []

    def say(self, line):
        self.lines.append(line)

    @contextmanager
    def track(self, label, total, done=0):
        bar = [label, total, done]
        self.bars.append(bar)
        yield lambda count: bar.__setitem__(2, bar[2] + count)


@pytest.fixture
def server():
    with serving({"/set.zip": CONTENT}) as running:
        yield running


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "set.zip"


def nothing_left(target: Path) -> bool:
    return list(target.parent.iterdir()) == []


def test_a_file_arrives_whole_with_its_hash_and_a_bar_that_fills(server, target):
    heard = Heard()
    assert download(f"{server.url}/set.zip", target, reporter=heard) == SHA256
    assert target.read_bytes() == CONTENT and list(target.parent.iterdir()) == [target]
    assert heard.bars == [["set.zip (MB)", 3, 3]]


def test_what_breaks_off_goes_on_where_it_stopped_if_the_file_is_still_the_same(server, target):
    server.mishaps = [breaks_off(after=1_000_000), breaks_off(after=500_000)]
    assert download(f"{server.url}/set.zip", target, sha256=SHA256, patience=HASTE) == SHA256
    assert target.read_bytes() == CONTENT
    asked = [(request.headers["Range"], request.headers["If-Range"]) for request in server.requests]
    assert asked == [(None, None), ("bytes=1000000-", etag_of(CONTENT)), ("bytes=1500000-", etag_of(CONTENT))]


def test_a_later_call_goes_on_where_an_earlier_one_was_given_up(server, target):
    server.mishaps = [breaks_off(after=2_000_000)]
    with pytest.raises(DataError, match="broke off after 2,000,000 of 3,000,000 bytes; 2,000,000 bytes are kept"):
        download(f"{server.url}/set.zip", target, patience=AT_ONCE)
    assert not target.exists()
    heard = Heard()
    assert download(f"{server.url}/set.zip", target, reporter=heard) == SHA256
    assert server.requests[-1].headers["Range"] == "bytes=2000000-"
    assert heard.bars == [["set.zip (MB)", 3, 3]]


def test_the_rest_of_another_address_is_not_taken_for_this_one(server, target):
    server.files["/other.zip"] = CONTENT[::-1]
    server.mishaps = [breaks_off(after=2_000_000)]
    with pytest.raises(DataError):
        download(f"{server.url}/other.zip", target, patience=AT_ONCE)
    assert download(f"{server.url}/set.zip", target) == SHA256
    assert server.requests[-1].headers["Range"] is None


def test_a_server_that_cannot_serve_pieces_is_asked_for_the_whole(server, target):
    server.ranges = False
    server.mishaps = [breaks_off(after=1_000_000)]
    assert download(f"{server.url}/set.zip", target, patience=HASTE) == SHA256
    assert [bool(request.headers["Range"]) for request in server.requests] == [False, True]


def test_without_anything_that_tells_the_version_the_download_starts_over(server, target):
    server.validators = False
    server.mishaps = [breaks_off(after=1_000_000)]
    assert download(f"{server.url}/set.zip", target, patience=HASTE) == SHA256
    assert server.requests[-1].headers["Range"] is None


def test_a_known_checksum_lets_even_such_a_download_go_on(server, target):
    server.validators = False
    server.mishaps = [breaks_off(after=1_000_000)]
    assert download(f"{server.url}/set.zip", target, sha256=SHA256, patience=HASTE) == SHA256
    assert server.requests[-1].headers["Range"] == "bytes=1000000-"


def test_a_file_that_changes_under_way_arrives_in_its_new_form_and_unmixed(server, target):
    new = random.Random(2).randbytes(2_500_000)

    def changes(handler, body):
        handler.serve(body, stop_after=1_000_000)
        server.files["/set.zip"] = new

    server.mishaps = [changes]
    assert download(f"{server.url}/set.zip", target, patience=HASTE) == hashlib.sha256(new).hexdigest()
    assert target.read_bytes() == new


def test_a_piece_of_a_changed_file_is_seen_by_its_etag_though_the_server_forgot_to_compare(server, target):
    new = random.Random(3).randbytes(2_500_000)

    def changes(handler, body):
        handler.serve(body, stop_after=1_000_000)
        server.files["/set.zip"] = new

    def careless(handler, body):
        span = {"Content-Range": "bytes 1000000-2499999/2500000", "ETag": etag_of(new)}
        handler.send(206, new[1_000_000:], span)

    server.mishaps = [changes, careless]
    assert download(f"{server.url}/set.zip", target, patience=HASTE) == hashlib.sha256(new).hexdigest()
    assert len(server.requests) == 3 and target.read_bytes() == new


def test_pieces_of_two_versions_are_thrown_away_once_the_checksum_tells(server, target):
    server.validators = False
    server.mishaps = [lambda handler, body: handler.serve(b"\0" * len(body), stop_after=1_000_000)]
    heard = Heard()
    assert download(f"{server.url}/set.zip", target, sha256=SHA256, patience=HASTE, reporter=heard) == SHA256
    assert [request.headers["Range"] for request in server.requests] == [None, "bytes=1000000-", None]
    assert any("do not fit together" in line for line in heard.lines)


def test_pieces_that_never_fit_end_in_a_line(server, target):
    server.validators = False
    wrong = lambda handler, body: handler.serve(b"\0" * len(body), stop_after=1_000_000)  # noqa: E731
    server.mishaps = [wrong, corrupts(at=2_000_000), wrong, corrupts(at=2_000_000)]
    with pytest.raises(DataError, match=f"expected {SHA256}"):
        download(f"{server.url}/set.zip", target, sha256=SHA256, patience=HASTE)
    assert len(server.requests) == 4 and nothing_left(target)


def test_a_piece_other_than_the_one_asked_for_is_not_glued_on(server, target):
    other = answers_with(206, CONTENT[500_000:], {"Content-Range": "bytes 500000-2999999/3000000"})
    server.mishaps = [breaks_off(after=1_000_000), other]
    assert download(f"{server.url}/set.zip", target, patience=HASTE) == SHA256


def test_a_part_that_is_whole_already_needs_no_more_bytes(server, target):
    server.mishaps = [breaks_off(after=2_999_999)]
    with pytest.raises(DataError):
        download(f"{server.url}/set.zip", target, patience=AT_ONCE)
    with target.with_name("set.zip.part").open("ab") as part:
        part.write(CONTENT[-1:])
    assert download(f"{server.url}/set.zip", target) == SHA256
    assert server.requests[-1].headers["Range"] == "bytes=3000000-"


def test_a_damaged_file_is_refused_with_both_hashes_and_nothing_stays(server, target):
    server.mishaps = [corrupts(at=1_234_567)]
    with pytest.raises(DataError, match=rf"SHA-256 is [0-9a-f]{{64}}, expected {SHA256}"):
        download(f"{server.url}/set.zip", target, sha256=SHA256, patience=HASTE)
    assert nothing_left(target)


def test_silence_ends_in_another_attempt_and_then_in_a_line(server, target):
    server.mishaps = [stalls(after=1_000_000)]
    assert download(f"{server.url}/set.zip", target, patience=HASTE) == SHA256
    server.mishaps = [stalls(after=1000) for _ in range(9)]
    server.requests.clear()
    heard = Heard()
    with pytest.raises(DataError, match=r"the server fell silent; .* bytes are kept"):
        download(f"{server.url}/set.zip", target, patience=HASTE, reporter=heard)
    assert len(server.requests) == HASTE.failures + 1
    assert heard.lines == [line for line in heard.lines if "fell silent; asking again in" in line]


@pytest.mark.parametrize(
    ("status", "line"),
    [
        (401, r"refuses \(status 401\).*--from"),
        (403, r"refuses \(status 403\).*--from"),
        (404, r"there is nothing at .*set.zip \(status 404\)"),
        (410, r"there is nothing at .*set.zip \(status 410\)"),
        (400, r"answers with status 400"),
        (204, r"answers with status 204"),
    ],
)
def test_a_server_that_refuses_is_believed_at_once(server, target, status, line):
    server.mishaps = [answers(status)]
    with pytest.raises(DataError, match=line):
        download(f"{server.url}/set.zip", target, patience=HASTE)
    assert len(server.requests) == 1 and nothing_left(target)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_server_is_asked_again_a_bounded_number_of_times(server, target, status):
    server.mishaps = [answers(status, {"Retry-After": "3600"})] * 2
    assert download(f"{server.url}/set.zip", target, patience=HASTE) == SHA256
    server.mishaps = [answers(status)] * 9
    with pytest.raises(DataError, match=f"status {status}"):
        download(f"{server.url}/set.zip", target, patience=HASTE)


def test_a_closed_port_is_a_line_with_the_next_step(target):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with pytest.raises(DataError, match=r"the connection failed .*--from"):
        download(f"http://127.0.0.1:{port}/set.zip", target, patience=HASTE)


def test_a_machine_without_network_is_told_so_at_once(target, monkeypatch):
    looked_up = []

    def no_network(host, *rest, **more):
        looked_up.append(host)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    with pytest.raises(DataError, match=r"name cannot be looked up \(no network"):
        download("http://data.example/set.zip", target, patience=HASTE)
    assert looked_up == ["data.example"]


def test_redirects_lead_to_the_web_and_nowhere_else(server, target):
    server.mishaps = [answers(302, {"Location": f"{server.url}/set.zip"})]
    assert download(f"{server.url}/moved", target) == SHA256
    for place in ("file:///etc/passwd", "ftp://127.0.0.1/set.zip", "gopher://127.0.0.1/", "http://a:b@127.0.0.1/"):
        server.mishaps = [answers(302, {"Location": place})]
        with pytest.raises(DataError):
            download(f"{server.url}/moved", target.with_name("other"), patience=AT_ONCE)
    server.mishaps = [answers(302, {"Location": f"{server.url}/moved"}) for _ in range(30)]
    with pytest.raises(DataError, match="302"):
        download(f"{server.url}/moved", target.with_name("other"), patience=AT_ONCE)


def test_a_redirect_from_https_to_http_is_not_followed():
    request = urllib.request.Request("https://safe.example/set.zip")
    with pytest.raises(DataError, match="from https to http"):
        _WebOnly().redirect_request(request, None, 302, "Found", http.client.HTTPMessage(), "http://safe.example/")


def test_a_file_that_is_too_large_is_refused_whether_it_says_so_or_not(server, target):
    with pytest.raises(DataError, match="is 3,000,000 bytes; more than 1,000,000 are not fetched"):
        download(f"{server.url}/set.zip", target, largest_bytes=1_000_000)
    server.mishaps = [sends_chunked(10, whole=True)]
    with pytest.raises(DataError, match="sends more than 1,000,000 bytes"):
        download(f"{server.url}/set.zip", target, largest_bytes=1_000_000)
    assert nothing_left(target)


def test_a_server_that_never_stops_sending_is_hung_up_on(server, target):
    sent = []

    def endless(handler, body):
        handler.send_response(200)
        handler.end_headers()
        try:
            while len(sent) < 3000:  # 190 MB: enough to see that nobody takes it
                handler.wfile.write(body[:65_536])
                sent.append(1)
        except ConnectionError:
            sent.append("hung up")

    server.mishaps = [endless]
    with pytest.raises(DataError, match="sends more than 1,000,000 bytes"):
        download(f"{server.url}/set.zip", target, largest_bytes=1_000_000)
    while len(sent) < 3000 and sent[-1] != "hung up":
        time.sleep(0.01)
    assert sent[-1] == "hung up" and nothing_left(target)


def test_a_file_of_unknown_length_is_taken_when_its_end_was_seen(server, target):
    server.mishaps = [sends_chunked(7, whole=False), sends_chunked(7, whole=True)]
    assert download(f"{server.url}/set.zip", target, patience=HASTE) == SHA256
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    "address",
    [
        "file:///etc/passwd",
        "ftp://data.example/set.zip",
        "data.example/set.zip",
        "http://",
        "http://[::1",
        "https://data.example/a b",
        "https://data.example/a\nHost: b",
        "https://me:secret@data.example/set.zip",
    ],
)
def test_what_is_no_plain_web_address_is_refused_and_a_password_never_repeated(address, target):
    with pytest.raises(DataError) as refused:
        download(address, target)
    assert "secret" not in str(refused.value) and nothing_left(target)


def test_a_folder_that_cannot_be_written_is_a_resource_error(server, tmp_path):
    (tmp_path / "a_file").write_text("")
    with pytest.raises(ResourceError, match=r"--cache|--out"):
        download(f"{server.url}/set.zip", tmp_path / "a_file" / "set.zip")


def test_a_damaged_note_beside_the_part_means_starting_over(server, target):
    target.with_name("set.zip.part").write_bytes(b"old")
    target.with_name("set.zip.part.json").write_text("{", encoding="utf-8")
    assert download(f"{server.url}/set.zip", target) == SHA256


def piece(first, last, total, *, chunked=False):
    """Answers with the bytes from `first` to `last` as a piece, whatever was asked for."""

    def mishap(handler, body):
        content = body[first : last + 1]
        length = {"Transfer-Encoding": "chunked"} if chunked else {"Content-Length": str(len(content))}
        handler.send_response(206)
        for name, value in {"ETag": etag_of(body), "Content-Range": f"bytes {first}-{last}/{total}", **length}.items():
            handler.send_header(name, value)
        handler.end_headers()
        if chunked:
            content = f"{len(content):x}\r\n".encode() + content + b"\r\n0\r\n\r\n"
        handler.wfile.write(content)

    return mishap


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("total", [len(CONTENT), "*"])
def test_a_piece_of_the_rest_is_not_taken_for_the_whole_of_it(total, chunked, server, target):
    server.mishaps = [breaks_off(after=1000), piece(1000, 1999, total, chunked=chunked)]
    assert download(f"{server.url}/set.zip", target, patience=HASTE) == SHA256
    assert [asked.headers["Range"] for asked in server.requests] == [None, "bytes=1000-", "bytes=2000-"]


def test_a_piece_that_nobody_asked_for_is_no_file(server, target):
    server.mishaps = [piece(0, 999, len(CONTENT))]
    assert download(f"{server.url}/set.zip", target, patience=HASTE) == SHA256


@pytest.mark.parametrize(
    "answer",
    [
        answers_with(206, CONTENT[:10], {"Content-Range": f"bytes 0-9/{'9' * 5000}"}),
        answers_with(206, CONTENT[:10], {"Content-Range": f"bytes {'0' * 5000}-9/10"}),
        answers(416, {"Content-Range": f"bytes */{'9' * 5000}"}),
        answers(503, {"Retry-After": "9" * 5000}),
        answers(302, {"Location": "http://[::1/set.zip"}),
        answers(302, {"Location": f"http://{'a' * 70}.example/"}),
    ],
)
def test_headers_made_to_confuse_end_in_a_line_and_no_traceback(answer, server, target):
    server.mishaps = [answer] * 20
    with pytest.raises(DataError):
        download(f"{server.url}/set.zip", target, patience=HASTE)
    assert not target.exists()


def test_a_length_that_is_no_number_counts_as_none(server, target):
    server.mishaps = [answers_with(200, CONTENT, {"Content-Length": "9" * 5000})]
    assert download(f"{server.url}/set.zip", target, patience=AT_ONCE) == SHA256


def test_an_address_may_have_letters_of_any_language(server, target):
    server.files = {"/dados/Avalia%C3%A7%C3%A3o.zip": CONTENT}
    assert download(f"{server.url}/dados/Avaliação.zip", target, patience=HASTE) == SHA256
    assert download(f"{server.url}/dados/Avalia%C3%A7%C3%A3o.zip", target, patience=HASTE) == SHA256
    for host in ("a" * 70, "a..b"):
        with pytest.raises(DataError, match="is no address"):
            download(f"http://{host}.example/set.zip", target, patience=HASTE)


def test_a_server_that_drips_is_as_good_as_silent(server, target):
    def drips(handler, body):
        handler.send(200, body, {"ETag": etag_of(body)}, stop_after=0)
        try:
            for letter in body[:600]:
                handler.wfile.write(bytes([letter]))
                time.sleep(0.02)
        except ConnectionError:
            pass

    server.mishaps = [drips]
    started = time.monotonic()
    heard = Heard()
    assert download(f"{server.url}/set.zip", target, patience=HASTE, reporter=heard) == SHA256
    assert "sends next to nothing" in heard.lines[0] and len(server.requests) == 2
    assert time.monotonic() - started < 8  # of the 12 that the dripping takes


def test_the_body_of_a_redirect_is_not_waited_for(server, target):
    def endless(handler, body):
        handler.send(302, b"x", {"Location": f"{server.url}/set.zip", "Content-Length": "9999999999"})
        handler.loopback.closing.wait(2)

    server.mishaps = [endless]
    assert download(f"{server.url}/moved", target, patience=AT_ONCE) == SHA256
