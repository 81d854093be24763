"""Settings: who wins, and what follows from what was chosen."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from hub.settings import Settings


def test_an_argument_beats_the_environment_and_that_the_default(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HUB_PORT", "9000")
    assert Settings().port == 9000
    assert Settings(port=9001).port == 9001
    monkeypatch.delenv("HUB_PORT")
    assert Settings().port == 8460


@pytest.mark.parametrize(
    ("host", "policy"),
    [
        ("127.0.0.1", "read"),
        ("127.8.8.8", "read"),
        ("localhost", "read"),
        ("::1", "read"),
        ("0.0.0.0", "none"),
        ("hub.example.org", "none"),
    ],
)
def test_strangers_may_read_only_where_nobody_else_can_come_from(host: str, policy: str):
    assert Settings(host=host).anonymous_policy == policy


def test_a_chosen_policy_stands_wherever_the_hub_listens():
    assert Settings(host="0.0.0.0", anonymous="all").anonymous_policy == "all"


def test_database_and_storage_live_in_the_data_folder_unless_they_have_an_address(tmp_path: Path):
    settings = Settings(data_dir=tmp_path)
    assert settings.database == f"sqlite:///{tmp_path}/hub.db"
    assert settings.storage == f"file://{tmp_path}/blobs"
    elsewhere = Settings(data_dir=tmp_path, database_url="postgresql://db/hub", storage_url="s3://bucket")
    assert (elsewhere.database, elsewhere.storage) == ("postgresql://db/hub", "s3://bucket")


@pytest.mark.parametrize("wrong", [{"port": 70_000}, {"anonymous": "some"}, {"workers": 0}, {"predict_deadline_s": 0}])
def test_a_value_that_means_nothing_is_refused(wrong: dict[str, object]):
    with pytest.raises(ValidationError):
        Settings(**wrong)
