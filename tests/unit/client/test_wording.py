"""What a caller says wrongly is told by its field, without asking a hub."""

import pytest

from hub.client.wording import worded
from hub.domain.errors import InvalidRequest
from hub.protocol.schemas import CreateToken, Yank


def test_what_a_hub_would_not_take_is_named_before_it_is_sent():
    with pytest.raises(InvalidRequest, match=r"^reason: .+\.$"):
        worded(Yank, reason="")
    with pytest.raises(InvalidRequest, match=r"^scope: "):
        worded(CreateToken, name="laptop", scope="everything")


def test_what_it_takes_is_the_request():
    assert worded(Yank, reason="It forgets.") == Yank(reason="It forgets.")
