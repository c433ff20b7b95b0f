<?php

declare(strict_types=1);

namespace PreferenceCenter\Client;

/** For one process: enough for a worker or a command. */
final class ProcessOutage implements Outage
{
    private float $until = 0;

    public function until(): float
    {
        return $this->until;
    }

    public function setUntil(float $until): void
    {
        $this->until = $until;
    }
}
