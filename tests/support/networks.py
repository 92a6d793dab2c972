"""Small networks that stand for what is published: every way to see far, or to see everything.

`EXACT` ones can be tiled exactly; `INEXACT` ones cannot, each with a word of the reason.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Fn(nn.Module):
    """A function as a module, with modules of its own."""

    def __init__(self, forward: Callable[..., Tensor], **modules: nn.Module) -> None:
        super().__init__()
        self.function = forward
        for name, module in modules.items():
            self.add_module(name, module)

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self, x)


def conv(a: int, b: int, k: int = 3, **options: object) -> nn.Conv2d:
    """A convolution that keeps the size, unless told otherwise."""
    return nn.Conv2d(a, b, k, **{"padding": k // 2, **options})


def unet(channels: int = 2, depth: int = 2, width: int = 4, norm: type = nn.BatchNorm2d):
    """Padded, with max pooling and transposed convolutions."""

    def block(a: int, b: int) -> nn.Sequential:
        return nn.Sequential(conv(a, b), norm(b), nn.ReLU(True), conv(b, b), norm(b), nn.ReLU(True))

    def forward(self: Fn, x: Tensor) -> Tensor:
        skips = []
        for level, down in enumerate(self.down):
            x = down(F.max_pool2d(x, 2) if level else x)
            skips.append(x)
        skips.pop()
        for up, merge in zip(self.up, self.merge, strict=True):
            x = merge(torch.cat([up(x), skips.pop()], 1))
        return torch.sigmoid(self.last(x))

    widths = [width * 2 ** min(level, 2) for level in range(depth + 1)]
    pairs = list(zip(widths[:0:-1], widths[-2::-1], strict=True))
    return Fn(
        forward,
        down=nn.ModuleList(block(a, b) for a, b in zip([channels, *widths], widths, strict=False)),
        up=nn.ModuleList(nn.ConvTranspose2d(a, b, 2, 2) for a, b in pairs),
        merge=nn.ModuleList(block(2 * b, b) for _, b in pairs),
        last=nn.Conv2d(width, 1, 1),
    )


def resnet(channels: int = 2, width: int = 4, blocks: int = 2, norm: type = nn.InstanceNorm2d):
    """CycleGAN's generator: reflection padding, strided and transposed convolutions."""

    def block() -> nn.Sequential:
        w = 4 * width
        half = [nn.ReflectionPad2d(1), nn.Conv2d(w, w, 3), norm(w), nn.ReLU(True)]
        return nn.Sequential(*half, nn.ReflectionPad2d(1), nn.Conv2d(w, w, 3), norm(w))

    head = [nn.ReflectionPad2d(3), nn.Conv2d(channels, width, 7), norm(width), nn.ReLU(True)]
    for a, b in ((width, 2 * width), (2 * width, 4 * width)):
        head += [nn.Conv2d(a, b, 3, 2, 1), norm(b), nn.ReLU(True)]
    tail = []
    for a, b in ((4 * width, 2 * width), (2 * width, width)):
        tail += [nn.ConvTranspose2d(a, b, 3, 2, 1, 1), norm(b), nn.ReLU(True)]
    tail += [nn.ReflectionPad2d(3), nn.Conv2d(width, 1, 7), nn.Tanh()]

    def forward(self: Fn, x: Tensor) -> Tensor:
        x = self.head(x)
        for body in self.blocks:
            x = x + body(x)
        return self.tail(x)

    bodies = nn.ModuleList(block() for _ in range(blocks))
    return Fn(forward, head=nn.Sequential(*head), blocks=bodies, tail=nn.Sequential(*tail))


