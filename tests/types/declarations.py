"""Types of the browser SDK: `make types` checks them, and writes realm.d.ts for those whose pages are TypeScript.

    python -m tests.types.declarations

TypeScript reads the types from the comments of the modules, checks the modules (tsconfig.json) and makes declarations;
here these get names that do not collide with a page's own modules, and what JavaScript cannot declare. The first line
has the hash of the modules, so that tests/test_types.py notices without Node when the file is out of date.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

TYPESCRIPT = "5.9.3"
ROOT = Path(__file__).resolve().parent.parent.parent
SDK = ROOT / "realm_sync" / "static" / "realm_sync"
DECLARATIONS = SDK / "realm.d.ts"
INSTALLED = ROOT / "var" / "types"
"""Where TypeScript is put; never committed."""
SAMPLE = Path(__file__).with_name("sample.ts")

INDEXED = {
    "OrderedCollection<T = any>": "[index: number]: T;",
    "Dictionary<T = any>": "[key: string]: any;",
    "BaseSet": "[index: number]: Subscription;",
}
"""Class → its index signature, for which JavaScript's comments have no words."""


def sources_hash() -> str:
    """Of all modules and of this one."""
    digest = hashlib.sha256(Path(__file__).read_bytes())
    for path in sorted(SDK.rglob("*.js")):
        digest.update(path.relative_to(SDK).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def compiler() -> list[str]:
    node, npm = shutil.which("node"), shutil.which("npm")
    if not node or not npm:
        sys.exit("make types needs Node.js with npm on PATH: install it, or leave types to somebody who has it.")
    tsc = INSTALLED / "node_modules" / "typescript" / "bin" / "tsc"
    version = tsc.parent.parent / "package.json"
    if not version.exists() or json.loads(version.read_text())["version"] != TYPESCRIPT:
        INSTALLED.mkdir(parents=True, exist_ok=True)
        quiet = ["--no-save", "--no-package-lock", "--no-audit", "--no-fund", "--loglevel=error"]
        run([npm, "install", *quiet, "--prefix", str(INSTALLED), f"typescript@{TYPESCRIPT}"])
    return [node, str(tsc)]


def run(command: list[str]) -> None:
    done = subprocess.run(command, cwd=ROOT, check=False)
    if done.returncode:
        sys.exit(done.returncode)


def finished(text: str) -> str:
    """TypeScript's declarations, as modules below `realm/`, with index signatures and the hash."""
    text = re.sub(r'"(?:\./)?((?:core|client)/\w+)(?:\.js)?"', r'"realm/\1"', text)
    for name, signature in INDEXED.items():
        text, count = re.subn(rf"(class {re.escape(name)} \{{\n)", rf"\1        {signature}\n", text)
        assert count == 1, f"there is no class {name} any more"
    head = f"// Made by `make types` of the modules beside it, sha256 {sources_hash()}. Not to be edited.\n"
    return head + text


def main() -> None:
    tsc = compiler()
    made = INSTALLED / "realm.d.ts"
    emit = ["--noEmit", "false", "--noEmitOnError", "--declaration", "--emitDeclarationOnly"]
    bundle = ["--module", "amd", "--moduleResolution", "node10", "--outFile", str(made)]
    run([*tsc, "-p", "tsconfig.json", *emit, *bundle])
    DECLARATIONS.write_text(finished(made.read_text()))
    strict = ["--strict", "--noEmit", "--target", "ES2022", "--module", "ES2022", "--moduleResolution", "bundler"]
    run([*tsc, *strict, "--lib", "ES2022,DOM,DOM.Iterable", str(DECLARATIONS), str(SAMPLE)])


if __name__ == "__main__":
    main()
