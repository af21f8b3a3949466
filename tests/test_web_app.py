"""The browser's App against a real server: log-in, reload, two tabs, the site's own session, a revoked one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.async_api import Browser, Page

from realm_sync import __version__
from realm_sync.models import UserSession
from tests.servers import Server
from tests.world import World, db

pytestmark = pytest.mark.parametrize("each_database", ["sqlite"], indirect=True)

# The module is asked for by its URL, as realm.js asks for it; `app` is then there for what a test evaluates.
OPEN = """async () => {
  const {App, Credentials, VERSION} = await import("/static/realm_sync/client/app.js");
  Object.assign(window, {Credentials, VERSION, app: new App()});
}"""
LOG_IN = 'async () => (await app.logIn(Credentials.emailPassword("nora", "pw"))).id'
STATE = "() => [app.currentUser?.id ?? null, Object.values(app.allUsers).map((user) => user.state)]"


async def opened(page: Page, url: str) -> Page:
    await page.goto(f"{url}/page/")
    await page.evaluate(OPEN)
    return page


async def test_log_in_reload_and_a_second_tab(world: World, server: Callable[..., Server], chromium: Browser) -> None:
    url = server(realm_sync={"APP_ID": "airfields", "CLIENT_TIMEOUTS": {"request": 7000}}).url
    nora = str(world.nora.pk)
    profile = await chromium.new_context()
    first = await opened(await profile.new_page(), url)
    assert await first.evaluate("() => [app.id, app.baseUrl, app.timeout, VERSION]") == [
        "airfields",
        url,
        7000,
        __version__,
    ]
    message = await first.evaluate(
        '() => app.logIn(Credentials.emailPassword("nora", "no")).catch((e) => [e.message, e.code])'
    )
    assert message == ["invalid username/password", 4349]
    assert await first.evaluate(LOG_IN) == nora
    assert (await first.evaluate("() => app.currentUser.profile"))["email"] == "nora@example.org"

    # A reload, and another tab, know the user without asking the server.
    await opened(first, url)
    second = await opened(await profile.new_page(), url)
    for page in (first, second):
        assert await page.evaluate(STATE) == [nora, ["LoggedIn"]]

    key = await first.evaluate('() => app.currentUser.apiKeys.create("ci")')
    assert await second.evaluate("async (key) => (await app.logIn(Credentials.apiKey(key))).id", key["key"]) == nora
    assert await first.evaluate(
        "async () => (await app.currentUser.refreshAccessToken()) === app.currentUser.accessToken"
    )

    # A log-out in one tab is one in the other.
    await second.evaluate("() => void app.addListener(() => (window.told = app.currentUser))")
    await first.evaluate("() => app.currentUser.logOut()")
    await second.wait_for_function("() => window.told === null")
    assert await second.evaluate(STATE) == [None, ["LoggedOut"]]


async def test_a_revoked_session_logs_out(world: World, server: Callable[..., Server], chromium: Browser) -> None:
    page = await opened(await chromium.new_page(), server().url)
    await page.evaluate(LOG_IN)
    await db(UserSession.objects.update, revoked=True)
    refused = await page.evaluate("() => app.currentUser.refreshAccessToken().catch((e) => [e.status, e.message])")
    assert refused[0] == 401 and refused[1].startswith("Unable to refresh the user access token: ")
    assert await page.evaluate(STATE) == [None, ["LoggedOut"]]


async def test_the_sites_own_session(
    world: World, server: Callable[..., Server], chromium: Browser, client: Any
) -> None:
    url = server().url
    await db(client.force_login, world.sol)
    profile = await chromium.new_context()
    page = await opened(await profile.new_page(), url)
    log_in = "() => app.logIn(Credentials.djangoSession()).then((user) => user.id, (error) => error.message)"
    assert await page.evaluate(log_in) == "nobody is logged in on this page"
    await profile.add_cookies([{"name": "sessionid", "value": client.cookies["sessionid"].value, "url": url}])
    assert await page.evaluate(log_in) == str(world.sol.pk)
    assert await page.evaluate("() => app.currentUser.providerType") == "django-session"
