"""Maximum flow (Dinic 1970) on a small graph, with the flow itself as the proof of its value."""

from collections import deque

ENDLESS = 1 << 60


class FlowNetwork:
    """Vertices 0..n-1, and more; edges are added with a capacity, and pushed through once by ``solve``."""

    def __init__(self, vertices: int) -> None:
        self.edges: list[list[int]] = [[] for _ in range(vertices)]  # per vertex, numbers of edges that leave it
        self.head: list[int] = []
        self.room: list[int] = []
        self.capacity: list[int] = []

    def add_vertex(self) -> int:
        self.edges.append([])
        return len(self.edges) - 1

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
            total += self._push(source, sink, level)
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

    def _push(self, source: int, sink: int, level: list[int]) -> int:
        """Flow along shortest paths until none is left; dead ends are not tried again, and what two paths begin with is
        walked once."""
        edges, head, room = self.edges, self.head, self.room
        following = [0] * len(edges)
        total = 0
        path: list[int] = []
        vertex = source
        while True:
            own, deeper, number = edges[vertex], level[vertex] + 1, following[vertex]
            while number < len(own) and not (room[own[number]] and level[head[own[number]]] == deeper):
                number += 1
            following[vertex] = number
            if number == len(own):
                if not path:
                    return total
                vertex = head[path.pop() ^ 1]
                following[vertex] += 1
                continue
            path.append(own[number])
            vertex = head[own[number]]
            if vertex != sink:
                continue
            least = min([room[edge] for edge in path])
            total += least
            for edge in path:
                room[edge] -= least
                room[edge ^ 1] += least
            full = next(place for place, edge in enumerate(path) if not room[edge])
            vertex = head[path[full] ^ 1]
            del path[full:]
