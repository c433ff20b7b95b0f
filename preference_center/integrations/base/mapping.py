"""The checks of a destination's topics and of a batch before anything is sent (I10)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from preference_center.integrations.base.capabilities import Capabilities
from preference_center.integrations.base.contract import DestinationConfig, UnsupportedByDestination
from preference_center.integrations.base.sync_contract import PushItem


def mapping_problems(
    config: DestinationConfig, target_noun: str, *, numeric_ids: bool = True
) -> tuple[str, ...]:
    """Problems of a mapping from topics to targets of a tool, each with its remedy.

    A target that carries two topics can't turn one of them off alone. With `numeric_ids`, a
    name such as "global" is no target but a switch that stops everything, service mail too
    (F2); elsewhere `check` finds it missing among the tool's targets.
    """
    problems = []
    if not config.topics:
        problems.append(
            f"no topic is mapped: map each topic this destination sends to a {target_noun}"
        )
    carried: defaultdict[str, list[str]] = defaultdict(list)
    for topic, target in sorted(config.topics.items()):
        if not numeric_ids:
            carried[target].append(topic)
        elif not (target.isascii() and target.isdigit() and int(target) > 0):
            problems.append(
                f"topic {topic} is mapped to {target!r}, which is no {target_noun} id (a positive "
                f"number): map it to a {target_noun} of its own, never to a global unsubscribe"
            )
        else:
            carried[str(int(target))].append(topic)
    problems += [
        f"topics {', '.join(topics)} share {target_noun} {target}, where one can't be turned off "
        f"without the other: make a {target_noun} for each"
        for target, topics in carried.items()
        if len(topics) > 1
    ]
    return tuple(problems)


def account_switch_problems(
    config: DestinationConfig, switch: str, target_noun: str
) -> Iterator[str]:
    """Problems of mapping a topic to `switch`, which stops all that the account sends.

    It may only stand for the one topic of an account without service mail (I10).
    """
    whole = sorted(topic for topic, target in config.topics.items() if target == switch)
    others = sorted(config.topics.keys() - set(whole))
    if whole and others:
        yield (
            f"topic {whole[0]} is mapped to {switch}, which would stop {', '.join(others)} too: "
            f"make a {target_noun} for each"
        )
    if whole and config.sends_service:
        yield (
            f"{switch} would stop the service mail that goes through this account: map the topic "
            f"to a {target_noun} of its own, or send service mail by other means (I10)"
        )


def all_mail_switch_problems(
    config: DestinationConfig, setting: str, target_noun: str
) -> Iterator[str]:
    """Faults of the setting by which opt-outs from all marketing set a vendor's own switch."""
    value = config.settings.get(setting, "no")
    if value not in {"yes", "no"}:
        yield f"{setting}: write yes or no"
    if value == "yes" and config.sends_service:
        yield (
            f"{setting} would stop the service mail that goes through this account: remove the "
            f"setting, so that opt-outs are held by {target_noun}s alone (I10)"
        )


def single_switch_problems(
    config: DestinationConfig, switch: str, message_noun: str
) -> tuple[str, ...]:
    """Problems of a mapping for a channel of which the tool can only stop all, by `switch`.

    `message_noun` is what is sent by it, in the singular.
    """
    problems = list(mapping_problems(config, f"switch for every {message_noun}", numeric_ids=False))
    problems += [
        f"topic {topic} is mapped to {target!r}: map it to {switch}, which stops every "
        f"{message_noun}, or take it from the destination"
        for topic, target in sorted(config.topics.items())
        if target != switch
    ]
    return tuple(problems)


def validate_batch(
    batch: Sequence[PushItem], config: DestinationConfig, capabilities: Capabilities
) -> None:
    """Raise UnsupportedByDestination for a batch that the tool can't hold exactly.

    All of it is refused before anything is sent: the problem is the set-up, not an address. Raises
    ValueError when the batch is longer than `capabilities.batch_size`.
    """
    if len(batch) > capabilities.batch_size:
        raise ValueError(f"{len(batch)} items; at most {capabilities.batch_size} fit a batch")
    channels = {item.channel for item in batch} - capabilities.channels
    if channels:
        raise UnsupportedByDestination(
            f"{config.name} holds no {', '.join(sorted(channels))} addresses: "
            "send them to a destination that does"
        )
    if not capabilities.can_lift and any(item.lift for item in batch):
        raise UnsupportedByDestination(f"{config.name} can't turn a topic back on: leave it off")
    if capabilities.needs_mapping:
        named: set[str] = set().union(*(item.off | item.lift for item in batch))
        if unmapped := named - config.topics.keys():
            raise UnsupportedByDestination(
                f"{config.name} maps no {', '.join(sorted(unmapped))}: map it, "
                "or take the topic from the destination"
            )
