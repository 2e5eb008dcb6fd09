from __future__ import annotations

from soundsep.models import build_network


def test_aclnet_has_as_many_weights_as_its_abstract_says():
    matrices = [p for p in build_network("aclnet-0.5", 50).parameters() if p.ndim > 1]
    assert round(sum(p.numel() for p in matrices), -3) == 155_000