def mirror_unet(channels: int = 2, width: int = 4):
    """Unpadded, as in 2015, two levels."""

    def block(a: int, b: int) -> nn.Sequential:
        return nn.Sequential(nn.Conv2d(a, b, 3), nn.ReLU(), nn.Conv2d(b, b, 3), nn.ReLU())

    def forward(self: Fn, x: Tensor) -> Tensor:
        skip = self.down(x)
        if skip.shape[2] % 2 or skip.shape[3] % 2:
            raise ValueError("odd side before pooling")
        x = self.up(self.deep(F.max_pool2d(skip, 2)))
        top, left = ((a - b) // 2 for a, b in zip(skip.shape[2:], x.shape[2:], strict=True))
        skip = skip[:, :, top : top + x.shape[2], left : left + x.shape[3]]
        return self.last(self.merge(torch.cat([x, skip], 1)))

    return Fn(
        forward,
        down=block(channels, width),
        deep=block(width, 2 * width),
        up=nn.ConvTranspose2d(2 * width, width, 2, 2),
        merge=block(2 * width, width),
        last=nn.Conv2d(width, 1, 1),
    )


def attention_gate():
    """Attention U-Net's gate: a coarse map multiplies a fine one."""

    def forward(self: Fn, x: Tensor) -> Tensor:
        fine = self.fine(x)
        coarse = self.coarse(fine)
        gate = torch.sigmoid(self.gate(F.relu(self.theta(fine) + self.phi(coarse))))
        return self.last(fine * F.interpolate(gate, scale_factor=2, mode="bilinear"))

    return Fn(
        forward,
        fine=conv(2, 4),
        coarse=conv(4, 4, 3, stride=2),
        theta=nn.Conv2d(4, 4, 2, 2),
        phi=conv(4, 4, 1),
        gate=nn.Conv2d(4, 1, 1),
        last=conv(4, 1),
    )


def squeeze_excite():
    def forward(self: Fn, x: Tensor) -> Tensor:
        x = self.first(x)
        return self.last(x * torch.sigmoid(self.fc(x.mean((2, 3))))[..., None, None])

    return Fn(forward, first=conv(2, 4), fc=nn.Linear(4, 4), last=conv(4, 1))


def adalin():
    """U-GAT-IT's core: class-activation pooling, its classifier's weights, AdaLIN from an MLP."""

    def forward(self: Fn, x: Tensor) -> Tensor:
        x = self.first(x)
        pooled = F.adaptive_avg_pool2d(x, 1).flatten(1)
        average = x * next(self.gap_fc.parameters())[..., None, None]
        largest = F.adaptive_max_pool2d(x, 1).flatten(1)
        maximal = x * next(self.gmp_fc.parameters())[..., None, None]
        logit = self.gap_fc(pooled) + self.gmp_fc(largest)
        x = F.relu(self.join(torch.cat([average, maximal], 1))) + 0 * logit[..., None, None]
        style = self.mlp(F.adaptive_avg_pool2d(x, 1).flatten(1))
        gamma, beta = self.gamma(style)[..., None, None], self.beta(style)[..., None, None]
        inside = (x - x.mean((2, 3), keepdim=True)) / (x.var((2, 3), keepdim=True) + 1e-5).sqrt()
        across = (x - x.mean((1, 2, 3), keepdim=True)) / (
            x.var((1, 2, 3), keepdim=True) + 1e-5
        ).sqrt()
        x = (self.rho * inside + (1 - self.rho) * across) * gamma + beta
        return torch.tanh(self.last(x))

    network = Fn(
        forward,
        first=nn.Sequential(nn.ReflectionPad2d(1), nn.Conv2d(2, 4, 3), nn.InstanceNorm2d(4)),
        gap_fc=nn.Linear(4, 1, bias=False),
        gmp_fc=nn.Linear(4, 1, bias=False),
        join=nn.Conv2d(8, 4, 1),
        mlp=nn.Sequential(nn.Linear(4, 4), nn.ReLU()),
        gamma=nn.Linear(4, 4),
        beta=nn.Linear(4, 4),
        last=nn.Sequential(nn.ReflectionPad2d(3), nn.Conv2d(4, 1, 7)),
    )
    network.rho = nn.Parameter(torch.full((1, 4, 1, 1), 0.9))
    return network


def with_norm(norm: nn.Module):
    return nn.Sequential(conv(2, 4), norm, nn.ReLU(), conv(4, 1))


def dead_relu():
    network = nn.Sequential(conv(2, 4), nn.ReLU(), conv(4, 4, 5), nn.ReLU(), conv(4, 1))
    nn.init.constant_(network[0].bias, -100.0)
    return network


def zero_last():
    network = nn.Sequential(conv(2, 4, 5), nn.ReLU(), conv(4, 1))
    nn.init.zeros_(network[2].weight)
    nn.init.zeros_(network[2].bias)
    return network


def window_attention(side: int = 4):
    """Swin's attention within windows, not shifted: exact on a stride of the window's side."""

    def forward(self: Fn, x: Tensor) -> Tensor:
        x = self.first(x)
        b, c, h, w = x.shape
        parts = x.view(b, c, h // side, side, w // side, side)
        tokens = parts.permute(0, 2, 4, 3, 5, 1).reshape(-1, side * side, c)
        mixed = torch.softmax(tokens @ tokens.transpose(1, 2), -1) @ self.value(tokens)
        parts = mixed.view(b, h // side, w // side, side, side, c)
        return self.last(parts.permute(0, 5, 1, 3, 2, 4).reshape(b, c, h, w))

    return Fn(forward, first=conv(2, 4), value=nn.Linear(4, 4), last=conv(4, 1))


def convnext():
    """Channels last: layer norm and linear layers over channels."""

    def forward(self: Fn, x: Tensor) -> Tensor:
        x = self.stem(x)
        y = self.depthwise(x).permute(0, 2, 3, 1)
        y = self.narrow(F.gelu(self.wide(self.norm(y)))).permute(0, 3, 1, 2)
        return F.pixel_shuffle(self.last(x + y), 4)

    return Fn(
        forward,
        stem=nn.Conv2d(2, 8, 4, 4),
        depthwise=conv(8, 8, 7, groups=8),
        norm=nn.LayerNorm(8),
        wide=nn.Linear(8, 16),
        narrow=nn.Linear(16, 8),
        last=nn.Conv2d(8, 16, 1),
    )


def image_pooling():
    """DeepLab's branch: the image's mean, enlarged to its size again; dilated branches."""

    def forward(self: Fn, x: Tensor) -> Tensor:
        whole = F.interpolate(
            self.pooled(F.adaptive_avg_pool2d(x, 1)), x.shape[2:], mode="bilinear"
        )
        return self.last(torch.cat([self.near(x), self.far(x), whole], 1))

    return Fn(
        forward,
        near=conv(2, 4),
        far=nn.Conv2d(2, 4, 3, padding=6, dilation=6),
        pooled=nn.Conv2d(2, 4, 1),
        last=conv(12, 1),
    )


def activations():
    """Every activation; each is pointwise."""
    kinds = [
        nn.ELU, nn.SELU, nn.CELU, nn.GELU, nn.SiLU, nn.Mish, nn.PReLU, nn.Hardswish, nn.Softplus,
        nn.Hardtanh, nn.ReLU6, nn.Hardsigmoid, nn.LogSigmoid, nn.Softsign, nn.Tanhshrink,
        nn.Softshrink, nn.Hardshrink, nn.Threshold, nn.LeakyReLU, nn.RReLU,
    ]  # fmt: skip
    made = [kind(0.1, 0.0) if kind is nn.Threshold else kind() for kind in kinds]
    inplace = [nn.ELU(inplace=True), nn.SiLU(inplace=True), nn.Hardtanh(inplace=True)]
    tail = [nn.GLU(1), nn.Softmax(1), conv(2, 1)]
    return nn.Sequential(conv(2, 4), *made, conv(4, 4), *inplace, *tail)


def odds_and_ends():
    """Pointwise arithmetic, masks, channel statistics, slices and stacks."""

    def forward(self: Fn, x: Tensor) -> Tensor:
        y = self.first(x)
        mean = y.mean(1, keepdim=True)
        y = (y - mean) / ((y - mean).pow(2).mean(1, keepdim=True) + 1e-5).sqrt()
        y = y / y.norm(dim=1, keepdim=True).clamp_min(1e-3)
        y = torch.where(y > 0, y, 0.1 * y)
        y += torch.stack([y, -y]).amax(0)
        a, b = y.chunk(2, 1)
        y = torch.cat([torch.maximum(a, b), (a * b).clamp(-1, 1)], 1)
        even, odd = y[:, :, ::2], y[:, :, 1::2]
        y = torch.stack([odd, even], 3).flatten(2, 3)
        return self.last(y) + x.max(1, keepdim=True).values

    return Fn(forward, first=conv(2, 4), last=conv(4, 1))


def blur_pool():
    """Antialiased downsampling, asymmetric padding, even kernels, bicubic enlargement."""

    def forward(self: Fn, x: Tensor) -> Tensor:
        y = F.conv2d(
            F.pad(self.first(x), (1, 2, 1, 2), mode="reflect"), self.blur, stride=2, groups=4
        )
        y = F.conv2d(F.pad(y, (0, 1, 0, 1), value=1.0), self.even)
        return self.last(F.interpolate(y, scale_factor=2, mode="bicubic"))

    network = Fn(forward, first=conv(2, 4), last=conv(4, 1))
    row = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
    network.blur = nn.Parameter(torch.outer(row, row).expand(4, 1, 4, 4).clone())
    network.even = nn.Parameter(torch.rand(4, 4, 2, 2) / 16)
    return network


def unshuffle():
    return nn.Sequential(
        nn.PixelUnshuffle(2), conv(8, 16), nn.ReLU(), nn.PixelShuffle(2), conv(4, 1)
    )


def nearest_up():
    return nn.Sequential(
        conv(2, 4), nn.AvgPool2d(2), conv(4, 4), nn.Upsample(scale_factor=2), conv(4, 1)
    )


def finer_inside():
    """Works at twice the resolution inside: the stride is that of its output."""
    return nn.Sequential(
        nn.Upsample(scale_factor=2, mode="nearest"),
        conv(2, 4),
        nn.ReLU(),
        nn.MaxPool2d(2),
        conv(4, 1),
    )


def stride_three():
    return nn.Sequential(conv(2, 4, 3, stride=3), nn.ReLU(), nn.ConvTranspose2d(4, 1, 3, 3))


def transposed(kernel: int = 4):
    return nn.Sequential(
        conv(2, 4, 3, stride=2), nn.ReLU(), nn.ConvTranspose2d(4, 1, kernel, 2, (kernel - 2) // 2)
    )


def one_sided():
    """Looks only to the right and down, and farther along x than along y."""
    pad = nn.ZeroPad2d((0, 6, 0, 2))
    return nn.Sequential(pad, nn.Conv2d(2, 1, (3, 7)))


def partial_convolution():
    """Divides by how many pixels the kernel covered: a constant map that knows the border."""

    def forward(self: Fn, x: Tensor) -> Tensor:
        cover = F.conv2d(torch.ones_like(x[:, :1]), self.ones, padding=2)
        return self.first(x) / cover

    network = Fn(forward, first=conv(2, 1, 3))
    network.register_buffer("ones", torch.ones(1, 1, 5, 5) / 25)
    return network


def channels_and_image():
    """Reduces over channels and pixels that were flattened together."""
    return Fn(lambda _, x: (x / x.flatten(1).std(1)[:, None, None, None])[:, :1])


def assembled():
    """Writes its parts into the slices of an empty map."""

    def forward(self: Fn, x: Tensor) -> Tensor:
        result = torch.zeros_like(x[:, :1])
        top, bottom = result[:, :, ::2], result[:, :, 1::2]
        bottom.copy_(self.b(x))
        top[...] = self.a(x)
        result[:, :, 1::2] += 1
        return self.last(result)

    down = {"stride": (2, 1)}
    return Fn(forward, a=conv(2, 1, 3, **down), b=conv(2, 1, 5, **down), last=conv(1, 1))


def nested_unet(width: int = 4):
    """U-Net++: maps of one level are joined again and again, across one and two levels."""

    def forward(self: Fn, x: Tensor) -> Tensor:
        a0 = self.a0(x)
        b0 = self.b0(F.max_pool2d(a0, 2))
        c0 = self.c0(F.max_pool2d(b0, 2))
        a1 = self.a1(torch.cat([a0, self.up_b(b0)], 1))
        b1 = self.b1(torch.cat([b0, self.up_c(c0)], 1))
        return self.last(torch.cat([a0, a1, self.up_b(b1), F.interpolate(c0, scale_factor=4)], 1))

    w = width
    return Fn(
        forward,
        a0=nn.Sequential(conv(2, w), nn.ReLU()),
        b0=nn.Sequential(conv(w, w, 5), nn.ReLU()),
        c0=nn.Sequential(nn.Conv2d(w, w, 3, padding=4, dilation=4), nn.ReLU()),
        up_b=nn.ConvTranspose2d(w, w, 2, 2),
        up_c=nn.ConvTranspose2d(w, w, 4, 2, 1),
        a1=conv(2 * w, w),
        b1=conv(2 * w, w),
        last=conv(4 * w, 1),
    )


def dense_block(width: int = 4):
    """Each layer sees all before it; the first map is also added at the end."""

    def forward(self: Fn, x: Tensor) -> Tensor:
        maps = [self.first(x)]
        for layer in self.layers:
            maps.append(F.relu(layer(torch.cat(maps, 1))))
        return self.last(maps[-1] + maps[0])

    layers = nn.ModuleList(conv(width * n, width, 5) for n in (1, 2, 3))
    return Fn(forward, first=conv(2, width), layers=layers, last=conv(width, 1))


@dataclass(frozen=True)
class Specimen:
    """How to build a network of two input channels, and what must be found out about it."""

    build: Callable[[], nn.Module]
    stride: int = 1
    sites: int = 0

    def __call__(self) -> nn.Module:
        torch.manual_seed(0)
        return self.build().eval()


EXACT: dict[str, Specimen] = {
    "unet": Specimen(unet, 4),
    "unet instance": Specimen(lambda: unet(norm=nn.InstanceNorm2d), 4, sites=10),
    "unet deep": Specimen(lambda: unet(depth=6, width=2), 64),
    "resnet": Specimen(resnet, 4, sites=9),
    "mirror unet": Specimen(mirror_unet, 2),
    "dilated": Specimen(
        lambda: nn.Sequential(conv(2, 4), nn.Conv2d(4, 1, 3, padding=5, dilation=5))
    ),
    "transposed 4": Specimen(lambda: transposed(4), 2),
    "transposed 2": Specimen(lambda: transposed(2), 2),
    "bilinear gate": Specimen(attention_gate, 2),
    "nearest": Specimen(nearest_up, 2),
    "finer inside": Specimen(finer_inside, 1),
    "blur pool": Specimen(blur_pool, 2),
    "pixel shuffle": Specimen(unshuffle, 2),
    "stride 3": Specimen(stride_three, 3),
    "one-sided": Specimen(one_sided, 1),
    "zero last layer": Specimen(zero_last),
    "dead relu": Specimen(dead_relu),
    "depthwise": Specimen(
        lambda: nn.Sequential(conv(2, 4), conv(4, 4, 5, groups=4), nn.ReLU(), conv(4, 1, 1))
    ),
    "squeeze-excite": Specimen(squeeze_excite, sites=1),
    "instance norm": Specimen(lambda: with_norm(nn.InstanceNorm2d(4, affine=True)), sites=1),
    "group norm": Specimen(lambda: with_norm(nn.GroupNorm(2, 4)), sites=1),
    "layer norm": Specimen(
        lambda: with_norm(Fn(lambda _, x: F.layer_norm(x, x.shape[1:]))), sites=1
    ),
    "batch norm of the batch": Specimen(
        lambda: with_norm(nn.BatchNorm2d(4, track_running_stats=False)), sites=1
    ),
    "adalin": Specimen(adalin, sites=8),
    "image pooling": Specimen(image_pooling, sites=1),
    "convnext": Specimen(convnext, 4),
    "window attention": Specimen(window_attention, 4),
    "activations": Specimen(activations),
    "odds and ends": Specimen(odds_and_ends, 2),
    "partial convolution": Specimen(partial_convolution),
    "channels and image": Specimen(channels_and_image, sites=1),
    "far dilation": Specimen(
        lambda: nn.Sequential(conv(2, 4), nn.Conv2d(4, 1, 3, padding=150, dilation=150))
    ),
    "assembled": Specimen(assembled, 2),
    "nested unet": Specimen(nested_unet, 4),
    "dense block": Specimen(dense_block),
}


def self_attention():
    def forward(self: Fn, x: Tensor) -> Tensor:
        x = self.first(x)
        tokens = x.flatten(2).transpose(1, 2)
        mixed = torch.softmax(tokens @ tokens.transpose(1, 2), -1) @ tokens
        return x[:, :1] + mixed.transpose(1, 2).reshape(x.shape)[:, :1]

    return Fn(forward, first=conv(2, 4))


def multi_head():
    def forward(self: Fn, x: Tensor) -> Tensor:
        x = self.first(x)
        tokens = x.flatten(2).transpose(1, 2)
        mixed, _ = self.attention(tokens, tokens, tokens, need_weights=False)
        return mixed.transpose(1, 2).reshape(x.shape)[:, :1]

    return Fn(forward, first=conv(2, 4), attention=nn.MultiheadAttention(4, 2, batch_first=True))


def non_local(equation: str = "bcn,bcm->bnm"):
    """A non-local block without softmax, written with einsum."""

    def forward(self: Fn, x: Tensor) -> Tensor:
        x = self.first(x)
        tokens = x.flatten(2)
        pairs = torch.einsum(equation, tokens, tokens) / tokens.shape[-1]
        return torch.einsum("bcn,bnm->bcm", tokens, pairs).reshape(x.shape)[:, :1]

    return Fn(forward, first=conv(2, 4))


def linear_attention():
    def forward(self: Fn, x: Tensor) -> Tensor:
        x = self.first(x)
        tokens = x.flatten(2)
        return ((tokens @ tokens.transpose(1, 2)) @ tokens).reshape(x.shape)[:, :1]

    return Fn(forward, first=conv(2, 4))


def half(mode: str, **options: object):
    def forward(self: Fn, x: Tensor) -> Tensor:
        return F.interpolate(self.down(x), scale_factor=2, mode=mode, **options)

    return Fn(forward, down=conv(2, 1, 3, stride=2))


def fixed_grid():
    return Fn(
        lambda _, x: x[:, :1] + F.interpolate(F.adaptive_avg_pool2d(x, 4), x.shape[2:])[:, :1]
    )


def positions(make: Callable[[Tensor], Tensor]):
    return Fn(lambda _, x: x[:, :1] + make(x))


def learned_positions():
    def forward(self: Fn, x: Tensor) -> Tensor:
        return x[:, :1] + F.interpolate(self.table, x.shape[2:], mode="bilinear")

    network = Fn(forward)
    network.table = nn.Parameter(torch.rand(1, 1, 8, 8))
    return network


def data_dependent():
    def forward(self: Fn, x: Tensor) -> Tensor:
        return self.a(x) if x.mean() > 0.5 else self.b(x)

    return Fn(forward, a=conv(2, 1), b=conv(2, 1, 5))


def warp():
    def forward(self: Fn, x: Tensor) -> Tensor:
        flow = self.flow(x).permute(0, 2, 3, 1)
        theta = torch.eye(2, 3, device=x.device)[None]
        grid = F.affine_grid(theta, [1, 1, *x.shape[2:]], align_corners=False)
        return F.grid_sample(x[:, :1], grid + 0.01 * flow, align_corners=False)

    return Fn(forward, flow=conv(2, 2))


def separable_mean():
    return Fn(lambda _, x: (x - x.mean(3, keepdim=True).mean(2, keepdim=True))[:, :1])


INEXACT: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "self-attention": (self_attention, "softmax"),
    "multi-head attention": (multi_head, "attention"),
    "non-local": (non_local, "einsum"),
    "linear attention": (linear_attention, "matmul"),
    "align_corners": (lambda: half("bilinear", align_corners=True), "align_corners"),
    "circular padding": (lambda: conv(2, 1, 3, padding_mode="circular"), "circular"),
    "fixed-grid pooling": (fixed_grid, "adaptive_avg_pool2d"),
    "linspace": (
        lambda: positions(lambda x: torch.linspace(0, 1, x.shape[-1], device=x.device)),
        "linspace",
    ),
    "linspace elsewhere": (
        lambda: positions(lambda x: torch.linspace(0, 1, x.shape[-1])),
        "linspace",
    ),
    "arange": (
        lambda: positions(lambda x: torch.arange(x.shape[-2], device=x.device)[:, None]),
        "arange",
    ),
    "cumulative sum": (lambda: positions(lambda x: x[:, :1].cumsum(-1)), "cumsum"),
    "learned positions": (learned_positions, "position"),
    "dropout": (lambda: positions(lambda x: F.dropout(x[:, :1], 0.5, training=True)), "dropout"),
    "dropout in place": (
        lambda: positions(lambda x: F.dropout(x[:, :1].clone(), 0.5, True, inplace=True)),
        "dropout",
    ),
    "dropout of maps": (
        lambda: positions(lambda x: F.dropout2d(x[:, :1], 0.5, training=True)),
        "dropout",
    ),
    "noise": (lambda: positions(lambda x: torch.randn_like(x[:, :1])), "randn_like"),
    "noise in place": (lambda: positions(lambda x: torch.empty_like(x[:, :1]).normal_()), "normal"),
    "data-dependent": (data_dependent, "depend"),
    "fourier": (lambda: positions(lambda x: torch.fft.rfft2(x[:, :1]).abs().mean()), "fft"),
    "warp": (warp, "grid"),
    "flip": (lambda: positions(lambda x: x[:, :1].flip(-1)), "flip"),
    "roll": (lambda: positions(lambda x: x[:, :1].roll(3, -2)), "roll"),
    "sort": (lambda: positions(lambda x: x[:, :1].sort(-1).values), "sort"),
    "median": (lambda: positions(lambda x: x[:, :1].flatten(1).median(1).values[0]), "median"),
    "row by row": (separable_mean, "mean"),
    "unpadded with norm": (
        lambda: nn.Sequential(nn.Conv2d(2, 4, 3), nn.InstanceNorm2d(4), nn.Conv2d(4, 1, 3)),
        "instance_norm",
    ),
    "padded and unpadded": (
        lambda: nn.Sequential(conv(2, 4, 5), nn.ReLU(), nn.Conv2d(4, 1, 3)),
        "pad",
    ),
}


def by_hand_group_norm(x: Tensor) -> Tensor:
    groups = x.reshape(x.shape[0], 2, -1)
    mean, spread = groups.mean(-1, keepdim=True), groups.std(-1, keepdim=True)
    return ((groups - mean) / (spread + 1e-5)).reshape(x.shape)


# Ways to take a value from the whole of a map (b, c, y, x); each result broadcasts with the map.
REDUCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "mean": lambda x: x - x.mean((2, 3), keepdim=True),
    "mean without keeping": lambda x: x - x.mean((2, 3))[..., None, None],
    "mean of everything": lambda x: x - x.mean(),
    "mean of channels too": lambda x: x - x.mean((1, 2, 3), keepdim=True),
    "mean of a flattened map": lambda x: x - x.flatten(2).mean(-1)[..., None, None],
    "mean of tokens": lambda x: x - x.flatten(2).transpose(1, 2).mean(1)[..., None, None],
    "mean with negative axes": lambda x: x - x.mean((-1, -2), keepdim=True),
    "mean of channels last": lambda x: x - x.permute(0, 2, 3, 1).mean((1, 2))[..., None, None],
    "mean of x before y": lambda x: x - x.transpose(2, 3).mean((2, 3), keepdim=True),
    "mean in double": lambda x: x - x.mean((2, 3), keepdim=True, dtype=torch.float64).float(),
    "sum": lambda x: x + 1e-4 * x.sum((2, 3), keepdim=True),
    "var": lambda x: x * x.var((2, 3), keepdim=True),
    "var biased": lambda x: x * x.var((2, 3), keepdim=True, unbiased=False),
    "var with correction": lambda x: x * torch.var(x, (2, 3), correction=7, keepdim=True),
    "std": lambda x: x * torch.std(x, (2, 3), keepdim=True),
    "std of a flattened map": lambda x: x * x.flatten(2).std(-1)[..., None, None],
    "std of everything": lambda x: x * x.std(),
    "std of channels flattened too": lambda x: x * x.flatten(1).std(1)[:, None, None, None],
    "var_mean": lambda x: (lambda v, m: (x - m) * v)(*torch.var_mean(x, (2, 3), keepdim=True)),
    "std_mean": lambda x: (lambda s, m: (x - m) / s)(*torch.std_mean(x, (2, 3), keepdim=True)),
    "mean square": lambda x: x * x.pow(2).mean((2, 3), keepdim=True).sqrt(),
    "amax": lambda x: x + x.amax((2, 3), keepdim=True),
    "amin": lambda x: x - x.amin((2, 3), keepdim=True),
    "max of everything": lambda x: x / x.max().clamp_min(0.1),
    "max of a flattened map": lambda x: x + x.flatten(2).max(2).values[..., None, None],
    "min of a flattened map": lambda x: x - x.flatten(2).min(-1, keepdim=True)[0][..., None],
    "adaptive average": lambda x: x - F.adaptive_avg_pool2d(x, 1),
    "adaptive maximum": lambda x: x - F.adaptive_max_pool2d(x, 1),
    "average pool of all": lambda x: x - F.avg_pool2d(x, x.shape[2:]),
    "max pool of all": lambda x: x - F.max_pool2d(x, x.shape[2:]),
    "vector norm": lambda x: 10 * x / torch.linalg.vector_norm(x, dim=(2, 3), keepdim=True),
    "old norm": lambda x: 10 * x / x.flatten(2).norm(dim=-1)[..., None, None],
    "normalize": lambda x: 10 * F.normalize(x.flatten(2), dim=2).reshape(x.shape),
    "norm of everything": lambda x: 30 * x / x.norm(),
    "instance norm": F.instance_norm,
    "instance norm with weights": lambda x: F.instance_norm(
        x, weight=torch.arange(1.0, 1 + x.shape[1]).to(x), bias=x.new_ones(x.shape[1])
    ),
    "group norm": lambda x: F.group_norm(x, 2),
    "group norm by hand": by_hand_group_norm,
    "layer norm": lambda x: F.layer_norm(x, x.shape[1:]),
    "layer norm of the plane": lambda x: F.layer_norm(x, x.shape[2:]),
    "rms norm": lambda x: F.rms_norm(x, x.shape[1:]),
    "batch norm in training": lambda x: F.batch_norm(x, None, None, training=True),
    "batch norm that counts": lambda x: F.batch_norm(
        x, x.new_zeros(x.shape[1]), x.new_ones(x.shape[1]), training=True
    ),
    "one after the other": lambda x: F.instance_norm(x * x.amax((2, 3), keepdim=True)) + x.mean(),
}


def reducing(name: str) -> nn.Module:
    """A network that takes one value from the whole of a map at half the resolution."""
    torch.manual_seed(0)

    def forward(self: Fn, x: Tensor) -> Tensor:
        y = REDUCTIONS[name](F.relu(self.first(x)))
        return self.last(F.relu(self.up(y)))

    return Fn(
        forward, first=conv(2, 4, 3, stride=2), up=nn.ConvTranspose2d(4, 4, 2, 2), last=conv(4, 1)
    ).eval()
