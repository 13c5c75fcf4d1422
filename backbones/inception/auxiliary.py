"""A Keras model with auxiliary heads, which exist for training alone."""

from __future__ import annotations

from typing import Any

import keras

from backbones.inception.spec import GoogLeNetSpec
from backbones.inception.spec_v3 import InceptionV3Spec


def with_heads(
    spec: GoogLeNetSpec | InceptionV3Spec, images: Any, logits: Any, heads: list[Any]
) -> keras.Model:
    """A model that gives the logits and, in training, those of each head; without heads, a plain one.

    Shape:
        Images N x H x W x C; logits and each head N x num_classes.
    """
    if not heads:
        return keras.Model(images, logits, name=spec.name)
    outputs = [logits, *heads]
    return WithAuxiliary(images, outputs, auxiliary_weight=spec.auxiliary_weight, name=spec.name)


@keras.saving.register_keras_serializable(package="backbones")
class WithAuxiliary(keras.Model):
    """In training it gives the logits and those of each head, in evaluation the logits alone.

    `fit` works as for any model: the loss is the main head's plus `auxiliary_weight` times each other head's
    (Szegedy et al. 2014, Section 5), each as Keras works it out; metrics look at the main head alone.

    Args:
        *args: As for `keras.Model`: the images, and a list of the logits and those of each head.
        auxiliary_weight: What the loss of each auxiliary head counts.
        **kwargs: As for `keras.Model`.

    Examples:
        >>> import numpy as np
        >>> from backbones import create_model
        >>> net = create_model("googlenet", "tensorflow", num_classes=10, input_size=96)
        >>> images = np.zeros((1, 96, 96, 3), np.float32)
        >>> len(net(images, training=True)), tuple(net(images).shape)
        (3, (1, 10))
    """

    # `*args` and `**kwargs` tell Keras that it may build the model from a file as it does its own. The default is the
    # paper's (Section 5), for `keras.models.clone_model`, which hands on inputs and outputs alone.
    def __init__(
        self, *args: Any, auxiliary_weight: float = GoogLeNetSpec.auxiliary_weight, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.auxiliary_weight = auxiliary_weight

    def get_config(self) -> dict[str, Any]:
        """What a `.keras` file holds of it."""
        return {**super().get_config(), "auxiliary_weight": self.auxiliary_weight}

    def call(self, inputs, training=False, mask=None):
        """N x H x W x C -> N x classes; in training, a tuple of such."""
        outputs = super().call(inputs, training=training, mask=mask)
        return tuple(outputs) if training else outputs[0]

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """The sum of all heads' losses, the auxiliary ones weighted."""
        logits, *heads = y_pred if isinstance(y_pred, tuple) else (y_pred,)
        loss = super().compute_loss(x, y, logits, sample_weight, training)
        # What regularises the weights is in Keras's loss each time, and counts once.
        penalties = sum(self.losses)
        for head in heads:
            of_head = super().compute_loss(x, y, head, sample_weight, training) - penalties
            loss = loss + self.auxiliary_weight * of_head
        return loss

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        """Those of the main head."""
        return super().compute_metrics(
            x, y, y_pred[0] if isinstance(y_pred, tuple) else y_pred, sample_weight
        )
