"""Small networks as users bring them: each has something that one meets in real ones."""

from __future__ import annotations

import torch
from torch import Tensor, fx, nn

from nas_service.networks.elastic.rebuild import rebuild


class Gate(nn.Module):
    """Squeeze and excitation."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.down = nn.Conv2d(channels, 16, 1)
        self.up = nn.Conv2d(16, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.up(torch.relu(self.down(x.mean((2, 3), keepdim=True))))
        return x * torch.sigmoid(y)


class Residual(nn.Module):
    """Expand, depthwise, gate, project, add."""

    def __init__(self, channels: int, wide: int) -> None:
        super().__init__()
        self.expand = nn.Conv2d(channels, wide, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(wide)
        self.depthwise = nn.Conv2d(wide, wide, 5, padding=2, groups=wide, bias=False)
        self.norm2 = nn.BatchNorm2d(wide)
        self.gate = Gate(wide)
        self.project = nn.Conv2d(wide, channels, 1, bias=False)
        self.norm3 = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu_(self.norm1(self.expand(x)))
        y = self.gate(torch.relu_(self.norm2(self.depthwise(y))))
        y = self.norm3(self.project(y))
        y += x
        return y


class Images(nn.Module):
    """A stem, two residual blocks, a stride, a block without a shortcut, a head."""

    def __init__(self, classes: int = 4) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU())
        self.first = Residual(32, 64)
        self.second = Residual(32, 48)
        self.stride = nn.Conv2d(32, 48, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(48)
        self.head = nn.Linear(48, classes)

    def forward(self, x: Tensor) -> Tensor:
        y = self.second(self.first(self.stem(x)))
        y = torch.relu(self.norm(self.stride(y)))
        logits: Tensor = self.head(torch.flatten(nn.functional.adaptive_avg_pool2d(y, 1), 1))
        return logits


class Joined(nn.Module):
    """Maps that are joined along channels, and a flattened map before the head."""

    def __init__(self) -> None:
        super().__init__()
        self.left = nn.Conv2d(3, 16, 3, padding=1)
        self.right = nn.Conv2d(3, 24, 3, padding=1)
        self.after = nn.Conv2d(40, 16, 3, padding=1, stride=4)
        self.head = nn.Linear(16 * 16, 4)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.cat([torch.relu(self.left(x)), torch.relu(self.right(x))], 1)
        logits: Tensor = self.head(torch.relu(self.after(y)).flatten(1))
        return logits


class Tokens(nn.Module):
    """Patches, a block of a transformer, the mean of the tokens."""

    def __init__(self, width: int = 32, heads: int = 2) -> None:
        super().__init__()
        self.heads = heads
        self.patches = nn.Conv2d(3, width, 4, stride=4)
        self.norm1 = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, 64)
        self.fc2 = nn.Linear(64, width)
        self.head = nn.Linear(width, 4)

    def forward(self, x: Tensor) -> Tensor:
        y = self.patches(x).flatten(2).transpose(1, 2)
        n, tokens, width = y.shape
        qkv = self.qkv(self.norm1(y)).reshape(n, tokens, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        seen = nn.functional.scaled_dot_product_attention(q, k, v)
        y = y + self.out(seen.transpose(1, 2).reshape(n, tokens, width))
        y = y + self.fc2(nn.functional.gelu(self.fc1(self.norm2(y))))
        logits: Tensor = self.head(y.mean(1))
        return logits


class WideTokens(Tokens):
    """The same, wide enough that its linear layers are worth a lower rank."""

    def __init__(self) -> None:
        super().__init__(64)


class Signals(nn.Module):
    """Convolutions over time."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(6, 32, 5, stride=2, padding=2)
        self.norm1 = nn.BatchNorm1d(32)
        self.conv2 = nn.Conv1d(32, 32, 3, padding=1)
        self.head = nn.Linear(32, 4)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.norm1(self.conv1(x)))
        logits: Tensor = self.head(torch.relu(self.conv2(y)).mean(2))
        return logits


class Tied(nn.Module):
    """One convolution at two places."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 3, padding=1)
        self.same = nn.Conv2d(32, 32, 3, padding=1)
        self.wide = nn.Conv2d(32, 64, 1)
        self.head = nn.Linear(64, 4)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.same(torch.relu(self.same(self.stem(x)))))
        logits: Tensor = self.head(torch.relu(self.wide(y)).mean((2, 3)))
        return logits


IMAGE, SIGNAL = (1, 3, 16, 16), (1, 6, 40)


def program_of(network: nn.Module, shape: tuple[int, ...] = IMAGE) -> torch.export.ExportedProgram:
    """The network as users export it: in inference mode, for one sample."""
    return torch.export.export(network.eval(), (torch.zeros(shape),))


def seeded(network: type[nn.Module], seed: int = 0) -> nn.Module:
    """A network with weights of its own and statistics as training leaves them."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        made = network()
        for layer in made.modules():
            if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
                assert layer.running_mean is not None
                assert layer.running_var is not None
                layer.running_mean.normal_(0.0, 0.2)
                layer.running_var.uniform_(0.5, 2.0)
    return made.eval()


def rebuilt(network: nn.Module, shape: tuple[int, ...] = IMAGE) -> fx.GraphModule:
    """The network after its way through an exported program."""
    return rebuild(program_of(network, shape))
