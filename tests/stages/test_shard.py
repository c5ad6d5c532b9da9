"""The stage itself; `images/test_shards.py` has what it packs."""

import io

import numpy as np
from PIL import Image

from stages import program
from stages.images.shards import Shards
from stages.shard import shard
from stages.sources import digits


def test_both_splits_of_a_fetched_dataset_are_packed_in_shards_of_the_given_length(small, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = small.datasets["digits"]
    with program.whole("fetch", "digits") as directory:
        digits.fetch(options.source, directory)
    with program.whole("shard", "digits") as directory:
        shard(small, "digits", directory)
    content = digits.read(options.source, program.result("fetch", "digits"))
    for split, samples in content.splits.items():
        packed = program.result("shard", "digits") / split
        assert len(list(packed.glob("*.tar"))) == -(-len(samples) // options.samples_per_shard)
        read = Shards(packed)
        found = [int(key) for key in read.keys]
        assert sorted(found) == list(range(len(samples)))
        np.testing.assert_array_equal(read.labels, samples.labels[found])
        for number in (0, len(samples) - 1):
            pixels = np.asarray(Image.open(io.BytesIO(read[number])))
            np.testing.assert_array_equal(pixels, samples.pixels[found[number]])
