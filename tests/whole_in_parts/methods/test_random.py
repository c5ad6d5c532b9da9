"""No pretraining."""

from tests.every_method import VIEW
from tests.whole_in_parts.methods.examples import made


def test_no_view_is_asked_for_and_there_is_nothing_but_the_backbone(small):
    random = made(small, "random")
    assert random.crops([VIEW, VIEW], 8) == []
    assert {name.split(".")[0] for name, _ in random.named_parameters()} == {"backbone"}
