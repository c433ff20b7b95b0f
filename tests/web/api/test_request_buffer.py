"""What waits for its answer on disk."""

from __future__ import annotations

import io

from preference_center.web.api.streams import BLOCK_SIZE, MAX_IN_MEMORY, RequestBuffer

LINE = b"ada@example.com\n"


def test_what_waits_in_the_file_can_be_read_by_nobody_else() -> None:  # I12
    body = LINE * (2 * MAX_IN_MEMORY // len(LINE))
    backlog = RequestBuffer(io.BytesIO(body), len(body))
    with backlog._changed:
        backlog._changed.wait_for(lambda: backlog._at_end, timeout=60)
        backlog._file.seek(0)
        waiting = backlog._file.read()
    assert len(waiting) == len(body)
    assert LINE.strip() not in waiting
    assert b"".join(backlog) == body
    backlog.close()


def test_the_file_is_used_again_from_its_start_and_every_byte_comes_once() -> None:
    """A source that is asked only when all before was handed on empties the file each time."""
    blocks = [bytes([number]) * (BLOCK_SIZE // 2 + number) for number in range(20)]

    class Slow:
        def __init__(self) -> None:
            self.left = [*blocks]

        def read(self, _size: int) -> bytes:
            with backlog._changed:
                backlog._changed.wait_for(lambda: backlog._write_offset == 0, timeout=60)
            return self.left.pop(0) if self.left else b""

    source = Slow()
    backlog = RequestBuffer.__new__(RequestBuffer)
    backlog.__init__(source)  # type: ignore[misc]  # the source asks the backlog itself
    assert b"".join(backlog) == b"".join(blocks)
    backlog.close()
