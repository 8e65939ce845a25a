"""The browser tells on pages: what they log, what they ask for, what axe finds."""

from browser import Opened, violations

PAGE = '<!doctype html><html lang="en"><title>A page</title><main><h1>A page</h1>{}</main>'


def test_a_quiet_page(opened: Opened) -> None:
    page = opened(PAGE.format("<p>It has one paragraph.</p>"), fragment="#here")
    assert page.inner_text("p") == "It has one paragraph."
    assert violations(page) == []


def test_what_pages_may_not_do(opened: Opened) -> None:
    asks = '<img alt="" src="https://example.invalid/x.png">'
    fails = "<script>console.error('oh'); setTimeout(() => { throw new Error('no') })</script>"
    page = opened(PAGE.format(asks + fails))
    page.wait_for_timeout(50)
    found = "\n".join(opened.complaints)
    opened.complaints.clear()
    assert "request: https://example.invalid/x.png" in found
    assert "error: oh" in found
    assert "error: no" in found


def test_axe_finds_a_control_without_a_name(opened: Opened) -> None:
    (found,) = violations(opened(PAGE.format("<button></button>")))
    assert found.startswith("button-name")
