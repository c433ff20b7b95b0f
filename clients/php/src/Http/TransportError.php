<?php

declare(strict_types=1);

namespace PreferenceCenter\Client\Http;

/** There is no whole response. The message says why, such as `timed out`. */
final class TransportError extends \RuntimeException
{
}
