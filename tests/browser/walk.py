"""Every page there is: who adds one adds a line here, and all tests of quality look at it.

Law: a page is listed in each form that looks different: with and without what it lists, for whoever may see more.
"""

from playwright.sync_api import BrowserContext, ConsoleMessage

PAGES = [
    "/",
    "/?q=nothing-like-it&tag=grey",
    "/?kind=trunk&task=image-embedding&tag=grey&sort=name",
    "/acme",
    "/acme/shapes",
    "/acme/shapes/versions",
    "/acme/shapes/versions/1",
    "/acme/shapes/versions/3",
    "/acme/shapes/signatures",
    "/acme/shapes/signatures?version=3",
    "/acme/shapes/files",
    "/acme/shapes/files?version=1&q=kernel&tensors=2",
    "/acme/shapes/training",
    "/acme/shapes/lineage",
    "/acme/shapes/lineage?impact=2",
    "/acme/shapes/try",
    "/acme/shapes/try?version=3",
    "/acme/shapes/diff/1..2",
    "/acme/shapes/diff/2..2?all=1",
    "/acme/shapes/diff/2..acme/words@1",
    "/acme/colour-head",
    "/acme/colour-head/signatures",
    "/acme/colour-head/try",
    "/acme/words",
    "/acme/waiting",
    "/acme/waiting/files",
    "/workers",
    "/docs/api",
    "/login",
]
"""What everybody sees."""
RULED = [
    "/settings/tokens",
    "/settings/password",
    "/settings/access",
    "/settings/audit",
    "/settings/audit?actor=nobody&since=2026-01-01",
    "/lab/secret-head",
]
"""What only an administrator sees."""
TROUBLE = {"/acme/absent": 404, "/nowhere": 404, "/acme/shapes/versions/99": 404}
"""Where something is wrong, and the status it is told with."""
VIOLATIONS = "addEventListener('securitypolicyviolation', event => console.error('CSP ' + event.violatedDirective))"


def watch(context: BrowserContext, complaints: list[str]) -> None:
    """Keep whatever the browser complains about."""

    def note(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            complaints.append(f"{message.type}: {message.text}")

    context.add_init_script(VIOLATIONS)
    context.on("console", note)
    context.on("weberror", lambda error: complaints.append(str(error.error)))
