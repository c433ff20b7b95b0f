<?php

declare(strict_types=1);

namespace PreferenceCenter\Client;

/** Seconds for one attempt, and for the whole call with its waits. */
final class Limits
{
    public function __construct(public readonly float $attempt, public readonly float $call)
    {
    }

    /** Somebody may be waiting for a decision. */
    public static function ofReads(): self
    {
        return new self(2, 5);
    }

    /** An opt-out has to arrive. */
    public static function ofWrites(): self
    {
        return new self(30, 90);
    }
}
