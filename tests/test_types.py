"""The declarations of the browser SDK belong to its modules. Checked by hash, for only `make types` needs Node."""

from __future__ import annotations

import re
import subprocess
import sys

from tests.servers import ROOT
from tests.types.declarations import DECLARATIONS, sources_hash

TEXT = DECLARATIONS.read_text()


def test_the_declarations_were_made_of_these_modules() -> None:
    found = re.match(r"// Made by `make types` .* sha256 ([0-9a-f]{64})\.", TEXT)
    assert found and found[1] == sources_hash(), (
        "realm.d.ts was made of other modules than those beside it: run `make types` (it needs npm) and commit both"
    )


def test_pages_import_one_module_and_the_others_are_below_it() -> None:
    names = re.findall(r'^declare module "(.*)" \{$', TEXT, re.M)
    assert "realm" in names and len(names) == len({*DECLARATIONS.parent.rglob("*.js")})
    assert all(name == "realm" or name.startswith("realm/") for name in names)
    code = re.sub(r"/\*.*?\*/", "", TEXT, flags=re.S)
    assert set(re.findall(r'\b(?:from |import\()"(.*?)"', code)) <= set(names)


def test_without_npm_a_sentence_says_what_is_needed() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.types.declarations"],
        cwd=ROOT,
        env={"PATH": "", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode and "make types needs Node.js" in done.stderr and "Traceback" not in done.stderr
