<?php

declare(strict_types=1);

namespace PreferenceCenter\Client;

/**
 * Remembers until when not to ask, after the service did not answer. Kept where all processes
 * see it (a cache), an outage slows one request instead of each.
 */
interface Outage
{
    /** Seconds since 1970; 0 if there is none. */
    public function until(): float;

    public function setUntil(float $until): void;
}
