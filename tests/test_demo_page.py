"""The demo's board in a real browser, against the demo's own server: what one would show to a friend does work."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Locator, Page, expect

from tests.servers import Server
from tests.test_demo import demo  # noqa: F401 (a fixture)

COMPLAINTS = """addEventListener("securitypolicyviolation", (event) =>
  console.error(`CSP: ${event.violatedDirective} ${event.blockedURI}`))"""


@pytest_asyncio.fixture(loop_scope="session")
async def profile(chromium: Browser) -> AsyncIterator[BrowserContext]:
    """A browser of its own, wide enough for two. A test fails with whatever its pages complained about."""
    context = await chromium.new_context(viewport={"width": 1280, "height": 800}, reduced_motion="reduce")
    complaints: list[str] = []
    await context.add_init_script(COMPLAINTS)
    context.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    context.on("weberror", lambda error: complaints.append(str(error.error)))
    yield context
    # The network cut is a complaint that tests of it expect.
    assert [text for text in complaints if "ERR_" not in text and "WebSocket" not in text] == []


async def board(page: Page, url: str, *names: str) -> list[Locator]:
    """The panes of these people, side by side."""
    await page.goto(url)
    panes = []
    for number, name in enumerate(names):
        if number:
            await page.click("#beside")
        await page.click(f".chooser [data-person={name}]")
        pane = page.locator(f".pane[data-person={name}]")
        await expect(pane.locator(".light")).to_have_text("in sync")
        await expect(pane.locator(".asked")).to_have_attribute("data-state", "complete")
        panes.append(pane)
    return panes


def card(pane: Locator, title: str) -> Locator:
    return pane.locator(".card").filter(has=pane.page.get_by_role("button", name=title, exact=True))


async def titles(pane: Locator, status: str) -> list[str]:
    return await pane.locator(f'.column[data-status="{status}"] .title').all_inner_texts()


def asked(demo: Server, sql: str, *values: Any) -> list[Any]:  # noqa: F811
    """What the server's database says."""
    database = sqlite3.connect(demo.environment["DATABASE_URL"].removeprefix("sqlite:///"))
    rows = database.execute(sql, values).fetchall()
    database.close()
    return [row[0] if len(row) == 1 else row for row in rows]


async def in_database(page: Page, demo: Server, sql: str, *values: Any, expected: list[Any]) -> None:  # noqa: F811
    for _ in range(100):
        if (found := asked(demo, sql, *values)) == expected:
            return
        await page.wait_for_timeout(50)
    assert found == expected


IN_TEAM = "FROM inspections_inspection i JOIN inspections_team t ON i.team_id = t.id WHERE t.name ="


def of_title(columns: str, team: str = "North") -> str:
    """Both teams have inspections of these titles."""
    return f"SELECT {columns} {IN_TEAM} '{team}' AND title = ?"


async def test_each_team_sees_its_own(demo: Server, profile: BrowserContext) -> None:  # noqa: F811
    nora, sol = await board(await profile.new_page(), demo.url, "nora", "sol")
    for pane, team in ((nora, "North"), (sol, "South")):
        assert sorted(await pane.locator(".title").all_inner_texts()) == asked(
            demo, f"SELECT title {IN_TEAM} ? ORDER BY 1", team
        )
        assert await pane.locator(".who .team").inner_text() == f"team {team}"


async def test_what_one_types_the_other_sees(demo: Server, profile: BrowserContext) -> None:  # noqa: F811
    page = await profile.new_page()
    nora, noah = await board(page, demo.url, "nora", "noah")
    await card(nora, "Wildlife log").locator(".title").click()
    await nora.locator(".editor [name=title]").press_sequentially(" and geese")
    await expect(card(noah, "Wildlife log and geese")).to_be_visible()
    await nora.locator(".editor [name=hours]").fill("2,75")
    await nora.locator(".editor [name=notes]").fill("Counted 212.")
    await nora.locator(".editor [name=status]").select_option("in progress")
    await expect(noah.locator('.column[data-status="in progress"] .card', has_text="and geese")).to_contain_text(
        "2.75 h"
    )
    await in_database(
        page,
        demo,
        of_title("notes, hours, status"),
        "Wildlife log and geese",
        expected=[("Counted 212.", 2.75, "in progress")],
    )
    await nora.locator(".editor [type=submit]").click()
    await expect(nora.locator(".editor")).to_have_count(0)


