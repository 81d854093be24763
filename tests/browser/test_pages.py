"""What the dashboard answers, seen without a browser: status, headers, and what is not shown."""

import json
import re
from collections.abc import Callable, Iterator
from html import unescape
from pathlib import Path

import httpx2
import numpy as np
import pytest
from sqlalchemy import text

from hub.domain.access import HUB
from hub.domain.manifest import Kind
from hub.protocol.search import Sort
from hub.settings import Settings
from tests.browser.conftest import accepted, add, furnished, serving
from tests.browser.walk import PAGES as WALKED
from tests.browser.walk import RULED, crawl

PAGES = {
    "/": 200,
    "/?q=shapes&kind=trunk": 200,
    "/?q=%00%F0%9F%8C%B3%25_&kind=nonsense&after=../x": 200,
    "/workers": 200,
    "/login": 200,
    "/acme/shapes": 200,
    "/acme/shapes/versions": 200,
    "/acme/shapes/versions?before=nonsense": 200,
    "/acme/shapes/versions?before=99999999999999999999": 200,
    "/acme/shapes/versions/1": 200,
    "/acme/shapes/versions/2": 200,
    "/acme/shapes/versions/3": 200,
    "/acme/words": 200,
    "/acme/waiting": 200,
    "/acme/colour-head": 200,
    "/acme/shapes/versions/9": 404,
    "/acme/shapes/versions/99999999999999999999": 404,
    "/acme/shapes/versions/x": 404,
    "/acme/absent": 404,
    "/Acme/Shapes": 404,
    "/acme/%22%3E%3Cscript%3Ealert(1)%3C/script%3E": 404,
    "/nowhere": 404,
    "/acme?sort=nonsense&tag=&tag=%00": 200,
    "/acme/shapes/signatures": 200,
    "/acme/shapes/files?files=99&tensors=0": 200,
    "/docs/api": 200,
    "/docs": 404,
    "/workers/gpu": 404,
    "/static/0/hub.css": 404,
}


@pytest.fixture
def visitor(hub) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=hub.url) as client:
        yield client


def sign_in(client: httpx2.Client, token: str, target: str = "/") -> httpx2.Response:
    return client.post("/login", data={"token": token, "next": target}, headers={"Sec-Fetch-Site": "same-origin"})


