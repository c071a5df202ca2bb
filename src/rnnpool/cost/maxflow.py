"""Maximum flow (Dinic 1970) on a small graph, with the flow itself as the proof of its value."""

from collections import deque

ENDLESS = 1 << 60


class FlowNetwork:
    """Vertices 0..n-1; edges are added with a capacity, and pushed through once by ``solve``."""

    def __init__(self, vertices: int) -> None:
        self.edges: list[list[int]] = [[] for _ in range(vertices)]  # per vertex, numbers of edges that leave it
        self.head: list[int] = []
        self.room: list[int] = []
        self.capacity: list[int] = []

    def add(self, tail: int, head: int, capacity: int) -> None:
        self.edges[tail].append(len(self.head))
        self.edges[head].append(len(self.head) + 1)
        self.head += [head, tail]
        self.room += [capacity, 0]
        self.capacity += [capacity, 0]

    def solve(self, source: int, sink: int) -> int:
        """The value of a maximum flow, which is that of a minimum cut."""
        total = 0
        while (level := self._levels(source, sink)) is not None:
            following = [0] * len(self.edges)
            while pushed := self._push(source, sink, level, following):
                total += pushed
        return total

    def check(self, source: int, sink: int, value: int) -> None:
        """AssertionError unless the edges carry a flow of that value: then no cut is smaller."""
        surplus = [0] * len(self.edges)
        for edge in range(0, len(self.head), 2):
            flow = self.capacity[edge] - self.room[edge]
            if not 0 <= flow <= self.capacity[edge]:
                raise AssertionError("an edge carries more than it can")
            surplus[self.head[edge]] += flow
            surplus[self.head[edge + 1]] -= flow
        surplus[source] += value
        surplus[sink] -= value
        if any(surplus):
            raise AssertionError("flow is lost or made on the way")

    def _levels(self, source: int, sink: int) -> list[int] | None:
        level = [-1] * len(self.edges)
        level[source] = 0
        waiting = deque([source])
        while waiting:
            vertex = waiting.popleft()
            for edge in self.edges[vertex]:
                if self.room[edge] and level[self.head[edge]] < 0:
                    level[self.head[edge]] = level[vertex] + 1
                    waiting.append(self.head[edge])
        return level if level[sink] >= 0 else None

    def _push(self, source: int, sink: int, level: list[int], following: list[int]) -> int:
        """Flow along one shortest path, or 0 if there is none left; dead ends are not tried again."""
        path: list[int] = []
        vertex = source
        while vertex != sink:
            edges = self.edges[vertex]
            while following[vertex] < len(edges):
                edge = edges[following[vertex]]
                if self.room[edge] and level[self.head[edge]] == level[vertex] + 1:
                    break
                following[vertex] += 1
            else:
                if not path:
                    return 0
                edge = path.pop()
                vertex = self.head[edge ^ 1]
                following[vertex] += 1
                continue
            path.append(edge)
            vertex = self.head[edge]
        least = min(self.room[edge] for edge in path)
        for edge in path:
            self.room[edge] -= least
            self.room[edge ^ 1] += least
        return least
