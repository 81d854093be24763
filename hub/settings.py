"""Settings of the server: the only reader of ``HUB_…`` environment variables on the server's side.

Laws: read once, frozen; an argument beats the environment, the environment beats the default; the unit is in the name.
"""

import ipaddress
import math
import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

Anonymous = Literal["none", "read", "all"]
_MIB = 1 << 20
_LAST_PORT = 65_535


class Settings(BaseSettings):
    """What a hub is started with.

    Attributes:
        host: Address to listen on.
        port: TCP port; 0 takes a free one.
        grpc_port: TCP port of the gRPC services; None means the one after ``port``, 0 takes a free one.
        data_dir: Folder for everything that has no address of its own.
        database_url: SQLAlchemy URL; None means SQLite in ``data_dir``.
        storage_url: ``file:///…``, ``s3://bucket/prefix?endpoint_url=…``; None means a folder in ``data_dir``.
        devices: Devices to serve on (``gpu:0``, ``cpu:0``); empty means all GPUs, else one CPU.
        api_processes: Processes that answer predictions over HTTP; None means one for every two cores, at most four.
        workers: Worker processes where no device is named; None means one for each device found.
        preload: References of the versions that are loaded before anybody asks for them.
        anonymous: What people without a token may do; None means ``read`` on loopback, else ``none``.
        oidc_issuer: Address of the OpenID provider where people may sign in, too.
        oidc_client_id: The hub's name there.
        oidc_client_secret: What proves there that it is the hub.
        memory_budget_bytes: What one worker may hold loaded; None means a share of what the machine has.
        snapshot_budget_bytes: What the files of versions may take that are put together on this machine to be loaded.
        relay: Whether all bytes go through the hub, also where clients could reach the object store.
        accel_redirect: Path below which nginx serves the storage folder itself (``X-Accel-Redirect``).
        sweep_every_s: Time between two sweeps of bytes that nobody needs.
        sweep_grace_s: How long bytes stay after nobody was found to need them.
        push_life_s: How long a push may be under way before it is given up.
        request_max_bytes: Largest predict body.
        requests_in_flight: Predictions one API process may have waiting before callers are told to come back.
        caller_share: Share of those that one user, one of the hub's own tokens, or all without one may have waiting.
        rate_per_s: Requests that change something, a second, of one caller; 0 for any number.
        rate_burst: As many at once of one who was quiet before.
        connections_per_address: Connections of one API process from one address, other than a trusted proxy's; None
            means half of all that it takes.
        answer_max_bytes: Largest answer to a prediction, as tensors.
        answer_max_elements: Most numbers and texts in such an answer: as JSON they take several times their bytes.
        batch_max_rows: Rows of the largest batch that is computed at once.
        batch_delay_ms: How long requests that are no full batch wait for others, even though the device is free.
        predict_deadline_s: Longest one prediction may take.
        probe_timeout_s: Longest the probe of a pushed version may take.
        sandbox: Whether processes that run models are locked in: ``auto`` as far as the system can,
            ``require`` wholly, or the hub does not start, ``off`` not at all.
        drain_s: How long a stopping hub waits for requests under way.
        log_format: ``console`` for people, ``json`` for machines.
        log_level: Least severity that is logged.
    """

    model_config = SettingsConfigDict(env_prefix="HUB_", frozen=True, extra="ignore")

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535)] = 8460
    grpc_port: Annotated[int, Field(ge=0, le=65_535)] | None = None
    data_dir: Path = Path("~/.local/share/trunkhub")
    database_url: str | None = None
    storage_url: str | None = None
    engine: Literal["local"] = "local"
    devices: tuple[str, ...] = ()
    api_processes: Annotated[int, Field(ge=1, le=64)] | None = None
    workers: Annotated[int, Field(ge=1, le=64)] | None = None
    preload: tuple[str, ...] = ()
    anonymous: Anonymous | None = None
    oidc_issuer: Annotated[str, Field(pattern=r"^https?://[^\s]+$")] | None = None
    oidc_client_id: str | None = None
    oidc_client_secret: SecretStr | None = None
    memory_budget_bytes: Annotated[int, Field(ge=16 * _MIB)] | None = None
    snapshot_budget_bytes: Annotated[int, Field(ge=0)] = 32 << 30
    relay: bool = False
    accel_redirect: Annotated[str, Field(pattern=r"^/[A-Za-z0-9._/-]*$")] | None = None
    sweep_every_s: Annotated[float, Field(gt=0)] = 3_600.0
    sweep_grace_s: Annotated[float, Field(ge=0)] = 86_400.0
    push_life_s: Annotated[float, Field(ge=60)] = 7 * 86_400.0
    request_max_bytes: Annotated[int, Field(ge=1024, le=1 << 30)] = 256 * _MIB
    answer_max_bytes: Annotated[int, Field(ge=1024, le=250 * _MIB)] = 128 * _MIB
    answer_max_elements: Annotated[int, Field(ge=1)] = 16 * _MIB
    requests_in_flight: Annotated[int, Field(ge=1)] = 256
    caller_share: Annotated[float, Field(gt=0, le=1)] = 0.75
    rate_per_s: Annotated[float, Field(ge=0)] = 100.0
    rate_burst: Annotated[int, Field(ge=1)] = 1_000
    connections_per_address: Annotated[int, Field(ge=1)] | None = None
    batch_max_rows: Annotated[int, Field(ge=1, le=65_536)] = 64
    batch_delay_ms: Annotated[float, Field(ge=0, le=10_000)] = 0.0
    predict_deadline_s: Annotated[float, Field(gt=0)] = 60.0
    probe_timeout_s: Annotated[float, Field(gt=0)] = 180.0
    sandbox: Literal["auto", "require", "off"] = "auto"
    drain_s: Annotated[int, Field(ge=0)] = 20
    log_format: Literal["console", "json"] = "console"
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @property
    def outlets(self) -> int:
        """API processes beside the hub's own."""
        cores = len(os.sched_getaffinity(0))
        return (self.api_processes or min(4, max(1, cores // 2))) - 1

    @property
    def share_in_flight(self) -> int:
        """Predictions that one caller may have waiting in one API process."""
        return math.ceil(self.requests_in_flight * self.caller_share)

    @property
    def rpc_port(self) -> int:
        """TCP port of the gRPC services; 0 takes a free one."""
        if self.grpc_port is not None:
            return self.grpc_port
        return self.port + 1 if 0 < self.port < _LAST_PORT else 0

    @property
    def data_path(self) -> Path:
        """``data_dir`` as an absolute path."""
        return self.data_dir.expanduser().absolute()

    @property
    def database(self) -> str:
        """The database's URL."""
        return self.database_url or f"sqlite:///{self.data_path / 'hub.db'}"

    @property
    def storage(self) -> str:
        """The blob store's URL."""
        return self.storage_url or (self.data_path / "blobs").as_uri()

    @property
    def is_loopback(self) -> bool:
        """Whether only people on this machine can reach the hub."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def anonymous_policy(self) -> Anonymous:
        """What people without a token may do."""
        return self.anonymous or ("read" if self.is_loopback else "none")
