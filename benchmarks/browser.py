"""The browser SDK in Chromium, with a profile on the disk: opening, bootstrap, queries, writes, tabs, size.

The baselines keep the same rows in the same browser: Dexie and PouchDB, fetched with `npm pack` at run time, and a plain
IndexedDB store with a record for each row. browser.js is the page's half.
"""

from __future__ import annotations

import gzip
import shutil
import statistics
import subprocess
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import BrowserContext, Page, sync_playwright

from tests.testapp.models import Inspection

from .setting import Figure, Setting

SDK = Path(__file__).resolve().parent.parent / "realm_sync" / "static" / "realm_sync"
PAGE = Path(__file__).with_name("browser.js")
LIBRARIES = {"dexie": ("Dexie", "package/dist/dexie.min.js"), "pouchdb": ("PouchDB", "package/dist/pouchdb.min.js")}
PLAIN = "IndexedDB, a record per row"
RARE = 9
WRITES = 1000
MESSAGES = 30
IMPORT = """async (text) => {
  window.bench = await import(URL.createObjectURL(new Blob([text], { type: "text/javascript" })));
}"""


def run(setting: Setting) -> Iterator[Figure]:
    count = setting.size(100_000, 5000)
    selected, rare = _fill(setting, count)
    libraries = _fetch(setting.directory)
    with (
        setting.server() as server,
        setting.server("benchmarks.bare:application") as bare,
        _chromium(setting.directory / "profile") as context,
    ):
        browser = _Browser(context, server.url, f"ws://127.0.0.1:{bare.port}/rows", libraries, count, setting)
        yield from browser.bootstrap()
        yield from browser.opening()
        yield from browser.queries(selected, rare)
        yield from browser.writes()
        yield from browser.tabs()
    yield from _sizes(libraries)


def _fill(setting: Setting, count: int) -> tuple[int, int]:
    """How many rows the query selects (three in ten), and how many have the rare priority (one in a thousand)."""
    setting.fill(count)
    Inspection.objects.filter(airfield="EDDM").update(status="done")
    Inspection.objects.filter(title__endswith="500").update(priority=RARE)
    rows = Inspection.objects.filter(status="planned", priority__gte=2), Inspection.objects.filter(priority=RARE)
    return rows[0].count(), rows[1].count()


def _fetch(directory: Path) -> dict[str, str]:
    """The baselines' libraries, by name; none, and a sentence, where npm cannot fetch them."""
    try:
        subprocess.run(
            ["npm", "pack", "--silent", *LIBRARIES], cwd=directory, check=True, capture_output=True, timeout=60
        )
    except (OSError, subprocess.SubprocessError) as error:
        print(f"npm cannot fetch Dexie and PouchDB ({error}): the baseline is plain IndexedDB alone.")
        return {}
    found = {}
    for name, (_, path) in LIBRARIES.items():
        with tarfile.open(next(directory.glob(f"{name}-*.tgz"))) as package:
            file = package.extractfile(path)
            assert file is not None
            found[name] = file.read().decode()
    return found


@contextmanager
def _chromium(profile: Path) -> Iterator[BrowserContext]:
    """With a profile: without one, Chromium keeps IndexedDB in memory."""
    names = ("chromium", "chromium-browser", "google-chrome")
    executable = next((path for path in map(shutil.which, names) if path), None)
    if executable is None:
        raise SystemExit("Chromium is needed for this benchmark and is not on PATH: apt-get install chromium")
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            profile, executable_path=executable, args=["--no-sandbox"]
        )
        yield context
        context.close()


