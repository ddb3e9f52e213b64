"""Which form an answer takes, by what ``Accept`` says; and that nothing is done where none can be given."""

from __future__ import annotations

from time import monotonic
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobledger.http.negotiation import CSV, JSON, NDJSON, XML, Form, accepted, preferred
from tests.http.serving import Api, Server
from tests.http.targets import TARGETS
from tests.http.trial import Trial

VENDOR = [Form("xml", "application/vnd.x.jobs+xml", MappingProxyType({"version": it})) for it in "321"]


@pytest.mark.parametrize(
    ("header", "form"),
    [
        (None, JSON),
        ("", JSON),
        ("*/*", JSON),
        ("application/*", JSON),
        ("application/xml", XML),
        ("text/xml", XML),
        ("APPLICATION/XML", XML),
        ("application/xml;q=0.5, application/json;q=0.4", XML),
        ("application/json, application/xml", JSON),
        ("application/xml, application/json", JSON),
        ("text/html, application/xml;q=0.9, */*;q=0.8", XML),
        ("application/json;q=0, */*", XML),
        ("application/xml, */*", XML),
        ("*/*, application/xml", XML),
        ("*/*, text/*", XML),
        ("application/*;q=0.2, application/xml;q=0.1", JSON),
        ("text/*", XML),
        ("application/xml; charset=UTF-8", XML),
        ('application/xml; charset="UTF-8" ; q=1.000', XML),
        ("application/json;q=0", None),
        ("text/html", None),
        ("application/json;version=2", JSON),
        ("application/json; indent=4", JSON),
        ("application/xml;q=0.5;level=1, text/html", XML),
        ("application/json;indent=4;q=0, application/xml", XML),
        ("*/*;q=0", None),
        ("application/xml;q=0, text/xml", XML),
        # What is malformed is passed over; where nothing is left, nothing was said.
        ("nonsense", JSON),
        ("application/xml;q=2", JSON),
        ("application/xml;q=-1", JSON),
        ("application/xml;;q", JSON),
        (",,,", JSON),
        ("application/xml;q=0.5.5, application/json;q=0.1", JSON),
        ("é, application/xml", XML),
        ("text/html;q=x, application/xml", XML),
        ('application/xml;a="x,y";q=1, text/html', XML),
        ('text/html;a="x,application/xml";q=1', None),
        ('application/json;a="\\"', JSON),
    ],
)
def test_the_form_that_is_preferred(header: str | None, form: Form | None) -> None:
    assert preferred(header, (JSON, XML)) is form


@pytest.mark.parametrize(
    ("header", "version"),
    [
        ("application/vnd.x.jobs+xml", "3"),
        ("application/vnd.x.jobs+xml;version=2", "2"),
        ('application/vnd.x.jobs+xml; VERSION="1"', "1"),
        ("application/vnd.x.jobs+xml;charset=UTF-8;q=0.5;version=2", "2"),
        ("application/vnd.x.jobs+xml;version=4", None),
        ("application/vnd.x.jobs+xml;version=2, application/vnd.x.jobs+xml;q=0.1", "2"),
        ("application/vnd.x.jobs+xml;version=2;q=0", None),
        ("application/vnd.x.jobs+xml;version=3;q=0, application/vnd.x.jobs+xml", "2"),
    ],
)
def test_a_version_is_told_by_its_parameter(header: str, version: str | None) -> None:
    form = preferred(header, VENDOR)

    assert (None if form is None else form.parameters["version"]) == version


def test_a_form_that_a_parameter_names_is_preferred_to_one_that_passes_it_over() -> None:
    later = Form("json", "application/json", MappingProxyType({"version": "2"}))

    assert preferred("application/json;version=2", (JSON, later)) is later
    assert preferred("application/json;version=3", (JSON, later)) is JSON


@given(st.text(st.sampled_from('abc/*;=",\\ q01.+\t'), max_size=60))
def test_no_header_is_too_odd(header: str) -> None:
    """Whatever it says, it is understood or passed over."""
    assert preferred(header, (JSON, XML)) in (JSON, XML, None)


@given(st.permutations(["application/json;q=0.3", "application/xml;q=0.7", "text/csv;q=0.5", "*/*;q=0.1"]))
def test_the_order_of_what_is_accepted_says_nothing(elements: list[str]) -> None:
    assert preferred(",".join(elements), (JSON, CSV, XML, NDJSON)) is XML


@pytest.mark.parametrize(
    "header", ['"' * 8000, '"\\' * 4000, ";" * 8000, "a/b;" + '"\\' * 4000, "a/b," * 2000, ' "a' * 2500]
)
def test_a_header_made_to_take_long_does_not(header: str) -> None:
    begun = monotonic()

    accepted(header)

    assert monotonic() - begun < 1


async def test_what_cannot_be_answered_is_not_done(trial: Trial) -> None:
    """406 comes before anything is changed, in its dialect's document all the same."""
    for target in TARGETS:
        await trial.expect(target, 406, headers={"Accept": "image/png"})


async def test_what_is_wrong_otherwise_is_told_whatever_is_accepted(trial: Trial) -> None:
    """No error is refused for its form."""
    for accept in ("text/html", "*/*;q=0", "nonsense"):
        await trial.expect(TARGETS[0], 401, headers={"Authorization": "", "Accept": accept})
        await trial.expect(TARGETS[0], 405, method="DELETE", headers={"Accept": accept})
        await trial.expect(
            TARGETS[0], 404, method="GET", url=f"{trial.server.url}{TARGETS[0].path}/no/no", headers={"Accept": accept}
        )


async def test_errors_come_as_xml_to_those_who_prefer_it(server: Server, api: Api) -> None:
    for method, path, status in (("GET", "nowhere", 404), ("DELETE", "jobs", 405), ("GET", "jobs/7", 404)):
        reply = await api.send(method, api.path(path), headers={"Accept": "application/xml"})

        assert reply.status == status
        assert reply.headers["Content-Type"] == "application/problem+xml"
        assert reply.body.startswith(
            b'<?xml version="1.0" encoding="UTF-8"?>\n<problem xmlns="urn:ietf:rfc:7807"><type>'
        )
        assert f"<status>{status}</status>".encode() in reply.body
    nobody = await server.api().get("jobs", headers={"Accept": "text/xml;q=0.5, text/html"})
    assert (nobody.status, nobody.headers["Content-Type"]) == (401, "application/problem+xml")
    assert nobody.headers["WWW-Authenticate"]