async def test_a_refused_write_is_undone_and_says_why(demo: Server, profile: BrowserContext) -> None:  # noqa: F811
    page = await profile.new_page()
    (nora,) = await board(page, demo.url, "nora")
    fence = card(nora, "Perimeter fence")
    before = await fence.locator(".priority").inner_text()
    await fence.locator(".title").click()
    await nora.locator(".editor [name=priority]").fill("9")
    await nora.locator(".editor [name=priority]").press("Tab")
    toast = page.locator(".toast[data-kind=refused]")
    await expect(toast).to_contain_text("refused Nora's priority of “Perimeter fence”")
    await expect(toast).to_contain_text("less than or equal to 5")
    await expect(nora.locator(".editor [name=priority]")).to_have_value(before.removeprefix("P"))
    assert [f"P{value}" for value in asked(demo, of_title("priority"), "Perimeter fence")] == [before]
    await nora.locator(".editor [name=hours]").fill("many")
    await nora.locator(".editor [name=hours]").press("Tab")
    await expect(nora.locator(".complaint")).to_contain_text("Hours are a number")


async def test_offline_work_arrives_when_its_user_is_back(demo: Server, profile: BrowserContext) -> None:  # noqa: F811
    page = await profile.new_page()
    nora, noah = await board(page, demo.url, "nora", "noah")
    await nora.locator(".switch").click()
    await expect(nora.locator(".light")).to_have_text("offline")
    await card(nora, "Apron markings").locator(".title").press("Shift+ArrowRight")
    await expect(nora.locator(".light")).to_have_text("offline · 1 change waits")
    await expect(card(nora, "Apron markings").locator(".unsent")).to_be_visible()
    assert "Apron markings" in await titles(nora, "done") and "Apron markings" not in await titles(noah, "done")
    # Meanwhile Noah writes, too.
    await card(noah, "Apron markings").locator(".title").click()
    await noah.locator(".editor [name=notes]").fill("Paint is here.")
    await noah.locator(".editor [type=submit]").click()
    await in_database(page, demo, of_title("notes"), "Apron markings", expected=["Paint is here."])
    await nora.locator(".switch").click()
    await expect(nora.locator(".light")).to_have_text("in sync")
    await expect(card(nora, "Apron markings").locator(".unsent")).to_be_hidden()
    await expect(noah.locator('.column[data-status="done"] .title', has_text="Apron markings")).to_be_visible()
    sql = of_title("status, notes")
    await in_database(page, demo, sql, "Apron markings", expected=[("done", "Paint is here.")])


async def items(pane: Locator) -> list[str]:
    """The open checklist, as it is shown: `+` is done."""
    rows = pane.locator(".item")
    shown = "(rows) => rows.map((row) => (row.querySelector('.done').checked ? '+' : '') + row.querySelector('.text').value)"
    found: list[str] = await rows.evaluate_all(shown)
    return found


def item(pane: Locator, at: int) -> Locator:
    return pane.locator(".item").nth(at)


async def drag(page: Page, handle: Locator, target: Locator) -> None:
    """By the mouse, to where the lower edge of the target is."""
    await handle.hover()
    await page.mouse.down()
    box = await target.bounding_box()
    assert box
    await page.mouse.move(box["x"] + 20, box["y"] + box["height"] - 2, steps=8)
    await page.mouse.up()


def checklist(demo: Server, title: str) -> list[str]:  # noqa: F811
    (found,) = asked(demo, of_title("checklist"), title)
    return [("+" if each["done"] else "") + each["text"] for each in json.loads(found)]


