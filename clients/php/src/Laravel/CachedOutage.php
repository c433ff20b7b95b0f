<?php

declare(strict_types=1);

namespace PreferenceCenter\Client\Laravel;

use Illuminate\Contracts\Cache\Repository;
use PreferenceCenter\Client\Outage;

/** In Laravel's cache, for all processes. */
final class CachedOutage implements Outage
{
    private const NAME = 'preference-center.outage';

    public function __construct(private readonly Repository $cache)
    {
    }

    public function until(): float
    {
        return (float) $this->cache->get(self::NAME, 0.0);
    }

    public function setUntil(float $until): void
    {
        $this->cache->put(self::NAME, $until, max(1, (int) ceil($until - microtime(true))));
    }
}
