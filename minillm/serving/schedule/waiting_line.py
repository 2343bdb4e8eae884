"""Who waits, in order; finding the first costs nothing for all the others.

A heap, from which requests that ended while they waited are not taken out: they are passed over when they come up. A child
whose parent's prompt is about to be computed is set aside, so that it finds the prompt's blocks and holds up nobody meanwhile.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush

from minillm.serving.request import Request


class WaitingLine:
    """Requests by (priority, order of arrival), or by arrival alone."""

    def __init__(self, *, by_priority: bool, parks: bool):
        self.by_priority, self.parks = by_priority, parks
        self.parked: dict[str, list[Request]] = {}  # by their parent's id
        self._heap: list[tuple[int, int, Request]] = []
        self._num_waiting = 0
        self._num_stale = 0

    def __len__(self) -> int:
        return self._num_waiting

    def key(self, request: Request) -> tuple[int, int]:
        """What requests are sorted by, here and when they run; no two are equal."""
        return (request.priority if self.by_priority else 0), request.arrival

    def push(self, request: Request) -> None:
        """A request waits, for the first time or again."""
        self._num_waiting += 1
        self._enter(request)

    def first(self) -> Request | None:
        """Whose turn it is; nobody is taken out of line."""
        heap = self._heap
        while heap:
            request = heap[0][-1]
            if request.is_finished:
                self._num_stale -= 1
            elif self._must_wait_for_parent(request):
                assert request.parent is not None
                self.parked.setdefault(request.parent.request_id, []).append(request)
            else:
                return request
            heappop(heap)
        return None

    def pop(self) -> None:
        """The one whose turn it is leaves."""
        heappop(self._heap)
        self._num_waiting -= 1

    def drop(self, request: Request) -> None:
        """A request that waits has finished."""
        self._num_waiting -= 1
        parent = request.parent
        if parent is not None and request in self.parked.get(parent.request_id, ()):
            self.parked[parent.request_id].remove(request)
            return
        self._num_stale += 1
        if self._num_stale > len(self._heap) // 2:
            self._heap = [entry for entry in self._heap if not entry[-1].is_finished]
            heapify(self._heap)
            self._num_stale = 0

    def release(self, parent: Request) -> None:
        """A parent's prompt is computed, or never will be: its children join the line."""
        for child in self.parked.pop(parent.request_id, ()):
            self._enter(child)

    def requests(self) -> list[Request]:
        """Everybody who waits, in no order."""
        parked = [request for children in self.parked.values() for request in children]
        return [entry[-1] for entry in self._heap if not entry[-1].is_finished] + parked

    def _enter(self, request: Request) -> None:
        heappush(self._heap, (*self.key(request), request))

    def _must_wait_for_parent(self, request: Request) -> bool:
        """A child waits only for a parent that goes before it, so whoever is first of all waits for nobody."""
        parent = request.parent
        if parent is None or not self.parks or parent.is_finished:
            return False
        return parent.num_computed_tokens < parent.num_prompt_tokens and self.key(parent) < self.key(request)
