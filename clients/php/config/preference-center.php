<?php

declare(strict_types=1);

return [
    // Where the service is, and the key of this application: `keys add` of the service makes one.
    'url' => env('PREFERENCE_CENTER_URL'),
    'key' => env('PREFERENCE_CENTER_KEY'),

    // A key for links made offline: `keys link-key` makes one. Without it no links are added.
    'link_key' => env('PREFERENCE_CENTER_LINK_KEY'),

    // The message types whose class in the catalogue is `service`: they are sent when the service
    // does not answer. Every other type is marketing, and is not.
    'service_types' => [],

    // Ask before each mail that names its message type in the header X-Message-Type.
    'check_mail' => true,
];
