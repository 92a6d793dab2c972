"""Norms that do something, in networks that were not trained."""

from __future__ import annotations

import torch
from torch import nn


def with_statistics(network: nn.Module) -> nn.Module:
    """Give batch norms random weights and running statistics, in place; in evaluation mode."""
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(std=0.1)
                module.running_var.uniform_(0.5, 2)
                module.weight.uniform_(0.5, 1.5)
                module.bias.normal_(std=0.1)
    return network.eval()
