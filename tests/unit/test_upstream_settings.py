from __future__ import annotations

from pathlib import Path

import pytest

from ragen_actor.config import ConfigError, Upstream, load_config
from ragen_actor.upstream import api_key, warnings

KEY = "sk-upstream-0123456789"


def refusal(environ: dict[str, str]) -> str:
    with pytest.raises(ConfigError) as caught:
        load_config(None, environ)
    return str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://127.0.0.1:8081/v1",
        "https://api.openai.com/v1",
        "https://gateway.example/team/openai/v1/",
        "http://[::1]:11434/v1",
    ],
)
def test_an_address_of_an_upstream_is_taken(url: str) -> None:
    assert load_config(None, {"RAGEN_UPSTREAM_BASE_URL": url}).upstream.base_url == url


@pytest.mark.parametrize(
    "url",
    [
        "api.openai.com/v1",
        "ftp://host/v1",
        "https://user:secret@host/v1",
        "https://host/v1?key=1",
        "https://host/v1#x",
        "https://host/a b",
        "https://host//v1",
    ],
)
def test_what_is_no_address_is_refused(url: str) -> None:
    text = refusal({"RAGEN_UPSTREAM_BASE_URL": url})
    assert "must be an address of http or https, or nothing" in text


@pytest.mark.parametrize(
    "path", ["threads", "threads/x", "assistants", "/models", "a/../b", "a//b", ""]
)
def test_no_path_of_ours_and_none_that_is_not_plain_is_passed_on(path: str) -> None:
    listed = path or ","
    if path:
        assert "without threads" in refusal({"RAGEN_UPSTREAM_PATHS": listed})
    else:
        assert load_config(None, {"RAGEN_UPSTREAM_PATHS": listed}).upstream.paths == ()


def test_the_tiers_of_generation_are_those_of_all_else(tmp_path: Path) -> None:
    file = tmp_path / "some.toml"
    file.write_text("[tiers]\ngold = 600\n[generation_tiers]\ngold = 90\n")
    config = load_config(file, {"RAGEN_GENERATION_TIERS_DEFAULT": "60"})
    assert config.generation_tiers == {"default": 60, "unlimited": 0, "gold": 90}
    assert config.tiers == {"default": 20, "unlimited": 0, "gold": 600}

    file.write_text("[generation_tiers]\ngold = 90\n")
    with pytest.raises(ConfigError, match=r"\[generation_tiers\] gold: no tier is called so"):
        load_config(file, {})


def test_the_key_comes_from_the_environment() -> None:
    assert api_key("OPENAI_API_KEY", {"OPENAI_API_KEY": f"{KEY}\n"}) == KEY
    assert api_key("", {}) == ""


@pytest.mark.parametrize(
    "environ", [{}, {"K": ""}, {"K": " "}, {"K": f"{KEY} {KEY}"}, {"K": "\u00e4"}]
)
def test_a_key_that_is_missing_or_none_is_refused_without_showing_it(
    environ: dict[str, str],
) -> None:
    with pytest.raises(ConfigError, match="environment variable K") as caught:
        api_key("K", environ)
    assert KEY not in str(caught.value)


def test_an_operator_is_told_what_was_hardly_meant() -> None:
    def told(url: str) -> str:
        return " ".join(warnings(Upstream(base_url=url, api_key_env="K")))

    assert told("") == told("https://host/v1") == told("http://127.0.0.1:1/v1/") == ""
    assert "does not end in /v1" in told("https://host")
    assert "unencrypted" in told("http://host/v1")
