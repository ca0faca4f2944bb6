from __future__ import annotations

import pytest

from ragen_actor.config import Upstream
from ragen_actor.errors import InvalidRequest
from ragen_actor.upstream.targets import passed_on, url_of

PATHS = Upstream().paths


@pytest.mark.parametrize(
    "tail",
    [
        "chat/completions",
        "chat/completions/chatcmpl-1/messages",
        "models",
        "models/gpt-4o",
        "models/meta-llama%2FLlama-3",
        "models/ft:gpt-4o:acme::1",
        "files/file-1/content",
        "audio/speech",
        "files/a..b",
    ],
)
def test_what_is_allowed_is_passed_on_as_it_was_written(tail: str) -> None:
    assert passed_on(f"/v1/{tail}", PATHS) == tail


@pytest.mark.parametrize(
    "path",
    [
        "/v1/chat",
        "/v1/chat/completionsx",
        "/v1/modelsx",
        "/v1/threads",
        "/v1/threads/../models",
        "/v1/models/",
        "/v1/models//x",
        "//v1/models",
        "/v1//models",
        "/models",
        "/v2/models",
        "/v1/models/.",
        "/v1/models/..",
        "/v1/models/../admin",
        "/v1/models/%2e%2e/admin",
        "/v1/models/%2E%2e%2Fadmin",
        "/v1/models/%252e%252e/admin",
        "/v1/models/%25252525252e",
        "/v1/models/..%2fadmin",
        "/v1/models/..%5cadmin",
        "/v1/models/x%5c..%5cadmin",
        "/v1/models/..;a=b/admin",
        "/v1/models/.;/admin",
        "/v1/models/%20..%20/admin",
        "/v1/models/%c0%ae%c0%ae/admin",
        "/v1/models/%2f%2fadmin",
        "/v1/models/x%00",
        "/v1/models/x%0d%0aX-Header:1",
        "/v1/models/x y",
        "/v1/models\\..\\admin",
        "/v1/models/x#y",
        "/v1/models/\u00e4",
        "/v1/chat%2fcompletions",
        "/v1/%6dodels",
        "/V1/models",
    ],
)
def test_what_could_lead_elsewhere_is_not(path: str) -> None:
    assert passed_on(path, PATHS) is None


def test_the_url_is_the_upstreams_address_and_what_was_sent() -> None:
    url = url_of("https://host:8/prefix/v1", "models/a%2Fb", "q=%20&x[]=%2f?")

    assert str(url) == "https://host:8/prefix/v1/models/a%2Fb?q=%20&x[]=%2f?"
    assert url.raw_path_qs == "/prefix/v1/models/a%2Fb?q=%20&x[]=%2f?"


@pytest.mark.parametrize("query", ["a b", "a#b", "\u00e4", "a\tb", "a\udcff"])
def test_a_query_that_no_url_holds_is_refused(query: str) -> None:
    with pytest.raises(InvalidRequest, match="percent-encoded"):
        url_of("http://host/v1", "models", query)
