"""Work on a GPU as one CUDA graph: the launches of a thousand small kernels become one."""

import torch


class Recorded:
    """`work`, which changes tensors in place and returns nothing, as one CUDA graph for each shape of its arguments.

    The first call for a shape runs as it is, so that everything is compiled and allocated; the second is recorded, with
    arguments in memory of its own on `device`; each later one copies its arguments there, from wherever they are, and replays. On
    the stream that is current.
    """

    def __init__(self, work, device: torch.device):
        self.work, self.device, self.graphs = work, device, {}

    def __call__(self, *arguments):
        """Do the work for these tensors."""
        key = tuple(a.shape for a in arguments)
        if key not in self.graphs:
            self.graphs[key] = None
            self.work(*arguments)
            return
        if self.graphs[key] is None:
            graph, fixed = torch.cuda.CUDAGraph(), [a.to(self.device, copy=True) for a in arguments]
            torch.cuda.synchronize()
            with torch.cuda.graph(graph, stream=torch.cuda.current_stream()):
                self.work(*fixed)
            self.graphs[key] = graph, fixed
        graph, fixed = self.graphs[key]
        for mine, given in zip(fixed, arguments, strict=True):
            mine.copy_(given, non_blocking=True)
        graph.replay()
