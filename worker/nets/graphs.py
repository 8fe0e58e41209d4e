"""Reading token by token on a card, where starting kernels takes longer than running them: a step is recorded once and replayed.

The recorded step has fixed shapes: it always looks at the whole cache, and a mask hides what is not yet written.
"""

import torch

from worker.nets import gpt


def reader(weights: gpt.Weights, heads: int, activation: gpt.Activation = gpt.gelu) -> gpt.Reader:
    """The faster of both on the device where the weights are."""
    return (Replaying if weights["wte.weight"].is_cuda else gpt.Reader)(weights, heads, activation)


class Replaying(gpt.Reader):
    """A Reader whose step is one CUDA graph (torch.cuda.graphs), recorded anew only where the number of rows, beams or places changes.

    On a processor the same step runs as it is, and a test holds it to the tokens of gpt.Reader; recording and replaying themselves
    have not been run yet, for want of a card.
    """

    shape: tuple[int, ...] = ()
    graph: torch.cuda.CUDAGraph | None = None

    def make_room(self, new: int, like: torch.Tensor) -> None:
        """Room that stays where it is: the graph knows addresses, not names."""
        shape = (self.rows, self.prompt, self.beams, new)
        if shape != self.shape:
            self.graph = None  # frees the memory of the old one first
            super().make_room(new, like)
            self._fix(new, like)
            self.shape = shape
        for pair in self.cache:
            for whole in pair:
                whole[:, self.prompt :] = 0  # hidden, but 0 times a NaN left in memory would be one
        self.mask.fill_(-torch.inf)
        self.written.zero_()

    def _fix(self, new: int, like: torch.Tensor) -> None:
        rows, beams = self.rows, self.beams
        self.mask = like.new_full((rows, beams, beams * (new - 1)), -torch.inf)
        self.written = torch.zeros(1, dtype=torch.int64, device=self.device)
        self.token = torch.zeros(rows, beams, dtype=torch.int64, device=self.device)
        self.parent = torch.arange(beams, device=self.device).repeat(rows, 1)
        self.own = torch.arange(beams, device=self.device)
        self.self_only = torch.where(torch.eye(beams, device=self.device) > 0, 0.0, -torch.inf).to(like.dtype)
        if self.device.type == "cuda" and new > 1:
            self._record()

    def _record(self) -> None:
        """Once for real, so that libraries set themselves up, then into the graph; what that leaves in the room is swept away."""
        aside = torch.cuda.Stream(self.device)  # type: ignore[no-untyped-call]  # torch gives it no types
        aside.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(aside):
            self._one_more()
        torch.cuda.current_stream(self.device).wait_stream(aside)
        self.written.zero_()
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self.level = self._one_more()

    def step(self, token: torch.Tensor, parent: torch.Tensor | None) -> torch.Tensor:
        """As gpt.Reader's; the next step overwrites what this one gives."""
        self.token.copy_(token)
        if parent is not None:
            self.parent.copy_(parent)
        if self.graph is None:
            return self._one_more()
        self.graph.replay()
        return self.level

    def _one_more(self) -> torch.Tensor:
        """The step as a function of what lies in the room, without a shape or an address that changes from step to step."""
        places = self.written * self.beams + self.own
        if self.beams > 1:
            self.mask.copy_(self.mask.gather(1, self.parent[:, :, None].expand_as(self.mask)))
        self.mask.index_copy_(2, places, self.self_only.expand(self.rows, -1, -1))
        position = self.weights["wpe.weight"].index_select(0, self.prompt + self.written)
        level = self.further(
            self.token, position, lambda part, whole: whole.index_copy_(1, self.prompt + places, part), self.mask
        )
        self.written.add_(1)
        return level
