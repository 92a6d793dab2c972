"""Averaged weights: what is validated, previewed and kept of a network in training."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import torch
from torch import Tensor, nn

VECTORS = ("weight_u", "weight_v")
State = dict[str, dict[str, Tensor]]


class Averages:
    """Exponential moving averages of the weights of some networks.

    Attributes
    ----------
    networks
        In inference mode, by name. With ``decay=0`` the networks themselves, not copies.
    """

    def __init__(self, networks: Mapping[str, nn.Module], decay: float) -> None:
        self._live, self._decay = networks, decay
        self.networks: Mapping[str, nn.Module] = networks
        if decay:
            self.networks = {
                name: copy.deepcopy(network).eval().requires_grad_(False)
                for name, network in networks.items()
            }

    def update(self, step: int) -> None:
        """Take in the weights after so many steps."""
        if not self._decay:
            return
        # The usual correction: early on, average over the steps there have been.
        decay = min(self._decay, (1 + step) / (10 + step))
        with torch.no_grad():
            for name, average in self.networks.items():
                new = self._live[name].state_dict()
                for key, value in average.state_dict().items():
                    # Vectors of spectral norm have length 1, which their averages have not.
                    if value.is_floating_point() and not key.endswith(VECTORS):
                        value.lerp_(new[key], 1 - decay)
                    else:
                        value.copy_(new[key])

    def copied(self) -> State:
        """The averaged weights as they are now."""
        return {
            name: {key: value.clone() for key, value in network.state_dict().items()}
            for name, network in self.networks.items()
        }

    def state_dict(self) -> State:
        """What is kept beside the networks' own weights."""
        return states(self.networks) if self._decay else {}

    def load_state_dict(self, state: Mapping[str, Mapping[str, Tensor]]) -> None:
        """Take up what `state_dict` or `copied` gave."""
        for name, weights in state.items():
            self.networks[name].load_state_dict(weights)


def states(networks: Mapping[str, nn.Module]) -> State:
    """The weights of each network."""
    return {name: network.state_dict() for name, network in networks.items()}
