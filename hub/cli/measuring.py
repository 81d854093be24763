"""What ``hub versions`` makes of the metric that a hub sums versions up by.

Law: all versions in a list are told the same metric, that of the newest which has one; a page of older versions that
the hub sums up by another one adds nothing to it.
"""

from hub.client.operations import Operations
from hub.protocol.curves import HeadlineMetric
from hub.protocol.schemas import VersionPage


def whole_list(client: Operations, name: str) -> VersionPage:
    """All versions of a model, as if the hub had given them on one page."""
    page = client.versions_page(name)
    items, metric = page.items, page.metric
    while page.next is not None:
        page = client.versions_page(name, before=page.next)
        items, metric = items + page.items, _joined(metric, page.metric)
    return VersionPage(items=items, metric=metric)


def _joined(newer: HeadlineMetric | None, older: HeadlineMetric | None) -> HeadlineMetric | None:
    if newer is None or older is None:
        return newer or older
    if (newer.tag, newer.run) != (older.tag, older.run):
        return newer
    return newer.model_copy(update={"values": newer.values | older.values})


def metric_head(metric: HeadlineMetric) -> str:
    """Its name: the tag, and the run where that is a folder with a name."""
    return metric.tag if metric.run == "." else f"{metric.tag} {metric.run}"


def metric_text(metric: HeadlineMetric, number: int) -> str:
    """A version's last value; a dash where it has none, or it is no finite number."""
    own = metric.values.get(number)
    return f"{own.last.value:.4g}" if own and own.last else "-"