async def open_checklist(demo: Server, pane: Locator, title: str, *texts: str) -> None:  # noqa: F811
    """Gives it these items, and opens it."""
    value = json.dumps([{"text": text, "done": False} for text in texts])
    with sqlite3.connect(demo.environment["DATABASE_URL"].removeprefix("sqlite:///")) as database:
        database.execute("UPDATE inspections_inspection SET checklist = ? WHERE title = ?", (value, title))
    database.close()
    await card(pane, title).locator(".title").click()
    await expect(pane.locator(".item")).to_have_count(len(texts))
    await expect(item(pane, 0).locator(".text")).to_have_value(texts[0])


async def test_two_browsers_edit_one_checklist_offline(
    demo: Server,  # noqa: F811
    profile: BrowserContext,
    chromium: Browser,
) -> None:
    title = "Radio and recorder"
    pages = [await profile.new_page(), await chromium.new_page(viewport={"width": 1280, "height": 1000})]
    (nora,), (noah,) = [await board(page, demo.url, name) for page, name in zip(pages, ("nora", "noah"), strict=True)]
    for pane in (nora, noah):
        await open_checklist(demo, pane, title, "one", "two", "three", "four", "five")
        await pane.locator(".switch").click()
        await expect(pane.locator(".light")).to_have_text("offline")

    await item(nora, 0).locator(".done").check()
    await item(nora, 4).locator(".handle").press("ArrowUp")
    await pages[0].keyboard.press("ArrowUp")
    await expect(item(nora, 2).locator(".handle")).to_be_focused()
    await nora.locator(".checklist .add").fill("from Nora")
    await nora.locator(".checklist .add").press("Enter")
    await nora.locator(".tags .add").press_sequentially("Nora,urgent,")
    await nora.locator(".visits button").click(click_count=2)
    assert await items(nora) == ["+one", "two", "five", "three", "four", "from Nora"]

    await item(noah, 1).locator(".text").fill("two, better")
    await item(noah, 3).locator(".remove").click()
    await drag(pages[1], item(noah, 0).locator(".handle"), item(noah, 2))
    await noah.locator(".checklist .add").fill("from Noah")
    await noah.locator(".checklist .add").press("Enter")
    await noah.locator(".tags .add").press_sequentially("Noah,urgent,")
    await noah.locator(".visits button").click(click_count=3)
    await expect(noah.locator(".item")).to_have_count(5)
    assert await items(noah) == ["two, better", "three", "one", "five", "from Noah"]

    visits, tags = asked(demo, of_title("visits, tags"), title)[0]
    for pane in (nora, noah):
        await pane.locator(".switch").click()
        await expect(pane.locator(".light")).to_have_text("in sync")
    # What each did is there, and once: a tick, an edit, a removal, two moves, two new items.
    expected = {"+one", "two, better", "three", "five", "from Nora", "from Noah"}
    for pane in (nora, noah):
        await expect(pane.locator(".item")).to_have_count(len(expected))
        await expect(pane.locator(".visits output")).to_have_text(str(visits + 5))
        await expect(pane.locator(".chip")).to_have_text(
            [f"{tag}×" for tag in sorted({*json.loads(tags), "nora", "noah", "urgent"})]
        )
    shown = await items(nora)
    assert set(shown) == expected
    assert shown.index("five") < shown.index("three") < shown.index("+one"), "both moves stand"
    assert await items(noah) == shown == checklist(demo, title)
    await pages[1].context.close()


