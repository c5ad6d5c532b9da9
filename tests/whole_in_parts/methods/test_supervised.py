"""Cross-entropy on the labels of one view."""

import torch

from tests.every_method import VIEW
from tests.whole_in_parts.methods.examples import EXACT, batch, made


def test_the_loss_is_the_mean_cross_entropy_of_the_labels(small):
    supervised, given = made(small, "supervised"), batch()._replace(labels_B=torch.tensor([3, 0, 9, 9, 1, 4]))
    logits_BK = supervised.classifier(supervised.backbone(given.views[0]).global_BD)
    terms = [
        torch.logsumexp(logits_K, 0) - logits_K[label]
        for logits_K, label in zip(logits_BK, given.labels_B, strict=True)
    ]
    torch.testing.assert_close(supervised(given).losses["classification"], sum(terms) / 6, **EXACT)


def test_one_view_is_asked_for_and_the_classifier_has_the_classes(small):
    supervised = made(small, "supervised")
    assert len(supervised.crops([VIEW, VIEW], 8)) == 1
    assert supervised.classifier.weight.shape == (10, 32)
