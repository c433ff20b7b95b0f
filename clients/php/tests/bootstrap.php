<?php

declare(strict_types=1);

// What Composer installed, else the sources, with Laravel and Guzzle where Debian has them.
$installed = __DIR__ . '/../vendor/autoload.php';
$paths = is_file($installed) ? [$installed] : [
    __DIR__ . '/../autoload.php',
    '/usr/share/php/Illuminate/autoload.php',
    '/usr/share/php/GuzzleHttp/autoload.php',
];
foreach (array_filter($paths, is_file(...)) as $path) {
    require_once $path;
}
require_once __DIR__ . '/Stub.php';