async def test_nobody_is_disturbed_while_typing_or_dragging(demo: Server, profile: BrowserContext) -> None:  # noqa: F811
    page = await profile.new_page()
    nora, noah = await board(page, demo.url, "nora", "noah")
    title = "Obstacle survey"
    await open_checklist(demo, nora, title, "one", "two", "three", "four")
    await card(noah, title).locator(".title").click()
    text = item(nora, 2).locator(".text")
    await text.press("End")
    await page.keyboard.insert_text(" and")
    mine = await text.element_handle()

    async def noah_does(script: str) -> None:
        """What a click would take the focus for."""
        await noah.locator(".checklist").evaluate(script)

    await noah_does("(list) => list.querySelector('.remove').click()")
    key = "new KeyboardEvent('keydown', {key: 'ArrowUp', bubbles: true})"
    await expect(nora.locator(".item")).to_have_count(3)
    await noah_does(f"(list) => list.querySelectorAll('.handle')[1].dispatchEvent({key})")
    await expect(item(nora, 0).locator(".text")).to_have_value("three and")
    await page.keyboard.type(" a half")
    assert (
        mine and await mine.evaluate("(field) => field === document.activeElement && field.value") == "three and a half"
    )
    await expect(item(noah, 0).locator(".text")).to_have_value("three and a half")
    # While Nora holds an item, her rows stay; where she lets go is beside what she saw there.
    await item(nora, 2).locator(".handle").hover()
    await page.mouse.down()
    await noah_does("(list) => list.querySelectorAll('.remove')[1].click()")
    await expect(noah.locator(".item")).to_have_count(2)
    assert await items(nora) == ["three and a half", "two", "four"]
    box = await item(nora, 0).bounding_box()
    assert box
    await page.mouse.move(box["x"] + 20, box["y"] + 2, steps=8)
    await page.mouse.up()
    for pane in (nora, noah):
        await expect(pane.locator(".item")).to_have_count(2)
        await expect(item(pane, 0).locator(".text")).to_have_value("four")
    await page.wait_for_timeout(300)
    assert await items(nora) == await items(noah) == ["four", "three and a half"] == checklist(demo, title)


async def test_a_refused_item_is_named(demo: Server, profile: BrowserContext) -> None:  # noqa: F811
    page = await profile.new_page()
    (nora,) = await board(page, demo.url, "nora")
    title = "Passenger hut"
    await open_checklist(demo, nora, title, "one", "two")
    await item(nora, 1).locator(".text").fill("two " * 30)
    await item(nora, 1).locator(".text").press("Enter")
    toast = page.locator(".toast[data-kind=refused]")
    await expect(toast).to_contain_text(f"refused Nora's checklist item 2 of “{title}”")
    await expect(toast).to_contain_text("at most 80 characters (it has 119)")
    await expect(item(nora, 1).locator(".text")).to_have_value("two")
    await nora.locator(".checklist .add").fill("three " * 20)
    await nora.locator(".checklist .add").press("Enter")
    wanted = f"The server refused Nora's checklist item 3 of “{title}”: Ensure this value has at most 80 characters"
    await expect(toast.last).to_contain_text(wanted)
    await expect(nora.locator(".item")).to_have_count(2)
    assert checklist(demo, title) == ["one", "two"]


async def test_the_page_starts_without_a_network(demo: Server, profile: BrowserContext) -> None:  # noqa: F811
    page = await profile.new_page()
    (sol,) = await board(page, demo.url, "sol")
    before = sorted(await sol.locator(".title").all_inner_texts())
    await page.evaluate("navigator.serviceWorker.ready")
    await profile.set_offline(True)
    demo.kill()
    try:
        await page.reload()
        await expect(sol.locator(".card")).to_have_count(len(before))
        assert sorted(await sol.locator(".title").all_inner_texts()) == before
        await expect(sol.locator(".light")).to_have_text("no network")
        chosen = before[0]
        await card(sol, chosen).locator(".title").click()
        await sol.locator(".editor [name=notes]").fill("Written in the hut.")
        await sol.locator(".editor [type=submit]").click()
        await expect(sol.locator(".light")).to_contain_text("1 change waits")
        # And once more: what was written is still there, and still waits.
        await page.reload()
        await expect(sol.locator(".light")).to_contain_text("1 change waits")
        await page.goto(f"{demo.url}/about/")
        await expect(page.locator("h1")).to_have_text("Airfield inspections")
        await page.goto(demo.url)
    finally:
        demo.start()
    await profile.set_offline(False)
    await expect(sol.locator(".light")).to_have_text("in sync", timeout=20_000)
    await in_database(page, demo, of_title("notes", "South"), chosen, expected=["Written in the hut."])


