<?php

declare(strict_types=1);

namespace PreferenceCenter\Client;

/** There was no usable response in time, after every attempt. */
final class Unavailable extends \RuntimeException implements PreferenceCenterError
{
    /**
     * @param ?int $status of the last response, if there was one
     * @param ?float $retryAfter in seconds, if the service asked for it
     */
    public function __construct(
        string $message,
        public readonly ?int $status = null,
        public readonly ?float $retryAfter = null,
    ) {
        parent::__construct($message);
    }
}