class _Browser:
    def __init__(
        self, context: BrowserContext, url: str, rows: str, libraries: dict[str, str], count: int, setting: Setting
    ) -> None:
        self.context, self.url, self.rows, self.libraries, self.count = context, url, rows, libraries, count
        self.database, self.repetitions, self.pause = setting.name, setting.repetitions, setting.size(10, 0)
        self.pouchdb_rows = count // 20  # each takes ten times as long as the others'

    def baselines(self, dexie: str, plain: str, pouchdb: str | None = None) -> dict[str, str]:
        """What each baseline that there is does, by its name in browser.js."""
        names = {"dexie": dexie, "plain": f"{PLAIN}{plain}", "pouchdb": pouchdb}
        return {kind: name for kind, name in names.items() if name and (self.libraries or kind == "plain")}

    @contextmanager
    def page(self) -> Iterator[Page]:
        """A fresh one."""
        page = self.context.new_page()
        page.goto(f"{self.url}/page/")
        for text in self.libraries.values():
            page.add_script_tag(content=text)
        page.evaluate(IMPORT, PAGE.read_text())
        yield page
        page.close()

    def fresh(self, function: str, **options: Any) -> Any:
        with self.page() as page:
            return _call(page, function, **options)

    def several(self, function: str, **options: Any) -> float:
        """The median of some fresh pages' milliseconds, after one that does not count."""
        return statistics.median([self.fresh(function, **options) for _ in range(self.repetitions + 1)][1:])

    def bootstrap(self) -> Iterator[Figure]:
        turns = range(self.repetitions + 1)
        taken = [self.fresh("fillRealm", path=f"{turn}", count=self.count) for turn in turns]
        value = self.count / statistics.median(taken[-self.repetitions :]) * 1000
        target: int | None = 50_000
        pouchdb = f"PouchDB `bulkDocs`, {self.pouchdb_rows:,} rows"
        for kind, name in self.baselines("Dexie `bulkPut`", "", pouchdb).items():
            most = self.pouchdb_rows if kind == "pouchdb" else self.count
            filled = self.fresh("fillBaseline", kind=kind, name=f"{kind}0", url=self.rows, most=most)
            yield Figure(
                f"browser: bootstrap of {self.count:,} rows into IndexedDB", self.database, value, "rows/s",
                f"bare websocket → {name}", most / filled * 1000, target,
            )  # fmt: skip
            target = None

    def opening(self) -> Iterator[Figure]:
        # Right after the baselines have written so much, openings took two to four times as long.
        time.sleep(self.pause)
        value = self.several("openRealm", path="0", count=self.count) / 1000
        target: float | None = 0.4
        times = self.count // self.pouchdb_rows
        pouchdb = f"PouchDB `allDocs`, {times} × {self.pouchdb_rows:,} rows"
        for kind, name in self.baselines("Dexie `toArray`", ", `getAll`", pouchdb).items():
            factor = times if kind == "pouchdb" else 1
            taken = self.several("openBaseline", kind=kind, name=f"{kind}0", count=self.count // factor)
            yield Figure(
                f"browser: open a realm of {self.count:,} objects", "none", value, "s",
                name, taken * factor / 1000, target, at_most=True,
            )  # fmt: skip
            target = None

    def queries(self, selected: int, rare: int) -> Iterator[Figure]:
        expected = {"selected": selected, "rare": rare}
        with self.page() as page:
            _call(page, "openRealm", path="0", count=self.count)
            ours = _call(page, "queryRealm", times=20, **expected)
        baselines = self.baselines("Dexie", "")
        theirs = {
            name: self.fresh("queryBaseline", kind=kind, name=f"{kind}0", times=3, **expected)
            for kind, name in baselines.items()
        }
        first = next(iter(theirs))
        for query, what, target in (
            ("scan", f"filter and sort {self.count:,} objects, {selected:,} match", 30.0),
            ("key", "query by primary key", 1.0),
            ("index", f"query by an indexed property, {rare:,} match", 1.0),
        ):
            for name, taken in theirs.items():
                limit = target if name == first else None
                yield Figure(
                    f"browser: {what}", "none", ours[query][1], "ms", name, taken[query][1], limit, at_most=True
                )
            if query != "key":
                what = f"browser: {what}, the first time in a page"
                yield Figure(what, "none", ours[query][0], "ms", first, theirs[first][query][0])

    def writes(self) -> Iterator[Figure]:
        with self.page() as page:
            _call(page, "openRealm", path="0", count=self.count)
            written = [_call(page, "writeRealm", times=WRITES, turn=turn) for turn in range(self.repetitions + 1)]
        value = WRITES / statistics.median(written[1:]) * 1000
        target: int | None = 1000
        for kind, name in self.baselines("Dexie", "", "PouchDB").items():
            times = WRITES // 5 if kind == "pouchdb" else WRITES
            taken = self.fresh("writeBaseline", kind=kind, name=f"{kind}0", times=times)
            yield Figure(
                f"browser: {WRITES:,} write transactions, until all are durable", "none", value, "writes/s",
                f"{name}, {times:,} × `put`, each awaited", times / taken * 1000, target,
            )  # fmt: skip
            target = None

    def tabs(self) -> Iterator[Figure]:
        with self.page() as first, self.page() as second:
            for page in (first, second):
                _call(page, "openRealm", path="0", count=self.count)
            bare = self._latency(first, second, bare=True)
            for query, what in ((f"priority == {RARE}", "of a query"), ("", f"of all {self.count:,} objects")):
                _call(second, "listen", query=query)
                yield Figure(
                    f"browser: write → listener {what} in another tab, p50", "none", self._latency(first, second), "ms",
                    "bare BroadcastChannel, p50", bare,
                )  # fmt: skip

    def _latency(self, first: Page, second: Page, bare: bool = False) -> float:
        _call(second, "whatWasHeard")
        told = _call(first, "tell", times=MESSAGES, bare=bare)
        heard = _call(second, "whatWasHeard")
        return statistics.median(heard[number] - moment for number, moment in told.items() if number in heard)


def _call(page: Page, function: str, **options: Any) -> Any:
    return page.evaluate("([name, options]) => bench[name](options)", [function, options])


def _sizes(libraries: dict[str, str]) -> Iterator[Figure]:
    modules = [path.read_bytes() for path in sorted(SDK.rglob("*.js"))]
    compressions = {"gzip -9": lambda data: gzip.compress(data, 9)}
    try:
        import brotli

        compressions["brotli"] = brotli.compress
    except ImportError:
        pass
    for name, compress in compressions.items():
        ours = sum(len(compress(module)) for module in modules) / 1024
        theirs = sum(len(compress(text.encode())) for text in libraries.values()) / 1024
        yield Figure(
            f"browser: all {len(modules)} modules, {name}", "none", ours, "KiB",
            "dexie.min.js + pouchdb.min.js" if libraries else "as written",
            theirs or sum(map(len, modules)) / 1024, 45, at_most=True,
        )  # fmt: skip
