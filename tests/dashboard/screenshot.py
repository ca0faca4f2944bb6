"""Make a picture of the dashboard: `python -m tests.dashboard.screenshot docs/dashboard.png`."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import Page, ViewportSize, sync_playwright

from tests.dashboard.conftest import with_key
from tests.dashboard.visitor import Visitor
from tests.server_process import ServerProcess
from tests.wire.http_call import Api

SIZE = ViewportSize(width=1280, height=800)
TITLES = [
    "Gift card balance",
    "Kitchen delivery in March",
    "Holiday opening hours",
    "كيف يمكنني تتبع طلبي؟",
    "Invoice 2041",
    "Assembling the standing desk of the second series",
    "Refund for order 88-1199",
]
LOST = """\
The parcel was last scanned on Wednesday. After five days without a scan it counts as **lost**:

1. A new lamp leaves our warehouse tomorrow.
2. If the first one comes after all, keep it.
"""
STATE = """\
Yes, with one request:

```python
for message in client.beta.threads.messages.list(thread_id):
    print(message.role, message.content[0].text.value)
```

| state | meaning |
|---|---|
| `sent` | on its way |
| `lost` | a new one is sent |
"""
TURNS = [
    ("user", "I ordered a reading lamp on Monday, and it has not come. The order is `88-1204`."),
    ("assistant", LOST),
    ("user", "Thank you! Can our shop's system read that by itself?"),
    ("assistant", STATE),
]


def fill(server: ServerProcess) -> str:
    """Write threads as a shop may have them; return the one to open."""
    api = Api(server, server.key)
    visitor = Visitor(server.port).sign_in(server.key)
    for title in TITLES:
        api.new_thread(title=title)
    words = [{"role": "user", "content": "Nobody reads this on the disk."}]
    visitor.made(
        "POST", "/threads?encrypted=true", {"title": "Contract of L. M.", "messages": words}
    )
    api.new_thread(messages=[{"role": "user", "content": "Where do I find the manual of my oven?"}])
    turns = [{"role": role, "content": content} for role, content in TURNS]
    thread = api.new_thread(
        title="The lamp that never came", metadata={"channel": "shop"}, messages=turns
    )
    return str(thread["id"])


def take(server: ServerProcess, thread: str, target: Path) -> None:
    """Photograph a thread."""
    path = shutil.which("chromium")
    assert path, "this needs Chromium: apt-get install chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path)
        page: Page = browser.new_page(viewport=SIZE, color_scheme="light", locale="en-GB")
        page.goto(f"http://127.0.0.1:{server.port}/dashboard/threads/{thread}")
        page.get_by_label("API key").fill(server.key)
        page.get_by_role("button", name="Sign in").click()
        page.locator("body[data-ready] .text pre").wait_for()
        page.screenshot(path=target)
        browser.close()


if __name__ == "__main__":
    with TemporaryDirectory() as folder:
        process = ServerProcess(Path(folder) / "data", config=with_key(Path(folder)))
        process.start()
        take(process, fill(process), Path(sys.argv[1]))
        process.close()
