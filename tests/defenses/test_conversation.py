"""What a message is known by: its digest covers all that a detector may look at."""

from dataclasses import replace

import pytest

from bluecode.defenses.conversation import Message, Role

MESSAGE = Message(role=Role.TOOL, text="3 files changed", name="git", task="Commit my work.")


@pytest.mark.parametrize(
    "other",
    [
        replace(MESSAGE, role=Role.USER),
        replace(MESSAGE, text="4 files changed"),
        replace(MESSAGE, name=None),
        replace(MESSAGE, task=""),
        replace(MESSAGE, name="git3", text=" files changed"),
        replace(MESSAGE, text="3 files changedCommit", task=" my work."),
    ],
)
def test_messages_that_a_detector_could_tell_apart_have_digests_apart(other: Message) -> None:
    assert other.digest != MESSAGE.digest


def test_what_no_detector_reads_leaves_the_digest_alone() -> None:
    assert replace(MESSAGE, unread=("image",)).digest == MESSAGE.digest


def test_a_message_has_no_task_unless_it_is_given_one() -> None:
    assert Message(role=Role.TOOL, text="ok").task == ""
