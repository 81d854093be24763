"""Every form of reference finds its version, or says what is missing."""

from typing import Any

import pytest

from hub.domain.errors import (
    ModelNotFound,
    VersionNotFound,
)
from hub.domain.names import ModelName, parse_reference
from hub.domain.versions import State
from hub.storage.catalog.catalog import Catalog


def test_every_form_of_reference_finds_its_version(catalog: Catalog, make: Any) -> None:
    with catalog.begin() as tx:
        make.ready(tx, make.TRUNK, "one", alias="stable")
        make.ready(tx, make.TRUNK, "two")
        make.ready(tx, make.TRUNK, "three", interface=2)
        make.add(tx, make.TRUNK, "four", state=State.REJECTED)
        five = make.add(tx, make.TRUNK, "five")

        def number(text: str) -> int:
            return tx.resolve(parse_reference(text)).number

        assert number("acme/trunk") == number("acme/trunk:latest") == 3
        assert number("acme/trunk:stable") == 1
        assert number("acme/trunk~1") == 2
        assert number("acme/trunk~2") == 3
        assert number("acme/trunk@4") == 4
        assert number(f"acme/trunk@{five.digest}") == 5
        for wrong in ("acme/trunk@6", "acme/trunk:beta", "acme/trunk~3", f"acme/trunk@{make.GOLDEN}"):
            with pytest.raises(VersionNotFound, match="acme/trunk"):
                number(wrong)
        for wrong in ("acme/no", "acme/no@1", "acme/no:stable", "acme/no~1", f"acme/no@{five.digest}"):
            with pytest.raises(ModelNotFound, match="acme/no"):
                number(wrong)


def test_a_model_without_a_ready_version_has_no_latest(catalog: Catalog, make: Any) -> None:
    with catalog.begin() as tx:
        make.add(tx, make.TRUNK, "one")
        with pytest.raises(VersionNotFound, match="no ready version"):
            tx.resolve(parse_reference("acme/trunk"))


def test_a_digest_prefers_the_ready_version(catalog: Catalog, make: Any) -> None:
    with catalog.begin() as tx:
        one = make.ready(tx, make.TRUNK, "same")
        make.add(tx, make.TRUNK, "same", state=State.REJECTED)
        other = make.ready(tx, ModelName("zoo", "copy"), "same")
        assert tx.resolve(parse_reference(f"acme/trunk@{one.digest}")).number == 1
        assert [version.reference for version in tx.version_by_digest(one.digest)] == [
            one.reference,
            other.reference,
            "acme/trunk@2",
        ]
