"""The laws of `DirectStore`: clients by themselves, with nothing but a URL, on every real S3 server."""

import hashlib
import os
import time
import uuid
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import pytest
import urllib3

from hub.client.http import _tls
from hub.domain.errors import BlobNotFound, DigestMismatch, NotAvailable
from hub.storage.blobs import open_store
from hub.storage.blobs.s3 import S3BlobStore
from hub.storage.blobs.store import URL_LIFE_S

MIB = 1 << 20
HELLO = b"hello, " * 1000


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


@pytest.fixture
def store(any_s3_url: str) -> S3BlobStore:
    store = open_store(any_s3_url)
    assert isinstance(store, S3BlobStore)
    return store


@pytest.fixture
def push() -> UUID:
    return uuid.uuid4()


def ask(method: str, url: str, body: bytes | None = None, **headers: str) -> urllib3.BaseHTTPResponse:
    """What a client without credentials does."""
    with urllib3.PoolManager(ssl_context=_tls()) as pool:
        return pool.request(method, url, body=body, headers=headers, retries=False)


def put(store: S3BlobStore, push: UUID, data: bytes, *, name: str | None = None) -> int:
    url = store.put_url(push, name or digest(data), len(data))
    return ask("PUT", url, data).status


def test_what_a_client_puts_has_arrived_and_is_nobody_s_blob_until_it_is_taken(store: S3BlobStore, push: UUID) -> None:
    name = digest(HELLO)
    assert put(store, push, HELLO) == 200
    assert store.arrived(push) == {name: len(HELLO)}
    assert not store.has(name)
    assert list(store.digests()) == []
    assert b"".join(store.take(push, name, len(HELLO))) == HELLO
    assert b"".join(store.open(name)) == HELLO
    assert list(store.digests()) == [name]


def test_a_client_gets_what_is_stored_whole_and_in_parts(store: S3BlobStore) -> None:
    data = os.urandom(3 * MIB)
    store.put(digest(data), [data], len(data))
    url = store.get_url(digest(data))
    assert ask("GET", url).data == data
    part = ask("GET", url, Range=f"bytes={MIB}-")
    assert (part.status, part.data) == (206, data[MIB:])


def test_a_url_is_good_for_its_blob_its_size_and_its_method_alone(store: S3BlobStore, push: UUID) -> None:
    store.put(digest(HELLO), [HELLO], len(HELLO))
    url = store.put_url(push, digest(b"other"), 5)
    assert ask("PUT", url, b"more than five").status == 403
    assert ask("GET", url).status == 403
    assert ask("PUT", url.replace(digest(b"other")[7:], digest(b"third")[7:]), b"third").status == 403
    assert ask("PUT", store.get_url(digest(HELLO)), b"other").status == 403
    assert ask("DELETE", store.get_url(digest(HELLO))).status == 403
    assert store.arrived(push) == {}
    assert b"".join(store.open(digest(HELLO))) == HELLO


def test_a_url_says_when_it_expires_and_that_is_soon(store: S3BlobStore, push: UUID) -> None:
    for url in (store.put_url(push, digest(HELLO), 5), store.get_url(digest(HELLO))):
        assert parse_qs(urlsplit(url).query)["X-Amz-Expires"] == [str(URL_LIFE_S)]
    assert URL_LIFE_S <= 300


def test_a_url_that_has_expired_is_refused(store: S3BlobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.put(digest(HELLO), [HELLO], len(HELLO))
    monkeypatch.setattr("hub.storage.blobs.s3.URL_LIFE_S", 1)
    url = store.get_url(digest(HELLO))
    time.sleep(2.5)
    assert ask("GET", url).status in (400, 403)


@pytest.mark.parametrize("came", [b"x" * len(HELLO), HELLO[:-1], HELLO + b"!"], ids=["other", "fewer", "more"])
def test_what_arrived_wrong_never_becomes_a_blob(store: S3BlobStore, push: UUID, came: bytes) -> None:
    assert put(store, push, came, name=digest(HELLO)) == 200
    with pytest.raises(DigestMismatch) as caught:
        list(store.take(push, digest(HELLO), len(HELLO)))
    assert caught.value.facts["digest"] == digest(HELLO)
    assert not store.has(digest(HELLO))
    assert store.arrived(push) == {}
    assert put(store, push, HELLO) == 200
    assert b"".join(store.take(push, digest(HELLO), len(HELLO))) == HELLO
    assert store.has(digest(HELLO))


def test_bytes_that_are_exchanged_while_they_are_read_do_not_become_the_blob(store: S3BlobStore, push: UUID) -> None:
    data = os.urandom(3 * MIB)
    put(store, push, data)
    pieces = store.take(push, digest(data), len(data))
    first = next(pieces)
    assert put(store, push, bytes(len(data)), name=digest(data)) == 200
    with pytest.raises((NotAvailable, DigestMismatch)):
        assert first + b"".join(pieces) == data
    assert not store.has(digest(data))


def test_what_arrives_after_it_was_taken_changes_nothing(store: S3BlobStore, push: UUID) -> None:
    put(store, push, HELLO)
    list(store.take(push, digest(HELLO), len(HELLO)))
    assert put(store, push, bytes(len(HELLO)), name=digest(HELLO)) == 200
    assert b"".join(store.open(digest(HELLO))) == HELLO


def test_reading_it_half_stores_nothing(store: S3BlobStore, push: UUID) -> None:
    data = os.urandom(3 * MIB)
    put(store, push, data)
    pieces = store.take(push, digest(data), len(data))
    next(pieces)
    pieces.close()
    assert not store.has(digest(data))
    assert store.arrived(push) == {digest(data): len(data)}


def test_what_did_not_arrive_cannot_be_taken(store: S3BlobStore, push: UUID) -> None:
    with pytest.raises(BlobNotFound):
        list(store.take(push, digest(HELLO), len(HELLO)))


def test_pushes_are_apart_and_forgotten_apart(store: S3BlobStore, push: UUID) -> None:
    other = uuid.uuid4()
    for number in range(5):
        put(store, push, f"mine {number}".encode())
    put(store, other, HELLO)
    assert set(store.pushes()) == {push, other}
    assert len(store.arrived(push)) == 5
    store.forget(push)
    store.forget(push)
    assert store.arrived(push) == {}
    assert list(store.pushes()) == [other]
    assert store.arrived(other) == {digest(HELLO): len(HELLO)}


def test_the_address_that_clients_see_may_be_another(any_s3_url: str, push: UUID) -> None:
    store = open_store(f"{any_s3_url}&public_endpoint_url=https://objects.example.org")
    assert isinstance(store, S3BlobStore)
    for url in (store.put_url(push, digest(HELLO), 1), store.get_url(digest(HELLO))):
        assert url.startswith("https://objects.example.org/contract/")
    store.check()


def test_a_bucket_that_is_not_there_is_not_available(any_s3_url: str, push: UUID) -> None:
    store = open_store(any_s3_url.replace("s3://contract/", "s3://no-such-bucket/"))
    assert isinstance(store, S3BlobStore)
    for asked in (lambda: store.arrived(push), lambda: list(store.pushes()), lambda: store.forget(push)):
        with pytest.raises(NotAvailable):
            asked()


def test_a_key_that_is_not_a_clients_is_left_alone(store: S3BlobStore, push: UUID) -> None:
    put(store, push, HELLO)
    store._s3.put_object(Bucket=store.bucket, Key=f"{store.prefix}incoming/readme", Body=b"x")
    assert list(store.pushes()) == [push]
