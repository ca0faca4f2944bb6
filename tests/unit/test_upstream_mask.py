from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ragen_actor.upstream.mask import Mask, masked

SECRET = b"abab-abac"


@given(st.lists(st.sampled_from([SECRET, SECRET[:4], SECRET[5:], b"ab", b"x", b""])), st.data())
def test_however_it_is_cut_the_secret_becomes_asterisks_and_nothing_else_changes(
    parts: list[bytes], data: st.DataObject
) -> None:
    whole = b"".join(parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)))))
    mask = Mask(SECRET)

    got = b"".join(
        mask.feed(whole[start:end])
        for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)
    )

    assert got + mask.rest() == whole.replace(SECRET, b"*" * len(SECRET))


def test_nothing_is_held_back_that_cannot_be_the_secret() -> None:
    assert Mask(SECRET).feed(b"data: 1\n\n") == b"data: 1\n\n"
    assert Mask(b"").feed(b"anything") == b"anything"


def test_a_text_for_the_log_is_one_bounded_line_without_the_secret() -> None:
    assert masked("a\nb " + "s3cret " + "x" * 999, "s3cret") == "a b *** " + "x" * 292
