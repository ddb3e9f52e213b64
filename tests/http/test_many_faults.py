"""Documents made to take long: refused before they do."""

from __future__ import annotations

from time import process_time

import pytest

from jobledger.http.document import BodyTooLargeError
from jobledger.http.members import MOST_FAULTS, Members, text
from jobledger.http.xml_attributes import MOST_ATTRIBUTES
from jobledger.http.xml_document import plain, read_xml
from jobledger.ledger.errors import InvalidCommandError


def test_of_many_faults_the_first_are_told_and_no_more_is_looked_at() -> None:
    class Body(dict[str, int]):
        looked_at = 0

        def items(self):  # type: ignore[no-untyped-def]  # as the one it stands for
            for item in super().items():
                self.looked_at += 1
                yield item

    body = Body({f"m{number}": number for number in range(10_000)})

    with pytest.raises(InvalidCommandError) as refused:
        Members({"name": text(64)}).read(body)

    assert len(refused.value.facts["errors"]) == MOST_FAULTS
    assert body.looked_at <= MOST_FAULTS + 1


@pytest.mark.parametrize(
    "encoding", ["utf-8", *(pytest.param(it, marks=pytest.mark.slow) for it in ("utf-16", "utf-16-le", "utf-16-be"))]
)
@pytest.mark.parametrize("quote", ['"', "'"])
def test_an_element_of_many_attributes_is_refused_before_it_is_parsed(encoding: str, quote: str) -> None:
    attributes = " ".join(f"a{number} = {quote}>\u3c3c{quote}" for number in range(300_000))
    began = process_time()

    with pytest.raises(BodyTooLargeError, match="attributes"):
        read_xml(f"<job><b/><c {attributes}/></job>".encode(encoding))

    assert process_time() - began < 1


def test_texts_full_of_assignments_are_texts() -> None:
    said = "a='1' b=\"2\" " * 5_000
    attributes = " ".join(f"a{number}='{number}'" for number in range(MOST_ATTRIBUTES))

    assert plain(read_xml(f"<job><log>{said}</log></job>".encode())[1]) == {"log": said}
    assert len(read_xml(f"<job {attributes}/>".encode())[1]) == MOST_ATTRIBUTES
