"""Two faults of a widely read tutorial's FlexMatch, on purpose, so that they can be seen. Never on unless asked for.

    mask by class number:        mask_b = 1 if max q_k >= T_k with k = argmax q_b      right: max q_b >= T_argmax(q_b)
    confidence as mask rate:     mask rate = mean of max q_b                           right: mean of mask_b

The first looks up the confidence by class number, as if it were a position in the batch: every image that is
taken for a 3 is judged by the confidence of image number 3, whatever that shows. The second trains rightly and reports
wrongly. Nothing else differs from `flexmatch.py`; the tutorial's own way of counting is not repeated here.
"""

from __future__ import annotations

from torch import Tensor, nn

from sslcore.clock import Number
from sslcore.methods.base import Batch, StepOutput
from sslcore.methods.flexmatch import FlexMatch


class MaskByClassNumber(FlexMatch):
    def keep(self, confidence: Tensor, targets_u: Tensor) -> Tensor:
        """Return who is kept, (n,) bool, judged by image number `targets_u` of the batch; its last where it has fewer."""
        position = targets_u.clamp(max=len(confidence) - 1)
        return confidence[position] >= self.thresholds(self.counts())[targets_u]


class ConfidenceAsMaskRate(FlexMatch):
    def step(self, model: nn.Module, batch: Batch, step: Number) -> StepOutput:
        """Return FlexMatch's own step with the mean confidence under the mask rate's name."""
        output = super().step(model, batch, step)
        return output._replace(metrics=output.metrics | {"train/mask_rate": output.metrics["train/confidence"]})


FAULTS: dict[str, type[FlexMatch]] = {
    "none": FlexMatch,
    "mask-by-class-number": MaskByClassNumber,
    "confidence-as-mask-rate": ConfidenceAsMaskRate,
}