async def test_a_keyboard_is_enough(demo: Server, profile: BrowserContext) -> None:  # noqa: F811
    page = await profile.new_page()
    await page.goto(demo.url)
    await page.locator(".person").first.focus()
    await page.keyboard.press("Enter")
    nora = page.locator(".pane[data-person=nora]")
    await expect(nora.locator(".asked")).to_have_attribute("data-state", "complete")
    first = nora.locator('.column[data-status="open"] .title').first
    await expect(first).to_have_attribute("tabindex", "0")
    for _ in range(30):
        await page.keyboard.press("Tab")
        if await first.evaluate("(element) => element === document.activeElement"):
            break
    await page.keyboard.press("ArrowDown")
    title = await page.evaluate("document.activeElement.textContent")
    await page.keyboard.press("Shift+ArrowRight")
    await expect(nora.locator('.column[data-status="in progress"] .title', has_text=title)).to_be_focused()
    await expect(page.locator("#announcer")).to_have_text(f"“{title}” is in progress")
    await in_database(page, demo, of_title("status"), title, expected=["in progress"])
    await page.keyboard.press("Enter")
    await expect(nora.locator(".editor [name=title]")).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(nora.locator('.column[data-status="in progress"] .title', has_text=title)).to_be_focused()
    await page.keyboard.press("Shift+ArrowLeft")
    await in_database(page, demo, of_title("status"), title, expected=["open"])


async def test_cards_are_dragged_deleted_and_brought_back(demo: Server, profile: BrowserContext) -> None:  # noqa: F811
    page = await profile.new_page()
    (sol,) = await board(page, demo.url, "sol")
    title = (await titles(sol, "open"))[0]
    await card(sol, title).hover()
    await page.mouse.down()
    target = await sol.locator('.column[data-status="done"] h3').bounding_box()
    assert target
    await page.mouse.move(target["x"] + 40, target["y"] + 40, steps=8)
    await expect(page.locator(".ghost")).to_be_visible()
    await page.mouse.up()
    await expect(sol.locator('.column[data-status="done"] .title', has_text=title)).to_be_visible()
    await expect(page.locator(".ghost")).to_have_count(0)
    await expect(sol.locator(".editor")).to_have_count(0)
    await in_database(page, demo, of_title("status", "South"), title, expected=["done"])
    mine = of_title("count(*)", "South")
    (count,) = asked(demo, mine, title)
    await card(sol, title).locator(".title").press("Delete")
    await expect(card(sol, title)).to_have_count(0)
    await in_database(page, demo, mine, title, expected=[count - 1])
    await page.click(".toast >> text=Undo")
    await expect(card(sol, title)).to_be_visible()
    await in_database(page, demo, mine, title, expected=[count])


async def test_filters_change_what_is_downloaded(demo: Server, profile: BrowserContext) -> None:  # noqa: F811
    page = await profile.new_page()
    (noah,) = await board(page, demo.url, "noah")
    everything = await noah.locator(".card").count()
    await noah.locator("[name=hideDone]").check()
    await expect(noah.locator('.column[data-status="done"] .card')).to_have_count(0)
    await noah.get_by_text("Mine", exact=True).click()
    await expect(noah.locator('.card .avatar:not([data-person="noah"])')).to_have_count(0)
    await expect(noah.locator(".asked")).to_have_attribute("data-state", "complete")
    # The subscription is stored: a reload shows the same, and so do its controls.
    count = await noah.locator(".card").count()
    assert 0 < count < everything
    await page.reload()
    await expect(noah.locator(".card")).to_have_count(count)
    await expect(noah.locator("[name=hideDone]")).to_be_checked()
    # Offline, a wider subscription is kept for later.
    await noah.locator(".switch").click()
    await noah.get_by_text("Whole team", exact=True).click()
    await noah.locator("[name=hideDone]").uncheck()
    await expect(noah.locator(".asked")).to_have_text("asked when online")
    await expect(noah.locator(".card")).to_have_count(count)
    await noah.locator(".switch").click()
    await expect(noah.locator(".card")).to_have_count(everything)


