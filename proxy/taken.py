"""A request and its answer as they came, kept in memory while they last."""

from dataclasses import dataclass, field

from bluecode.proxy.upstream import Reply


@dataclass(slots=True)
class Taken:
    """One request and its answer, as they came."""

    path: str
    """Below the API root."""
    body: bytes
    status: int = 0
    """Of the provider's answer; 0 where it was not asked."""
    kind: str = ""
    """Its content type."""
    parts: list[bytes] = field(default_factory=list)
    size: int = 0
    whole: bool = True
    """Is here all of the answer that was passed on or judged?"""

    @property
    def kept(self) -> int:
        """Bytes of it that are here."""
        return len(self.body) + sum(map(len, self.parts))

    def hear(self, data: bytes, most: int) -> None:
        """Some more of the answer, which is kept up to so many bytes."""
        self.size += len(data)
        if self.size <= most:
            self.parts.append(data)

    def end(self) -> None:
        """The client has its answer."""
        self.whole = self.size == sum(map(len, self.parts))

    def watch(self, reply: Reply, most: int) -> Reply:
        """The same reply, of which at most so many bytes are kept."""
        kinds = (value for name, value in reply.headers if name.lower() == "content-type")
        self.status, self.kind, self.whole = reply.status, next(kinds, ""), False
        return _Watched(reply, self, most)


class _Watched:
    def __init__(self, reply: Reply, taken: Taken, most: int) -> None:
        self._reply = reply
        self._taken = taken
        self._most = most
        self.status = reply.status
        self.headers = reply.headers

    async def chunk(self) -> bytes:
        data = await self._reply.chunk()
        self._taken.hear(data, self._most)
        return data
