"""One unit of work: every query the catalog answers, over one open transaction."""

from hub.storage.catalog.attestations import AttestationQueries
from hub.storage.catalog.audit import AuditQueries
from hub.storage.catalog.curves import CurveQueries
from hub.storage.catalog.dump import DumpQueries
from hub.storage.catalog.family import FamilyQueries
from hub.storage.catalog.inspecting import InspectionQueries
from hub.storage.catalog.models import ModelQueries
from hub.storage.catalog.people import PeopleQueries
from hub.storage.catalog.pulls import PullQueries
from hub.storage.catalog.pushes import PushQueries
from hub.storage.catalog.sessions import SessionQueries
from hub.storage.catalog.sweeping import SweepQueries
from hub.storage.catalog.tokens import TokenQueries
from hub.storage.catalog.versions import VersionQueries


class Transaction(
    ModelQueries,
    VersionQueries,
    FamilyQueries,
    PushQueries,
    SweepQueries,
    TokenQueries,
    PeopleQueries,
    SessionQueries,
    AuditQueries,
    AttestationQueries,
    CurveQueries,
    PullQueries,
    InspectionQueries,
    DumpQueries,
):
    """What a service does between begin and commit. Rows never leave: it gives domain classes and records."""
