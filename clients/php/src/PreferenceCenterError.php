<?php

declare(strict_types=1);

namespace PreferenceCenter\Client;

/** What a call may throw. No message holds an address, a key or a token. */
interface PreferenceCenterError extends \Throwable
{
}