@pytest.mark.parametrize(("path", "status"), PAGES.items())
def test_every_page_is_whole_and_guarded(visitor: httpx2.Client, path: str, status: int) -> None:
    answer = visitor.get(path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "script-src 'self'" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "same-origin"
    assert answer.text.count("<h1") == 1
    assert answer.text.rstrip().endswith("</html>")
    assert not re.search(r"<(?:script|style)>|\sstyle=|\son\w+=[\"']|=[\"']?javascript:", answer.text)


@pytest.mark.parametrize("who", ["visitor", "admin"])
def test_all_links_of_all_pages_lead_somewhere(hub, visitor: httpx2.Client, who: str) -> None:
    if who == "admin":
        sign_in(visitor, hub.token)
    seen = set()
    for path, answer in crawl(visitor, [WALKED[0], *(RULED if who == "admin" else [])], is_opened(who)):
        seen.add(path)
        assert answer.status_code == 200, path
        if answer.headers["content-type"].startswith("text/html"):
            assert not missing_places(answer.text), path
    assert {"/acme/shapes", "/acme/shapes/versions/3", "/workers", "/docs/api", "/acme"} <= seen
    assert any(path.endswith("/files/saved_model.pb") for path in seen)
    assert ("/lab/secret-head" in seen) == ("/settings/audit" in seen) == (who == "admin")


def is_opened(who: str) -> Callable[[str], bool]:
    """Whether a path is opened by what somebody has: the cookie opens no API.

    In other forms pages are the visitor's, but for the settings.
    """

    def has(path: str) -> bool:
        return not path.startswith("/api/") and ("?" not in path or path.startswith("/settings"))

    return has if who == "admin" else bool


def missing_places(page: str) -> set[str]:
    """Places of its own that a page links to and does not have."""
    return {unescape(at) for at in re.findall(r'href="#([^"]+)"', page)} - set(re.findall(r'\bid="([^"]+)"', page))


def test_an_apis_404_stays_a_problem(visitor: httpx2.Client) -> None:
    for path in ("/api/v1/nothing", "/api/nothing", "/v1/nothing/at/all", "/v2/nothing", "/hf/x"):
        assert visitor.get(path).headers["content-type"] == "application/problem+json", path


def test_a_page_that_is_missing_names_what_is_missing_and_the_request(visitor: httpx2.Client) -> None:
    answer = visitor.get("/acme/absent", headers={"X-Request-Id": "asked-for-this"})
    assert "acme/absent" in answer.text
    assert "asked-for-this" in answer.text


def test_a_private_model_looks_like_an_absent_one(hub, visitor: httpx2.Client) -> None:
    private, absent = visitor.get("/lab/secret-head"), visitor.get("/lab/absent-head")
    same = [re.sub(r"secret-head|absent-head|[0-9a-f]{32}", "X", answer.text) for answer in (private, absent)]
    assert private.status_code == absent.status_code == 404
    assert same[0] == same[1]
    assert "secret-head" not in visitor.get("/").text
    lineage = visitor.get("/acme/shapes").text
    assert "secret-head" not in lineage
    assert "1 private version" in lineage


def test_a_token_opens_private_models_until_its_reader_signs_out(hub, visitor: httpx2.Client) -> None:
    answer = sign_in(visitor, hub.token, "/lab/secret-head")
    assert (answer.status_code, answer.headers["location"]) == (303, "/lab/secret-head")
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert visitor.get("/lab/secret-head").status_code == 200
    assert "Sign out" in visitor.get("/").text
    assert "Authorization: Bearer" in visitor.get("/lab/secret-head").text
    assert visitor.post("/logout", headers={"Origin": hub.url}).status_code == 303
    assert visitor.get("/lab/secret-head").status_code == 404


def test_the_cookie_opens_pages_but_not_the_api(hub, visitor: httpx2.Client) -> None:
    sign_in(visitor, hub.token)
    assert visitor.get("/api/v1/models/lab/secret-head").status_code == 404


def test_a_wrong_token_is_refused_where_it_was_typed(visitor: httpx2.Client) -> None:
    answer = sign_in(visitor, "wrong")
    assert answer.status_code == 401
    assert "does not know this token" in answer.text
    assert "set-cookie" not in answer.headers
    assert sign_in(visitor, "  ").status_code == 422


def test_signing_in_never_sends_anybody_off_the_hub(hub, visitor: httpx2.Client) -> None:
    assert sign_in(visitor, hub.token, "//evil.example").headers["location"] == "/"
    assert 'value="//evil' not in visitor.get("/login", params={"next": "//evil.example"}).text
    assert "location" not in visitor.get(f"{hub.url}//evil.example/").headers
    assert visitor.get("/acme/shapes/").headers["location"] == "/acme/shapes"


@pytest.mark.parametrize("path", ["/login", "/logout"])
@pytest.mark.parametrize("headers", [{}, {"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}])
def test_a_form_from_another_site_is_refused_with_a_page(
    hub, visitor: httpx2.Client, path: str, headers: dict[str, str]
) -> None:
    answer = visitor.post(path, data={"token": hub.token}, headers=headers)
    assert answer.status_code == 403
    assert "<h1>Forbidden</h1>" in answer.text
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    ("body", "status"), [(b"token=" + b"a" * 9_000, 413), (b"token=%ff\xff", 422), (b"a=1&" * 20, 422), (b"", 422)]
)
def test_a_broken_form_is_refused_with_a_page(visitor: httpx2.Client, body: bytes, status: int) -> None:
    answer = visitor.post("/login", content=body, headers={"Sec-Fetch-Site": "same-origin"})
    assert answer.status_code == status
    assert "</html>" in answer.text


def test_who_may_see_nothing_is_asked_to_sign_in_and_comes_back(open_hub) -> None:
    closed = open_hub(is_seeded=True, anonymous="none")
    with httpx2.Client(base_url=closed.url) as client:
        answer = client.get("/acme/shapes?x=1")
        assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=%2Facme%2Fshapes%3Fx%3D1")
        form = client.get(answer.headers["location"])
        assert 'name="next" value="/acme/shapes?x=1"' in form.text
        assert "shapes</a>" not in form.text
        assert sign_in(client, closed.token, "/acme/shapes?x=1").headers["location"] == "/acme/shapes?x=1"
        assert client.get("/acme/shapes").status_code == 200


def test_a_token_that_was_revoked_leads_back_to_the_form(open_hub) -> None:
    hub = open_hub()
    with httpx2.Client(base_url=hub.url) as client:
        sign_in(client, hub.token)
        principal = hub.house.access.authenticate(f"Bearer {hub.token}")
        hub.house.access.revoke(principal, hub.house.access.tokens(principal).items[0].id)
        answer = client.get("/")
        assert answer.headers["location"] == "/login?next=%2F"
        assert client.get("/").status_code == 200


def test_a_hub_whose_database_is_not_there_still_answers_with_a_page(open_hub) -> None:
    broken = open_hub(is_migrated=False)
    answer = httpx2.get(broken.url + "/", headers={"X-Request-Id": "find-me"})
    assert answer.status_code >= 500
    assert "find-me" in answer.text
    assert "</html>" in answer.text
    assert "Traceback" not in answer.text


def test_what_nobody_foresaw_is_a_page_that_names_the_request(open_hub) -> None:
    hub = open_hub()
    add(hub.house, "acme/words", kind=Kind.TRUNK, signatures=[], report=accepted())
    with hub.house.browse.catalog.begin() as tx:
        tx.connection.execute(text("UPDATE versions SET report = '{' WHERE model = 'acme/words'"))
    answer = httpx2.get(f"{hub.url}/acme/words", headers={"X-Request-Id": "find-me"})
    assert answer.status_code == 500
    assert "tell who runs the hub the request id" in answer.text
    assert '<code id="request">find-me</code>' in answer.text
    assert "Sign in</a>:" not in answer.text
    assert "Traceback" not in answer.text


def test_pulls_are_counted_and_written_when_the_hub_stops(tmp_path: Path) -> None:
    house = furnished(tmp_path, Settings(data_dir=tmp_path, anonymous="read"))
    for name in ("acme/shapes", "acme/words"):
        add(house, name, kind=Kind.TRUNK, signatures=[], report=accepted())
    with serving(house) as url:
        for path in ("/api/v1/models/acme/words/versions/1/manifest", "/api/v1/models/acme/absent/versions/1/manifest"):
            httpx2.get(url + path)
        assert house.browse.model(HUB, "acme/words").pulls == 0
    listed = house.browse.models(HUB, sort=Sort.PULLS).items
    assert [(model.name, model.pulls) for model in listed] == [("acme/words", 1), ("acme/shapes", 0)]
    house.browse.catalog.close()


def test_metrics_are_shown_beside_versions_and_their_difference(visitor: httpx2.Client) -> None:
    listed = visitor.get("/acme/shapes/versions").text
    assert re.search(r'title="the last value; lower is better">loss <span class="muted">held-out</span>', listed)
    assert '<a href="/acme/shapes/training?versions=2" title="best 0.025 at step 39">0.025</a>' in listed
    rows = re.search(r'<table class="pairs metrics">.*?</table>', visitor.get("/acme/shapes/diff/1..2").text, re.DOTALL)
    assert rows
    assert re.sub(r"<[^>]+>|\s+", " ", rows[0]).split()[-8:-4] == ["loss", "train", "–", "0.025"]


def test_static_files_are_cached_for_ever_under_a_name_made_of_their_content(visitor: httpx2.Client) -> None:
    page = visitor.get("/")
    assert page.headers["cache-control"] == "private, no-cache"
    for link in re.findall(r'"(/static/[^"]+)"', page.text):
        answer = visitor.get(link)
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_lists_are_searched_and_filtered_by_their_url(visitor: httpx2.Client) -> None:
    def names(path: str) -> list[str]:
        return re.findall(r'<a class="name" href="/([^"]+)"', visitor.get(path).text)

    listed = ["acme/colour-head", "acme/shapes", "acme/waiting", "acme/words"]
    assert names("/?sort=name") == listed
    assert sorted(names("/")) == listed
    assert names("/?kind=head") == ["acme/colour-head"]
    assert names("/?q=shap") == ["acme/shapes"]
    assert names("/?sort=name&after=acme/shapes") == ["acme/waiting", "acme/words"]
    assert names("/?task=image-embedding&tag=Grey&tag=shapes&license=apache-2.0") == ["acme/shapes"]
    assert names("/?dtype=string&sort=name") == ["acme/shapes", "acme/words"]
    assert names("/?input=16x16x1&sort=name") == ["acme/colour-head", "acme/shapes"]
    assert names("/?owner=lab") == names("/?tag=absent") == []
    assert names("/acme?kind=head") == ["acme/colour-head"]
    nothing = visitor.get("/?q=zzz&kind=head").text
    assert "Nothing found." in nothing
    assert re.search(r'href="/\?q=zzz" aria-label="Drop Kind: head"', nothing)


def test_an_owner_of_private_models_only_is_like_one_who_is_not_there(hub, visitor: httpx2.Client) -> None:
    answers = [visitor.get(path) for path in ("/lab", "/labx")]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert len({re.sub(r"labx?|[0-9a-f]{32}", "X", answer.text) for answer in answers}) == 1
    sign_in(visitor, hub.token)
    assert "secret-head" in visitor.get("/lab").text


def test_a_file_is_handed_out_and_is_never_a_page(visitor: httpx2.Client) -> None:
    answer = visitor.get("/acme/shapes/versions/2/files/saved_model.pb")
    assert answer.content == b"acme/shapes Trained twice as long"
    assert answer.headers["content-disposition"] == "attachment; filename*=UTF-8''saved_model.pb"
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["x-content-type-options"] == "nosniff"
    for path in ("/acme/shapes/versions/2/files/none", "/lab/secret-head/versions/1/files/saved_model.pb"):
        assert visitor.get(path).status_code == 404
    assert visitor.get("/acme/shapes/versions/3/files/saved_model.pb").status_code == 409


def test_a_request_on_the_page_of_signatures_is_what_the_signature_takes(visitor: httpx2.Client) -> None:
    page = visitor.get("/acme/shapes/signatures").text
    shown = [json.loads(unescape(text)) for text in re.findall(r'<pre id="json-\d+"[^>]*>([^<]+)', page)]
    assert [request["signature_name"] for request in shown] == ["encoded", "serving_default"]
    assert np.shape(shown[1]["inputs"]["picture"]) == (1, 16, 16, 1)
    assert "json-1" not in visitor.get("/acme/shapes/signatures?version=3").text


def test_a_chosen_version_goes_along_from_tab_to_tab(visitor: httpx2.Client) -> None:
    page = visitor.get("/acme/shapes/files?version=1").text
    for link in ("/acme/shapes/versions/1", "/acme/shapes/signatures?version=1", "/acme/shapes/try?version=1"):
        assert f'href="{link}"' in page
    assert 'rel="next" href="/acme/shapes/files?version=2"' in page
    for tab in ("signatures", "training", "lineage", "files", "try"):
        page = visitor.get(f"/acme/shapes/{tab}?version=1").text
        assert page.count('class="tabs"') == page.count(' aria-current="page">') == 1, tab
        assert f'href="/acme/shapes/{tab}?version=1" aria-current="page"' in page, tab
        assert f'rel="next" href="/acme/shapes/{tab}?version=2"' in page, tab
        assert all(f'href="/acme/shapes/{other}?version=1"' in page for other in ("training", "lineage", "try")), tab
        assert visitor.get(f"/acme/shapes/{tab}?version=x").status_code == 404
        assert visitor.get(f"/acme/shapes/{tab}?version=99").status_code == 404


def test_a_head_without_a_card_says_how_to_push_it_again(visitor: httpx2.Client) -> None:
    command = "hub push ./your_saved_model acme/colour-head --head-of acme/shapes@2 --card README.md"
    assert command in visitor.get("/acme/colour-head").text
    assert "hub push ./your_saved_model acme/words --card README.md" in visitor.get("/acme/words").text
