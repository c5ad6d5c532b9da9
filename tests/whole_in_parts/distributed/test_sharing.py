from pathlib import Path


def test_each_sample_is_evaluated_once_and_comes_in_order_whatever_their_number(torchrun):
    torchrun(3, str(Path(__file__).with_name("sharing.py")))