async def test_an_airfield_is_found_and_gets_an_inspection(demo: Server, profile: BrowserContext) -> None:  # noqa: F811
    page = await profile.new_page()
    nora, noah = await board(page, demo.url, "nora", "noah")
    await nora.locator(".new").click()
    await nora.locator(".country").select_option("NZ")
    (total,) = asked(demo, "SELECT count(*) FROM inspections_airfield WHERE country = 'NZ'")
    await expect(nora.locator(".proof .count")).to_have_text(f"{total} airfields here")
    await nora.locator("[type=search]").press_sequentially("nzaa")
    await expect(nora.locator(".proof .count")).to_have_text(f"1 of {total} airfields")
    await expect(nora.locator(".proof .speed")).to_contain_text("ms")
    await page.keyboard.press("Enter")
    await expect(nora.locator(".chosen .code")).to_have_text("NZAA")
    await page.keyboard.press("Enter")
    await expect(nora.locator(".editor [name=title]")).to_have_value("New inspection at NZAA")
    await nora.locator(".editor [name=title]").fill("Terminal roof")
    await expect(card(noah, "Terminal roof")).to_be_visible()
    sql = of_title("airfield_id, status, priority")
    await in_database(page, demo, sql, "Terminal roof", expected=[("NZAA", "open", 3)])
    # Noah has no airfields of New Zealand: that is said, and a click mends it.
    await expect(card(noah, "Terminal roof").locator(".place")).to_contain_text("not on this device")
    await noah.get_by_role("button", name="Download all airfields").click()
    await expect(card(noah, "Terminal roof").locator(".place")).to_contain_text("NZAA Auckland", timeout=20_000)
    await expect(noah.locator(".missing")).to_be_hidden()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_it_fits_a_phone(demo: Server, chromium: Browser, scheme: Any) -> None:  # noqa: F811
    phone = await chromium.new_context(
        viewport={"width": 360, "height": 740}, is_mobile=True, has_touch=True, color_scheme=scheme
    )
    page = await phone.new_page()
    fits = "document.documentElement.scrollWidth <= innerWidth"
    (nora,) = await board(page, demo.url, "nora")
    assert await page.evaluate(fits)
    await nora.locator(".statuses [data-status=done]").tap()
    await expect(nora.locator('.column[data-status="open"]')).to_be_hidden()
    await nora.locator(".column.shown .title").first.tap()
    assert await page.evaluate(fits)
    await nora.locator(".tune").tap()
    assert await page.evaluate(fits)
    await nora.locator(".views [data-view=airfields]").tap()
    await expect(nora.locator(".plot canvas")).to_be_visible()
    assert await page.evaluate(fits)
    # A second person is a tab.
    await page.tap("#beside")
    await page.tap(".chooser [data-person=noah]")
    await expect(nora).to_be_hidden()
    assert await page.evaluate(fits)
    await page.tap("#tabs >> text=nora")
    await expect(nora).to_be_visible()


async def test_it_can_be_installed(demo: Server, profile: BrowserContext) -> None:  # noqa: F811
    page = await profile.new_page()
    await page.goto(demo.url)
    manifest = await page.evaluate("fetch(document.querySelector('link[rel=manifest]').href).then((a) => a.json())")
    assert manifest["display"] == "standalone" and manifest["start_url"] == "/"
    for icon in manifest["icons"]:
        assert (await page.request.get(demo.url + icon["src"])).headers["content-type"] == "image/svg+xml"
    kept = await page.evaluate(
        "navigator.serviceWorker.ready.then(() => caches.open('inspections')).then((cache) => cache.keys())"
        ".then((keys) => keys.map(({url}) => new URL(url).pathname))"
    )
    assert {"/", "/about/", "/static/realm_sync/realm.js", "/static/inspections/board.css"} <= set(kept)
    assert not [path for path in kept if path.startswith(("/api", "/admin"))]
