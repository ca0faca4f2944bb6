from __future__ import annotations

import re
from hashlib import sha256

from tests.server_process import ROOT

VENDOR = ROOT / "ragen_actor/dashboard/assets/vendor"


def test_what_is_vendored_is_what_was_published_with_its_licence() -> None:
    listed = re.findall(r"^([0-9a-f]{64})  (\S+)$", (VENDOR / "VERSIONS.txt").read_text(), re.M)
    assert {name for _, name in listed} == {path.name for path in VENDOR.glob("*.mjs")}
    for digest, name in listed:
        assert sha256((VENDOR / name).read_bytes()).hexdigest() == digest
        assert "icense" in (VENDOR / name).with_suffix(".LICENSE.txt").read_text()
